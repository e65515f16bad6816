"""Regularizers: penalties on the size of parameters, with Keras's names, formulas and defaults.

A layer takes one for each of its parameters: `Dense(10, kernel_regularizer="l2")`. In training the
penalty is added to the loss, and its gradient to the parameter's, by one call of an op before the
optimizer's step. As in Keras, `fit` and `evaluate` report the loss with the penalties in it, and a
frozen parameter has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from numpy.typing import ArrayLike

from . import ops
from .core import lazy
from .core.config import (
    Configurable,
    not_negative,
    serialize,  # Keras has it here
    unknown,
)

if TYPE_CHECKING:
    from .core.parameters import Parameter

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "Regularizer",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "serialize",
]


if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__)


class Regularizer(Configurable):
    """Base class: the penalty of an array w is `l1 * sum |w| + l2 * sum w**2`.

    Attributes:
        l1: the factor of the absolute values.
        l2: the factor of the squares.
    """

    l1 = 0.0
    l2 = 0.0

    def __call__(self, x: ArrayLike) -> float:
        """The penalty of an array of any shape."""
        return ops.regularize(x, l1=self.l1, l2=self.l2)


class L1(Regularizer):
    """`l1 * sum |w|`.

    Args:
        l1: the factor, a finite number of at least 0.
    """

    _unsettable: ClassVar[Mapping[str, str]] = {"l2": "use L1L2"}

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = not_negative(l1, "l1", self)


class L2(Regularizer):
    """`l2 * sum w**2`. (Adam's `weight_decay` is something else: see AdamW's paper.)

    Args:
        l2: the factor, a finite number of at least 0.
    """

    _unsettable: ClassVar[Mapping[str, str]] = {"l1": "use L1L2"}

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = not_negative(l2, "l2", self)


class L1L2(Regularizer):
    """`l1 * sum |w| + l2 * sum w**2`.

    Args:
        l1, l2: the factors, finite numbers of at least 0.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = not_negative(l1, "l1", self), not_negative(l2, "l2", self)


l1, l2, l1_l2 = L1, L2, L1L2

_BY_NAME: dict[str, Callable[..., Regularizer]] = {
    "l1": L1,
    "l2": L2,
    "l1_l2": L1L2,
    "L1": L1,
    "L2": L2,
    "L1L2": L1L2,
}


def get(identifier: str | Regularizer | dict[str, Any] | None) -> Regularizer | None:
    """The regularizer of that name, or the object itself; None stays None.

    Also takes what `serialize` returns. Raises ValueError for anything else, naming the known ones.
    """
    if identifier is None or isinstance(identifier, Regularizer):
        return identifier
    if isinstance(identifier, dict) and identifier.get("class_name") in _BY_NAME:
        return _BY_NAME[identifier["class_name"]](**identifier.get("config", {}))
    if isinstance(identifier, str) and identifier in _BY_NAME:
        return _BY_NAME[identifier]()
    raise unknown("regularizer", identifier, _BY_NAME)


class _HasWeights(Protocol):
    """A layer, of which the weights are asked."""

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The parameters that training changes."""


def regularized(layers: Sequence[_HasWeights]) -> list[Parameter]:
    """The parameters that have a penalty: those with a regularizer, unless they are frozen."""
    weights = (parameter for layer in layers for parameter in layer.trainable_weights)
    return [parameter for parameter in weights if parameter.regularizer is not None]


def penalty(parameters: Sequence[Parameter], *, add_gradients: bool = False) -> float:
    """The sum of the penalties; their gradients are added to the parameters' if asked for."""
    total = 0.0
    for parameter in parameters:
        if (of := parameter.regularizer) is not None:
            gradient = parameter.gradient if add_gradients else None
            total += ops.regularize(parameter.array, gradient, l1=of.l1, l2=of.l2)
    return total
