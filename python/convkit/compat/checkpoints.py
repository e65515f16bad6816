"""`tf.train.Checkpoint` and its manager: the numbers of models and variables in files."""

from __future__ import annotations

import glob
import json
import os
from typing import Any

import numpy as np

from ..models import Model
from .translations import Status, place
from .variables import Variable

__all__ = ["Checkpoint", "CheckpointManager", "latest_checkpoint"]
_LIST = "checkpoint"  # the file in a folder that says which is the latest


class Checkpoint:
    """Models, layers, variables and optimizers by names, whose numbers are written and read.

    Of optimizers only the number of steps and the learning rate are kept.
    """

    def __init__(self, root: Any = None, **objects: Any) -> None:
        self.__dict__.update(objects if root is None else {"root": root, **objects})
        self.save_counter = Variable(0, trainable=False, dtype="int64")

    def _arrays(self) -> dict[str, Any]:
        """The numbers of all objects, by their names."""
        found: dict[str, Any] = {}
        for name, each in vars(self).items():
            if isinstance(each, Variable):
                found[name] = each.numpy()
            elif hasattr(each, "get_weights"):
                weights = each.get_weights() if not isinstance(each, Model) or each.built else []
                found.update({f"{name}/{i}": array for i, array in enumerate(weights)})
            elif hasattr(each, "steps_made"):
                found[f"{name}/steps"] = int(each.steps_made[0])
        return found

    def write(self, file_prefix: Any, options: Any = None) -> str:
        """Write the numbers; the path, to which the file adds `.npz`."""
        path = place(file_prefix)
        with open(f"{path}.npz.new", "wb") as file:
            np.savez(file, **self._arrays())
        os.replace(f"{path}.npz.new", f"{path}.npz")
        return path

    def save(self, file_prefix: Any, options: Any = None) -> str:
        """Write the numbers with the next number in the name, as the latest of the folder."""
        self.save_counter.assign_add(1)
        path = self.write(f"{os.fspath(file_prefix)}-{int(self.save_counter)}")
        _remember(os.path.dirname(path) or ".", path)
        return path

    def read(self, save_path: Any, options: Any = None) -> Status:
        """Take the numbers of a file, None for none.

        Raises:
            OSError: the file cannot be read.
            ValueError: an array is of another shape.
        """
        if not save_path:
            return Status()
        with np.load(f"{os.fspath(save_path)}.npz", allow_pickle=False) as file:
            for name, each in vars(self).items():
                if isinstance(each, Variable):
                    each.assign(file.get(name, each))
                elif hasattr(each, "set_weights"):
                    count = sum(key.rpartition("/")[0] == name for key in file)
                    if count:
                        each.set_weights([file[f"{name}/{i}"] for i in range(count)])
                elif f"{name}/steps" in file:
                    each.count_from(int(file[f"{name}/steps"]))
        return Status()

    restore = read


class CheckpointManager:
    """Keeps the latest checkpoints in a folder.

    Args:
        checkpoint: what is written.
        directory: where.
        max_to_keep: older ones are removed.
        checkpoint_name: the beginning of the files' names.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        directory: Any,
        max_to_keep: Any = None,
        checkpoint_name: str = "ckpt",
        **options: Any,
    ) -> None:
        self.checkpoint, self.directory = checkpoint, os.fspath(directory)
        self._most, self._prefix = max_to_keep, os.path.join(self.directory, checkpoint_name)

    @property
    def checkpoints(self) -> list[str]:
        """The paths, the latest last."""
        found = glob.glob(f"{glob.escape(self._prefix)}-*.npz")
        paths = [each.removesuffix(".npz") for each in found]
        return sorted(paths, key=lambda path: int(path.rpartition("-")[2]))

    @property
    def latest_checkpoint(self) -> str | None:
        """The path of the latest one, None if there is none."""
        return latest_checkpoint(self.directory)

    def save(self, checkpoint_number: Any = None, **options: Any) -> str:
        """Write another one; its path."""
        if checkpoint_number is not None:
            self.checkpoint.save_counter.assign(int(checkpoint_number) - 1)
        path = self.checkpoint.save(self._prefix)
        for old in self.checkpoints[: -self._most] if self._most else []:
            os.remove(f"{old}.npz")
        return path

    def restore_or_initialize(self) -> str | None:
        """Take the numbers of the latest one, if there is one; its path."""
        path = self.latest_checkpoint
        self.checkpoint.restore(path)
        return path


def latest_checkpoint(checkpoint_dir: Any, latest_filename: Any = None) -> str | None:
    """The path of the latest checkpoint in a folder, None if there is none."""
    folder = os.fspath(checkpoint_dir)
    try:
        with open(os.path.join(folder, latest_filename or _LIST), encoding="utf-8") as file:
            name = str(json.load(file)["latest"])
    except (OSError, ValueError, KeyError):
        return None
    path = os.path.join(folder, os.path.basename(name))
    return path if os.path.exists(f"{path}.npz") else None


def _remember(folder: str, path: str) -> None:
    with open(os.path.join(folder, _LIST), "w", encoding="utf-8") as file:
        json.dump({"latest": os.path.basename(path)}, file)
