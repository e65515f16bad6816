"""The learning rate as a script reads it: a number that can also be assigned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..core.config import as_number

if TYPE_CHECKING:
    from typing_extensions import Self


class HasRate(Protocol):
    """An optimizer, of which this much is asked."""

    @property
    def learning_rate(self) -> float:
        """That of the next step."""


class LearningRate(float):
    """The learning rate that an optimizer had when it was asked for it, and the way to set it.

    It is a float like others; `numpy` and `assign` are those of Keras's variable.

    Args:
        value: the number.
        owner: the optimizer.
    """

    __slots__ = ("_owner",)

    _owner: HasRate

    def __new__(cls, value: float, owner: HasRate) -> Self:
        """The number, with its optimizer."""
        number = as_number(value)
        if number is None:
            raise TypeError(f"LearningRate: value must be a number, received {value!r}")
        made = super().__new__(cls, number)
        made._owner = owner
        return made

    def assign(self, value: Any) -> None:
        """Set the optimizer's learning rate, as `optimizer.learning_rate = value` does.

        Raises:
            ValueError: a negative or infinite number.
            TypeError: a schedule decides the learning rate.
        """
        self._owner.learning_rate = value  # type: ignore[misc]

    def numpy(self) -> np.float32:
        """The learning rate that the optimizer has now, as Keras gives it: in float32."""
        now: np.float32 = np.float32(self._owner.learning_rate)
        return now

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        """A copy is the number alone."""
        return float, (float(self),)
