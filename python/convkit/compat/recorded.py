"""Recorded: numbers that remember of what they were computed, for the gradient of a script's loss.

A loss of Keras is a function of tensors that Keras differentiates. Here it is called on a
`Recorded` in the place of the predictions. Each of NumPy's functions that is applied to one notes
how a gradient of its result becomes one of its arguments, and `gradient` goes through the notes
from the last to the first (reverse-mode differentiation). What it has no rule for is an error, and
so is whatever would take the bare numbers: no part of a gradient is ever lost unseen.
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
from .tensor import TensorShape, as_tensor

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

    shape = property(lambda self: TensorShape(self.value.shape))
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)

    def __len__(self) -> int:
        return len(self.value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            "the gradient of the loss is not known here: a loss takes its predictions through "
            "operators and functions of keras.backend, keras.ops, tf and tf.math"
        )

    def __bool__(self) -> bool:
        return bool(self.value)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__":
            return NotImplemented
        values = [_value(each) for each in inputs]
        options.pop("out", None)  # of `y_pred /= 2`: the name then stands for the result
        if options:
            raise _unknown(f"{ufunc.__name__} with {', '.join(options)}")
        made = ufunc(*values, **options)
        if ufunc is np.matmul:
            slopes: Any = _MATMUL
        elif ufunc in _STEPS or made.dtype.kind != "f":
            return as_tensor(made)
        elif ufunc not in _SLOPES:
            raise _unknown(ufunc.__name__)
        else:
            slopes = [_by_element(slope, values, made) for slope in _SLOPES[ufunc]]
        pulls = [(each, pull) for each, pull in zip(inputs, slopes, strict=True) if _is(each)]
        if ufunc is np.matmul:
            pulls = [(each, lambda g, pull=pull: pull(g, *values)) for each, pull in pulls]
        return Recorded(made, [(each, _as_shaped(pull, each)) for each, pull in pulls])

    def __array_function__(self, function: Any, types: Any, given: Any, options: Any) -> Any:
        if function in _RULES:
            return _RULES[function](*given, **options)
        if function in _PLACES:
            x, *others = given
            return _moved(x, lambda array: function(array, *others, **options))
        if function in _CONSTANTS:
            return function(*map(_value, given), **{k: _value(v) for k, v in options.items()})
        raise _unknown(function.__name__)

    def __getitem__(self, key: Any) -> Any:
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


def gradient(result: Recorded, of: Recorded, shares: Any = 1.0) -> Array:
    """The derivatives of the sum of a result times shares, in the shape of what it was made of."""
    found: dict[int, Recorded] = {}
    waiting = [result]
    while waiting:
        each = waiting.pop()
        if each.serial not in found:
            found[each.serial] = each
            waiting += [source for source, _ in each.sources]
    first = np.broadcast_to(shares, result.value.shape).astype(result.value.dtype)
    slopes: dict[int, Array] = {result.serial: first}
    for serial in sorted(found, reverse=True):  # what was computed of it, first
        for source, pull in found[serial].sources:
            slope = pull(slopes[serial])
            before = slopes.get(source.serial)
            slopes[source.serial] = slope if before is None else before + slope
    return slopes.get(of.serial, np.zeros_like(of.value))


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


def _value(value: Any) -> Any:
    return value.value if isinstance(value, Recorded) else value


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


# The derivative by each argument, from the arguments and the result.
_SLOPES: dict[Any, tuple[Any, ...]] = {
    np.add: (lambda a, b, y: 1.0, lambda a, b, y: 1.0),
    np.subtract: (lambda a, b, y: 1.0, lambda a, b, y: -1.0),
    np.multiply: (lambda a, b, y: b, lambda a, b, y: a),
    np.true_divide: (lambda a, b, y: 1.0 / b, lambda a, b, y: -y / b),
    np.power: (
        lambda a, b, y: b * np.power(a, np.subtract(b, 1)),
        lambda a, b, y: y * np.log(np.where(np.greater(a, 0), a, 1)),
    ),
    np.maximum: (lambda a, b, y: np.greater_equal(a, b), lambda a, b, y: np.greater(b, a)),
    np.minimum: (lambda a, b, y: np.less_equal(a, b), lambda a, b, y: np.less(b, a)),
    np.negative: (lambda a, y: -1.0,),
    np.square: (lambda a, y: 2.0 * a,),
    np.sqrt: (lambda a, y: 0.5 / y,),
    np.exp: (lambda a, y: y,),
    np.expm1: (lambda a, y: y + 1.0,),
    np.log: (lambda a, y: 1.0 / a,),
    np.log1p: (lambda a, y: 1.0 / (1.0 + a),),
    np.absolute: (lambda a, y: np.sign(a),),
    np.tanh: (lambda a, y: 1.0 - y * y,),
    np.sin: (lambda a, y: np.cos(a),),
    np.cos: (lambda a, y: -np.sin(a),),
}
_MATMUL = (
    lambda g, a, b: g @ np.swapaxes(b, -1, -2),
    lambda g, a, b: np.swapaxes(a, -1, -2) @ g,
)
# What is the same around almost every place.
_STEPS = {np.sign, np.floor, np.ceil, np.rint, np.floor_divide, np.trunc}
_CONSTANTS = {
    *(np.argmax, np.argmin, np.argsort, np.ndim, np.ones_like, np.round, np.shape, np.size),
    *(np.zeros_like, np.argwhere, np.all, np.any, np.result_type),
}
# What puts elements into other places, and repeats them or leaves some out.
_PLACES = {
    *(np.broadcast_to, np.expand_dims, np.flip, np.moveaxis, np.ravel, np.repeat, np.reshape),
    *(np.squeeze, np.swapaxes, np.take, np.tile, np.transpose),
}


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
    condition = _value(condition)
    if x is None or y is None:
        return np.where(condition)
    pulls = ((x, lambda g: np.where(condition, g, 0)), (y, lambda g: np.where(condition, 0, g)))
    made = np.where(condition, _value(x), _value(y))
    return Recorded(made, [(each, _as_shaped(pull, each)) for each, pull in pulls if _is(each)])


def _concatenate(arrays: Any, axis: Any = 0) -> Any:
    ends = np.cumsum([np.shape(_value(each))[axis] for each in arrays])[:-1]
    made = np.concatenate([_value(each) for each in arrays], axis)
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
    if ord not in (None, 2):
        raise _unknown(f"norm({ord})")
    return np.sqrt(_sum(np.square(x), axis, keepdims=keepdims))


_RULES: dict[Any, Any] = {
    np.clip: _clip,
    np.concatenate: _concatenate,
    np.linalg.norm: _norm,
    np.max: _extreme(np.max),
    np.mean: _mean,
    np.min: _extreme(np.min),
    np.split: _split,
    np.stack: _stack,
    np.std: lambda *given, **options: np.sqrt(_var(*given, **options)),
    np.sum: _sum,
    np.var: _var,
    np.where: _where,
}
