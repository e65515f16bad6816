"""The weights of an ONNX file, as arrays, and nothing that the file does not hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, numpy_helper
from onnx.reference import ReferenceEvaluator

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


# What may be computed of constants alone, with a bound on how many values it makes of so many.
_FOLDED: dict[str, Callable[[list[int]], int]] = {
    **dict.fromkeys(("Add", "Div", "Gather", "Mod", "Mul", "Sub"), math.prod),
    **dict.fromkeys(("Cast", "Concat", "Reshape", "Slice", "Squeeze"), sum),
    **dict.fromkeys(("ConstantOfShape", "Shape", "Transpose", "Unsqueeze"), sum),
}
_MOST_FOLDED = 4096  # values, but for a transposition


def folded(
    node: onnx.NodeProto, tensors: Mapping[str, TensorProto], opset: int
) -> TensorProto | None:
    """The output of a node whose inputs are checked constants, by ONNX's own evaluator.

    None where that is none of the operators with which files compute small constants, or large.
    """
    bound = _FOLDED.get(node.op_type)
    given = {name: tensors[name] for name in node.input if name}
    if bound is None or any(tensor.data_type not in _ITEM_SIZES for tensor in given.values()):
        return None
    sizes = [math.prod(tensor.dims) for tensor in given.values()]
    if bound(sizes) > _MOST_FOLDED and node.op_type != "Transpose":
        return None
    arrays = {name: constant_array(tensor) for name, tensor in given.items()}
    if node.op_type == "ConstantOfShape":  # as many as the numbers say
        wanted = [int(size) for array in arrays.values() for size in array.reshape(-1)]
        if any(size < 0 for size in wanted) or math.prod(wanted) > _MOST_FOLDED:
            return None
    if node.op_type == "Transpose":
        perm = [list(each.ints) for each in node.attribute if each.name == "perm"]
        (array,) = arrays.values()
        if perm and sorted(perm[0]) != list(range(array.ndim)):
            return None
        result = np.ascontiguousarray(array.transpose(perm[0] if perm else None))
    else:
        info = onnx.helper.make_empty_tensor_value_info
        names = [info(name) for name in given], [info(node.output[0])]
        graph = onnx.helper.make_graph([node], "constant", *names)
        opsets = [onnx.helper.make_opsetid("", opset)]
        try:
            model = onnx.helper.make_model(graph, opset_imports=opsets)
            evaluator: Any = ReferenceEvaluator(model)
            result = np.asarray(evaluator.run(None, arrays)[0])
        except Exception:  # it raises what NumPy raises, and more: the file asks for what is not
            return None
    if result.dtype not in (np.float32, np.int64, np.bool_):
        return None
    return numpy_helper.from_array(result, node.output[0])
