"""EarlyStopping: no longer than it helps."""

from __future__ import annotations

from typing import Any

from ..core.config import real
from ..core.parameters import Array
from ..core.warn import say, warn
from .base import Logs
from .monitor import PatientMonitor


class EarlyStopping(PatientMonitor):
    """Stop when a monitored value has not improved for some epochs.

    Args:
        monitor: a key of the logs.
        min_delta: the least change that counts as an improvement.
        patience: after so many epochs without improvement training stops.
        verbose: 1 prints when it stops and when it restores.
        mode: "min", "max", or "auto", which goes by the name.
        baseline: a value that must be beaten, or else the epoch counts as one without improvement.
        restore_best_weights: give the model the weights of its best epoch when training ends,
            however it ends: stopped by this, at the last epoch, or by an exception.
        start_from_epoch: epochs before this one are not looked at.

    A value that is NaN is never an improvement.

    Attributes:
        best: the best value so far, or None.
        best_epoch: its epoch.
        stopped_epoch: the epoch at whose end training was stopped, or 0.
        best_weights: the weights of that epoch, or None.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta, patience, verbose)
        if patience < 0:
            raise ValueError(f"patience must be at least 0, received {patience!r}")
        self.baseline = None if baseline is None else real(baseline, "baseline", self)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = real(start_from_epoch, "start_from_epoch", self)

    def _reset(self) -> None:
        super()._reset()
        self.stopped_epoch = 0
        self.best_epoch = 0
        self.best_weights: list[Array] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, remember, and stop if patience is over."""
        value = self.value_in(logs)
        if value is None:
            warn(
                f"Early stopping conditioned on metric `{self.monitor}` which is not available. "
                f"Available metrics are: {','.join(map(str, logs or {}))}"
            )
            return
        if epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improves(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self.improves(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restore the best weights."""
        if self.stopped_epoch > 0 and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        self._restore()

    def on_train_interrupted(self, error: BaseException) -> None:
        """Restore the best weights."""
        self._restore()

    def _restore(self) -> None:
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                say(
                    f"Restoring model weights from the end of the best epoch: "
                    f"{self.best_epoch + 1}."
                )
            self.model.set_weights(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        """The best value and its weights, and how long ago it was."""
        return {
            **super().state_dict(),
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from an earlier training."""
        super().load_state_dict(state)
        self.best_epoch, self.best_weights = state["best_epoch"], state["best_weights"]
