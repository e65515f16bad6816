"""Input: the shape of one sample, said before the first layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ..core.advice import with_advice
from ..core.parameters import Shape
from .checks import check_sample_shape
from .graph import Node, Tensor
from .view_layer import ViewLayer


class InputLayer(ViewLayer):
    """What `Input` makes: it computes nothing, and `model.layers` does not list it.

    Args:
        shape: of one sample, without the batch.
        name: by default `input_layer`.
    """

    operation = "input"
    _unsettable: ClassVar[Mapping[str, str]] = {
        **ViewLayer._unsettable,
        "shape": "make a new Input",
    }

    @with_advice
    def __init__(self, shape: Sequence[int], *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.shape = check_sample_shape(shape, self)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        return self._whole_shape(input_shape)

    @property
    def input(self) -> Any:
        """The symbolic tensor of what a model is given, as `output`."""
        return self.output

    def tensor(self) -> Tensor:
        """The symbolic tensor of what a model is given."""
        shape = (None, *self.shape)
        if not self.built:
            self.build(shape)
        return Node(self, (), [shape]).outputs[0]


@with_advice
def Input(shape: Sequence[int], *, name: str | None = None) -> Tensor:
    """Say the shape of one sample, as the first thing in a model.

    Args:
        shape: without the batch, such as `(28, 28, 1)`.
        name: by default `input_layer`.

    Example:
        >>> convkit.Sequential([convkit.Input((28, 28, 1)), convkit.layers.Flatten()])
        >>> inputs = convkit.Input((28, 28, 1))
        >>> convkit.Model(inputs, convkit.layers.Flatten()(inputs))

    Returns:
        A symbolic tensor of that shape, with None in front for the batch; layers are called on it.
    """
    return InputLayer(shape, name=name).tensor()
