"""The NumPy contender's convolution: im2col into a kept buffer and one threaded BLAS product."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .numpy_layers import Array, ReLU, Shape, add_channels


class Conv2D:
    """A stride-1 convolution with bias and optional ReLU, by im2col and one matrix product.

    `forward`: the KH*KW*C inputs of every output position are copied into one matrix for the whole
    batch and multiplied with the weights. A copy through a strided view whose last axis joins KW
    and C runs at memory speed. Alternatives on the 3x3 shapes with 32 or more channels: one image
    at a time, 0.8 to 2.0 (median 1.4); nine products of shifted slices without any copy, 0.8 to
    2.3 (median 1.4); three products of rows packed along KW only, 0.9 to 1.3 (median 1.1). With
    fewer than 8 channels the matrix is built transposed, one tap at a time, so that the copies
    have long rows: the copy then costs a half (3 channels) to a sixth (1).

    `backward_weights`: the forward pass's matrix, transposed, times dy.

    `backward_input`: either products with the transposed weights and nine shifted additions
    (col2im), or a full correlation, which is im2col of dy and one product. The correlation costs
    0.4 of col2im on the 28x28 and 32x32 planes with 32 channels; col2im costs 0.65 to 0.9 of the
    correlation on the 7x7 planes, where the additions stay in cache. `_use_col2im` is that
    boundary.

    Args:
        x_shape: (N, H, W, C) of the input.
        w, b: weights (KH, KW, C, OC) and bias (OC,), read at each call.
        dw, db: where their gradients go; new arrays if not given.
        padding: `"same"` or `"valid"`.
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
        padding: str = "valid",
        relu: bool = False,
    ) -> None:
        n, h, width, c = x_shape
        kh, kw, _, oc = w.shape
        top, left = ((kh - 1) // 2, (kw - 1) // 2) if padding == "same" else (0, 0)
        extra_h, extra_w = (kh - 1, kw - 1) if padding == "same" else (0, 0)
        oh, ow = h + extra_h - kh + 1, width + extra_w - kw + 1
        self.x_shape, self.output_shape = x_shape, (n, oh, ow, oc)
        self.w, self.b = w, b
        self.dw = np.zeros(w.shape, np.float32) if dw is None else dw
        self.db = np.zeros(b.shape, np.float32) if db is None else db
        self._top, self._left = top, left
        self._x_padded = np.zeros((n, h + extra_h, width + extra_w, c), np.float32)
        self._transposed = c < 8
        positions = n * oh * ow
        if self._transposed:
            self._columns_t = np.empty((kh * kw * c, positions), np.float32)
            self._columns = self._columns_t.T
        else:
            self._columns = np.empty((positions, kh * kw * c), np.float32)
            self._windows = _row_windows(self._x_padded, kh, kw, oh, ow)
        self._y = np.empty((positions, oc), np.float32)
        self._ones = np.ones(positions, np.float32)
        self._relu = ReLU(self.output_shape) if relu else None
        self._dx_ready = False

    def forward(self, x: Array, *, training: bool = True) -> Array:
        n, h, width, c = self.x_shape
        kh, kw, _, oc = self.w.shape
        _, oh, ow, _ = self.output_shape
        self._x_padded[:, self._top : self._top + h, self._left : self._left + width] = x
        if self._transposed:
            taps = self._columns_t.reshape(kh, kw, c, n, oh, ow)
            source = self._x_padded.transpose(3, 0, 1, 2)
            for i in range(kh):
                for j in range(kw):
                    taps[i, j] = source[:, :, i : i + oh, j : j + ow]
        else:
            np.copyto(self._columns.reshape(n, oh, ow, kh, kw * c), self._windows)
        np.matmul(self._columns, self.w.reshape(-1, oc), out=self._y)
        add_channels(self._y.reshape(n * oh, ow, oc), self.b)
        y = self._y.reshape(self.output_shape)
        return y if self._relu is None else self._relu.forward(y)

    def backward_activation(self, dy: Array) -> Array:
        """dy through the ReLU, in place."""
        if self._relu is not None:
            self._relu.backward(dy)
        return dy

    def backward_weights(self, dy: Array) -> tuple[Array, Array]:
        """Fill and return `dw` and `db`, from dy already through the ReLU.

        Summing dy by a product with ones costs an eighth of `dy.sum(axis=0)`.
        """
        oc = dy.shape[-1]
        flat = dy.reshape(-1, oc)
        np.matmul(self._columns.T, flat, out=self.dw.reshape(-1, oc))
        np.matmul(self._ones, flat, out=self.db)
        return self.dw, self.db

    def backward_input(self, dy: Array) -> Array:
        """The gradient of the input, from dy already through the ReLU."""
        if not self._dx_ready:
            self._prepare_backward_input()
        return self._dx_col2im(dy) if self._use_col2im else self._dx_correlation(dy)

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        dy = self.backward_activation(dy)
        self.backward_weights(dy)
        return self.backward_input(dy) if need_dx else None

    def _prepare_backward_input(self) -> None:
        """Allocate what backward_input needs: a first layer of a network never comes here."""
        n, h, width, c = self.x_shape
        kh, kw, _, oc = self.w.shape
        _, oh, ow, _ = self.output_shape
        self._use_col2im = 1.5 * c * oh * ow <= oc * h * width
        self._dx = np.empty((n * h * width, c), np.float32)
        if self._use_col2im:
            self._dcolumns = np.empty((n * oh * ow, kh * kw * c), np.float32)
            self._dx_padded = np.empty_like(self._x_padded)
        else:
            self._w_flipped = np.empty((kh, kw, oc, c), np.float32)
            self._dy_padded = np.zeros((n, h + kh - 1, width + kw - 1, oc), np.float32)
            self._dy_windows = _row_windows(self._dy_padded, kh, kw, h, width)
            self._dcolumns = np.empty((n * h * width, kh * kw * oc), np.float32)
        self._dx_ready = True

    def _dx_col2im(self, dy: Array) -> Array:
        n, h, width, c = self.x_shape
        kh, kw, _, oc = self.w.shape
        _, oh, ow, _ = self.output_shape
        np.matmul(dy.reshape(-1, oc), self.w.reshape(-1, oc).T, out=self._dcolumns)
        taps = self._dcolumns.reshape(n, oh, ow, kh, kw, c)
        self._dx_padded.fill(0.0)
        for i in range(kh):
            for j in range(kw):
                self._dx_padded[:, i : i + oh, j : j + ow] += taps[:, :, :, i, j]
        dx = self._dx.reshape(self.x_shape)
        dx[...] = self._dx_padded[:, self._top : self._top + h, self._left : self._left + width]
        return dx

    def _dx_correlation(self, dy: Array) -> Array:
        n, h, width, c = self.x_shape
        kh, kw, _, oc = self.w.shape
        _, oh, ow, _ = self.output_shape
        top, left = kh - 1 - self._top, kw - 1 - self._left
        self._w_flipped[...] = self.w[::-1, ::-1].transpose(0, 1, 3, 2)
        self._dy_padded[:, top : top + oh, left : left + ow] = dy
        np.copyto(self._dcolumns.reshape(n, h, width, kh, kw * oc), self._dy_windows)
        np.matmul(self._dcolumns, self._w_flipped.reshape(-1, c), out=self._dx)
        return self._dx.reshape(self.x_shape)


def _row_windows(x: Array, kh: int, kw: int, oh: int, ow: int) -> Array:
    """x (N, H, W, C) as its windows (N, OH, OW, KH, KW*C), a view with KW and C as one run."""
    n, _, _, c = x.shape
    s = x.strides
    shape = (n, oh, ow, kh, kw * c)
    return as_strided(x, shape, (s[0], s[1], s[2], s[1], s[3]), writeable=False)
