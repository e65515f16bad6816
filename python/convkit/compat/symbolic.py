"""Operators and NumPy's functions of the tensors of a model that is being built."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..layers.graph import Tensor as Symbolic
from .function_layers import on_symbolic

# Operators, with NumPy's functions for them.
_BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "pow": np.power,
    "matmul": np.matmul,
    "mod": np.mod,
}
_COMPARISONS = {
    "__gt__": np.greater,
    "__ge__": np.greater_equal,
    "__lt__": np.less,
    "__le__": np.less_equal,
}


def _operate(name: str, ufunc: Any, reflected: bool) -> Callable[[Any, Any], Any]:
    own = getattr(Symbolic, name, None)

    def operate(self: Any, other: Any) -> Any:
        other = (
            other.item()
            if isinstance(other, np.ndarray | np.generic) and other.size == 1
            else other
        )
        if own is not None:
            try:
                return own(self, other)
            except TypeError:  # no layer does it
                pass
        return on_symbolic(ufunc, *((other, self) if reflected else (self, other)))

    return operate


def _methods() -> dict[str, Any]:
    found: dict[str, Any] = {}
    by_ufunc: dict[Any, Any] = {}
    for name, ufunc in _BINARY.items():
        found[f"__{name}__"] = _operate(f"__{name}__", ufunc, False)
        found[f"__r{name}__"] = _operate(f"__r{name}__", ufunc, True)
        by_ufunc[ufunc] = found[f"__{name}__"], found[f"__r{name}__"]
    for name, ufunc in _COMPARISONS.items():
        found[name] = _operate(name, ufunc, False)

    def apply(self: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__":
            return NotImplemented
        if ufunc in by_ufunc and not options:
            first, second = inputs
            forward, backward = by_ufunc[ufunc]
            return (
                forward(first, second) if isinstance(first, Symbolic) else backward(second, first)
            )
        return on_symbolic(ufunc, *inputs, **options)

    def call(self: Any, function: Any, types: Any, given: Any, options: Any) -> Any:
        return on_symbolic(function, *given, **options)

    found["__array_ufunc__"], found["__array_function__"] = apply, call
    found["__getitem__"] = lambda self, key: on_symbolic(operator.getitem, self, key)
    found["__abs__"] = lambda self: on_symbolic(np.abs, self)
    return found


_METHODS = _methods()
_ABSENT = object()


@contextmanager
def operating() -> Iterator[None]:
    """Within, what no layer does is a function as a layer; outside, it is an error."""
    before = {name: vars(Symbolic).get(name, _ABSENT) for name in _METHODS}
    for name, method in _METHODS.items():
        setattr(Symbolic, name, method)
    try:
        yield
    finally:
        for name, method in before.items():
            if method is _ABSENT:
                delattr(Symbolic, name)
            else:
                setattr(Symbolic, name, method)
