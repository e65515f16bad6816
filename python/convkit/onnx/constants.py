"""The weights of an ONNX file, as arrays, and nothing that the file does not hold."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, numpy_helper

from ..core.parameters import Array

_ITEM_SIZES: dict[int, int] = {TensorProto.FLOAT: 4, TensorProto.INT64: 8, TensorProto.BOOL: 1}
_FIELDS = {4: "float_data", 8: "int64_data", 1: "int32_data"}
_MOST_DIMENSIONS = 8


def check_constant(tensor: TensorProto, folder: Path | None) -> None:
    """Check that a tensor's data has the size that its shape asks for, and get it from its file.

    Tensors of types other than float32, int64 and bool are left alone, for `constant_array` to
    refuse.

    Args:
        folder: where files with data may lie, or None for nowhere.

    Raises:
        ValueError: data is missing or there is too much of it, or its file is elsewhere.
    """
    shape = tuple(tensor.dims)
    if len(shape) > _MOST_DIMENSIONS or any(size < 0 for size in shape):
        raise ValueError(f'the constant "{tensor.name}" has the impossible shape {shape}')
    count, item = math.prod(shape), _ITEM_SIZES.get(tensor.data_type)
    if tensor.data_location == TensorProto.EXTERNAL:
        _read_external(tensor, folder, None if item is None else count * item)
    if item is None:
        return
    if tensor.HasField("raw_data"):
        held, needed = len(tensor.raw_data), count * item
    else:
        held = len(getattr(tensor, _FIELDS[item]))
        needed = count
    if held != needed:
        unit = "bytes" if tensor.HasField("raw_data") else "values"
        raise ValueError(
            f'the constant "{tensor.name}" of shape {shape} needs {needed} {unit}, the file holds '
            f"{held}"
        )


def _read_external(tensor: TensorProto, folder: Path | None, needed: int | None) -> None:
    """Get a tensor's data from another file; ONNX's reader refuses links and other folders."""
    where = {entry.key: entry.value for entry in tensor.external_data}
    location = where.get("location", "")
    if folder is None or needed is None:
        raise ValueError(f'the constant "{tensor.name}" cannot have its data in another file')
    length = where.get("length")
    if length != str(needed):
        raise ValueError(
            f'the constant "{tensor.name}" of shape {tuple(tensor.dims)} needs {needed} bytes of '
            f'"{location}", the file says {length}'
        )
    try:
        external_data_helper.load_external_data_for_tensor(tensor, str(folder.absolute()))
    except (onnx.checker.ValidationError, OSError, ValueError) as error:
        raise ValueError(
            f'the data of the constant "{tensor.name}" cannot be read from "{location}" in the '
            f"folder of the model: {error}"
        ) from None
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]


def constant_array(tensor: TensorProto) -> Array:
    """A checked tensor as an array; ValueError unless it is float32, int64 or bool."""
    if tensor.data_type not in _ITEM_SIZES:
        kind = TensorProto.DataType.Name(tensor.data_type)
        raise ValueError(
            f'the constant "{tensor.name}" is of the type {kind}; convkit computes in float32: '
            f"export the model in that"
        )
    array: Array = np.asarray(numpy_helper.to_array(tensor))
    return array
