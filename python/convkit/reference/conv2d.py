"""Two-dimensional convolution (cross-correlation) with stride, dilation, padding and groups.

    y[n, i, j, o] = b[o] + sum over kh, kw, c of
        xp[n, i * sh + kh * dh, j * sw + kw * dw, g * (C // groups) + c] * w[kh, kw, c, o]

where xp is x surrounded by zeros and g = o // (OC // groups) is the group of output channel o
(Dumoulin and Visin, "A guide to convolution arithmetic for deep learning", 2016). Each function
walks over the taps (kh, kw): a tap sees a strided slice of the padded input, which meets one
C x OC matrix.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import (
    Array,
    Padding,
    Pads,
    Pair,
    deliver,
    expect_shape,
    floating,
    output_plane,
    pair,
    resolve_padding,
    shape_of,
)
from ._epilogue import Fused, deliver_both, saved_gradient


@dataclass(frozen=True)
class _Geometry:
    """A convolution's shapes after all arguments are checked and normalised."""

    x_shape: tuple[int, ...]
    w_shape: tuple[int, ...]
    y_shape: tuple[int, int, int, int]
    strides: tuple[int, int]
    dilation: tuple[int, int]
    pads: Pads
    groups: int

    def taps(self) -> Iterator[tuple[int, int, tuple[slice, slice, slice]]]:
        """Yield (kh, kw, the part of the padded input that this tap meets)."""
        for kh in range(self.w_shape[0]):
            for kw in range(self.w_shape[1]):
                rows, columns = (
                    slice(k * d, k * d + (size - 1) * s + 1, s)
                    for k, d, s, size in zip(
                        (kh, kw), self.dilation, self.strides, self.y_shape[1:3], strict=True
                    )
                )
                yield kh, kw, (slice(None), rows, columns)

    def channel_groups(self) -> Iterator[tuple[slice, slice]]:
        """Yield (input channels, output channels) of each group."""
        inputs, outputs = self.w_shape[2], self.w_shape[3] // self.groups
        for g in range(self.groups):
            yield slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs)

    def pad(self, x: Array) -> Array:
        return np.pad(x, ((0, 0), *self.pads, (0, 0)))

    def crop(self, padded: Array) -> Array:
        (top, _), (left, _) = self.pads
        _, height, width, _ = self.x_shape
        return padded[:, top : top + height, left : left + width, :]


def _geometry(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    strides: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    algorithm: str = "auto",
) -> _Geometry:
    if algorithm not in ("auto", "direct"):
        raise ValueError(f"algorithm must be 'auto' or 'direct', received {algorithm!r}")
    n, h, w, c = x_shape = shape_of(x_shape, "x", 4)
    kh, kw, group_channels, oc = w_shape = shape_of(w_shape, "w", 4)
    strides, dilation = pair(strides, "strides"), pair(dilation, "dilation")
    groups = operator.index(groups)
    if groups < 1 or c % groups or oc % groups:
        raise ValueError(
            f"groups must be at least 1 and divide both the {c} input and the {oc} output "
            f"channels, received {groups}"
        )
    if group_channels * groups != c:
        raise ValueError(
            f"w must have shape (KH, KW, {c // groups}, OC) for {c} input channels in "
            f"{groups} groups, received {w_shape}"
        )
    extent = ((kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1)
    pads = resolve_padding(padding, (h, w), extent, strides)
    oh, ow = output_plane((h, w), extent, strides, pads)
    return _Geometry(x_shape, w_shape, (n, oh, ow, oc), strides, dilation, pads, groups)


def conv2d_output_shape(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    *,
    strides: Pair = (1, 1),
    padding: Padding = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> tuple[int, int, int, int]:
    """Return (N, OH, OW, OC) for x (N, H, W, C) and w (KH, KW, C // groups, OC)."""
    return _geometry(x_shape, w_shape, strides, padding, dilation, groups).y_shape


def conv2d_forward(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    strides: Pair = (1, 1),
    padding: Padding = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    activation: Fused | None = None,
    out: Array | None = None,
    z: Array | None = None,
) -> Array:
    """Convolve x (N, H, W, C) with w (KH, KW, C // groups, OC) and add b (OC,).

    `padding` is "same" (TensorFlow's rule), "valid" or ((top, bottom), (left, right)); z,
    if given, becomes what an activation other than ReLU is applied to. Returns y (N, OH, OW, OC).
    """
    x, w = floating(x, "x", ndim=4), floating(w, "w", ndim=4)
    geometry = _geometry(x.shape, w.shape, strides, padding, dilation, groups, algorithm)
    y = np.zeros(geometry.y_shape, np.result_type(x, w))
    padded = geometry.pad(x)
    for kh, kw, window in geometry.taps():
        seen = padded[window]
        for inputs, outputs in geometry.channel_groups():
            y[..., outputs] += seen[..., inputs] @ w[kh, kw, :, outputs]
    if b is not None:
        b = floating(b, "b", ndim=1)
        expect_shape(b, (geometry.y_shape[3],), "b")
        y = y + b
    return deliver_both(y, activation, out, z)


def conv2d_backward_input(
    dy: ArrayLike,
    w: ArrayLike,
    x_shape: Sequence[int],
    *,
    strides: Pair = (1, 1),
    padding: Padding = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    out: Array | None = None,
) -> Array:
    """Return dx (N, H, W, C) = `x_shape` from dy (N, OH, OW, OC) and w (KH, KW, C // groups, OC).

    Each tap spreads dy back over the pixels it had read; what falls on padding is dropped.
    """
    dy, w = floating(dy, "dy", ndim=4), floating(w, "w", ndim=4)
    geometry = _geometry(x_shape, w.shape, strides, padding, dilation, groups, algorithm)
    expect_shape(dy, geometry.y_shape, "dy")
    padded = geometry.pad(np.zeros(geometry.x_shape, np.result_type(dy, w)))
    for kh, kw, window in geometry.taps():
        touched = padded[window]
        for inputs, outputs in geometry.channel_groups():
            touched[..., inputs] += dy[..., outputs] @ w[kh, kw, :, outputs].T
    return deliver(geometry.crop(padded).copy(), out)


def conv2d_backward_weights(
    x: ArrayLike,
    dy: ArrayLike,
    w_shape: Sequence[int],
    *,
    strides: Pair = (1, 1),
    padding: Padding = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    out: Array | None = None,
) -> Array:
    """Return dw of shape `w_shape`, (KH, KW, C // groups, OC), from x (N, H, W, C) and dy.

    A tap's gradient is the C x OC matrix of products, summed over batch and output positions.
    """
    x, dy = floating(x, "x", ndim=4), floating(dy, "dy", ndim=4)
    geometry = _geometry(x.shape, w_shape, strides, padding, dilation, groups, algorithm)
    expect_shape(dy, geometry.y_shape, "dy")
    dw = np.zeros(geometry.w_shape, np.result_type(x, dy))
    padded = geometry.pad(x)
    for kh, kw, window in geometry.taps():
        seen = padded[window]
        for inputs, outputs in geometry.channel_groups():
            pixels = seen[..., inputs].reshape(-1, geometry.w_shape[2])
            gradients = dy[..., outputs].reshape(pixels.shape[0], -1)
            dw[kh, kw, :, outputs] = pixels.T @ gradients
    return deliver(dw, out)


def conv2d_backward(
    x: ArrayLike,
    w: ArrayLike,
    dy: ArrayLike,
    y: ArrayLike | None = None,
    *,
    strides: Pair = (1, 1),
    padding: Padding = "valid",
    dilation: Pair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    activation: Fused | None = None,
    add_to_dx: bool = False,
    dx: Array | None = None,
    dw: Array | None = None,
    db: Array | None = None,
) -> None:
    """Write the gradients of conv2d_forward, whose output was y, into those of dx, dw, db given."""
    x, w, dy = floating(x, "x", ndim=4), floating(w, "w", ndim=4), floating(dy, "dy", ndim=4)
    expect_shape(
        dy, _geometry(x.shape, w.shape, strides, padding, dilation, groups, algorithm).y_shape, "dy"
    )
    if activation is not None:
        if y is None:
            raise ValueError("y, what conv2d_forward wrote, is needed behind an activation")
        y = floating(y, "y", ndim=4)
        expect_shape(y, dy.shape, "y")
        dy = saved_gradient(dy, y, activation)
    options: dict[str, Any] = {
        "strides": strides,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "algorithm": algorithm,
    }
    if dx is not None:
        before = dx.copy() if add_to_dx else 0.0
        conv2d_backward_input(dy, w, x.shape, out=dx, **options)
        dx += before
    if dw is not None:
        conv2d_backward_weights(x, dy, w.shape, out=dw, **options)
    if db is not None:
        deliver(dy.sum(axis=(0, 1, 2)), db, "db")
