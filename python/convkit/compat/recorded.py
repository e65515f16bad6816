"""Recorded: numbers that remember of what they were computed, for the gradients of a script.

A loss of Keras is a function of tensors that Keras differentiates. Here it is called on a
`Recorded` in the place of the predictions; so is what a script computes under a `GradientTape`.
Each of NumPy's functions that is applied to one notes how a gradient of its result becomes one of
its arguments, and `gradient` goes through the notes from the last to the first (reverse-mode
differentiation). What it has no rule for is an error, and so is, in a loss, whatever would take the
bare numbers: no part of its gradient is ever lost unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from ..activations import name_of
from ..core.parameters import Array
from ..layers.activation import _FUNCTIONS
from ..losses.loss import _is_pair
from .derivatives import CONSTANTS, MATMUL, PLACES, SLOPES, STEPS
from .records import is_in_loss, is_recording, loss_of_a_script, open_tapes
from .tensor import TensorShape, as_tensor, standing

Pull = Callable[[Array], Array]

_serial = count()


class Recorded(np.lib.mixins.NDArrayOperatorsMixin):
    """Numbers, and how their gradient becomes that of what they were computed of.

    Args:
        value: the numbers.
        sources: pairs: another one, and what takes a gradient of this one to one of that.
    """

    is_recorded = True

    def __init__(self, value: Any, sources: Any = ()) -> None:
        self.value: Array = np.asarray(value)
        self.sources: list[tuple[Recorded, Pull]] = [*sources]
        self.serial = next(_serial)
        if tapes := open_tapes():
            tapes[0].add(self)

    shape = property(lambda self: TensorShape(self.value.shape))
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)

    def __len__(self) -> int:
        return len(self.value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if not is_in_loss():
            return self.value if dtype is None else self.value.astype(dtype)
        raise TypeError(
            "the gradient is not known here: what a loss makes of its predictions, or a layer of "
            "its inputs, goes through operators and functions of keras.backend, keras.ops, tf and "
            "tf.math"
        )

    def __bool__(self) -> bool:
        return bool(self.value)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__":
            return NotImplemented
        inputs = standing(inputs)
        if not is_recording():
            return as_tensor(ufunc(*map(numbers, inputs), **options))
        values = [numbers(each) for each in inputs]
        options.pop("out", None)  # of `y_pred /= 2`: the name then stands for the result
        if options:
            raise _unknown(f"{ufunc.__name__} with {', '.join(options)}")
        made = ufunc(*values, **options)
        if ufunc is np.matmul:
            slopes: Any = MATMUL
        elif ufunc in STEPS or made.dtype.kind != "f":
            return as_tensor(made)
        elif ufunc not in SLOPES:
            raise _unknown(ufunc.__name__)
        else:
            slopes = [_by_element(slope, values, made) for slope in SLOPES[ufunc]]
        pulls = [(each, pull) for each, pull in zip(inputs, slopes, strict=True) if _is(each)]
        if ufunc is np.matmul:
            pulls = [(each, lambda g, pull=pull: pull(g, *values)) for each, pull in pulls]
        return Recorded(made, [(each, _as_shaped(pull, each)) for each, pull in pulls])

    def __array_function__(self, function: Any, types: Any, given: Any, options: Any) -> Any:
        given = standing(given)
        if not is_recording():
            return as_tensor(function(*given, **options))
        if function in _RULES:
            return _RULES[function](*given, **options)
        if function in PLACES:
            x, *others = given
            return _moved(x, lambda array: function(array, *others, **options))
        if function in CONSTANTS:
            return function(*map(numbers, given), **{k: numbers(v) for k, v in options.items()})
        raise _unknown(function.__name__)

    def __getitem__(self, key: Any) -> Any:
        if not is_recording():
            return as_tensor(self.value)[key]
        return _moved(self, lambda array: array[key])

    def astype(self, dtype: Any, *ignored: Any, **options: Any) -> Any:
        """As floating-point numbers itself; others have no gradient."""
        made = as_tensor(self.value, dtype)
        return self if made.dtype.kind == "f" else made

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The sum along axes."""
        return _sum(self, axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """The mean along axes."""
        return _mean(self, axis, keepdims=keepdims)

    def get_shape(self) -> TensorShape:
        """The sizes."""
        return TensorShape(self.value.shape)

    def numpy(self) -> Any:
        """The numbers as a plain array; without axes, as a number."""
        return np.asarray(self)[()]

    def __float__(self) -> float:
        return float(self.numpy())

    def __int__(self) -> int:
        return int(self.numpy())

    def __format__(self, spec: str) -> str:
        return format(as_tensor(self.numpy()), spec)

    def __repr__(self) -> str:
        return repr(as_tensor(self.numpy()))

    def __str__(self) -> str:
        return str(self.value)


def numbers(value: Any) -> Any:
    """The numbers of a recorded value, and anything else as it is."""
    return value.value if isinstance(value, Recorded) else value


def gradient(result: Recorded, of: Recorded, shares: Any = 1.0) -> Array:
    """The derivatives of the sum of a result times shares, in the shape of what it was made of."""
    return gradients([(result, shares)]).get(of.serial, np.zeros_like(of.value))


def gradients(results: list[tuple[Recorded, Any]]) -> dict[int, Array]:
    """The derivatives of the sum of results, each times shares, by all that they were made of.

    Returns:
        By serial number.
    """
    found: dict[int, Recorded] = {}
    slopes: dict[int, Array] = {}
    waiting = [result for result, _ in results]
    while waiting:
        each = waiting.pop()
        if each.serial not in found:
            found[each.serial] = each
            waiting += [source for source, _ in each.sources]
    for result, shares in results:
        own = np.broadcast_to(shares, result.value.shape).astype(result.value.dtype)
        slopes[result.serial] = slopes.get(result.serial, 0) + own
    for serial in sorted(found, reverse=True):  # what was computed of it, first
        for source, pull in found[serial].sources if serial in slopes else ():
            slope = pull(slopes[serial])
            before = slopes.get(source.serial)
            slopes[source.serial] = slope if before is None else before + slope
    return slopes


def activated(function: Any, x: Recorded, *arguments: Any, **options: Any) -> Recorded:
    """One of convkit's activations, with its defaults."""
    name = name_of(function)
    if name in ("log_softmax", "softmax") and {*arguments, *options.values()} <= {-1, x.ndim - 1}:
        arguments, options = (), {}  # the axis that it takes
    if arguments or options or name not in _FUNCTIONS:
        raise _unknown(f"{name} with arguments")
    known, value = _FUNCTIONS[name], np.ascontiguousarray(x.value, np.float32)
    y = known.forward(value)
    saved, shape = value if known.reads_input else y, x.value.shape  # a number has got an axis

    def pull(g: Array) -> Array:
        return known.backward(np.ascontiguousarray(g, np.float32), saved).reshape(shape)

    return Recorded(y.reshape(shape), [(x, pull)])


def derived(
    function: Any, name: str, y_true: Any, y_pred: Any, later: bool = False
) -> tuple[Any, Any]:
    """What a function of (y_true, y_pred) gives, and the gradient of its sum by y_pred.

    Args:
        function: the loss.
        name: what errors call it.
        y_true, y_pred: what it is called with.
        later: give a function in the gradient's place, of the shares of the values in the sum.

    Raises:
        TypeError: something in it has no derivative here, or it does not depend on y_pred.
    """
    x = Recorded(y_pred)
    try:
        with loss_of_a_script():
            result = function(as_tensor(y_true), x)
    except TypeError:
        result = function(as_tensor(y_true), as_tensor(y_pred))
        if not _is_pair(result):
            raise
    if _is_pair(result):  # with its own gradient, as convkit wants it
        return tuple(function(as_tensor(y_true), as_tensor(y_pred)))
    if not isinstance(result, Recorded):
        raise TypeError(f"the loss {name!r} does not depend on the predictions, y_pred")
    return result.value, partial(gradient, result, x) if later else gradient(result, x)


def loss_of(loss: Any, y_true: Any, y_pred: Recorded) -> Recorded:
    """The losses of rows that a loss of convkit's gives, with its own gradient."""
    if y_pred.ndim == 1:  # a row
        made = loss_of(loss, np.asarray(y_true)[np.newaxis], y_pred[np.newaxis])
        return made[0] if made.ndim else made
    value = np.ascontiguousarray(y_pred.value, np.float32)
    targets = loss.prepare(np.asarray(y_true), value.shape[1:])
    rows, slopes = loss._evaluate(targets, value)
    wide = (1,) * (value.ndim - np.ndim(rows))
    return Recorded(rows, [(y_pred, lambda g: slopes * g.reshape(g.shape + wide))])


def _is(value: Any) -> bool:
    return isinstance(value, Recorded)


def _unknown(name: str) -> TypeError:
    return TypeError(
        f"convkit.compat has no derivative of {name}; a loss may return (losses, gradient), and "
        f"convkit.losses has many"
    )


def _by_element(slope: Any, values: Any, made: Array) -> Pull:
    return lambda g: g * slope(*values, made)


def _as_shaped(pull: Pull, source: Recorded) -> Pull:
    """The gradient of an argument that was broadcast: summed over what it was repeated along."""
    shape = source.value.shape

    def pulled(g: Array) -> Array:
        wide = pull(g)
        wide = wide.sum(axis=tuple(range(wide.ndim - len(shape))))
        kept = tuple(i for i, size in enumerate(shape) if size == 1 != wide.shape[i])
        return np.asarray(wide.sum(axis=kept, keepdims=True) if kept else wide)

    return pulled


def _moved(x: Recorded, function: Any) -> Any:
    value = x.value
    made = function(value)
    if isinstance(made, np.ndarray) and made.size == value.size and np.shares_memory(made, value):
        places = None if made.flags.c_contiguous else function(_numbered(value))
    else:
        places = function(_numbered(value))

    def pull(g: Array) -> Array:
        if places is None:
            return g.reshape(value.shape)
        weights = np.ravel(g).astype(np.float64)
        slopes = np.bincount(np.ravel(places), weights, value.size)
        return slopes.reshape(value.shape).astype(value.dtype)

    return Recorded(made, [(x, pull)])


def _numbered(value: Array) -> Array:
    return np.arange(value.size).reshape(value.shape)


def _widened(g: Array, shape: tuple[int, ...], axis: Any, keepdims: Any) -> Array:
    """The gradient of what was made along axes, over those axes."""
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, shape)


def _sum(x: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    made = np.sum(x.value, axis=axis, keepdims=keepdims)
    return Recorded(made, [(x, lambda g: _widened(g, x.value.shape, axis, keepdims))])


def _mean(x: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    made = _sum(x, axis, keepdims=keepdims)
    return made * (made.size / x.size if x.size else np.nan)  # of nothing, as NumPy and Keras


def _var(x: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _mean(np.square(x - _mean(x, axis, keepdims=True)), axis, keepdims=keepdims)


def _extreme(function: Any) -> Any:
    def rule(x: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
        hits = x.value == function(x.value, axis=axis, keepdims=True)
        share = hits / hits.sum(axis=axis, keepdims=True)  # several that are alike share it

        def pull(g: Array) -> Array:
            slopes: Array = (_widened(g, hits.shape, axis, keepdims) * share).astype(x.dtype)
            return slopes

        return Recorded(function(x.value, axis=axis, keepdims=keepdims), [(x, pull)])

    return rule


def _clip(x: Any, low: Any = None, high: Any = None) -> Any:
    if not _is(x) or _is(low) or _is(high):
        raise _unknown("clip by bounds that depend on predictions")
    within = np.clip(x.value, low, high) == x.value
    return Recorded(np.clip(x.value, low, high), [(x, _as_shaped(lambda g: g * within, x))])


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    condition = numbers(condition)
    if x is None or y is None:
        return np.where(condition)
    pulls = ((x, lambda g: np.where(condition, g, 0)), (y, lambda g: np.where(condition, 0, g)))
    made = np.where(condition, numbers(x), numbers(y))
    return Recorded(made, [(each, _as_shaped(pull, each)) for each, pull in pulls if _is(each)])


def _concatenate(arrays: Any, axis: Any = 0) -> Any:
    ends = np.cumsum([np.shape(numbers(each))[axis] for each in arrays])[:-1]
    made = np.concatenate([numbers(each) for each in arrays], axis)
    pulls = [
        (each, lambda g, i=i: np.split(g, ends, axis)[i])
        for i, each in enumerate(arrays)
        if _is(each)
    ]
    return Recorded(made, pulls)


def _stack(arrays: Any, axis: Any = 0) -> Any:
    return _concatenate([np.expand_dims(each, axis) for each in arrays], axis)


def _split(x: Any, places: Any, axis: Any = 0) -> Any:
    number = len(np.split(x.value, places, axis))
    return [_moved(x, lambda a, i=i: np.split(a, places, axis)[i]) for i in range(number)]


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: Any = False) -> Any:
    if ord == 1 and (x.ndim == 1 or isinstance(axis, int)):
        return _sum(np.abs(x), axis, keepdims=keepdims)
    if ord not in (None, 2):
        raise _unknown(f"norm({ord})")
    return np.sqrt(_sum(np.square(x), axis, keepdims=keepdims))


def _prod(x: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    made, shape = np.prod(x.value, axis=axis, keepdims=keepdims), x.value.shape

    def pull(g: Array) -> Array:
        around, by = x.value != 0, _widened(g, shape, axis, keepdims)
        others = np.where(around, x.value, 1)
        whole = np.prod(others, axis=axis, keepdims=True)
        zeros = np.sum(~around, axis=axis, keepdims=True) - ~around  # among the other factors
        slopes: Array = by * np.where(zeros == 0, whole / others, 0)
        return slopes.astype(x.dtype)

    return Recorded(made, [(x, pull)])


def _cumsum(x: Any, axis: Any = None) -> Any:
    x = x if axis is not None else np.ravel(x)
    axis = axis or 0
    pulls = [(x, lambda g: np.flip(np.cumsum(np.flip(g, axis), axis), axis))]
    return Recorded(np.cumsum(x.value, axis), pulls)


def _pad(x: Any, widths: Any, mode: Any = "constant", **options: Any) -> Any:
    if mode != "constant":
        return _moved(x, lambda array: np.pad(array, widths, mode, **options))
    pairs = np.broadcast_to(widths, (x.ndim, 2))
    inner = tuple(slice(a, a + n) for (a, _), n in zip(pairs, x.value.shape, strict=True))
    return Recorded(np.pad(x.value, widths, mode, **options), [(x, lambda g: g[inner])])


_RULES: dict[Any, Any] = {
    np.clip: _clip,
    np.concatenate: _concatenate,
    np.cumsum: _cumsum,
    np.linalg.norm: _norm,
    np.max: _extreme(np.max),
    np.mean: _mean,
    np.min: _extreme(np.min),
    np.pad: _pad,
    np.prod: _prod,
    np.split: _split,
    np.stack: _stack,
    np.std: lambda *given, **options: np.sqrt(_var(*given, **options)),
    np.sum: _sum,
    np.var: _var,
    np.where: _where,
}
