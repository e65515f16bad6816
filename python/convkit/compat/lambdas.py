"""Lambda: a function as a layer, where it is one of those that convkit has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import layers
from ..layers.graph import Tensor as Symbolic
from .tensor import as_tensor

_PROBE = np.array([[-2.0, -0.5, 0.0, 0.25, 1.0, 3.0], [7.0, -1.0, 2.0, 0.5, 11.0, 5.0]], np.float32)


def made_of(function: Any, arguments: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """The layer that a function is, or an object that applies it to arrays."""

    def applied(x: Any) -> Any:
        return function(x, **arguments)

    scaled = _scale_and_offset(applied)
    if scaled is None:
        return _Function(applied, options)
    return layers.Rescaling(*scaled, **options)


def _scale_and_offset(function: Any) -> tuple[float, float] | None:
    """The numbers a and b of a function that is a * x + b, else None."""
    if "uint8" in getattr(getattr(function, "__code__", None), "co_names", ()):
        return None
    try:
        found = [np.asarray(function(as_tensor(_PROBE.copy())), np.float64) for _ in range(2)]
    except Exception:  # whatever the user's own function raises
        return None
    if found[0].shape != _PROBE.shape or not np.array_equal(found[0], found[1]):
        return None
    offset = float(found[0][0, 2])
    scale = float(found[0][0, 4]) - offset
    expected = scale * _PROBE.astype(np.float64) + offset
    close = np.allclose(found[0], expected, rtol=1e-5, atol=1e-6 * max(1.0, abs(scale)))
    return (scale, offset) if close else None


class _Function:
    """A function that is applied to arrays; in a model it cannot be.

    Args:
        function: of a tensor.
        options: of the layer.
    """

    def __init__(self, function: Any, options: Mapping[str, Any]) -> None:
        self._function = function
        self.name = options.get("name") or "lambda"

    def __call__(self, inputs: Any, training: Any = None) -> Any:
        if not isinstance(inputs, Symbolic):
            return as_tensor(self._function(as_tensor(inputs)))
        try:
            made = self._function(inputs)  # of functions that are layers
        except (AttributeError, TypeError, ValueError) as error:
            raise ValueError(f"Lambda: {ADVICE}") from error
        if not isinstance(made, Symbolic):
            raise ValueError(f"Lambda: {ADVICE}")
        return made


ADVICE = (
    "convkit trains layers of its own, and this function is none of them: apply it to the data, or "
    "take the layer that computes it"
)
