"""What stands in front of the arrays: a header in JSON, with the document in its metadata.

Nothing is believed: every array must lie within the file, without holes and overlaps, and hold as
many bytes as its shape says. A header may be as long, and have as many values in it, as keeps what
reading it takes below ten times the file and 50 MB, whatever the values are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import IO, Any, NamedTuple

_METADATA = "__metadata__"
_DOCUMENT = "convkit"  # the key of the document in the file's metadata
_LONGEST = 8_000_000  # bytes; a model of the zoo has 5,000 to 10,000
# Values of JSON take up to 200 bytes of memory each, for as little as three in the file. A layer
# has 10 to 40 of them in the document, and 8 for each array of its own and of the optimizer's.
_MOST_VALUES = 200_000
_MOST_DIMENSIONS = 32  # of NumPy before 2.0
_LONGEST_INTEGER = 20  # digits: 2**64 has as many
_ITEM = 4  # bytes of a float32

# What else people give: how the file begins, and what it is.
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive, as Keras's own .keras files and NumPy's .npz are"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras's own .h5 and .weights.h5 files are"),
    (b"\x93NUMPY", "a NumPy .npy file"),
    (b"\x80", "a pickle, as PyTorch and joblib write them"),
)


class Place(NamedTuple):
    """Where an array lies in the file.

    Attributes:
        shape: of the array, float32.
        start: the position of its first byte.
    """

    shape: tuple[int, ...]
    start: int


def make(document: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """The header of a file whose arrays follow in the order of their names.

    Args:
        document: anything that JSON can hold.
        shapes: of the arrays, all float32, by name.

    Raises:
        ValueError: it would be longer than `read` accepts.
    """
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    header: dict[str, Any] = {_METADATA: {_DOCUMENT: text}}
    end = 0
    for name in sorted(shapes):
        start, end = end, end + _ITEM * math.prod(shapes[name])
        offsets = [start, end]
        header[name] = {"dtype": "F32", "shape": list(shapes[name]), "data_offsets": offsets}
    whole = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    whole += b" " * (-len(whole) % 8)  # the arrays begin at a multiple of eight bytes
    try:
        _check_size(whole)
    except ValueError as error:
        raise ValueError(f"the model is too large for one file, because {error}") from None
    return len(whole).to_bytes(8, "little") + whole


def read(file: IO[bytes], size: int) -> tuple[dict[str, Any], int]:
    """The header of a file of that many bytes, and where the arrays begin.

    Raises:
        ValueError: the file is of another kind, truncated or damaged.
    """
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= min(size - 8, _LONGEST):
        for signature, meaning in _FOREIGN:
            if start.startswith(signature):
                raise ValueError(
                    f"it is {meaning}; convkit reads the files that model.save and "
                    f"model.save_weights of convkit write"
                )
        if 2 <= length <= size - 8:
            raise ValueError(f"its header has {length:,} bytes, more than {_LONGEST:,}")
        raise ValueError(
            f"it is truncated, or no safetensors file: its {size} bytes do not begin with a header"
        )
    return parse(file.read(length)), 8 + length


def document_of(header: Mapping[str, Any]) -> str:
    """The text of the document in a header, for `parse`; ValueError if there is none."""
    metadata = header.get(_METADATA)
    text = metadata.get(_DOCUMENT) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ValueError(
            "it is a safetensors file that convkit did not write; read it with "
            "safetensors.numpy.load_file, and give the arrays to model.set_weights"
        )
    return text


def places_of(header: Mapping[str, Any], start: int, size: int) -> dict[str, Place]:
    """Where all arrays lie in a file of `size` bytes, of which the first `start` are the header's.

    Raises:
        ValueError: an array is not float32, or has no place or not all of it; the arrays overlap,
            or there are bytes between, before or behind them.
    """
    found: dict[str, Place] = {}
    ranges: list[tuple[int, int, str]] = []
    for name, entry in header.items():
        if name != _METADATA:
            shape, begin, end = _entry(name, entry)
            found[name] = Place(shape, start + begin)
            ranges.append((begin, end, name))
    position = 0
    for begin, end, name in sorted(ranges):
        if begin != position:
            raise ValueError(
                f"the array {name!r} begins at byte {begin} of the arrays, where {position} ends "
                f"what comes before it"
            )
        position = end
    if position != size - start:
        raise ValueError(
            f"it is truncated or damaged: its arrays have {position} bytes, {size - start} follow "
            f"the header"
        )
    return found


def _entry(name: str, entry: Any) -> tuple[tuple[int, ...], int, int]:
    """An array's shape, and where it begins and ends among the arrays."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the array {name!r} must be described by dtype, shape and data_offsets")
    if entry["dtype"] != "F32":
        raise ValueError(f"the array {name!r} is {entry['dtype']!r} and must be F32")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _are_counts(shape) or len(shape) > _MOST_DIMENSIONS:
        raise ValueError(f"the array {name!r} has an impossible shape")
    if not _are_counts(offsets) or len(offsets) != 2:
        raise ValueError(f"the array {name!r} has impossible data_offsets")
    begin, end = offsets
    if end - begin != _ITEM * math.prod(shape):
        raise ValueError(
            f"the array {name!r} of shape {tuple(shape)} has {end - begin} bytes and needs "
            f"{_ITEM * math.prod(shape)}"
        )
    return tuple(shape), begin, end


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(type(each) is int and each >= 0 for each in values)


def _check_size(text: str | bytes) -> None:
    """ValueError if JSON is so long, or may have so many values, that no model needs it."""
    if len(text) > _LONGEST:
        raise ValueError(f"its header has {len(text):,} bytes, more than {_LONGEST:,}")
    marks: Iterable[Any] = ("{", "[", ",") if isinstance(text, str) else (b"{", b"[", b",")
    values = sum(text.count(mark) for mark in marks)
    if values > _MOST_VALUES:
        raise ValueError(f"its header has {values:,} values, more than {_MOST_VALUES:,}")


def parse(text: str | bytes) -> dict[str, Any]:
    """A JSON object without NaN, infinities, huge integers, and keys that occur twice."""
    _check_size(text)
    parsed = json.loads(
        text,
        object_pairs_hook=_unique,
        parse_constant=_no_constant,
        parse_float=_finite,
        parse_int=_short_integer,
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


def _short_integer(text: str) -> int:
    if len(text.lstrip("-")) > _LONGEST_INTEGER:
        raise ValueError(f"its header has the number {text[:40]}, which is too large")
    return int(text)
