"""What stands behind the products of Conv2D and Dense: the bias and ReLU."""

from __future__ import annotations

from .. import ops
from ..parameters import Array, Parameter


def backward_epilogue(bias: Parameter | None, dy: Array, y: Array, activation: str | None) -> None:
    """Take dy back through ReLU, in place, and write the bias's gradient.

    Args:
        bias: None, or frozen, if its gradient is not wanted.
        dy: the gradient behind the epilogue, (..., C); becomes the one before it.
        y: what the epilogue wrote, read only where there is an activation.
        activation: None or "relu".
    """
    db = None if bias is None or bias.frozen else bias.gradient
    if activation is None:
        if db is not None:
            ops.bias_backward(dy, out=db)
    elif db is None:
        ops.relu_backward(dy, y, out=dy)
    else:
        ops.bias_relu_backward(dy, y, out=dy, db=db)
