"""The activation that a convolution, a dense layer or a normalisation carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from . import activation as functions
from ._arguments import Array, deliver

# A name, or a name and the arguments that its own function takes.
Fused = str | tuple[str, Mapping[str, Any]]
_READ_INPUT = ("gelu", "leaky_relu", "silu", "hard_silu", "mish")
_SPECIAL: dict[str, tuple[str, dict[str, Any]]] = {
    "relu6": ("relu", {"max_value": 6.0}),
    "bounded_relu": ("relu", {}),
    "gelu_tanh": ("gelu", {"approximate": True}),
}


def _parts(activation: Fused) -> tuple[str, dict[str, Any]]:
    name, given = (activation, {}) if isinstance(activation, str) else activation
    name, options = _SPECIAL.get(name, (name, {}))
    if name.endswith("softmax") or not hasattr(functions, f"{name}_forward"):
        raise ValueError(f"activation must be None or of single elements, received {activation!r}")
    return name, {**options, **given}


def apply_activation(y: Array, activation: Fused | None) -> Array:
    """activation(y)."""
    if activation is None:
        return y
    name, options = _parts(activation)
    return np.asarray(getattr(functions, f"{name}_forward")(y, **options))


def deliver_both(y: Array, activation: Fused | None, out: Array | None, z: Array | None) -> Array:
    """activation(y), written where asked for; y itself into z, but where the activation is ReLU."""
    if z is not None and activation not in (None, "relu"):
        deliver(y, z, "z")
    return deliver(apply_activation(y, activation), out)


def saved_gradient(dy: Array, saved: Array, activation: Fused | None) -> Array:
    """dy times the derivative, from what the activation was applied to or what it gave.

    It is the former where no formula starts from the latter; leaky ReLU keeps the sign.
    """
    if activation is None:
        return dy
    name, options = _parts(activation)
    return np.asarray(getattr(functions, f"{name}_backward")(dy, saved, **options))


def activation_gradient(dy: Array, x: Array, activation: Fused | None) -> Array:
    """dy * activation'(x)."""
    if activation is None:
        return dy
    name, _ = _parts(activation)
    return saved_gradient(
        dy, x if name in _READ_INPUT else apply_activation(x, activation), activation
    )
