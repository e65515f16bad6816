"""CSVLogger: the history as a file, line by line."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from typing import IO, Any

from ..core.files import open_regular, open_text_to_write
from .base import Callback, Logs


class CSVLogger(Callback):
    """Write the logs of every epoch into a CSV file.

    Args:
        filename: of the file; it is flushed after every epoch.
        separator: between the columns.
        append: go on with an existing file, in its columns, rather than begin it anew.

    The columns are `epoch`, counted from 0, and the keys of the first epoch's logs in alphabetical
    order; without validation also their `val_...`, which are NA. A training that goes on from the
    state of an earlier one appends to its file.

    Raises:
        ValueError: in `fit`, if the file is a device, a named pipe or a socket.
        OSError: in `fit`, if the file cannot be written; the error names it.
    """

    writes_files = True

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        if not isinstance(filename, str | os.PathLike):
            raise TypeError(f"CSVLogger: filename must be a path, received {filename!r}")
        if not isinstance(separator, str) or len(separator) != 1:
            raise ValueError(f"CSVLogger: separator must be one character, received {separator!r}")
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None
        self.csv_file: IO[str] | None = None
        self._resumed = False
        self._size: int | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the file."""
        self._close()
        self.keys = self._columns() if self.append or self._resumed else None
        self.csv_file = open_text_to_write(self.filename, self.append or self._resumed)
        if self._resumed and self._size is not None:
            self.csv_file.truncate(self._size)
        self._resumed = False

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a line."""
        logs = logs or {}
        by_name = {str(key): _cell(value) for key, value in logs.items()}
        if self.keys is None:
            self.keys = sorted(by_name)
            if not any(key.startswith("val_") for key in self.keys):
                self.keys += [f"val_{key}" for key in self.keys]
            self._write(["epoch", *self.keys])
        self._write([epoch, *(by_name.get(key, "NA") for key in self.keys)])

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the file."""
        self._close()

    def on_train_interrupted(self, error: BaseException) -> None:
        """Close the file."""
        self._close()

    def _columns(self) -> list[str] | None:
        """The columns of the file that is there; None if there is none, or an empty one."""
        import csv  # here, because few programs write such a file

        if not os.path.exists(self.filename):
            return None
        with (
            open_regular(self.filename) as file,
            io.TextIOWrapper(file, encoding="utf-8", newline="") as text,
        ):
            header = next(csv.reader(text, delimiter=self.sep), None)
        return header[1:] if header else None

    def _write(self, row: list[Any]) -> None:
        import csv

        assert self.csv_file is not None
        try:
            csv.writer(self.csv_file, delimiter=self.sep).writerow(row)
            self.csv_file.flush()
        except OSError as error:
            error.filename = self.filename
            raise

    def _close(self) -> None:
        file, self.csv_file = self.csv_file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as error:
            error.filename = self.filename
            raise

    def state_dict(self) -> dict[str, Any]:
        """The columns, if the file has been begun, and how long it is."""
        size = None if self.csv_file is None else os.fstat(self.csv_file.fileno()).st_size
        return {"keys": None if self.keys is None else list(self.keys), "size": size}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Append to the file of an earlier training, behind the lines that it had then."""
        self._resumed = state["keys"] is not None
        self._size = state.get("size")


def _cell(value: Any) -> Any:
    """What stands in a cell: as in Keras, values that consist of several as "[1, 2]"."""
    if isinstance(value, str) or not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'
