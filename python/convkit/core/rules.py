"""What a parameter may have besides its value: a penalty on its size, and a constraint."""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray


class ParameterRegularizer(Protocol):
    """The penalty of an array w: `l1 * sum |w| + l2 * sum w**2`."""

    l1: float
    l2: float


class ParameterConstraint(Protocol):
    """What an array must be after a step."""

    generation: int

    def apply(self, w: NDArray[Any]) -> None:
        """Make the array, in place, what it is to be."""

    def check(self, shape: tuple[int, ...]) -> None:
        """ValueError if parameters of that shape cannot have this constraint."""
