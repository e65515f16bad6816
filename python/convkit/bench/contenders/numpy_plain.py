"""A network in plain NumPy, as the textbooks have it: the clear code, not the fastest.

Vectorised float32 throughout, with every array allocated where it is needed: im2col from a sliding
window and one BLAS product, col2im by KH*KW additions of slices, and whole-array expressions for
the rest. `numpy_layers` and `numpy_conv2d` compute the same with kept buffers and measured choices;
what lies between the two is what care is worth in NumPy. `numpy_indexed` has another im2col and
col2im.

A layer keeps in `forward` what `backward` needs. `backward` sets `gradients`, in the order of
`parameters`, and returns dx; the first layer's is computed too, as the clear code does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .numpy_layers import Array


class Layer:
    """Something with parameters, a forward and a backward pass."""

    def __init__(self, *parameters: Array) -> None:
        self.parameters = list(parameters)
        self.gradients: list[Array] = []

    def forward(self, x: Array, training: bool = True) -> Array:
        """The layer's output."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array:
        """The gradient of the input."""
        raise NotImplementedError


class Conv2D(Layer):
    """A stride-1 convolution with w (KH, KW, C, OC) and b (OC,), by im2col and col2im."""

    def __init__(self, w: Array, b: Array, *, padding: str = "valid") -> None:
        super().__init__(w, b)
        self._padding = padding

    def forward(self, x: Array, training: bool = True) -> Array:
        w, b = self.parameters
        kh, kw, c, oc = w.shape
        if self._padding == "same":
            rows, columns = ((size - 1) // 2 for size in (kh, kw))
            pads = ((0, 0), (rows, kh - 1 - rows), (columns, kw - 1 - columns), (0, 0))
            x = np.pad(x, pads)
        windows = self._im2col(x)
        n, oh, ow = windows.shape[:3]
        self._padded_shape = x.shape
        self._columns = windows.reshape(n * oh * ow, kh * kw * c)
        y: Array = self._columns @ w.reshape(-1, oc) + b
        return y.reshape(n, oh, ow, oc)

    def backward(self, dy: Array) -> Array:
        w, _ = self.parameters
        kh, kw, c, oc = w.shape
        n, oh, ow, _ = dy.shape
        rows = dy.reshape(-1, oc)
        self.gradients = [(self._columns.T @ rows).reshape(w.shape), rows.sum(axis=0)]
        taps = (rows @ w.reshape(-1, oc).T).reshape(n, oh, ow, kh, kw, c)
        dx = np.zeros(self._padded_shape, np.float32)
        self._col2im(taps, dx)
        if self._padding == "same":
            top, left = (kh - 1) // 2, (kw - 1) // 2
            dx = dx[:, top : top + oh, left : left + ow]
        return dx

    def _im2col(self, x: Array) -> Array:
        """Every window of a padded x, (N, OH, OW, KH, KW, C)."""
        kh, kw, _, _ = self.parameters[0].shape
        windows = sliding_window_view(x, (kh, kw), axis=(1, 2))  # (N, OH, OW, C, KH, KW)
        result: Array = windows.transpose(0, 1, 2, 4, 5, 3)
        return result

    def _col2im(self, taps: Array, dx: Array) -> None:
        """Add every window's gradient, shaped as by `_im2col`, to the padded dx."""
        _, oh, ow, kh, kw, _ = taps.shape
        for i in range(kh):
            for j in range(kw):
                dx[:, i : i + oh, j : j + ow] += taps[:, :, :, i, j]


class MaxPool2D(Layer):
    """2x2 max-pooling with stride 2; of equal values in a window the first gets the gradient."""

    def forward(self, x: Array, training: bool = True) -> Array:
        a, b, c, d = _quarters(x)
        y: Array = np.maximum(np.maximum(a, b), np.maximum(c, d))
        self._x, self._y = x, y
        return y

    def backward(self, dy: Array) -> Array:
        dx = np.zeros_like(self._x)
        left = np.ones(dy.shape, np.bool_)  # the windows whose maximum is still to be found
        for source, target in zip(_quarters(self._x), _quarters(dx), strict=True):
            chosen = left & (source == self._y)
            target[...] = dy * chosen
            left &= ~chosen
        return dx


def _quarters(x: Array) -> list[Array]:
    """The first, second, third and fourth element of every 2x2 window."""
    h, w = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    return [x[:, i:h:2, j:w:2] for i in (0, 1) for j in (0, 1)]


class BatchNorm(Layer):
    """Batch normalisation over all axes but the last (Ioffe and Szegedy 2015)."""

    def __init__(
        self,
        gamma: Array,
        beta: Array,
        moving_mean: Array,
        moving_variance: Array,
        *,
        momentum: float,
        epsilon: float,
    ) -> None:
        super().__init__(gamma, beta)
        self.moving_mean, self.moving_variance = moving_mean, moving_variance
        self._momentum, self._epsilon = momentum, epsilon

    def forward(self, x: Array, training: bool = True) -> Array:
        gamma, beta = self.parameters
        if training:
            axes = tuple(range(x.ndim - 1))
            mean, variance = x.mean(axis=axes), x.var(axis=axes)
            share = 1 - self._momentum
            self.moving_mean = self._momentum * self.moving_mean + share * mean
            self.moving_variance = self._momentum * self.moving_variance + share * variance
        else:
            mean, variance = self.moving_mean, self.moving_variance
        self._rstd = 1 / np.sqrt(variance + self._epsilon)
        self._normal = (x - mean) * self._rstd
        y: Array = gamma * self._normal + beta
        return y

    def backward(self, dy: Array) -> Array:
        axes = tuple(range(dy.ndim - 1))
        dgamma, dbeta = (dy * self._normal).sum(axis=axes), dy.sum(axis=axes)
        self.gradients = [dgamma, dbeta]
        count = dy.size // dy.shape[-1]
        centred = dy - dbeta / count - self._normal * (dgamma / count)
        dx: Array = self.parameters[0] * self._rstd * centred
        return dx


class Dense(Layer):
    """x @ w + b with w (C, OC) and b (OC,)."""

    def forward(self, x: Array, training: bool = True) -> Array:
        w, b = self.parameters
        self._x = x
        y: Array = x @ w + b
        return y

    def backward(self, dy: Array) -> Array:
        self.gradients = [self._x.T @ dy, dy.sum(axis=0)]
        dx: Array = dy @ self.parameters[0].T
        return dx


class ReLU(Layer):
    """max(x, 0)."""

    def forward(self, x: Array, training: bool = True) -> Array:
        self._y = np.maximum(x, 0)
        return self._y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy * (self._y > 0)
        return dx


class Flatten(Layer):
    """(N, H, W, C) as (N, H*W*C)."""

    def forward(self, x: Array, training: bool = True) -> Array:
        self._x_shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy: Array) -> Array:
        return dy.reshape(self._x_shape)


class Dropout(Layer):
    """Inverted dropout with NumPy's generator; its numbers are not convkit's."""

    def __init__(self, rate: float, *, seed: int = 0) -> None:
        super().__init__()
        self._rate, self._generator = np.float32(rate), np.random.default_rng(seed)

    def forward(self, x: Array, training: bool = True) -> Array:
        if not training:
            return x
        kept = self._generator.random(x.shape, dtype=np.float32) >= self._rate
        self._scale = kept.astype(np.float32) / (1 - self._rate)
        y: Array = x * self._scale
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = dy * self._scale
        return dx


class PlainModel:
    """A classifier: layers up to the logits, softmax cross-entropy, and Adam as in Keras 3."""

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        learning_rate: float = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
    ) -> None:
        self.layers = list(layers)
        self._learning_rate, self._epsilon = learning_rate, epsilon
        self._betas, self._steps = (beta_1, beta_2), 0
        parameters = [p for layer in layers for p in layer.parameters]
        self._m = [np.zeros_like(p) for p in parameters]
        self._v = [np.zeros_like(p) for p in parameters]

    def forward(self, x: Array, training: bool = True) -> Array:
        """The logits (N, K) of a batch x."""
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def predict(self, x: Array) -> Array:
        """The probabilities (N, K) of a batch x."""
        return softmax(self.forward(x, training=False))

    def train_step(self, x: Array, labels: NDArray[np.integer]) -> float:
        """One step on images x (N, H, W, C) float32 and integer labels (N,); the loss before it."""
        probabilities = softmax(self.forward(x))
        rows = np.arange(len(x))
        loss = -np.log(probabilities[rows, labels]).mean()
        probabilities[rows, labels] -= 1
        dy: Array = probabilities / np.float32(len(x))
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        self._adam()
        return float(loss)

    def _adam(self) -> None:
        """Adam with its bias corrections in one factor (Kingma and Ba 2015, section 2)."""
        beta_1, beta_2 = self._betas
        self._steps += 1
        scale = (1 - beta_2**self._steps) ** 0.5 / (1 - beta_1**self._steps)
        index = 0
        for layer in self.layers:
            for place, (w, g) in enumerate(zip(layer.parameters, layer.gradients, strict=True)):
                self._m[index] = m = beta_1 * self._m[index] + (1 - beta_1) * g
                self._v[index] = v = beta_2 * self._v[index] + (1 - beta_2) * g * g
                step = self._learning_rate * scale * m / (np.sqrt(v) + self._epsilon)
                layer.parameters[place] = w - step
                index += 1


def softmax(logits: Array) -> Array:
    """exp(logits) over its sum, row by row (N, K)."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result
