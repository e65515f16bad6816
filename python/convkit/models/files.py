"""Files that models are read from: convkit's own, and those of another library.

Models know nobody who reads the latter, but can be told of one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

from .. import storage
from ..core.files import open_regular
from ..storage.stored_model import StoredModel

# How the files of Keras begin: zip archives and HDF5.
_SIGNATURES = (b"PK\x03\x04", b"\x89HDF\r\n\x1a\n")


class Reader(Protocol):
    """What reads such files."""

    def load_model(self, path: str | os.PathLike[str], compile: bool = True) -> Any:
        """The model in a file."""

    def load_weights(self, model: Any, path: str | os.PathLike[str]) -> None:
        """Give a model the weights in a file."""


_importers: list[Callable[[], Any]] = []


def register(importer: Callable[[], Any]) -> None:
    """Say what returns a `Reader`; it is called when there is such a file."""
    _importers.append(importer)


def reader_of(path: str | os.PathLike[str]) -> Reader | None:
    """The reader of another library's file, or None for any other."""
    with open_regular(path) as file:
        start = file.read(8)
    if not start.startswith(_SIGNATURES) or not _importers:
        return None
    found: Reader = _importers[-1]()
    return found


def load_weights(model: StoredModel, path: str | os.PathLike[str]) -> None:
    """Give a built model the weights in a file, all or none.

    Raises:
        ValueError: the file is damaged or foreign, or does not fit the model.
        OSError: the file cannot be read.
    """
    reader = reader_of(path)
    if reader is not None:
        reader.load_weights(model, path)
        return
    with storage.reading(path) as (document, arrays):
        storage.assign_weights(model.weights, document, arrays)
