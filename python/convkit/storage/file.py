"""One safetensors file: the arrays, and the document as JSON in its metadata.

https://github.com/huggingface/safetensors describes the format: eight bytes with the length of the
header, the header as JSON, and the arrays' bytes. The safetensors library writes it, and checks
that every array lies within the file, without holes and overlaps, before anything is read.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..files import write_atomically
from ..parameters import Array
from .document import Arrays

_METADATA = "convkit"  # the key of the document in the file's metadata
_HEADER_LIMIT = 100_000_000  # as in the safetensors library

# What else people give: how the file begins, and what it is.
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive, as Keras's own .keras files and NumPy's .npz are"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras's own .h5 and .weights.h5 files are"),
    (b"\x93NUMPY", "a NumPy .npy file"),
    (b"\x80", "a pickle, as PyTorch and joblib write them"),
)


def write(
    path: str | os.PathLike[str],
    document: Mapping[str, Any],
    arrays: Mapping[str, Array],
    overwrite: bool = True,
) -> None:
    """Write the document and the arrays, as `convkit.files.write_atomically` writes.

    Raises:
        FileExistsError: `overwrite` is False and there is such a file.
        OSError: the system could not write it; what was there before is there.
    """
    import json

    import safetensors.numpy

    # safetensors writes an array's memory as it lies there, whatever its strides are.
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    data = safetensors.numpy.save(contiguous, metadata={_METADATA: text})
    write_atomically(path, data, overwrite)


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[tuple[dict[str, Any], Arrays]]:
    """Open a file that `write` wrote, check its header, and hand out the document and the arrays.

    Whatever goes wrong while it is open, with the file or with what is made of it, becomes a
    ValueError that names the file.

    Raises:
        ValueError: the file is truncated, damaged, or not one of convkit's.
        OSError: the file cannot be opened.
    """
    from safetensors import safe_open

    name = os.fsdecode(path)
    try:
        header = _read_header(name)
        with safe_open(name, framework="numpy", backend="pread") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118
            for key, each in slices.items():
                if each.get_dtype() != "F32":
                    raise ValueError(f"the array {key!r} is {each.get_dtype()} and must be F32")
            shapes = {key: tuple(each.get_shape()) for key, each in slices.items()}
            yield _document(header), Arrays(shapes, file.get_tensor)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(f"cannot load {name}: {error}") from error


def _read_header(name: str) -> dict[str, Any]:
    """The header as JSON has it; the safetensors library looks at what it says of the arrays."""
    if os.path.isdir(name):
        raise IsADirectoryError(errno.EISDIR, "is a folder, and must be a file", name)
    if not os.path.isfile(name) and os.path.exists(name):
        raise ValueError("it is no regular file")
    with open(name, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        for signature, meaning in _FOREIGN:
            if start.startswith(signature) and not _plausible(start, size):
                raise ValueError(
                    f"it is {meaning}; convkit reads the files that model.save and "
                    f"model.save_weights of convkit write"
                )
        if not _plausible(start, size):
            raise ValueError(
                f"it is truncated, or no safetensors file: its {size} bytes do not begin with "
                f"a header"
            )
        return _parse(file.read(int.from_bytes(start, "little")))


def _plausible(start: bytes, size: int) -> bool:
    length = int.from_bytes(start, "little")
    return len(start) == 8 and 2 <= length <= min(size - 8, _HEADER_LIMIT)


def _document(header: Mapping[str, Any]) -> dict[str, Any]:
    metadata = header.get("__metadata__")
    text = metadata.get(_METADATA) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ValueError(
            "it is a safetensors file that convkit did not write; read it with "
            "safetensors.numpy.load_file, and give the arrays to model.set_weights"
        )
    return _parse(text)


def _parse(text: str | bytes) -> dict[str, Any]:
    """A JSON object without NaN, infinities, and keys that occur twice."""
    import json

    parsed = json.loads(
        text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
    )
    if not isinstance(parsed, dict):
        raise ValueError("its header is no JSON object")
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("its header has the same key twice")
    return made


def _no_constant(text: str) -> float:
    raise ValueError(f"its header has the number {text}")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"its header has the number {text[:40]}, which is too large")
    return number
