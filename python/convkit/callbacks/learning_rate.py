"""ReduceLROnPlateau and LearningRateScheduler: learning rates that change between epochs.

For rates that follow the training step there are the objects of `convkit.optimizers.schedules`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.config import real
from ..core.warn import say, warn
from .base import Callback, Logs
from .monitor import PatientMonitor


class _LearningRate(Callback):
    """What both share: the rate of the model's optimizer."""

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        assert self.model.optimizer is not None
        return float(self.model.optimizer.learning_rate)

    @rate.setter
    def rate(self, value: float) -> None:
        assert self.model.optimizer is not None
        self.model.optimizer.learning_rate = value


class ReduceLROnPlateau(PatientMonitor, _LearningRate):
    """Multiply the learning rate when a monitored value has not improved for some epochs.

    Args:
        monitor: a key of the logs.
        factor: the rate is multiplied by it; at least 0 and below 1.
        patience: after so many epochs without improvement.
        verbose: 1 prints when it happens.
        mode: "min", "max", or "auto", which goes by the name.
        min_delta: the least change that counts as an improvement.
        cooldown: so many epochs after a reduction, patience begins to count again.
        min_lr: the rate never becomes smaller.

    The rate is in the logs, and so in the history, as `learning_rate`. A value that is NaN is
    never an improvement.

    Raises:
        ValueError: factor is not in 0 .. 1, or the name does not tell the mode.
        TypeError: in `fit`, if the optimizer's rate follows a schedule.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta, patience, verbose)
        factor, least = real(factor, "factor", self), real(min_lr, "min_lr", self)
        if factor >= 1.0:
            raise ValueError(
                f"ReduceLROnPlateau does not support a factor >= 1.0. Received factor={factor!r}"
            )
        if not factor >= 0.0:
            raise ValueError(f"factor must be at least 0 and below 1, received {factor!r}")
        self.factor = factor
        self.cooldown = real(cooldown, "cooldown", self)
        self.min_lr = least

    def _reset(self) -> None:
        super()._reset()
        self.cooldown_counter: float = 0

    def in_cooldown(self) -> bool:
        """Whether a reduction was so recent that patience does not count."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare, remember, and reduce the rate if patience is over."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = self.rate
        value = self.value_in(logs)
        if value is None:
            warn(
                f"Learning rate reduction is conditioned on metric `{self.monitor}` which is not "
                f"available. Available metrics are: {','.join(map(str, logs))}."
            )
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        if self.rate <= self.min_lr:
            return
        self.rate = max(self.rate * self.factor, self.min_lr)
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {self.rate}.")
        self.cooldown_counter = self.cooldown
        self.wait = 0

    def state_dict(self) -> dict[str, Any]:
        """The best value, and how long ago it and the last reduction were."""
        return {**super().state_dict(), "cooldown_counter": self.cooldown_counter}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from an earlier training."""
        super().load_state_dict(state)
        self.cooldown_counter = state["cooldown_counter"]


class LearningRateScheduler(_LearningRate):
    """Set the learning rate at the beginning of every epoch.

    Args:
        schedule: called with (epoch, learning_rate), or with (epoch) alone if it takes only one
            argument; returns the new learning rate as a float. Epochs count from 0.
        verbose: 1 prints the rate.

    The rate is in the logs, and so in the history, as `learning_rate`.

    Raises:
        ValueError: in `fit`, if the function returns something else.
        TypeError: not a function; or, in `fit`, if the optimizer's rate follows a schedule.

    Example:
        >>> convkit.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(
                f"LearningRateScheduler: schedule must be a function of the epoch, such as "
                f"lambda epoch: 0.01 * 0.9**epoch, received {schedule!r}"
            )
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Ask for the rate and set it."""
        value = (
            self.schedule(epoch, self.rate) if _takes_two(self.schedule) else self.schedule(epoch)
        )
        if not isinstance(value, float | np.floating):
            raise ValueError(
                f"The output of the `schedule` function should be a float. Got: {value}"
            )
        self.rate = float(value)
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {self.rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Put the rate into the logs."""
        if logs is not None:
            logs["learning_rate"] = self.rate


def _takes_two(function: Callable[..., float]) -> bool:
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # some built-in functions do not say what they take
        return True
    return True
