"""Gradients that are kept within bounds before an update.

(R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks",
2013.)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .. import ops
from ..core.config import Configurable, not_negative
from ..core.parameters import Array, ParameterStore


class Clipping:
    """What is done to gradients before an update; nothing where all bounds are None or 0.

    Args:
        clipnorm: the largest norm of each weight's gradient.
        clipvalue: the largest absolute value.
        global_clipnorm: the largest norm of all gradients together.
    """

    def __init__(
        self,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
    ) -> None:
        self._each, self._value, self._whole = clipnorm, clipvalue, global_clipnorm
        self._squares = np.empty(1, np.float64)  # of the norm that is being computed
        self._groups: list[list[Array]] = []  # the arrays that have one norm together

    def find(self, store: ParameterStore, gradients: Array) -> None:
        """Work on an array in the layout of a store's gradients."""
        runs = store.runs(lambda weight: weight if self._each else None)
        self._groups = [[gradients[run]] for _, run, _ in runs]
        if self._whole:
            self._groups = [[array for group in self._groups for array in group]]

    def __call__(self) -> None:
        """Change the gradients, by native calls that a plan may capture."""
        limit = self._each or self._whole
        for group in self._groups:
            if limit:
                for number, gradient in enumerate(group):
                    ops.sum_of_squares(gradient, self._squares, add=number > 0)
                for gradient in group:
                    ops.clip_by_norm(gradient, self._squares, max_norm=limit)
            elif self._value:
                ops.clip_by_value(group[0], limit=self._value)


def checked_limits(
    given: Mapping[str, float | None], owner: Configurable
) -> tuple[float | None, ...]:
    """The bounds as floats; ValueError for one that is none, or where there are several."""
    if sum(value is not None for value in given.values()) > 1:
        raise ValueError(
            f"{type(owner).__name__}: only one of {', '.join(given)} can be given, received "
            f"{dict(given)}"
        )
    return tuple(
        None if value is None else not_negative(value, name, owner) for name, value in given.items()
    )
