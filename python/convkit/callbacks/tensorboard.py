"""TensorBoard: the history, and the weights, as files that TensorBoard shows."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from ..core.config import flag
from ..core.packages import package
from ..core.parameters import Array
from .base import Callback, Logs


class TensorBoard(Callback):
    """Write what happens in training into event files, which `tensorboard --logdir logs` shows.

    Needs tensorboardX: `pip install "convkit[tensorboard]"`. Below `log_dir`, `train` has
    `epoch_loss` and the other logs of each epoch with the learning rate, and `validation` those
    whose names begin with `val_`, and what `evaluate` gives as `evaluation_..._vs_iterations`.

    Args:
        log_dir: the folder; made if need be.
        histogram_freq: after every so many epochs the weights are written as histograms; 0 for
            never.
        write_graph: write the layers, as text.
        write_images: with `histogram_freq`, the weights are written as images, too (needs Pillow).
        write_steps_per_second: write how fast training is.
        update_freq: "epoch"; or "batch", or a number of batches, after which the means so far in
            the epoch are written as `batch_loss` and so on.
        profile_batch, embeddings_freq, embeddings_metadata: of Keras; only 0 and None are taken.

    Raises:
        ValueError: a wrong argument.
        ImportError: tensorboardX is missing.
        OSError: in `fit`, if a file cannot be written.

    Example:
        >>> model.fit(x_train, y_train, callbacks=[convkit.callbacks.TensorBoard("logs/first")])
    """

    writes_files = True

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        if not isinstance(log_dir, str | os.PathLike) or not os.fspath(log_dir):
            raise ValueError(f"log_dir must be the path of a folder, received {log_dir!r}")
        package("tensorboardX")
        self.log_dir = os.fsdecode(log_dir)
        self.histogram_freq = _count(histogram_freq, "histogram_freq", 0)
        self.write_graph = flag(write_graph, "write_graph", self)
        self.write_images = flag(write_images, "write_images", self)
        self.write_steps_per_second = flag(write_steps_per_second, "write_steps_per_second", self)
        if isinstance(update_freq, str) and update_freq in ("epoch", "batch"):
            update_freq = 1 if update_freq == "batch" else update_freq
        else:
            update_freq = _count(update_freq, "update_freq", 1)
        self.update_freq = update_freq
        nothing = _is_off(profile_batch) and _is_off(embeddings_freq)
        if not nothing or embeddings_metadata is not None:
            raise ValueError(
                "TensorBoard: there is nothing for profile_batch and embeddings_freq; "
                "`python -m convkit.bench profile` tells where the time goes"
            )
        self.profile_batch, self.embeddings_freq, self.embeddings_metadata = 0, 0, None
        self._writers: dict[str, Any] = {}
        self._batches = 0  # of the whole training
        self._trains = self._resumed = False

    def _writer(self, part: str) -> Any:
        if part not in self._writers:
            folder = os.path.join(self.log_dir, part)
            self._writers[part] = package("tensorboardX").SummaryWriter(folder)
        return self._writers[part]

    def _write(self, part: str, prefix: str, logs: Logs, step: int, suffix: str = "") -> None:
        writer = self._writer(part)
        for name, value in logs.items():
            try:
                number = float(value)
            except (TypeError, ValueError):  # what another callback has put there
                continue
            writer.add_scalar(f"{prefix}_{name}{suffix}", number, step)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Write the layers, and begin to count, unless an earlier training goes on."""
        if not self._resumed:
            self._batches = 0
        self._trains, self._resumed = True, False
        if self.write_graph:
            lines: list[str] = []
            self.model.summary(print_fn=lines.append)
            self._writer("train").add_text("model", f"```\n{os.linesep.join(lines)}\n```", 0)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Look at the clock."""
        self._epoch_begun, self._first = time.perf_counter(), self._batches

    on_epoch_resumed = on_epoch_begin

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the clock."""
        self._batch_begun = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write the means so far, if it is time."""
        self._batches += 1
        if self.update_freq == "epoch" or self._batches % int(self.update_freq):
            return
        logs = dict(logs or {})
        if self.write_steps_per_second:
            logs["steps_per_second"] = 1.0 / max(time.perf_counter() - self._batch_begun, 1e-9)
        self._write("train", "batch", logs, self._batches)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the means of the epoch, and the weights, if it is time."""
        logs = logs or {}
        own = {name: value for name, value in logs.items() if not name.startswith("val_")}
        if self.model.optimizer is not None:
            own["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            seconds = max(time.perf_counter() - self._epoch_begun, 1e-9)
            own["steps_per_second"] = (self._batches - self._first) / seconds
        self._write("train", "epoch", own, epoch)
        validation = {
            name.removeprefix("val_"): value
            for name, value in logs.items()
            if name.startswith("val_")
        }
        if validation:
            self._write("validation", "epoch", validation, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)
        for writer in self._writers.values():
            writer.flush()

    def _write_weights(self, epoch: int) -> None:
        writer = self._writer("train")
        for weight in self.model.weights:
            writer.add_histogram(f"{weight.path}/histogram", weight.array.reshape(-1), epoch)
            images = as_images(weight.array) if self.write_images else None
            if images is not None:
                writer.add_images(f"{weight.path}/image", images, epoch, dataformats="NHWC")

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write what was evaluated, by the updates that the optimizer made."""
        if self.model.optimizer is not None:
            step = self.model.optimizer.iterations
            self._write("validation", "evaluation", logs or {}, step, "_vs_iterations")
        if not self._trains:
            self._close()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the files."""
        self._trains = False
        self._close()

    def on_train_interrupted(self, error: BaseException) -> None:
        """Close the files."""
        self._trains = False
        self._close()

    def _close(self) -> None:
        writers, self._writers = self._writers, {}
        for writer in writers.values():
            writer.close()

    def state_dict(self) -> dict[str, Any]:
        """How many batches there were."""
        return {"batches": self._batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting; the files of the earlier training stay beside the new ones."""
        self._batches, self._resumed = state["batches"], True


def as_images(weight: Array) -> Array | None:
    """A weight as gray images (n, rows, columns, 1) in 0 .. 1; None if it has too many axes.

    A vector is a row, and a matrix lies on its longer side; of three axes the last has the images.
    Axes of length 1 do not count. All as Keras shows them.
    """
    image = np.squeeze(weight)
    if image.ndim == 0:
        image = image.reshape(1, 1)
    elif image.ndim == 1:
        image = image[None]
    elif image.ndim == 2 and image.shape[0] > image.shape[1]:
        image = image.T
    if image.ndim == 2:
        image = image[None]
    elif image.ndim == 3:
        image = np.moveaxis(image, 2, 0)
    else:
        return None
    low, high = float(image.min()), float(image.max())
    return np.asarray((image - low) / max(high - low, 1e-12))[..., None]


def _is_off(value: Any) -> bool:
    return value is None or (isinstance(value, int) and value == 0)


def _count(value: Any, what: str, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"TensorBoard: {what} must be an integer of at least {least}, received {value!r}"
        )
    return value
