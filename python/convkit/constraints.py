"""Constraints: what parameters must be after each step, with Keras's names, formulas and defaults.

A layer takes one for each of its parameters: `Dense(10, kernel_constraint="max_norm")`. In
training, once the optimizer has changed a parameter, its constraint changes it again, in place and
by native calls, which a plan replays with the rest of the step. A frozen parameter is left alone.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from . import ops
from .core import lazy
from .core.changes import Capturable
from .core.config import (
    Configurable,
    as_number,
    not_negative,
    serialize,  # Keras has it here
    unknown,
)
from .core.parameters import Array
from .ops._calls import refuse
from .ops._gate import as_floats

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]


if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__)


class Constraint(Capturable, Configurable):
    """Base class: `__call__(w)` returns what an array is to become. One of one's own defines it."""

    def __call__(self, w: ArrayLike) -> Array:
        """The array as it is to be, float32, of the same shape."""
        raise NotImplementedError

    def apply(self, w: Array) -> None:
        """Make a parameter's array, in place, what it is to be."""
        refuse()  # for the call may be anything, and a plan could not replay it
        w[...] = self(w)

    def check(self, shape: tuple[int, ...]) -> None:
        """ValueError if parameters of that shape cannot have this constraint."""


class _Native(Constraint):
    """A constraint that native calls apply in place."""

    def __call__(self, w: ArrayLike) -> Array:
        """The array as it is to be, float32, of the same shape."""
        made = np.array(as_floats("w", w))
        self.apply(made)
        return made

    def apply(self, w: Array) -> None:
        """Make a parameter's array, in place, what it is to be."""
        if type(self).__call__ is not _Native.__call__:  # a class of a user's own
            super().apply(w)
        else:
            self.change(w)

    def change(self, w: Array) -> None:
        """The native call."""
        raise NotImplementedError


class NonNeg(_Native):
    """No weight is below 0: those below become 0."""

    def change(self, w: Array) -> None:
        """max(w, 0)."""
        ops.relu_forward(w, out=w)


class _Norm(_Native):
    """What the constraints on norms share: the axes that a norm is summed over."""

    axis: int | tuple[int, ...]

    def _check_axis(self, axis: int | Sequence[int]) -> int | tuple[int, ...]:
        try:
            if hasattr(axis, "__iter__") and not isinstance(axis, str | bytes):
                axes = tuple(operator.index(each) for each in axis)
                if axes:
                    return axes
            else:
                return operator.index(axis)  # type: ignore[arg-type]
        except TypeError:
            pass
        raise ValueError(
            f"{type(self).__name__}: axis must be an integer or several, such as [0, 1, 2] for the "
            f"kernel of a convolution, received {axis!r}"
        )

    def check(self, shape: tuple[int, ...]) -> None:
        """ValueError unless every axis is one of that shape, and named once."""
        axes = (self.axis,) if isinstance(self.axis, int) else self.axis
        turned = {axis + len(shape) if axis < 0 else axis for axis in axes}
        if len(turned) < len(axes) or not turned <= set(range(len(shape))):
            raise ValueError(
                f"{type(self).__name__}: axis must name axes of the shape {shape}, each once, "
                f"received {self.axis!r}"
            )

    def _bound(self, w: Array, low: float, high: float, rate: float = 1.0) -> None:
        ops.constrain_norms(w, self.axis, min_norm=low, max_norm=high, rate=rate)


class MaxNorm(_Norm):
    """No norm is above a bound: weights whose norm is larger are scaled down to it.

    (N. Srebro, J. Rennie and T. Jaakkola, "Maximum-margin matrix factorization", 2005.)

    Args:
        max_value: the largest norm.
        axis: the axes that a norm is summed over: 0 for the inputs of a dense layer's unit,
            [0, 1, 2] for those of a convolution's filter.
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        self.max_value = not_negative(max_value, "max_value", self)
        self.axis = self._check_axis(axis)

    def change(self, w: Array) -> None:
        """w times the bound over the norm, where that is larger."""
        self._bound(w, 0.0, self.max_value)


class UnitNorm(_Norm):
    """Every norm is 1.

    Args:
        axis: the axes that a norm is summed over, as of `MaxNorm`.
    """

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = self._check_axis(axis)

    def change(self, w: Array) -> None:
        """w over its norm."""
        self._bound(w, 1.0, 1.0)


class MinMaxNorm(_Norm):
    """Every norm goes towards bounds, from below and from above.

    Args:
        min_value, max_value: the bounds.
        rate: how much of the way to the bound a norm outside goes at a step, in 0 .. 1.
        axis: the axes that a norm is summed over, as of `MaxNorm`.
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        self.min_value = not_negative(min_value, "min_value", self)
        self.max_value = not_negative(max_value, "max_value", self)
        if self.min_value > self.max_value:
            raise ValueError(
                f"MinMaxNorm: min_value must be at most max_value, received {min_value!r} and "
                f"{max_value!r}"
            )
        share = as_number(rate)
        if share is None or not 0.0 <= share <= 1.0:
            raise ValueError(f"MinMaxNorm: rate must lie in 0 .. 1, received {rate!r}")
        self.rate = share
        self.axis = self._check_axis(axis)

    def change(self, w: Array) -> None:
        """w scaled so that its norm is nearer to the bounds, or within."""
        self._bound(w, self.min_value, self.max_value, self.rate)


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

_BY_NAME: dict[str, Callable[..., Constraint]] = {
    "max_norm": MaxNorm,
    "min_max_norm": MinMaxNorm,
    "non_neg": NonNeg,
    "unit_norm": UnitNorm,
    "MaxNorm": MaxNorm,
    "MinMaxNorm": MinMaxNorm,
    "NonNeg": NonNeg,
    "UnitNorm": UnitNorm,
}


def get(identifier: str | Constraint | dict[str, Any] | None) -> Constraint | None:
    """The constraint of that name, or the object itself; None stays None.

    Also takes what `serialize` returns. Raises ValueError for anything else, naming the known ones.
    """
    if identifier is None or isinstance(identifier, Constraint):
        return identifier
    if isinstance(identifier, dict) and identifier.get("class_name") in _BY_NAME:
        return _BY_NAME[identifier["class_name"]](**identifier.get("config", {}))
    if isinstance(identifier, str) and identifier in _BY_NAME:
        return _BY_NAME[identifier]()
    raise unknown("constraint", identifier, _BY_NAME)
