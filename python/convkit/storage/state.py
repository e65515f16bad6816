"""The state of a callback or a metric, as JSON with the arrays beside it, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.parameters import Array
from .document import Arrays

_DEEPEST = 50


def pack(value: Any, arrays: dict[str, Array], owner: str) -> Any:
    """Return what JSON can hold of a state, and put its float32 arrays into `arrays`.

    Args:
        value: None, numbers, texts, arrays of NumPy, and lists, tuples and dictionaries of those,
            whose keys are texts.
        arrays: the arrays of the file.
        owner: whose state it is, for names and errors.

    Raises:
        TypeError: there is something else in it.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else {"int": hex(value)}
    if isinstance(value, np.generic):
        return pack(value.item(), arrays, owner)
    if isinstance(value, float):
        return value if math.isfinite(value) else {"float": str(value)}
    if isinstance(value, np.ndarray) and value.dtype == np.float32:
        name = f"{owner}/{len(arrays)}"
        arrays[name] = value
        return {"array": name, "shape": list(value.shape)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        flat = pack(value.reshape(-1).tolist(), arrays, owner)
        return {"numbers": flat, "dtype": value.dtype.str, "shape": list(value.shape)}
    if isinstance(value, tuple):
        return {"tuple": pack(list(value), arrays, owner)}
    if isinstance(value, list):
        return [pack(each, arrays, owner) for each in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {"dict": {key: pack(each, arrays, owner) for key, each in value.items()}}
    raise TypeError(
        f"{owner}: its state holds {value!r}, a {type(value).__name__}; it may hold numbers, "
        f"texts, arrays, and lists and dictionaries of those"
    )


def unpack(packed: Any, arrays: Arrays, depth: int = 0) -> Any:
    """What `pack` was given; ValueError if that cannot be."""
    if depth > _DEEPEST:
        raise ValueError(f"a state in it is more than {_DEEPEST} levels deep")
    if isinstance(packed, list):
        return [unpack(each, arrays, depth + 1) for each in packed]
    if not isinstance(packed, dict):
        return packed
    keys = set(packed)
    if keys == {"int"}:
        return int(packed["int"], 16)
    if keys == {"float"}:
        return float(packed["float"])
    if keys == {"array", "shape"}:
        return arrays.take(packed["array"], tuple(packed["shape"]))
    if keys == {"numbers", "dtype", "shape"}:
        numbers = unpack(packed["numbers"], arrays, depth + 1)
        dtype = np.dtype(str(packed["dtype"]))
        if dtype.kind not in "biuf":
            raise ValueError(f"a state in it has an array of {dtype}")
        return np.array(numbers, dtype).reshape(packed["shape"])
    if keys == {"tuple"}:
        return tuple(unpack(packed["tuple"], arrays, depth + 1))
    if keys == {"dict"} and isinstance(packed["dict"], dict):
        return {key: unpack(each, arrays, depth + 1) for key, each in packed["dict"].items()}
    raise ValueError(f"a state in it is of no known form: {sorted(keys)[:5]}")
