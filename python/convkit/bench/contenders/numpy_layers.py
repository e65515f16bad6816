"""The layers of the NumPy contender: float32, NHWC, im2col and one threaded BLAS call.

This is what a convolution costs to someone who writes it well in NumPy. Every array a step needs
is allocated once, results go into `out=` buffers, and each choice below was measured against its
alternatives on the layer shapes of the three zoo models at batch 32 (NumPy 2.4 with OpenBLAS
0.3.31, two threads, medians of alternating runs). The ratios stand beside the choice; larger is
slower.

A layer is built for one input shape. `forward` and `backward` return buffers that the layer owns
and overwrites at the next call. `backward` may overwrite the `dy` it is given. Parameters and
gradients are views into the model's flat vectors, or arrays of the layer's own where none are
given.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Shape = tuple[int, ...]


class Layer(Protocol):
    """What the model asks of a layer."""

    @property
    def output_shape(self) -> Shape:
        """With the batch."""
        ...

    def forward(self, x: Array, *, training: bool = True) -> Array:
        """Return the layer's output, shape `output_shape`; backward needs a training pass."""
        ...

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        """Write the parameters' gradients and return dx, or None where nobody needs it."""
        ...


class ReLU:
    """max(x, 0) in place, remembering the mask.

    `x *= (x > 0)` with a kept boolean mask costs 0.7 of `np.maximum(x, 0, out=x)`, and the
    backward pass then has its mask already. `np.copyto(x, 0, where=...)` and `np.putmask` cost 14
    to 17 times as much.
    """

    def __init__(self, shape: Shape) -> None:
        self.output_shape = shape
        self._mask = np.empty(shape, np.bool_)

    def forward(self, x: Array, *, training: bool = True) -> Array:
        np.greater(x, 0.0, out=self._mask)
        return np.multiply(x, self._mask, out=x)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        return np.multiply(dy, self._mask, out=dy)


class MaxPool2D:
    """2x2 max-pooling with stride 2, by comparing the four strided quarters of the input.

    Two comparisons along the row and one between rows keep the first maximum of a window. Forward
    with its masks costs 0.4 of `x.reshape(N, OH, 2, OW, 2, C).max(axis=(2, 4))`; backward from the
    masks 0.65 of comparing the input with the output again.
    """

    def __init__(self, x_shape: Shape) -> None:
        n, h, width, c = x_shape
        self.x_shape, self.output_shape = x_shape, (n, h // 2, width // 2, c)
        self._y = np.empty(self.output_shape, np.float32)
        self._lower, self._spare = np.empty_like(self._y), np.empty_like(self._y)
        masks = np.empty((3, *self.output_shape), np.bool_)
        self._upper_right, self._lower_right, self._lower_wins = masks
        self._dx = np.zeros(x_shape, np.float32)  # an odd last row or column stays zero

    def forward(self, x: Array, *, training: bool = True) -> Array:
        a, b, c, d = self._quarters(x)
        if not training:
            np.maximum(a, b, out=self._y)
            np.maximum(c, d, out=self._lower)
            return np.maximum(self._y, self._lower, out=self._y)
        np.greater(b, a, out=self._upper_right)
        np.greater(d, c, out=self._lower_right)
        np.maximum(a, b, out=self._y)
        np.maximum(c, d, out=self._lower)
        np.greater(self._lower, self._y, out=self._lower_wins)
        return np.maximum(self._y, self._lower, out=self._y)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        a, b, c, d = self._quarters(self._dx)
        np.multiply(dy, self._lower_wins, out=self._lower)
        np.subtract(dy, self._lower, out=self._spare)
        np.multiply(self._spare, self._upper_right, out=b)
        np.subtract(self._spare, b, out=a)
        np.multiply(self._lower, self._lower_right, out=d)
        np.subtract(self._lower, d, out=c)
        return self._dx

    def _quarters(self, x: Array) -> tuple[Array, Array, Array, Array]:
        _, oh, ow, _ = self.output_shape
        v = x[:, : 2 * oh, : 2 * ow]
        return v[:, ::2, ::2], v[:, ::2, 1::2], v[:, 1::2, ::2], v[:, 1::2, 1::2]


class BatchNorm:
    """Batch normalisation over all axes but the last, with optional ReLU.

    Sums over the batch are BLAS products with a vector of ones (an eighth of `sum(axis=0)`, and
    the variance from them a third of `np.var`). Formulas as in Ioffe and Szegedy 2015, with the
    three terms of dx gathered into `scale * (dy - mean(dy) - centred * k)`.
    """

    def __init__(
        self,
        x_shape: Shape,
        gamma: Array,
        beta: Array,
        dgamma: Array | None = None,
        dbeta: Array | None = None,
        *,
        moving_mean: Array,
        moving_variance: Array,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        relu: bool = False,
    ) -> None:
        c = x_shape[-1]
        self.output_shape = x_shape
        self.gamma, self.beta = gamma, beta
        self.moving_mean, self.moving_variance = moving_mean, moving_variance
        self.dgamma = np.zeros(c, np.float32) if dgamma is None else dgamma
        self.dbeta = np.zeros(c, np.float32) if dbeta is None else dbeta
        self._momentum, self._epsilon = np.float32(momentum), np.float32(epsilon)
        self._centred, self._y = np.empty(x_shape, np.float32), np.empty(x_shape, np.float32)
        # Products with 1/rows instead of 1 give means at once.
        self._count = int(np.prod(x_shape[:-1]))
        self._average = np.full(self._count, 1.0 / self._count, np.float32)
        self._relu = ReLU(x_shape) if relu else None
        self._rstd = np.ones(c, np.float32)

    def forward(self, x: Array, *, training: bool = True) -> Array:
        if training:
            self._normalise(x)
        else:
            scale = self.gamma / np.sqrt(self.moving_variance + self._epsilon)
            multiply_channels(_as_rows(x), scale, out=_as_rows(self._y))
            add_channels(_as_rows(self._y), self.beta - self.moving_mean * scale)
        return self._y if self._relu is None else self._relu.forward(self._y)

    def _normalise(self, x: Array) -> None:
        mean = self._mean(x)
        add_channels(_as_rows(x), -mean, out=_as_rows(self._centred))
        variance = self._mean(np.multiply(self._centred, self._centred, out=self._y))
        self._rstd = 1.0 / np.sqrt(variance + self._epsilon)
        multiply_channels(_as_rows(self._centred), self.gamma * self._rstd, out=_as_rows(self._y))
        add_channels(_as_rows(self._y), self.beta)
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving *= self._momentum
            moving += (1 - self._momentum) * batch

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if self._relu is not None:
            self._relu.backward(dy)
        mean_dy = self._mean(dy)
        mean_dy_centred = self._mean(np.multiply(dy, self._centred, out=self._y))
        np.multiply(mean_dy, self._count, out=self.dbeta)
        np.multiply(mean_dy_centred, self._rstd * self._count, out=self.dgamma)
        # The output buffer is free here: its values were only needed for the mask.
        slope = self._rstd * self._rstd * mean_dy_centred
        multiply_channels(_as_rows(self._centred), slope, out=_as_rows(self._y))
        np.subtract(dy, self._y, out=dy)
        add_channels(_as_rows(dy), -mean_dy)
        multiply_channels(_as_rows(dy), self.gamma * self._rstd)
        return dy

    def _mean(self, x: Array) -> Array:
        mean: Array = self._average @ x.reshape(self._count, -1)
        return mean


class Dense:
    """x @ w + b with optional ReLU; three matrix products.

    Args:
        x_shape: (N, C) of the input.
        w, b: weights (C, OC) and bias (OC,), read at each call.
        dw, db: where their gradients go; new arrays if not given.
        relu: apply ReLU to the result.
    """

    def __init__(
        self,
        x_shape: Shape,
        w: Array,
        b: Array,
        dw: Array | None = None,
        db: Array | None = None,
        *,
        relu: bool = False,
    ) -> None:
        self.output_shape = (x_shape[0], w.shape[1])
        self.w, self.b = w, b
        self.dw = np.zeros(w.shape, np.float32) if dw is None else dw
        self.db = np.zeros(b.shape, np.float32) if db is None else db
        self._x = np.zeros(x_shape, np.float32)
        self._y, self._dx = np.empty(self.output_shape, np.float32), np.empty(x_shape, np.float32)
        self._relu = ReLU(self.output_shape) if relu else None

    def forward(self, x: Array, *, training: bool = True) -> Array:
        self._x = x
        np.matmul(x, self.w, out=self._y)
        self._y += self.b
        return self._y if self._relu is None else self._relu.forward(self._y)

    def backward_activation(self, dy: Array) -> Array:
        """dy through the ReLU, in place."""
        if self._relu is not None:
            self._relu.backward(dy)
        return dy

    def backward_weights(self, dy: Array) -> tuple[Array, Array]:
        """Fill and return `dw` and `db`, from dy already through the ReLU."""
        np.matmul(self._x.T, dy, out=self.dw)
        np.sum(dy, axis=0, out=self.db)
        return self.dw, self.db

    def backward_input(self, dy: Array) -> Array:
        """The gradient of the input, from dy already through the ReLU."""
        return np.matmul(dy, self.w.T, out=self._dx)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        dy = self.backward_activation(dy)
        self.backward_weights(dy)
        return self.backward_input(dy) if need_dx else None


class Flatten:
    """(N, H, W, C) as (N, H*W*C) and back, without a copy."""

    def __init__(self, x_shape: Shape) -> None:
        self.x_shape = x_shape
        self.output_shape = (x_shape[0], int(np.prod(x_shape[1:])))

    def forward(self, x: Array, *, training: bool = True) -> Array:
        return x.reshape(self.output_shape)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        return dy.reshape(self.x_shape)


class Dropout:
    """Inverted dropout with NumPy's float32 generator; its numbers are not convkit's."""

    def __init__(self, x_shape: Shape, rate: float, *, seed: int = 0) -> None:
        self.output_shape = x_shape
        self._rate, self._generator = rate, np.random.default_rng(seed)
        self._scale = np.empty(x_shape, np.float32)
        self._y = np.empty(x_shape, np.float32)

    def forward(self, x: Array, *, training: bool = True) -> Array:
        if not training:
            return x
        self._generator.random(dtype=np.float32, out=self._scale)
        np.greater_equal(self._scale, self._rate, out=self._scale)
        self._scale *= np.float32(1.0 / (1.0 - self._rate))
        return np.multiply(x, self._scale, out=self._y)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        return np.multiply(dy, self._scale, out=dy)


def add_channels(x: Array, values: Array, out: Array | None = None) -> Array:
    """x (rows, W, C) plus values (C,), in place or into `out`.

    Repeating the values W times makes the inner loop W*C long: 0.6 of the broadcast over C alone.
    """
    return _per_channel(np.add, x, values, x if out is None else out)


def multiply_channels(x: Array, values: Array, out: Array | None = None) -> Array:
    """x (rows, W, C) times values (C,), in place or into `out`."""
    return _per_channel(np.multiply, x, values, x if out is None else out)


def _per_channel(operation: Any, x: Array, values: Array, out: Array) -> Array:
    rows, width, c = x.shape
    wide = np.tile(values, width)
    operation(x.reshape(rows, width * c), wide, out=out.reshape(rows, width * c))
    return out


def _as_rows(x: Array) -> Array:
    """(N, H, W, C) as (N*H, W, C); (N, C) as (N, 1, C)."""
    return x.reshape(-1, x.shape[-2] if x.ndim > 2 else 1, x.shape[-1])
