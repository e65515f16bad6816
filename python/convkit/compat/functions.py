"""The functions of arrays that Keras scripts take from `tf`, `tf.math` and `keras.ops`, by NumPy.

Each gives a `Tensor`. They compute at once: nothing can be trained through them but a loss, whose
predictions are `Recorded`. Called on the symbolic tensors of a model that is being built, those
that a layer does are that layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import layers
from ..core.parameters import Parameter
from .records import in_records
from .tensor import Tensor, TensorShape, as_tensor, dtype_of, is_recorded, is_symbolic

Function = Callable[..., Any]

newaxis = None
float16, float32, float64 = np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64)
int8, int16, int32, int64 = (np.dtype(each) for each in (np.int8, np.int16, np.int32, np.int64))
uint8, uint16, uint32, uint64 = (
    np.dtype(each) for each in (np.uint8, np.uint16, np.uint32, np.uint64)
)
bool = np.dtype(np.bool_)
complex64, string, bfloat16, half = np.dtype(np.complex64), np.dtype(object), float32, float16

# NumPy's functions of one or two arrays, by TensorFlow's names.
_ELEMENTWISE: dict[str, Function] = {
    "abs": np.abs,
    "acos": np.arccos,
    "add": np.add,
    "asin": np.arcsin,
    "atan": np.arctan,
    "ceil": np.ceil,
    "cos": np.cos,
    "divide": np.divide,
    "divide_no_nan": lambda x, y: np.where(
        np.equal(y, 0), 0, np.divide(x, np.where(np.equal(y, 0), 1, y))
    ),
    "equal": np.equal,
    "exp": np.exp,
    "expm1": np.expm1,
    "floor": np.floor,
    "floordiv": np.floor_divide,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "is_finite": np.isfinite,
    "is_nan": np.isnan,
    "less": np.less,
    "less_equal": np.less_equal,
    "log": np.log,
    "log1p": np.log1p,
    "logical_and": np.logical_and,
    "logical_not": np.logical_not,
    "logical_or": np.logical_or,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "mod": np.mod,
    "multiply": np.multiply,
    "negative": np.negative,
    "not_equal": np.not_equal,
    "pow": np.power,
    "round": np.round,
    "sign": np.sign,
    "sin": np.sin,
    "sqrt": np.sqrt,
    "square": np.square,
    "squared_difference": lambda x, y: np.square(np.subtract(x, y)),
    "subtract": np.subtract,
    "tan": np.tan,
    "truediv": np.true_divide,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "power": np.power,
    "absolute": np.abs,
    "erf": lambda x: np.vectorize(__import__("math").erf)(x),
    "tensordot": np.tensordot,
    "dot": np.dot,
    "zeros_like": np.zeros_like,
    "ones_like": np.ones_like,
    "diag": np.diag,
    "eye": np.eye,
    "array": np.array,
    "copy": np.copy,
    "count_nonzero": np.count_nonzero,
    "meshgrid": lambda *axes, indexing="xy": np.meshgrid(*axes, indexing=indexing),
    "roll": lambda input, shift, axis=None: np.roll(input, shift, axis),
    "arange": np.arange,
    "swapaxes": np.swapaxes,
    "moveaxis": np.moveaxis,
    "vstack": np.vstack,
    "hstack": np.hstack,
    "ravel": np.ravel,
    "einsum": np.einsum,
}
# NumPy's functions along axes: (x, axis, keepdims).
_REDUCTIONS: dict[str, Function] = {
    "all": np.all,
    "any": np.any,
    "max": np.max,
    "mean": np.mean,
    "min": np.min,
    "prod": np.prod,
    "std": np.std,
    "sum": np.sum,
    "var": np.var,
    "reduce_all": np.all,
    "reduce_any": np.any,
    "reduce_max": np.max,
    "reduce_mean": np.mean,
    "reduce_min": np.min,
    "reduce_prod": np.prod,
    "reduce_std": np.std,
    "reduce_sum": np.sum,
    "reduce_variance": np.var,
}
# What a layer does where the inputs are symbolic.
_LAYERS: dict[str, Function] = {
    "add": layers.Add,
    "multiply": layers.Multiply,
    "maximum": layers.Maximum,
    "minimum": layers.Minimum,
    "subtract": layers.Subtract,
}

__all__ = [
    *_ELEMENTWISE,
    *_REDUCTIONS,
    "IndexedSlices",
    "RaggedTensor",
    "SparseTensor",
    "Tensor",
    "TensorShape",
    "argmax",
    "argmin",
    "as_dtype",
    "bfloat16",
    "bool",
    "cast",
    "clip",
    "clip_by_value",
    "complex64",
    "constant",
    "convert_to_numpy",
    "convert_to_tensor",
    "fill",
    "float16",
    "float32",
    "float64",
    "get_static_value",
    "half",
    "identity",
    "int16",
    "int32",
    "int64",
    "int8",
    "is_tensor",
    "linspace",
    "newaxis",
    "one_hot",
    "ones",
    "range",
    "rank",
    "shape",
    "size",
    "stop_gradient",
    "string",
    "uint16",
    "uint32",
    "uint64",
    "uint8",
    "zeros",
]
RaggedTensor = SparseTensor = IndexedSlices = Tensor


def __getattr__(name: str) -> Function:
    made: Function
    if name in _REDUCTIONS:
        made = _reduction(_REDUCTIONS[name])
    elif name in _ELEMENTWISE:
        made = _elementwise(name, _ELEMENTWISE[name])
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made.__name__ = name
    globals()[name] = made
    return made


def _elementwise(name: str, function: Function) -> Function:
    def compute(*arrays: Any, name: Any = None, **options: Any) -> Any:
        if is_symbolic(arrays):
            if layer is not None and all(map(is_symbolic, arrays)):
                return layer()(list(arrays))
            from .function_layers import on_symbolic

            return on_symbolic(compute, *arrays, **options)
        if "dtype" in options:
            options["dtype"] = dtype_of(options["dtype"])
        return as_tensor(_kept(function(*(_array(each) for each in arrays), **options), arrays))

    layer = _LAYERS.get(name)
    return compute


def _kept(result: Any, arrays: Any) -> Any:
    """The result in the arrays' float type, which a number of Python's does not change."""
    if is_recorded(result) or is_symbolic(result):
        return result
    known = {each.dtype for each in arrays if hasattr(each, "dtype")}
    floats = {each for each in known if each.kind == "f"}
    kind = getattr(result, "dtype", None)
    if len(floats) == 1 and kind is not None and kind.kind == "f":
        return np.asarray(result).astype(floats.pop(), copy=False)
    if not known and kind == np.float64:
        return np.asarray(result).astype(np.float32)
    return result


def _reduction(function: Function) -> Function:
    def compute(
        x: Any, axis: Any = None, keepdims: Any = False, name: Any = None, **old: Any
    ) -> Any:
        axis = old.pop("reduction_indices", old.pop("input_tensor_axis", axis))
        keep = old.pop("keep_dims", keepdims)
        axis = tuple(axis) if isinstance(axis, list) else axis
        if is_symbolic(x):
            from .function_layers import on_symbolic

            return on_symbolic(compute, x, axis, keep)
        x = _array(x)
        return as_tensor(_kept(function(x, axis=axis, keepdims=keep), [x]))

    def by_name(*arguments: Any, **options: Any) -> Any:
        if "input_tensor" in options:
            arguments = (options.pop("input_tensor"), *arguments)
        return compute(*arguments, **options)

    return by_name


def _array(value: Any) -> Any:
    """The plain array of a tensor or of numbers; what is no array, such as a keyword, as it is."""
    if isinstance(value, Tensor | Parameter):
        found = in_records(value)
        return np.asarray(value) if found is None else found
    if isinstance(value, list | tuple):
        made = as_tensor(value)
        return made if is_recorded(made) else np.asarray(made)
    return value


def constant(value: Any, dtype: Any = None, shape: Any = None, name: Any = None) -> Any:
    """A tensor of some numbers, or of one in every place of a shape."""
    made = as_tensor(value, dtype)
    if shape is None:
        return made
    return as_tensor(
        np.array(np.broadcast_to(made, shape) if made.size == 1 else np.reshape(made, shape))
    )


def convert_to_tensor(value: Any, dtype: Any = None, *ignored: Any, **options: Any) -> Any:
    """The value as a tensor."""
    return as_tensor(value, dtype)


def convert_to_numpy(x: Any) -> Any:
    """The value as a plain array."""
    return np.asarray(x)


def as_dtype(type_value: Any) -> Any:
    """NumPy's type of that name."""
    return dtype_of(type_value)


def get_static_value(tensor: Any, partial: Any = False) -> Any:
    """The tensor's numbers."""
    return np.asarray(tensor)[()]


def identity(input: Any, name: Any = None) -> Any:
    """The tensor itself."""
    return as_tensor(input)


def stop_gradient(input: Any, name: Any = None) -> Any:
    """The tensor itself; of a loss, as numbers that do not depend on the predictions."""
    return as_tensor(input.value if is_recorded(input) else input)


def is_tensor(x: Any) -> Any:
    """Whether it is a tensor, of numbers or of a model that is being built."""
    return isinstance(x, Tensor) or is_symbolic(x) or is_recorded(x)


def cast(x: Any, dtype: Any, name: Any = None) -> Any:
    """The tensor with another type of numbers; that of a model is float32 in any case."""
    return x if is_symbolic(x) else as_tensor(x, dtype)


def shape(input: Any, out_type: Any = np.int32, name: Any = None) -> Any:
    """The sizes; of a model's tensor with None for the batch."""
    if is_symbolic(input):
        return TensorShape(input.shape)
    return as_tensor(np.array(np.shape(input), dtype_of(out_type)))


def size(input: Any, out_type: Any = np.int32, name: Any = None) -> Any:
    """The number of elements."""
    return as_tensor(np.asarray(np.size(input), dtype_of(out_type)))


def rank(input: Any, name: Any = None) -> Any:
    """The number of axes."""
    return as_tensor(np.asarray(np.ndim(input), np.int32))


def one_hot(
    indices: Any,
    depth: Any = None,
    on_value: Any = 1.0,
    off_value: Any = 0.0,
    axis: Any = -1,
    dtype: Any = np.float32,
    name: Any = None,
    num_classes: Any = None,
) -> Any:
    """Rows with one value at each index and another elsewhere; indices outside have no place."""
    count = int(num_classes if depth is None else depth)
    hits = np.asarray(indices)[..., np.newaxis] == np.arange(count)
    made = np.where(hits, on_value, off_value).astype(dtype_of(dtype))
    return as_tensor(made if axis == -1 else np.moveaxis(made, -1, axis))


def zeros(shape: Any, dtype: Any = np.float32, name: Any = None) -> Any:
    """Zeros."""
    return as_tensor(np.zeros(tuple(np.ravel(shape).astype(int)), dtype_of(dtype)))


def ones(shape: Any, dtype: Any = np.float32, name: Any = None) -> Any:
    """Ones."""
    return as_tensor(np.ones(tuple(np.ravel(shape).astype(int)), dtype_of(dtype)))


def fill(dims: Any, value: Any, name: Any = None) -> Any:
    """One value in every place."""
    return constant(value, shape=tuple(np.ravel(dims).astype(int)))


def range(
    start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: Any = None
) -> Any:
    """The numbers from one to another."""
    first, last = (0, start) if limit is None else (start, limit)
    return as_tensor(np.arange(first, last, delta).tolist(), dtype)


def linspace(start: Any, stop: Any, num: Any, name: Any = None, axis: Any = 0) -> Any:
    """So many numbers between two."""
    return as_tensor(np.linspace(start, stop, int(num), axis=axis).astype(np.float32))


def argmax(
    input: Any, axis: Any = 0, output_type: Any = np.int64, name: Any = None, dimension: Any = None
) -> Any:
    """The place of the largest element along an axis."""
    axis = dimension if dimension is not None else axis
    return as_tensor(np.argmax(_array(input), axis).astype(dtype_of(output_type)))


def argmin(input: Any, axis: Any = 0, output_type: Any = np.int64, name: Any = None) -> Any:
    """The place of the smallest element along an axis."""
    return as_tensor(np.argmin(_array(input), axis).astype(dtype_of(output_type)))


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: Any = None) -> Any:
    """The elements, within two bounds."""
    t = _array(as_tensor(t))
    return as_tensor(_kept(np.clip(t, clip_value_min, clip_value_max), [t]))


clip = clip_by_value
