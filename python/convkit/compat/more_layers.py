"""Layers that convkit has not, as functions: Embedding, for the classes of images, and Dot."""

from __future__ import annotations

from typing import Any

import numpy as np

from .algebra import batch_dot, l2_normalize
from .function_layers import Function
from .own_layers import OwnLayer
from .recorded import numbers
from .shaping import gather
from .tensor import as_tensor

__all__ = ["Dot", "Embedding", "dot"]


class Embedding(OwnLayer):
    """A row of trained numbers for each whole number, such as a class that a network is given.

    Args:
        input_dim: how many different ones there are.
        output_dim: the length of a row.
        embeddings_initializer, embeddings_regularizer: of the rows.
        input_length: taken, and not needed.
    """

    def __init__(
        self,
        input_dim: Any,
        output_dim: Any,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        input_length: Any = None,
        **options: Any,
    ) -> None:
        options.pop("mask_zero", None)
        super().__init__(**options)
        self.input_dim, self.output_dim = int(input_dim), int(output_dim)
        self.embeddings_initializer = embeddings_initializer
        self.embeddings_regularizer = embeddings_regularizer

    def build(self, input_shape: Any) -> None:
        """Make the rows."""
        self.embeddings = self.add_weight(
            "embeddings",
            (self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
        )

    def call(self, inputs: Any) -> Any:
        """The rows of the numbers."""
        return gather(self.embeddings, np.asarray(numbers(inputs)).astype(np.int64))


def Dot(axes: Any = -1, normalize: Any = False, name: Any = None, **options: Any) -> Any:
    """The products of the samples of two inputs, along an axis of each, perhaps at length 1."""

    def products(inputs: Any) -> Any:
        x, y = (as_tensor(each) for each in inputs)
        first, second = (axes, axes) if isinstance(axes, int) else axes
        first, second = first % x.ndim, second % y.ndim
        if normalize:
            x, y = l2_normalize(x, axis=first), l2_normalize(y, axis=second)
        return batch_dot(x, y, (first, second))

    return Function(products, name=name)


def dot(inputs: Any, axes: Any, normalize: Any = False, **options: Any) -> Any:
    """As `Dot`, of two symbolic tensors."""
    return Dot(axes, normalize, **options)(inputs)
