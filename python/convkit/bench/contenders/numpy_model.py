"""A whole training step in NumPy: the chain of layers, softmax cross-entropy and Adam."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .numpy_layers import Array, Layer, Shape
from .numpy_plain import softmax


@dataclass(frozen=True)
class Recipe:
    """How to make one layer once its input shape is known.

    `make(x_shape, *parameters, *gradients)` gets the model's views, filled with the values of
    `parameters`, and views of the same shapes for their gradients.
    """

    make: Callable[..., Layer]
    parameters: tuple[Array, ...] = ()


class NumpyModel:
    """A classifier's training step, done by NumPy.

    Args:
        recipes: the layers in order; the last one's output (N, K) are the logits.
        x_shape: (N, H, W, C) of every batch it will be given.
        learning_rate, beta_1, beta_2, epsilon: Adam's, as in Keras 3.
    """

    def __init__(
        self,
        recipes: Sequence[Recipe],
        x_shape: Shape,
        *,
        learning_rate: float = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
    ) -> None:
        size = sum(p.size for recipe in recipes for p in recipe.parameters)
        self.parameters = np.empty(size, np.float32)
        self.gradients = np.zeros(size, np.float32)
        self.layers: list[Layer] = []
        start, shape = 0, x_shape
        for recipe in recipes:
            values: list[Array] = []
            gradients: list[Array] = []
            for initial in recipe.parameters:
                span = slice(start, start + initial.size)
                values.append(self.parameters[span].reshape(initial.shape))
                gradients.append(self.gradients[span].reshape(initial.shape))
                values[-1][...] = initial
                start += initial.size
            layer = recipe.make(shape, *values, *gradients)
            self.layers.append(layer)
            shape = layer.output_shape
        self._adam = Adam(size, learning_rate, beta_1, beta_2, epsilon)
        self._rows = np.arange(x_shape[0])

    def forward(self, x: Array, *, training: bool = True) -> Array:
        """The logits of a batch x, shape (N, K); backward needs a training pass before it."""
        for layer in self.layers:
            x = layer.forward(x, training=training)
        return x

    def predict(self, x: Array) -> Array:
        """The probabilities (N, K) of a batch x."""
        return softmax(self.forward(x, training=False))

    def backward(self, dy: Array) -> None:
        """Fill `gradients` from the gradient of the logits, which may be overwritten."""
        for index in range(len(self.layers) - 1, -1, -1):
            dx = self.layers[index].backward(dy, need_dx=index > 0)
            if dx is not None:
                dy = dx

    def train_step(self, x: Array, labels: NDArray[np.integer]) -> float:
        """One step on images x (N, H, W, C) float32 and integer labels (N,); the loss before it."""
        loss, dlogits = softmax_cross_entropy(self.forward(x), labels, self._rows)
        self.backward(dlogits)
        self._adam.update(self.parameters, self.gradients)
        return loss


class Adam:
    """Keras 3's Adam over one flat vector, in place (Kingma and Ba 2015, section 2).

    Whole-vector passes beat blocks that fit the cache: 64k elements a block cost 1.2 times as much.
    """

    def __init__(
        self, size: int, learning_rate: float, beta_1: float, beta_2: float, epsilon: float
    ) -> None:
        self._m, self._v = np.zeros(size, np.float32), np.zeros(size, np.float32)
        self._spare = np.empty(size, np.float32)
        self._learning_rate, self._beta_1, self._beta_2 = learning_rate, beta_1, beta_2
        self._epsilon = epsilon
        self._step = 0

    def update(self, w: Array, g: Array) -> None:
        m, v, spare = self._m, self._v, self._spare
        self._step += 1
        scale = np.sqrt(1.0 - self._beta_2**self._step) / (1.0 - self._beta_1**self._step)
        np.subtract(g, m, out=spare)
        spare *= np.float32(1.0 - self._beta_1)
        m += spare
        np.multiply(g, g, out=spare)
        spare -= v
        spare *= np.float32(1.0 - self._beta_2)
        v += spare
        np.sqrt(v, out=spare)
        spare += np.float32(self._epsilon)
        np.divide(m, spare, out=spare)
        spare *= np.float32(self._learning_rate * scale)
        w -= spare


def softmax_cross_entropy(
    logits: Array, labels: NDArray[np.integer], rows: NDArray[np.integer]
) -> tuple[float, Array]:
    """Mean loss of logits (N, K) and its gradient (softmax - onehot) / N; `rows` is arange(N)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    exponentials = np.exp(shifted)
    sums = exponentials.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(sums[:, 0]) - shifted[rows, labels]))
    dlogits = exponentials / sums
    dlogits[rows, labels] -= 1.0
    dlogits /= np.float32(len(rows))
    return loss, dlogits
