"""PReLU: a leaky ReLU whose slope below zero is learned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import initializers, ops, regularizers
from ..core.parameters import Array, Parameter, Shape
from .base import Layer, LayerOptions
from .checks import positive
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class PReLU(Layer):
    """x where it is positive, else alpha * x, with an alpha for each place of a sample.

    (K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers", 2015.)

    Args:
        alpha_initializer: a name or object of `convkit.initializers`.
        alpha_regularizer: a name or object of `convkit.regularizers`, or None.
        shared_axes: the axes along which all places share one alpha, counted with the batch in
            front: [1, 2] for one alpha a channel of images. None for no axis.

    Input and output: (N, ...), the same shape.
    Weights: alpha, of a sample's shape, with 1 for each shared axis.

    Example:
        >>> convkit.layers.PReLU(shared_axes=[1, 2])
    """

    keeps_input = True
    in_place = True
    capturable = True
    operation = "prelu"
    shaping = Layer.shaping | {"alpha_initializer", "shared_axes"}

    def __init__(
        self,
        alpha_initializer: str | initializers.Initializer | dict[str, Any] = "Zeros",
        alpha_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        *,
        shared_axes: int | Sequence[int] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.shared_axes = _axes(shared_axes, self)
        self.alpha: Parameter

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        self._alpha_shape(input_shape)
        return tuple(input_shape)

    def create_parameters(self, input_shape: Shape) -> None:
        """alpha, of a sample's shape, with 1 for each shared axis."""
        self.alpha = self.add_parameter(
            "alpha",
            self._alpha_shape(input_shape),
            self.alpha_initializer,
            self.alpha_regularizer,
        )

    def _alpha_shape(self, input_shape: Shape) -> tuple[int, ...]:
        sizes = self._sample_sizes(input_shape)
        beyond = [axis for axis in self.shared_axes or () if axis > len(sizes)]
        if not sizes or beyond:
            raise self.error(
                f"expected inputs (N, ...) with the shared axes {self.shared_axes or []}, received "
                f"shape {tuple(input_shape)}"
            )
        shared = self.shared_axes or ()
        shape = tuple(1 if i in shared else size for i, size in enumerate(sizes, 1))
        # Runs of neighbouring axes, of whatever size, that share and do not share in turn.
        kinds = [size == 1 for whole, size in zip(sizes, shape, strict=True) if whole > 1]
        turns = sum(kind != before for before, kind in zip([True, *kinds], kinds, strict=False))
        if turns > 4:
            raise self.error(
                f"alpha can be shared along two runs of neighbouring axes behind the first that is "
                f"not; received shared_axes={self.shared_axes} for inputs {tuple(input_shape)}"
            )
        return shape

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = x where x > 0, else alpha * x."""
        ops.prelu_forward(x, self.alpha.array, out=y)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """The gradients of alpha, unless that is frozen, and of the input."""
        if not self.alpha.frozen:
            shape = self.alpha.array.shape
            ops.prelu_backward_alpha(dy, x, shape, out=self.alpha.gradient)
        if dx is not None:
            ops.prelu_backward_input(dy, x, self.alpha.array, out=dx)


def _axes(value: int | Sequence[int] | None, layer: Layer) -> tuple[int, ...] | None:
    """The shared axes as a tuple; ValueError unless each is at least 1, behind the batch."""
    if value is None:
        return None
    axes: Any = value.tolist() if hasattr(value, "tolist") else value
    listed = axes if isinstance(axes, Sequence) and not isinstance(axes, str) else [axes]
    return tuple(
        positive(axis, "each of shared_axes, behind the batch's axis 0,", layer) for axis in listed
    )
