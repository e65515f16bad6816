"""Classes of a user's own, as text that runs with Keras's layers and with convkit's."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache  # classes that are dropped are garbage, which other tests would find
def classes(library: Any) -> Any:
    """The same class bodies for one of the two libraries."""
    layers = library.layers

    class Residual(layers.Layer):
        """A block with lists, operators and the argument training."""

        def __init__(self, filters: int, **options: Any) -> None:
            super().__init__(**options)
            self.filters = filters
            self.convs: list[Any] = []
            self.norms: list[Any] = []
            for _ in range(2):
                self.convs.append(layers.Conv2D(filters, 3, padding="same", use_bias=False))
                self.norms.append(layers.BatchNormalization())
            self.ends = {"relu": layers.Activation("relu")}
            self.short: Any = None

        def build(self, input_shape: Any) -> None:
            if input_shape[-1] != self.filters:
                self.short = layers.Conv2D(self.filters, 1)
            super().build(input_shape)

        def call(self, x: Any, training: Any = None) -> Any:
            y = self.ends["relu"](self.norms[0](self.convs[0](x), training=training))
            y = self.norms[1](self.convs[1](y), training=training)
            if self.short is not None:
                x = self.short(x)
            return self.ends["relu"](x + y)

    class Gate(layers.Layer):
        """Two inputs, two outputs, a model and another own layer inside."""

        def __init__(self, filters: int, **options: Any) -> None:
            super().__init__(**options)
            self.filters = filters
            self.block = Residual(filters)
            self.body = library.Sequential(
                [layers.GlobalAveragePooling2D(), layers.Dense(filters, "sigmoid")]
            )
            self.shape = layers.Reshape((1, 1, filters))

        def call(self, inputs: Any) -> Any:
            x, other = inputs
            gate = self.body(other)
            return self.block(x) * self.shape(gate) * 2.0, gate - 0.5

    return Residual, Gate
