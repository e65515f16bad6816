"""ModelCheckpoint: the model as a file, while it trains."""

from __future__ import annotations

import os
from typing import Any

from ..core.config import flag, real
from ..core.warn import say, warn
from .base import Logs, check_save_freq
from .monitor import Monitor


class ModelCheckpoint(Monitor):
    """Save the model, or its weights, after every epoch or every so many batches.

    Args:
        filepath: of the file, any name; it may have places for numbers, such as
            `"{epoch:02d}-{val_loss:.2f}.safetensors"`: `epoch` and `batch`, which count from 1
            here, and the keys of the logs. Folders are made if need be.
        monitor: a key of the logs.
        verbose: 1 prints what happens.
        save_best_only: save only when the monitored value is better than ever before.
        save_weights_only: `model.save_weights` rather than `model.save`.
        mode: "min", "max", or "auto", which goes by the name.
        save_freq: "epoch", or after how many batches to save.
        initial_value_threshold: with `save_best_only`, the value that the first file must beat.

    Each file replaces an older one of its name in one step. From a file that `model.save` wrote at
    the end of epoch k (counted from 1), training goes on with the same bits by
    `fit(initial_epoch=k)`, if this callback stood last in the list: what comes after it, such as a
    reduction of the learning rate, is not in the file. A value that is NaN is never the best.

    Raises:
        ValueError: a wrong argument, or the name does not tell the mode; in `fit`, if what the logs
            have for a place in `filepath` is no number.
        KeyError: in `fit`, if the logs have nothing for a place in `filepath`.
        OSError: in `fit`, if the file cannot be written.
    """

    writes_files = True

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        # Where all are saved, none is better, and the name need not tell.
        self.save_best_only = flag(save_best_only, "save_best_only", self)
        automatic = isinstance(mode, str) and mode == "auto" and not self.save_best_only
        super().__init__(monitor, "min" if automatic else mode)
        check_save_freq(save_freq)
        self.filepath = _checked(filepath)
        self.verbose = verbose
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self.best = None
        if initial_value_threshold is not None:
            self.best = real(initial_value_threshold, "initial_value_threshold", self)
        self._epoch = 0
        self._batches = 0  # since the last file

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Remember the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save if enough batches have passed."""
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches >= int(self.save_freq):
            self._batches = 0
            self._save(self._epoch, {"batch": batch + 1, **(logs or {})})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save, if epochs are what counts."""
        if self.save_freq == "epoch":
            self._save(epoch, logs or {})

    def _save(self, epoch: int, logs: Logs) -> None:
        path = self._path(epoch, logs)
        if not self._is_wanted(epoch, logs, path):
            return
        if folder := os.path.dirname(path):
            os.makedirs(folder, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)
        self._say(epoch, f"finished saving model to {path}")

    def _path(self, epoch: int, logs: Logs) -> str:
        try:
            return self.filepath.format(**{"epoch": epoch + 1, **{str(k): logs[k] for k in logs}})
        except KeyError as error:
            raise KeyError(self._unformatted(error, logs)) from None
        except (AttributeError, IndexError, TypeError, ValueError) as error:  # of None, of an array
            raise ValueError(self._unformatted(error, logs)) from None

    def _unformatted(self, error: Exception, logs: Logs) -> str:
        return (
            f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}; '
            f"available are: {', '.join(['epoch', *map(str, logs)])}"
        )

    def _is_wanted(self, epoch: int, logs: Logs, path: str) -> bool:
        if not self.save_best_only:
            self._say(epoch, f"saving model to {path}")
            return True
        value = self.value_in(logs)
        if value is None:
            warn(f"Can save best model only with {self.monitor} available.")
            return True
        before = "None" if self.best is None else f"{self.best:.5f}"
        if not self.improves(value, self.best):
            self._say(epoch, f"{self.monitor} did not improve from {before}")
            return False
        self._say(
            epoch,
            f"{self.monitor} improved from {before} to {value:.5f}, saving model to {path}",
        )
        self.best = value
        return True

    def _say(self, epoch: int, message: str) -> None:
        if self.verbose > 0:
            say(f"\nEpoch {epoch + 1}: {message}")

    def state_dict(self) -> dict[str, Any]:
        """The best value, and the batches since the last file."""
        return {"best": self.best, "batches": self._batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from an earlier training."""
        self.best, self._batches = state["best"], state["batches"]


def _checked(filepath: str | os.PathLike[str]) -> str:
    """The path as a string; TypeError unless it is one, ValueError if a place has no name."""
    if not isinstance(filepath, str | os.PathLike) or not isinstance(os.fspath(filepath), str):
        raise TypeError(f"ModelCheckpoint: filepath must be a path, received {filepath!r}")
    path = os.fspath(filepath)
    if not {"{", "}"} & set(path):
        return path
    import string  # here, because it is slow, and few paths have places

    try:
        names = [name for _, name, _, _ in string.Formatter().parse(path) if name is not None]
    except ValueError as error:
        raise ValueError(
            f"ModelCheckpoint: in filepath {path!r}: {error}; write {{{{ for {{"
        ) from None
    if any(not name or name[0].isdigit() for name in names):
        raise ValueError(
            f"ModelCheckpoint: every place in filepath needs the name of a number, such as "
            f"'{{epoch}}' or '{{val_loss:.2f}}', received {path!r}"
        )
    return path
