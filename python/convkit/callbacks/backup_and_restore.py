"""BackupAndRestore: a training that goes on where it was killed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from ..core.config import flag
from .base import Callback, Logs, check_save_freq

_NAME = "training.safetensors"


class BackupAndRestore(Callback):
    """Keep a backup of the training, and go on from it when the same script is run again.

    The backup is one file that is replaced in one step: the weights, the optimizer's memory, the
    epoch and the step in it, the means so far, the states of all callbacks, and the seed. A
    training that is killed at any moment, and started again by the same script, ends with the bits,
    the history and the lines of `CSVLogger` of one that nobody disturbed.

    Args:
        backup_dir: a folder for the file, of this training alone; made if need be.
        save_freq: "epoch", or after how many batches to save; counted from the beginning of each
            epoch, whose last batch is among them.
        delete_checkpoint: whether the file is removed when the training has ended as it should.

    `fit` calls it after all other callbacks, wherever it stands in their list. What else a script
    holds must be the same in both runs: the model, the data, and the callbacks. Batches of an
    iterable are taken again up to where the training stood, so it must give the same ones; an
    iterable that draws its own random numbers must seed them. A callback of one's own defines
    `state_dict` and `load_state_dict` for what it must remember.

    Raises:
        ValueError: a wrong argument; in `fit`, if the backup is of another training, or damaged.
        TypeError: in `fit`, if the state of a callback holds something else than numbers, texts,
            arrays, and lists and dictionaries of those.
        OSError: in `fit`, if the file cannot be written or read.

    Example:
        >>> backup = convkit.callbacks.BackupAndRestore("backup")
        >>> model.fit(x_train, y_train, epochs=20, callbacks=[backup])
    """

    writes_files = True

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        *,
        delete_checkpoint: bool = True,
    ) -> None:
        if not isinstance(backup_dir, str | os.PathLike) or not os.fspath(backup_dir):
            raise ValueError(f"backup_dir must be the path of a folder, received {backup_dir!r}")
        check_save_freq(save_freq)
        self.backup_dir = os.fsdecode(backup_dir)
        self.save_freq = save_freq
        self.delete_checkpoint = flag(delete_checkpoint, "delete_checkpoint", self)
        self._save: Callable[[str], None] | None = None

    @property
    def path(self) -> str:
        """Of the file."""
        return os.path.join(self.backup_dir, _NAME)

    def save_by(self, save: Callable[[str], None]) -> None:
        """Called by `fit`: what writes the file."""
        self._save = save

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Make the folder."""
        os.makedirs(self.backup_dir, exist_ok=True)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save after so many batches."""
        if self.save_freq != "epoch" and (batch + 1) % self.save_freq == 0:  # type: ignore[operator]
            self._write()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save."""
        self._write()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Remove the file, and the folder if nothing else is in it."""
        self._save = None
        if self.delete_checkpoint:
            with suppress(FileNotFoundError):
                os.unlink(self.path)
            with suppress(OSError):
                os.rmdir(self.backup_dir)

    def on_train_interrupted(self, error: BaseException) -> None:
        """Keep the file."""
        self._save = None

    def _write(self) -> None:
        if self._save is not None:
            self._save(self.path)
