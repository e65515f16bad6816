"""What the callbacks share that watch one value of the logs."""

from __future__ import annotations

import math
import reprlib
from typing import Any

from ..core.config import as_number as as_number_given
from .base import Callback, Logs
from .history import as_recorded


class Monitor(Callback):
    """Base class: knows which of two values is the better one.

    Args:
        monitor: a key of the logs.
        mode: "min", "max", or "auto", which goes by the name.
        min_delta: the least change that counts as an improvement.

    A value that is NaN is never an improvement.

    Attributes:
        best: the best value so far, or None.
        mode: "min" or "max".
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if not isinstance(mode, str) or mode not in ("auto", "min", "max"):
            raise ValueError(f"mode must be 'auto', 'min' or 'max', received {mode!r}")
        if not isinstance(monitor, str):
            raise TypeError(
                f"monitor must be a key of the logs, such as 'val_loss', received {monitor!r}"
            )
        delta = as_number_given(min_delta)
        if delta is None or math.isnan(delta):
            raise ValueError(f"min_delta must be a number, received {min_delta!r}")
        self.monitor = monitor
        self.mode = direction(monitor) if mode == "auto" else mode
        self.min_delta = abs(delta)
        self.best: float | None = None

    def value_in(self, logs: Logs | None) -> float | None:
        """The monitored value, None if there is none; TypeError if it is no number."""
        value = (logs or {}).get(self.monitor)
        return None if value is None else as_number(value, self.monitor, self)

    def improves(self, value: float, reference: float | None) -> bool:
        """Whether a value is better than another, or than none, by more than `min_delta`."""
        if math.isnan(value):
            return False
        if reference is None:
            return True
        if self.mode == "max":
            return value - self.min_delta > reference
        return value + self.min_delta < reference


class PatientMonitor(Monitor):
    """A monitor that counts the epochs since the last improvement.

    Args:
        monitor, mode, min_delta: as of `Monitor`.
        patience: after so many epochs it acts.
        verbose: whether it says so.

    Attributes:
        wait: the epochs without improvement.
    """

    def __init__(
        self, monitor: str, mode: str, min_delta: float, patience: int, verbose: int
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if as_number_given(patience) is None:
            raise ValueError(f"patience must be at least 0, received {patience!r}")
        self.patience = patience
        self.verbose = verbose
        self._resumed = False
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.wait = 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier training, unless its state was just loaded."""
        if not self._resumed:
            self._reset()
        self._resumed = False

    def state_dict(self) -> dict[str, Any]:
        """The best value, and how long ago it was."""
        return {"best": self.best, "wait": self.wait}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from an earlier training."""
        self._reset()
        self.best, self.wait = state["best"], state["wait"]
        self._resumed = True


def as_number(value: Any, key: str, callback: Callback) -> float:
    """A value of the logs as a float; TypeError names the callback that has no use for another."""
    number = as_recorded(value)
    if not isinstance(number, float):
        raise TypeError(
            f"{type(callback).__name__}: {key!r} in the logs must be a number, received "
            f"{reprlib.repr(value)}; a callback or metric has put it there"
        )
    return number


def direction(monitor: str) -> str:
    """Whether a value of that name should become small or large: "min" or "max".

    Raises:
        ValueError: the name does not tell.
    """
    if not isinstance(monitor, str):
        raise TypeError(f"monitor must be a key of the logs, received {monitor!r}")
    name = monitor.removeprefix("val_")
    if name.endswith(("accuracy", "acc", "auc", "precision", "recall", "f1")):
        return "max"
    if name.endswith(("loss", "error", "mse", "mae", "crossentropy")):
        return "min"
    raise ValueError(
        f"cannot tell from the name whether {monitor!r} should become small or large; "
        f"give mode='min' or mode='max'"
    )
