"""Callbacks: what else happens while a model trains.

A callback sees only numbers and the model. It may read and write weights, set
`model.stop_training`, and change `logs`, which later callbacks and the history then see. Each can
give its state as a dictionary and take it back, so that training can be resumed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .parameters import Array

if TYPE_CHECKING:
    from .models import Sequential

Logs = dict[str, float]


class Callback:
    """Base class: every hook does nothing. Override those you need.

    Attributes:
        model: the model that trains.
        params: "epochs", "steps" (batches an epoch), "samples", "batch_size", "verbose".

    `logs` holds the means so far in an epoch: `loss`, the metrics, and `val_...` at its end.
    """

    model: Sequential
    params: dict[str, Any]

    def set_model(self, model: Sequential) -> None:
        """Called before everything else."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before everything else."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """`fit` begins."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """`fit` ends as it should; `logs` are those of the last epoch."""

    def on_train_interrupted(self, error: BaseException) -> None:
        """`fit` ends by an exception, such as KeyboardInterrupt; `on_train_end` is not called."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch begins; epochs count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch ends, validation included."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A training step begins; batches count from 0 in every epoch."""

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A training step ends."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """`evaluate`, or a validation, begins."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """`evaluate`, or a validation, ends."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of `evaluate` begins."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of `evaluate` ends."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """`predict` begins."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """`predict` ends."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of `predict` begins."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of `predict` ends."""

    def state_dict(self) -> dict[str, Any]:
        """What the callback must remember if training is to be resumed: numbers and arrays."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what `state_dict` returned."""


class CallbackList:
    """Several callbacks, called one after the other."""

    def __init__(
        self, callbacks: Sequence[Callback], model: Sequential, params: dict[str, Any]
    ) -> None:
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"callbacks must be objects of convkit.callbacks.Callback, received "
                    f"{callback!r}"
                )
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params)

    def call(self, hook: str, *arguments: Any) -> None:
        """Call the hook of that name on all."""
        for callback in self.callbacks:
            getattr(callback, hook)(*arguments)

    def interrupted(self, error: BaseException) -> None:
        """Tell all of the exception; each is told even if one before it fails."""
        with ExitStack() as stack:
            for callback in reversed(self.callbacks):
                stack.callback(callback.on_train_interrupted, error)


class History(Callback):
    """Records the logs of every epoch. `fit` adds one and returns it.

    Attributes:
        history: a list of floats for each of `loss`, the metrics, and `val_...`.
        epoch: the numbers of the epochs.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Append the logs."""
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(float(value))

    def state_dict(self) -> dict[str, Any]:
        """The history so far."""
        return {
            "epoch": list(self.epoch),
            "history": {key: list(values) for key, values in self.history.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from an earlier history."""
        self.epoch = list(state["epoch"])
        self.history = {key: list(values) for key, values in state["history"].items()}


class EarlyStopping(Callback):
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
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', received {mode!r}")
        if patience < 0 or math.isnan(min_delta):
            raise ValueError(
                f"patience must be at least 0 and min_delta a number, received {patience!r} and "
                f"{min_delta!r}"
            )
        self.monitor = monitor
        self.min_delta = abs(min_delta)
        self.patience = patience
        self.verbose = verbose
        self.mode = direction(monitor) if mode == "auto" else mode
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._resumed = False
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: list[Array] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier training, unless its state was just loaded."""
        if not self._resumed:
            self._reset()
        self._resumed = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, remember, and stop if patience is over."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(
                f"EarlyStopping monitors {self.monitor!r}, which is not there; available are: "
                f"{', '.join(logs or {}) or 'none'}",
                UserWarning,
                stacklevel=2,
            )
            return
        if epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self._improves(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._improves(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restore the best weights."""
        if self.stopped_epoch > 0 and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        self._restore()

    def on_train_interrupted(self, error: BaseException) -> None:
        """Restore the best weights."""
        self._restore()

    def _restore(self) -> None:
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of epoch {self.best_epoch + 1}")
            self.model.set_weights(self.best_weights)

    def _improves(self, value: float, reference: float | None) -> bool:
        if math.isnan(value):
            return False
        if reference is None:
            return True
        if self.mode == "max":
            return value - self.min_delta > reference
        return value + self.min_delta < reference

    def state_dict(self) -> dict[str, Any]:
        """The best value and its weights, and how long ago it was."""
        return {
            "wait": self.wait,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "best_weights": self.best_weights,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from an earlier training."""
        self._reset()
        self.wait, self.best = state["wait"], state["best"]
        self.best_epoch, self.best_weights = state["best_epoch"], state["best_weights"]
        self._resumed = True


def direction(monitor: str) -> str:
    """Whether a value of that name should become small or large: "min" or "max".

    Raises:
        ValueError: the name does not tell.
    """
    name = monitor.removeprefix("val_")
    if name.endswith(("accuracy", "acc", "auc", "precision", "recall", "f1")):
        return "max"
    if name.endswith(("loss", "error", "mse", "mae", "crossentropy")):
        return "min"
    raise ValueError(
        f"cannot tell from the name whether {monitor!r} should become small or large; "
        f"give mode='min' or mode='max'"
    )
