"""Callbacks with the arguments of Keras 1 and 2."""

from __future__ import annotations

import os
from typing import Any

from .. import callbacks
from ..callbacks import Callback
from . import notes
from .adapted import Adapted, Arguments, drop, drop_unknown, rename
from .logs import other_name

__all__ = [
    "BaseLogger",
    "EarlyStopping",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "RemoteMonitor",
]
LAZY = ("TensorBoard",)


def _mode(options: dict[str, Any], monitor: str) -> None:
    """What "auto" means where the name does not tell: as Keras, the larger accuracy is better."""
    if options.get("mode", "auto") not in ("min", "max"):
        high = "acc" in monitor or monitor.startswith(("fmeasure", "val_fmeasure"))
        known = monitor.endswith(("auc", "precision", "recall", "f1"))
        options["mode"] = "max" if high or known else "min"


def _watching(kind: type[Any]) -> Any:
    """A class of callbacks that watch a value, with old arguments."""

    def translate(arguments: tuple[Any, ...], options: dict[str, Any]) -> Arguments:
        if "epsilon" in options:
            rename(options, {"epsilon": "min_delta"})
        monitor = arguments[0] if arguments else options.get("monitor", "val_loss")
        places = [name for name in _places(kind)][: len(arguments)]
        if "mode" not in places:
            _mode(options, str(monitor))
        return arguments, options

    return Adapted(kind, translate)


def _places(kind: type[Any]) -> list[str]:
    import inspect

    return list(inspect.signature(kind).parameters)


EarlyStopping = _watching(callbacks.EarlyStopping)
ReduceLROnPlateau = _watching(callbacks.ReduceLROnPlateau)


class ModelCheckpoint(callbacks.ModelCheckpoint):
    """Save the model, or its weights, after every epoch, every so many, or so many batches.

    Args:
        filepath: of the file; places for numbers may have a value's old or new name.
        monitor, verbose, save_best_only, save_weights_only, mode, save_freq: as of convkit's.
        period: after how many epochs to save.
        options: of TensorFlow's files; there are none here.
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        options: Any = None,
        initial_value_threshold: float | None = None,
        **old: Any,
    ) -> None:
        chosen: dict[str, Any] = {"mode": mode}
        _mode(chosen, monitor)
        if isinstance(save_freq, float):
            save_freq = max(1, int(save_freq))
        self.period = int(old.pop("period", old.pop("every_n_epochs", 1)))
        if isinstance(mode, int | float) and not isinstance(mode, bool):
            self.period = int(mode)
        drop(old, "ModelCheckpoint", load_weights_on_restart=(None, False))
        if old:
            raise TypeError(f"ModelCheckpoint: unknown arguments {sorted(old)}")
        super().__init__(
            os.fspath(filepath),
            monitor,
            int(verbose),
            save_best_only,
            save_weights_only,
            chosen["mode"],
            save_freq,
            initial_value_threshold,
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Save, if this epoch is one of those that count."""
        if (epoch + 1) % self.period == 0:
            super().on_epoch_end(epoch, logs)

    def _path(self, epoch: int, logs: Any) -> str:
        return super()._path(epoch, {**{other_name(key): logs[key] for key in logs}, **logs})


class LearningRateScheduler(callbacks.LearningRateScheduler):
    """Set the learning rate at the beginning of every epoch.

    Args:
        schedule: called with the epoch, and the rate if it takes two; a number of any kind is
            taken.
        verbose: 1 prints the rate.
    """

    def __init__(self, schedule: Any, verbose: int = 0) -> None:
        super().__init__(schedule, verbose)
        import inspect

        try:
            places = len(inspect.signature(schedule).parameters)
        except (TypeError, ValueError):
            places = 1
        self.schedule = (
            (lambda epoch: float(schedule(epoch)))
            if places < 2
            else (lambda epoch, rate: float(schedule(epoch, rate)))
        )


class BaseLogger(Callback):
    """Nothing: the means are computed where they arise."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Whatever is given makes no difference."""


class RemoteMonitor(Callback):
    """Sent the logs to a server; here nothing is sent."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        notes.ignored("RemoteMonitor", "nothing is sent anywhere")


def __getattr__(name: str) -> Any:
    kind = getattr(callbacks, name, None) if name in LAZY else None
    if kind is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def translate(arguments: tuple[Any, ...], options: dict[str, Any]) -> Arguments:
        drop_unknown(options, kind, tuple(options))
        return arguments, options

    made = globals()[name] = Adapted(kind, translate)
    return made
