"""Windows of extreme sizes, whose products overflow where nobody checks them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from convkit import ops

_LARGEST = 2**31 - 1  # of strides, dilation and padding


def _axis(rng: random.Random, size: int, kernel: int) -> tuple[tuple[int, int], int, int]:
    """Padding, dilation and stride of an axis whose padded size is extreme and whose output is not.

    Powers of two are what a product of sizes overflows with unseen; a kernel that is dilated over
    the whole plane, or a stride as large as it, leaves an output or a few.
    """
    padded = 2 ** rng.choice((rng.randrange(1, 33), 31, 32, 32, 32)) - rng.choice((0, 0, 0, 1))
    padding = max(padded - size, 0)
    before = padding // 2 if padding > _LARGEST else rng.choice((0, padding // 2, padding))
    dilation, stride = 1, min(rng.choice((1, kernel, padded // 2 or 1, padded)), _LARGEST)
    if kernel > 1 and rng.random() < 0.7:
        dilation = min(max((padded - 1) // (kernel - 1), 1), _LARGEST)
    return (before, padding - before), dilation, stride


def extreme(rng: random.Random, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """The same op with extreme windows, and with gradients of the shape that they ask for."""
    convolves = name.startswith("conv2d")
    x = (rng.choice((1, 2)), 2, rng.choice((1, 2)), 1)
    kernel = (rng.choice((1, 2, 4, 4)), rng.choice((1, 2, 32)))
    size = kernel if convolves else arguments["pool_size"]
    axes = [_axis(rng, x[1 + i], size[i]) for i in (0, 1)]
    options: dict[str, Any] = {"padding": tuple(axis[0] for axis in axes)}
    options["strides"] = tuple(axis[2] for axis in axes)
    shapes = {"x": x}
    if convolves:
        options.update(dilation=tuple(axis[1] for axis in axes), groups=1)
        shapes["w"] = (*kernel, 1, rng.choice((1, 3)))
        y = ops.conv2d_output_shape(x, shapes["w"], **options)
        shapes.update(dict.fromkeys(("b", "gamma", "beta", "mean", "rstd", "db"), y[3:]))
        shapes.update(dict.fromkeys(("moving_mean", "moving_variance"), y[3:]))
        shapes.update(dx=x, dw=shapes["w"], z=y)
        if "pool" in name or arguments.get("max_pool") or arguments.get("indices") is not None:
            y = (y[0], y[1] // 2, y[2] // 2, y[3])
    else:
        y = ops.pool2d_output_shape(x, size, **options)
    shapes.update(y=y, dy=y, indices=y, residual=y, dresidual=y)
    if np.prod(y, dtype=float) > 1e6:
        return arguments
    for key, value in arguments.items():
        if isinstance(value, np.ndarray):
            arguments[key] = np.zeros(shapes[key], value.dtype)
        elif key in ("x_shape", "w_shape"):
            arguments[key] = shapes[key[0]]
    return {**arguments, **{key: options[key] for key in options if key in arguments}}
