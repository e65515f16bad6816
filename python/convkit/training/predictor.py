"""Predictions for a service: by many threads at once, with weights that nobody changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.parameters import Array
from ..layers.step_context import INFERENCE
from ..plan import Plan, lower
from .arguments import integer

if TYPE_CHECKING:
    from .trainer import Trainer

_MOST = 2**31 - 1  # samples of a batch


class Predictor:
    """What a model predicts with the weights that it had; see `Model.predictor`.

    Threads call it at the same time, and none waits for another one: each call has arrays of its
    own, of which there are as many as there have been callers at once.

    Attributes:
        batch_size: the most samples that are computed together.
    """

    def __init__(self, model: Trainer, batch_size: int) -> None:
        self.batch_size = integer(batch_size, "batch_size")
        if self.batch_size > _MOST:
            raise ValueError(f"batch_size must be at most {_MOST}, received {batch_size!r}")
        self._model = model  # nobody else's, so that it stays as it is
        self._idle = [self._plan()]
        graph, (plan,) = model.graph, self._idle
        is_plain = len(graph.inputs) == len(graph.outputs) == 1 and not any(plan.gathered)
        # Of images that are read as they are given.
        self._sizes = tuple(graph.inputs[0].sizes) if is_plain else None

    def _plan(self) -> Plan:
        return lower(self._model.graph, self.batch_size, training=False, gather=True)

    def __call__(self, x: Any) -> Any:
        """The outputs for some samples, as `predict_on_batch` returns them.

        Args:
            x: what `predict_on_batch` takes; the fastest are float32 arrays (n, ...).

        Returns:
            float32 (n, ...), a new array, or several as the model gives them.

        Raises:
            ValueError, TypeError: as `predict_on_batch`.
        """
        is_plain = type(x) is np.ndarray and x.dtype == np.float32 and x.shape[1:] == self._sizes
        inputs = (x,) if is_plain and len(x) else self._model._adapter().samples(x).inputs
        count, most = len(inputs[0]), self.batch_size
        try:
            plan = self._idle.pop()
        except IndexError:  # all are in use
            plan = self._plan()
        parts = []
        for start in range(0, count, most):
            bound = plan.bind(min(most, count - start))
            if is_plain:
                np.copyto(bound.x, x[start : start + most])
            else:
                bound.gather(inputs, np.arange(start, min(start + most, count)), INFERENCE)
            bound(INFERENCE)
            parts.append([output.copy() for output in bound.outputs])
        self._idle.append(plan)
        outputs: list[Array] = parts[0]
        if len(parts) > 1:
            outputs = [np.concatenate(each) for each in zip(*parts, strict=True)]
        return self._model._packed(outputs)
