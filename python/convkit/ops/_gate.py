"""The array gate: the one place where inputs may be converted, and where outputs are checked.

The native functions take float32 arrays in C order and nothing else. ``as_floats`` passes such an
array through untouched and converts everything else once, here; ``output`` never converts, for a
converted output would be a copy that the caller does not see.
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from convkit.ops._calls import refuse

Floats: TypeAlias = npt.NDArray[np.float32]
Shape: TypeAlias = tuple[int, ...]

_FLOAT32 = np.dtype(np.float32)
_INT64 = np.dtype(np.int64)
_MOST_AXES = 32  # of an array, in all of NumPy's versions


def as_array(name: str, value: Any) -> npt.NDArray[Any]:
    """``value`` as a NumPy array, in the memory that it has wherever that is possible.

    A NumPy array is returned as it is. Whatever has ``__array__`` or speaks DLPack (a PyTorch
    tensor, a JAX array) is looked at in its own memory. Nested lists of numbers become an array.

    Args:
        name: what the caller calls it, for errors.

    Raises:
        TypeError: it cannot be looked at: a tensor that requires gradients, is on another device,
            or is of a type that NumPy does not have. The message says what to do.
        ValueError: nested lists of different lengths.
    """
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} cannot become one array: {error}") from error
    except (TypeError, RuntimeError, BufferError) as error:
        remedy = "pass it detached, as x.detach()" if _requires_grad(value) else str(error)
        raise TypeError(
            f"{name} is a {type(value).__name__} that NumPy cannot read: {remedy}"
        ) from error


def _requires_grad(value: Any) -> bool:
    return bool(getattr(value, "requires_grad", False))


def as_floats(name: str, array: npt.ArrayLike, ndim: int | None = None) -> Floats:
    """``array`` as float32 in C order: itself where it is that already, else a converted copy.

    Args:
        name: what the caller calls it, for errors.
        array: a bool, integer or floating-point array, or nested lists of numbers.
        ndim: the number of dimensions that it must have; None for any.

    Raises:
        TypeError: it does not hold real numbers.
        ValueError: it has another number of dimensions.
    """
    if not (
        type(array) is np.ndarray
        and array.dtype == _FLOAT32
        and array.flags.c_contiguous
        and array.flags.aligned
    ):
        array = _converted(name, array)
    floats = cast(Floats, array)
    if ndim is not None and floats.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimensions, but its shape is {floats.shape}")
    return floats


def _converted(name: str, array: npt.ArrayLike) -> Floats:
    refuse()
    source = as_array(name, array)
    if source.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must hold real numbers, but its dtype is {source.dtype}; "
            "convert it with .astype('float32')"
        )
    return np.require(source, dtype=np.float32, requirements=["C", "A"])


def output(name: str, out: Floats | None, shape: Shape) -> Floats:
    """``out``, checked to be writable float32 in C order of this shape, or a new array."""
    return output_of(_FLOAT32, name, out, shape)


def output_of(
    dtype: np.dtype[Any], name: str, out: npt.NDArray[Any] | None, shape: Shape
) -> npt.NDArray[Any]:
    """The same for another type, such as a pool's indices."""
    if out is None:
        refuse()
        try:
            return np.empty(shape, dtype)
        except ValueError:  # where NumPy finds none of the sizes worth naming
            raise MemoryError(f"{name} would have shape {shape}: more than memory can be") from None
    check_output(name, out, shape, dtype)
    return out


def in_c_order(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """``array`` itself where it is contiguous, else a copy."""
    if array.flags.c_contiguous:
        return array
    refuse()
    return np.ascontiguousarray(array)


def check_output(name: str, out: Any, shape: Shape, dtype: np.dtype[Any]) -> None:
    """Checks that ``out`` is a writable array in C order of this shape and type.

    Raises:
        TypeError: it is no array, or of another dtype.
        ValueError: it is not C-contiguous, read-only, or of another shape.
    """
    if not isinstance(out, np.ndarray) or out.dtype != dtype:
        kind = out.dtype if isinstance(out, np.ndarray) else type(out).__name__
        raise TypeError(f"{name} must be a {dtype} array, but is {kind}")
    if out.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, but its shape is {out.shape}")
    flags = out.flags
    if not (flags.c_contiguous and flags.writeable and flags.aligned):
        raise ValueError(f"{name} must be writable, aligned and contiguous in C order")


def as_number(name: str, value: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """One number as an array (1,), which a replayed call reads again; an array as it is.

    Raises:
        TypeError: no number, or no integer where the type is one of integers.
        ValueError: it is beyond what the type can hold.
    """
    if isinstance(value, np.ndarray):
        if value.dtype != dtype or value.shape != (1,):
            raise TypeError(
                f"{name} must be one number, or a {dtype} array of shape (1,), but is an array of "
                f"{value.dtype} of shape {value.shape}"
            )
        return value
    kind = Real if dtype.kind == "f" else Integral
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be one {kind.__name__.lower()} number, but is {value!r}")
    try:
        return np.array([value], dtype)
    except OverflowError:
        raise ValueError(f"{name} is too large for {dtype}: {value!r}") from None


def real(name: str, value: Any) -> float:
    """One real number; TypeError for anything else, ValueError if a float cannot hold it."""
    if type(value) is float:
        return value
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, but is {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} is too large for a float: {value!r}") from None


def integer(name: str, value: Any) -> int:
    """One integer, of any size; TypeError for anything else."""
    if type(value) is int:
        return value
    if not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, but is {value!r}")
    return int(value)


def int64(name: str, value: Any) -> int:
    """One integer; ValueError if 64 bits cannot hold it."""
    number = integer(name, value)
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{name} is too large for int64: {value!r}")
    return number


def sizes(name: str, shape: Any) -> Shape:
    """A shape, of sizes of at least 0, as a tuple; TypeError or ValueError for anything else."""
    if isinstance(shape, str | bytes) or not isinstance(shape, Iterable):
        raise TypeError(f"{name} must be a shape, a tuple of integers, but is {shape!r}")
    found = tuple(integer(f"every size of {name}", size) for size in shape)
    if len(found) > _MOST_AXES or min(found, default=0) < 0:
        raise ValueError(
            f"{name} must be at most {_MOST_AXES} sizes of at least 0, but is {shape!r}"
        )
    return found


def truth(name: str, value: Any) -> bool:
    """True or False, also as NumPy's or as 0 and 1; TypeError for anything else."""
    if value is True or value is False:
        return value
    if not isinstance(value, np.bool_ | Integral):
        raise TypeError(f"{name} must be True or False, but is {value!r}")
    return bool(value)


def as_integers(array: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """An array of integers as int64 in C order: itself where it is that already, else a copy."""
    if array.dtype == _INT64 and array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.require(array, dtype=_INT64, requirements=["C", "A"])


def as_labels(labels: npt.ArrayLike, rows: Shape) -> npt.NDArray[Any]:
    """Labels as the native losses take them: int64 or uint8 rows, or float32 (*rows, K).

    Integers of the shape of the rows, or with a last axis of one, are class numbers;
    floating-point arrays of one dimension more are one-hot labels or distributions.
    """
    array = as_array("labels", labels)
    single = array.ndim == len(rows) + 1 and array.shape[-1] == 1
    if array.dtype.kind in "bui" and (array.ndim == len(rows) or single):
        if single:
            array = array.reshape(array.shape[:-1])
        return in_c_order(array) if array.dtype == np.uint8 else as_integers(array)
    if array.ndim == len(rows) + 1 and array.dtype.kind in "biuf":
        return as_floats("labels", array)
    shape = ", ".join(["N", *map(str, rows[1:])])
    plain = f"({shape})" if rows[1:] else "(N,)"
    raise ValueError(
        f"labels must be integers of shape {plain} or ({shape}, 1), or one-hot of shape "
        f"({shape}, K), but are {array.dtype} of shape {array.shape}"
    )


def as_weights(sample_weight: npt.ArrayLike | None, rows: Shape) -> Floats | None:
    """Weights of samples or of rows as float32, of shape rows[:1] or rows; or None."""
    if sample_weight is None:
        return None
    weights = as_floats("sample_weight", sample_weight)
    if weights.shape not in (rows[:1], rows):
        wanted = f"{rows[:1]} or {rows}" if rows[1:] else f"{rows}"
        raise ValueError(
            f"sample_weight must have shape {wanted}, but its shape is {weights.shape}"
        )
    return weights
