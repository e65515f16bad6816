"""`tf.GradientTape`: what is computed while one is open, with the gradients that it gives.

Models, layers and the functions of `tf` that are called while a tape is open give `Recorded`
numbers, which remember of what they were computed. `gradient` goes back from a result to weights,
variables, and tensors that are watched or were computed on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..core.parameters import Parameter
from ..layers import calling
from .layerwise import called
from .recorded import Recorded, gradients, numbers
from .records import Records, open_tapes
from .tensor import Tensor, Watched, as_tensor

__all__ = ["GradientTape", "UnconnectedGradients"]


class GradientTape:
    """Records what is computed within it; see `gradient`.

    Args:
        persistent: taken as TensorFlow takes it: here every tape gives any number of gradients.
        watch_accessed_variables: whether weights are watched without being asked for.
    """

    def __init__(self, persistent: Any = False, watch_accessed_variables: Any = True) -> None:
        self._watches_weights = bool(watch_accessed_variables)
        self._records = Records()
        self._watched: list[Watched] = []

    def __enter__(self) -> GradientTape:
        tapes = open_tapes()
        if tapes:
            self._records = tapes[0]._records  # what stands for a weight is one thing to all
        tapes.append(self)
        calling.recorder = called
        return self

    def __exit__(self, *error: Any) -> None:
        open_tapes().remove(self)
        for each in self._watched:
            each.__class__ = Tensor  # type: ignore[assignment]
        self._watched = []

    def watch(self, tensor: Any) -> None:
        """Record what is computed of some tensors, too."""
        for each in tensor if isinstance(tensor, list | tuple) else [tensor]:
            if isinstance(each, Recorded | Parameter) or type(each) is Watched:
                continue
            if not isinstance(each, Tensor):
                raise ValueError(
                    f"GradientTape.watch takes tensors, such as tf.constant or "
                    f"tf.convert_to_tensor gives, received {type(each).__name__}"
                )
            if type(each) is Tensor:
                each.__class__ = Watched
                self._watched.append(each)  # type: ignore[arg-type]

    def stands_for(self, source: Any) -> Recorded | None:
        """What stands for a weight, a variable or a watched tensor in the records."""
        if isinstance(source, Parameter):
            is_watched = source.trainable and not source.frozen and _watches_weights()
        else:
            trainable = getattr(source, "trainable", True)  # of a variable
            is_watched = isinstance(source, Watched) and trainable and source.dtype.kind == "f"
        if not is_watched:
            return None
        leaves: dict[int, tuple[Any, Recorded]] = self._records.leaves
        if id(source) not in leaves:
            values = source.array if isinstance(source, Parameter) else source.view(np.ndarray)
            leaves[id(source)] = source, Recorded(values)
        return leaves[id(source)][1]

    def add(self, made: Recorded) -> None:
        """Remember what was recorded."""
        self._records.made.append(made)

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: Any = None,
    ) -> Any:
        """The derivatives of the sum of what was computed by what it was computed of.

        They are of the weights as they are now, so take them before the weights are changed.

        Args:
            target: a result, or a list of them, which are added.
            sources: weights, variables or tensors, in a list, a dictionary, or alone.
            output_gradients: the factors of the target's elements in the sum, by default 1.
            unconnected_gradients: "zero" for zeros where the target does not depend on a source.

        Returns:
            Tensors in the sources' shapes, as they are given; None where the target does not
            depend on a source.

        Raises:
            ValueError: another tape is open: second derivatives are not available.
        """
        if any(each is not self for each in open_tapes()):
            raise ValueError(
                "GradientTape: the gradient of a gradient is not available; take the gradients "
                "outside of other tapes"
            )
        target = list(target.values()) if isinstance(target, Mapping) else target
        several = target if isinstance(target, list | tuple) else [target]
        shares = [None] * len(several) if output_gradients is None else output_gradients
        shares = shares if isinstance(shares, list | tuple) else [shares]
        pairs = [
            (each, 1.0 if share is None else np.asarray(share))
            for each, share in zip(several, shares, strict=True)
            if isinstance(each, Recorded)
        ]
        zeros = str(getattr(unconnected_gradients, "value", unconnected_gradients)) == "zero"
        if isinstance(sources, Mapping):
            found = self._found(pairs, list(sources.values()), zeros)
            return dict(zip(sources, found, strict=True))
        if isinstance(sources, list | tuple):
            return self._found(pairs, list(sources), zeros)
        return self._found(pairs, [sources], zeros)[0]

    def known(self, source: Any) -> Recorded | None:
        """What stands for a weight that something was computed of, None if nothing was."""
        found: Recorded | None = self._records.leaves.get(id(source), (None, None))[1]
        return found

    def _found(self, pairs: list[Any], sources: list[Any], zeros: bool) -> list[Any]:
        places = [each if isinstance(each, Recorded) else self.known(each) for each in sources]
        slopes = gradients(pairs)
        found = []
        for source, place in zip(sources, places, strict=True):
            slope = None if place is None else slopes.get(place.serial)
            if slope is None and zeros:
                slope = np.zeros(np.shape(numbers(source)), np.float32)
            found.append(None if slope is None else as_tensor(slope))
        return found

    @contextmanager
    def stop_recording(self) -> Iterator[None]:
        """Record nothing for a while."""
        tapes = open_tapes()
        before = tapes[:]
        tapes.clear()
        try:
            yield
        finally:
            tapes[:] = before

    def reset(self) -> None:
        """Forget what was recorded."""
        self._records = Records()

    def watched_variables(self) -> tuple[Any, ...]:
        """The weights and variables that something was computed of."""
        return tuple(source for source, _ in self._records.leaves.values())


def _watches_weights() -> bool:
    return any(each._watches_weights for each in open_tapes())


class UnconnectedGradients:
    """What `gradient` gives where a target does not depend on a source."""

    NONE, ZERO = "none", "zero"
