"""The activation that an operation applies to what it writes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from convkit import _core
from convkit.ops._gate import Floats, output, real

# A name, or a name and the arguments that its own op takes besides the arrays.
Fused = str | tuple[str, Mapping[str, float | None]]
Epilogue = tuple[_core.Activation, float, float, float]  # kind, slope, threshold, max_value

_KINDS = {kind.name: (kind, 0.0, 0.0, math.inf) for kind in _core.Activation}
_BY_NAME: dict[str, Epilogue] = {
    **_KINDS,
    "leaky_relu": (_core.Activation.leaky_relu, 0.2, 0.0, math.inf),
    "elu": (_core.Activation.elu, 1.0, 0.0, math.inf),
    "relu6": (_core.Activation.bounded_relu, 0.0, 0.0, 6.0),
}
_PLACES = {"negative_slope": 0, "alpha": 0, "threshold": 1, "max_value": 2}


def epilogue(activation: Fused | None) -> Epilogue | None:
    """What the native functions take for an activation; ValueError for one they do not have."""
    if activation is None:
        return None
    name, given = _parts(activation)
    numbers = list(_BY_NAME[name][1:])
    for argument, number in given.items():
        if not isinstance(argument, str) or argument not in _PLACES:
            raise ValueError(f"{name} has no argument {argument!r} here")
        numbers[_PLACES[argument]] = math.inf if number is None else real(argument, number)
    return (_BY_NAME[name][0], numbers[0], numbers[1], numbers[2])


def _parts(activation: Fused) -> tuple[str, Mapping[str, float | None]]:
    name: Any = activation
    given: Any = {}
    if isinstance(activation, tuple) and len(activation) == 2:
        name, given = activation
    if not isinstance(name, str) or name not in _BY_NAME or not isinstance(given, Mapping):
        raise ValueError(
            f"activation must be None or one of {', '.join(map(repr, _BY_NAME))}, or a tuple of "
            f"one and a dictionary of its arguments, but is {activation!r}"
        )
    return name, given


def reads_input(activation: Fused | None) -> bool:
    """Whether the derivative is computed from what the activation is applied to, not the result.

    Leaky ReLU's slope is not negative, so that its results have the signs of its inputs.
    """
    name = activation if isinstance(activation, str) or activation is None else activation[0]
    return name in ("gelu", "gelu_tanh", "silu", "hard_silu", "mish")


def epilogue_backward(
    activation: Fused, dy: Floats, source: Floats, *, out: Floats | None = None
) -> Floats:
    """dy times the activation's derivative, from its result, or from what `reads_input` says."""
    behind = epilogue(activation)
    assert behind is not None
    out = output("out", out, dy.shape)
    _core.activation_backward(behind[0], dy, source, *behind[1:], out)
    return out


def is_apart(activation: Epilogue | None) -> bool:
    """Whether it is any but ReLU, so that its derivative takes more than a mask."""
    return activation is not None and activation[0] is not _core.Activation.relu
