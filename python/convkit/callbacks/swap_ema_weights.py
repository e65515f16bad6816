"""SwapEMAWeights: evaluation with the moving averages of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.config import flag
from .base import Callback, Logs


class SwapEMAWeights(Callback):
    """Give the model the optimizer's moving averages while it evaluates or predicts.

    The optimizer needs `use_ema=True`.

    Args:
        swap_on_epoch: have the averages in the model from the end of each epoch to the beginning of
            the next, for callbacks that save the weights; those stand behind this one in the list,
            and one that ends the training before it.

    Raises:
        ValueError: in `fit`, if the optimizer keeps no averages.

    Example:
        >>> model.compile(convkit.optimizers.Adam(use_ema=True), "mse")
        >>> model.fit(x, y, validation_split=0.2, callbacks=[convkit.callbacks.SwapEMAWeights()])
    """

    def __init__(self, swap_on_epoch: bool = False) -> None:
        self.swap_on_epoch = flag(swap_on_epoch, "swap_on_epoch", self)
        self._in_model = False

    def _swap(self, wanted: bool) -> None:
        """Exchange weights and averages, if the model has not what is wanted."""
        optimizer: Any = self.model.optimizer
        if optimizer is None or not optimizer.use_ema:
            raise ValueError(
                "SwapEMAWeights needs an optimizer with use_ema=True, received "
                f"{type(optimizer).__name__}"
            )
        if wanted == self._in_model:
            return
        averages = dict(optimizer.averages())
        if not averages:  # no step was made yet
            return
        weights = self.model.get_weights()
        pairs = list(zip(self.model.weights, weights, strict=True))
        self.model.set_weights([averages.get(weight, value) for weight, value in pairs])
        for weight, value in pairs:
            if weight in averages:
                np.copyto(averages[weight], value)
        self._in_model = wanted

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Take the averages back."""
        if self.swap_on_epoch:
            self._swap(False)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Give the averages; after the last epoch for good, for the end of `fit` gives them too."""
        if self.swap_on_epoch:
            self._swap(True)
            if epoch == self.params["epochs"] - 1 or self.model.stop_training:
                for weight, average in self.model.optimizer.averages():
                    np.copyto(average, weight.array)
                self._in_model = False

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Give the averages."""
        self._swap(True)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Take them back."""
        self._swap(False)

    on_predict_begin = on_test_begin
    on_predict_end = on_test_end

    def state_dict(self) -> dict[str, Any]:
        """Whether the model has the averages."""
        return {"in_model": self._in_model}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from an earlier training."""
        self._in_model = state["in_model"]
