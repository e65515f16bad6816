"""`tf.strings` and the helpers of `tf.compat`: text as bytes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..tensor import Tensor, as_tensor

__all__ = [
    "as_bytes",
    "as_str",
    "as_str_any",
    "as_text",
    "join",
    "length",
    "lower",
    "regex_replace",
    "split",
    "substr",
    "to_number",
    "upper",
]


def as_bytes(value: Any, encoding: str = "utf-8") -> bytes:
    """Text as bytes."""
    value = value.numpy() if isinstance(value, Tensor) else value
    return value if isinstance(value, bytes) else str(value).encode(encoding)


def as_text(value: Any, encoding: str = "utf-8") -> str:
    """Bytes as text."""
    return as_bytes(value, encoding).decode(encoding)


as_str = as_str_any = as_text


def _each(function: Any, value: Any) -> Any:
    array = np.asarray(value, object)
    if array.ndim == 0:
        return as_tensor(function(as_bytes(array[()])))
    made = np.array([function(as_bytes(each)) for each in array.ravel()], object)
    return as_tensor(made.reshape(array.shape))


def split(input: Any, sep: Any = None, maxsplit: int = -1, name: Any = None, **old: Any) -> Any:
    """The parts of a text between separators."""
    sep = old.get("delimiter", sep)
    parts = as_bytes(input).split(None if sep is None else as_bytes(sep), maxsplit)
    return as_tensor(np.array(parts, object))


def join(inputs: Any, separator: Any = "", name: Any = None) -> Any:
    """Texts as one."""
    return as_tensor(as_bytes(separator).join(as_bytes(each) for each in inputs))


def lower(input: Any, name: Any = None) -> Any:
    """In small letters."""
    return _each(bytes.lower, input)


def upper(input: Any, name: Any = None) -> Any:
    """In capital letters."""
    return _each(bytes.upper, input)


def length(input: Any, unit: str = "BYTE", name: Any = None) -> Any:
    """The number of bytes."""
    return as_tensor(len(as_bytes(input)))


def substr(input: Any, pos: int, len: int, name: Any = None) -> Any:
    """So many bytes from a place on."""
    return as_tensor(as_bytes(input)[int(pos) : int(pos) + int(len)])


def regex_replace(input: Any, pattern: str, rewrite: str, replace_global: bool = True) -> Any:
    """What fits a pattern replaced."""
    count = 0 if replace_global else 1
    return _each(
        lambda each: re.sub(as_bytes(pattern), as_bytes(rewrite), each, count=count), input
    )


def to_number(input: Any, out_type: Any = np.float32, name: Any = None) -> Any:
    """The number that a text says."""
    return as_tensor(float(as_bytes(input)), out_type)
