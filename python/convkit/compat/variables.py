"""`tf.Variable`: numbers that can be assigned, and trained by an optimizer's `apply_gradients`."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np

from ..core.parameters import Parameter
from .tensor import Watched, as_tensor

__all__ = ["Variable", "VariableAggregation", "VariableSynchronization"]

_numbers = count()


class Variable(Watched):
    """A tensor that keeps its place: `assign` gives it other numbers.

    Args:
        initial_value: numbers, or a function that gives them.
        trainable: whether a `GradientTape` watches it.
        name: of its weight in an optimizer.
        dtype: of the numbers.
    """

    trainable: bool
    name: str

    def __new__(
        cls,
        initial_value: Any = None,
        trainable: Any = True,
        validate_shape: Any = True,
        caching_device: Any = None,
        name: Any = None,
        variable_def: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> Variable:
        """The variable."""
        if callable(initial_value):
            initial_value = initial_value()
        made = np.array(as_tensor(initial_value, dtype)).view(cls)
        made.__class__ = cls
        made.trainable = trainable is None or bool(trainable)
        made.name = f"Variable_{next(_numbers)}" if name is None else str(name)
        return made

    def assign(self, value: Any, *ignored: Any, **options: Any) -> Variable:
        """Take other numbers, of the same shape."""
        self.view(np.ndarray)[...] = np.asarray(value)
        return self

    def assign_add(self, delta: Any, *ignored: Any, **options: Any) -> Variable:
        """Add to the numbers."""
        return self.assign(self.view(np.ndarray) + np.asarray(delta))

    def assign_sub(self, delta: Any, *ignored: Any, **options: Any) -> Variable:
        """Subtract from the numbers."""
        return self.assign(self.view(np.ndarray) - np.asarray(delta))

    def value(self) -> Any:
        """The numbers as a tensor."""
        return as_tensor(np.array(self))

    read_value = initialized_value = value

    @property
    def weight(self) -> Parameter:
        """What an optimizer changes in its place."""
        known = self.__dict__.get("_weight")
        if known is None:
            known = self.__dict__["_weight"] = Parameter(self.name, np.array(self, np.float32))
        known.write(self.view(np.ndarray))
        return known


class VariableAggregation:
    """How copies of a variable become one: there are no copies here."""

    NONE, SUM, MEAN, ONLY_FIRST_REPLICA = range(4)


class VariableSynchronization:
    """When copies of a variable become one: there are no copies here."""

    AUTO, NONE, ON_WRITE, ON_READ = range(4)
