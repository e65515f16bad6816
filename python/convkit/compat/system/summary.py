"""`tf.summary`: values of training loops for TensorBoard, by tensorboardX where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import notes

__all__ = [
    "create_file_writer",
    "flush",
    "histogram",
    "image",
    "scalar",
    "text",
    "trace_export",
    "trace_off",
    "trace_on",
]
_open: list[FileWriter] = []  # the writers of `as_default`, the innermost last


class FileWriter:
    """Writes into a folder.

    Args:
        logdir: the folder.
    """

    def __init__(self, logdir: Any) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            notes.ignored("tf.summary", "tensorboardX is not installed")
            self.inner: Any = None
        else:
            self.inner = SummaryWriter(str(logdir))

    @contextmanager
    def as_default(self, step: Any = None) -> Iterator[FileWriter]:
        """Within, values are written here."""
        _open.append(self)
        try:
            yield self
        finally:
            _open.pop()
            self.flush()

    def set_as_default(self, step: Any = None) -> None:
        """From now on, values are written here."""
        _open[:] = [self]

    def flush(self) -> None:
        """Let the file hold all that was written."""
        if self.inner is not None:
            self.inner.flush()

    def close(self) -> None:
        """Write no more."""
        if self.inner is not None:
            self.inner.close()


def create_file_writer(logdir: Any, *arguments: Any, **options: Any) -> FileWriter:
    """A writer into a folder."""
    return FileWriter(logdir)


def _written(method: str, name: Any, data: Any, step: Any, **options: Any) -> bool:
    """Write with the writer of the innermost `as_default`; whether there is one."""
    if not _open or _open[-1].inner is None:
        return bool(_open)
    number = None if step is None else int(step)
    getattr(_open[-1].inner, f"add_{method}")(str(name), data, number, **options)
    return True


def scalar(name: Any, data: Any, step: Any = None, description: Any = None) -> bool:
    """A number."""
    return _written("scalar", name, float(np.asarray(data)), step)


def image(name: Any, data: Any, step: Any = None, max_outputs: Any = 3, **options: Any) -> bool:
    """Images (N, H, W, C), uint8 or of 0 .. 1."""
    pixels = np.asarray(data)[: int(max_outputs)]
    return _written("images", name, pixels, step, dataformats="NHWC")


def histogram(name: Any, data: Any, step: Any = None, buckets: Any = None, **options: Any) -> bool:
    """How numbers are spread."""
    return _written("histogram", name, np.asarray(data).ravel(), step)


def text(name: Any, data: Any, step: Any = None, description: Any = None) -> bool:
    """Words."""
    return _written("text", name, str(data), step)


def flush(writer: Any = None) -> None:
    """Let the files hold all that was written."""
    for each in [writer] if writer is not None else _open:
        each.flush()


def trace_on(*arguments: Any, **options: Any) -> None:
    """Nothing: there is no graph to be traced."""


trace_off = trace_export = trace_on
