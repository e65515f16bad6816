"""Tensor: a NumPy array that answers to what scripts ask of TensorFlow's tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.parameters import Array, Parameter
from ..layers.graph import Tensor as Symbolic
from .records import in_records, is_recording

__all__ = ["Tensor", "as_tensor", "dtype_of", "is_symbolic", "standing"]

_DTYPES = {"bfloat16": np.float32, "half": np.float16, "string": object, "variant": object}


class Tensor(np.ndarray[Any, Any]):
    """A NumPy array with `.numpy()`, as results of `tf` functions are; of any shape and dtype.

    Single numbers taken out of one are tensors too, without axes.
    """

    def __array_finalize__(self, obj: Any) -> None:
        """Views and results of NumPy's functions are tensors as they are."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, np.ndarray) and key.ndim == 0 and key.dtype.kind in "iu":
            key = int(key)
        elif isinstance(key, tuple):
            key = tuple(int(k) if isinstance(k, Tensor) and not k.ndim else k for k in key)
        return _tensor(super().__getitem__(key))

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else super().__format__(spec)

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def numpy(self) -> Any:
        """The same numbers as a plain array; without axes, as a number."""
        return np.asarray(self)[()]

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        """As `numpy`: what sessions of old computed."""
        return self.numpy()

    def get_shape(self) -> TensorShape:
        """The shape, which has `as_list`."""
        return TensorShape(self.shape)

    def set_shape(self, shape: Any) -> None:
        """Nothing: the shape is known."""

    def ref(self) -> int:
        """Something that can be hashed."""
        return id(self)

    @property
    def device(self) -> Any:
        """Where it is: on this machine."""
        return "/job:localhost/replica:0/task:0/device:CPU:0"

    @property
    def op(self) -> Any:
        """The tensor, which stands for the operation that made it."""
        return self


class Watched(Tensor):
    """A tensor of which is recorded what is computed of it, while a `GradientTape` is open."""

    def __array_finalize__(self, obj: Any) -> None:
        """What is computed of it, or a part of it, is a tensor like others."""
        if obj is not None:
            self.__class__ = Tensor  # type: ignore[assignment]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if is_symbolic(inputs):
            raise TypeError("a variable in what a model consists of: a layer has it by add_weight")
        out = options.get("out")
        if out is not None:  # of `variable += 1`
            options["out"] = tuple(np.asarray(each) for each in out)
        made = getattr(ufunc, method)(*standing(inputs), **options)
        return made if out is None else out[0]

    def __array_function__(self, function: Any, types: Any, given: Any, options: Any) -> Any:
        return function(*standing(given), **options)

    def __getitem__(self, key: Any) -> Any:
        found = in_records(self)
        return super().__getitem__(key) if found is None else found[key]


def standing(values: Any) -> Any:
    """Arguments, with what stands in the records for those of them that are watched."""
    if isinstance(values, list | tuple):
        return type(values)(standing(each) for each in values)
    if is_recorded(values) and not is_recording():
        return values.value.view(Tensor)
    if not isinstance(values, Watched | Parameter):
        return values
    found = in_records(values)
    if found is not None:
        return found
    return values if isinstance(values, Parameter) else values.view(Tensor)


class TensorShape(tuple[Any, ...]):
    """A shape, with `as_list`."""

    __slots__ = ()

    def __new__(cls, sizes: Any = ()) -> TensorShape:
        """The sizes, or those of another shape."""
        return super().__new__(cls, sizes or ())

    def as_list(self) -> list[Any]:
        """The sizes as a list."""
        return list(self)

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self)

    @property
    def ndims(self) -> int:
        """The number of axes."""
        return len(self)


# Those of models that are being built have them, too.
Symbolic.shape_type = TensorShape
Symbolic.get_shape = lambda tensor: tensor.shape  # type: ignore[attr-defined]


def _tensor(value: Any) -> Any:
    return value if isinstance(value, Tensor) else np.asarray(value).view(Tensor)


def is_symbolic(value: Any) -> bool:
    """Whether a value, or one of a list, is a tensor of a model that is being built."""
    several = value if isinstance(value, list | tuple) else [value]
    return any(isinstance(each, Symbolic) for each in several)


def is_recorded(value: Any) -> bool:
    """Whether a value is one of `convkit.compat.recorded`, of the loss of a script."""
    return getattr(type(value), "is_recorded", False)


def as_tensor(value: Any, dtype: Any = None) -> Any:
    """Anything that NumPy takes as a tensor.

    Args:
        value: an array is not copied; of Python's numbers, floats become float32 and integers
            int32, as in TensorFlow; text becomes bytes.
        dtype: to convert to.
    """
    if is_symbolic(value):
        return value
    if isinstance(value, Watched | Parameter):
        found = in_records(value)
        value = value if found is None else found
    elif isinstance(value, list | tuple) and any(map(is_recorded, value)):
        value = np.stack(value)
    if is_recorded(value) and is_recording():
        return value if dtype is None else value.astype(dtype)
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, list | tuple) and value and isinstance(value[0], str):
        value = np.array([each.encode() for each in value], object)
    if isinstance(value, bytes):
        value = np.array(value, object)
    array: Array = np.asarray(value)
    if dtype is not None:
        array = array.astype(dtype_of(dtype), copy=False)
    elif not isinstance(value, np.ndarray | np.generic) and not _holds_arrays(value):
        kind = {"f": np.float32, "i": np.int32}.get(array.dtype.kind)
        array = array if kind is None else array.astype(kind)
    return array.view(Tensor)


def _holds_arrays(value: Any) -> bool:
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return hasattr(value, "dtype")


def dtype_of(dtype: Any) -> np.dtype[Any]:
    """NumPy's type of a name or type of TensorFlow's; float32 for those that NumPy has not."""
    if isinstance(dtype, str):
        dtype = _DTYPES.get(dtype, dtype)
    found: np.dtype[Any] = np.dtype(dtype)
    return found


class Number(float):
    """A number that has `numpy`, as a tensor without axes."""

    def numpy(self) -> Any:
        """The number, as NumPy's."""
        return np.float32(self)

    eval = numpy


class Count(int):
    """A whole number that has `numpy`, as a variable that counts."""

    def numpy(self) -> Any:
        """The number, as NumPy's."""
        return np.int64(self)


def as_result(value: Any) -> Any:
    """A number or an array of convkit's, with `numpy`."""
    return Number(value) if np.ndim(value) == 0 else as_tensor(value)
