"""LayerNormalization: every sample, or position, at mean 0 and variance 1 by itself."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import initializers, ops, regularizers
from ..core.parameters import Array, Shape
from .affine import AffineLayer, flat_gradient, flat_value
from .base import LayerOptions
from .step_context import SavedArray, StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class LayerNormalization(AffineLayer):
    """y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, over the last axis or axes.

    Mean and (population) variance are those of the values along these axes, in training and
    otherwise. (J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer normalization", 2016.)

    Args:
        axis: -1, the last; or several, which must be the last ones: (-3, -2, -1), or (1, 2, 3),
            are whole images.
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer, gamma_initializer: names or objects of `convkit.initializers`.
        beta_regularizer, gamma_regularizer: names or objects of `convkit.regularizers`, or None.

    Input and output: (N, ..., C).
    Weights: gamma and beta, with the sizes of the axes.

    Example:
        >>> convkit.layers.LayerNormalization()
    """

    capturable = True
    operation = "layernorm"

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: str | initializers.Initializer | dict[str, Any] = "zeros",
        gamma_initializer: str | initializers.Initializer | dict[str, Any] = "ones",
        beta_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        gamma_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            **options,
        )
        self.axis = self._checked_axis(axis)

    def _checked_axis(self, axis: Any) -> int | tuple[int, ...]:
        several = isinstance(axis, Sequence) and not isinstance(axis, str)
        try:
            if isinstance(axis, bool):
                raise TypeError
            axes = tuple(operator.index(each) for each in (axis if several else (axis,)))
        except TypeError:
            axes = ()
        if not axes:
            raise self.error(f"axis must be an integer or several, received {axis!r}")
        return axes if len(axes) > 1 else axes[0]  # Keras writes [-1] for -1

    def _normalised_sizes(self, input_shape: Shape) -> tuple[int, ...]:
        """The sizes of the axes; ValueError unless they are the last ones, without the batch."""
        sizes = self._sample_sizes(input_shape)
        rank = len(sizes) + 1
        given = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        axes = sorted(axis + rank if axis < 0 else axis for axis in given)
        if axes != list(range(rank - len(axes), rank)) or axes[0] < 1:
            raise self.error(
                f"axis must be -1 or the last axes, such as (-3, -2, -1), without the batch; "
                f"received {self.axis!r} for inputs of shape {tuple(input_shape)}: transpose the "
                f"inputs, or take GroupNormalization(groups=-1) for every channel by itself"
            )
        return sizes[-len(axes) :]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        self._normalised_sizes(input_shape)
        return tuple(input_shape)

    def create_parameters(self, input_shape: Shape) -> None:
        """Gamma and beta, with the sizes of the axes."""
        self._add_scales(self._normalised_sizes(input_shape))

    def saved_arrays(self, input_shape: tuple[int, ...]) -> tuple[SavedArray, ...]:
        """The rows' mean and 1 / sqrt(variance + epsilon)."""
        rows = math.prod(input_shape) // math.prod(self._normalised_sizes(input_shape))
        return (SavedArray((rows,)), SavedArray((rows,)))

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = normalised x, scaled and shifted."""
        rows = (saved[0].size, -1)
        ops.layernorm_forward(
            x.reshape(rows),
            flat_value(self.gamma),
            flat_value(self.beta),
            epsilon=self.epsilon,
            out=y.reshape(rows),
            mean=saved[0],
            rstd=saved[1],
        )

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """The gradients of gamma, beta and the input."""
        rows = (saved[0].size, -1)
        ops.layernorm_backward(
            dy.reshape(rows),
            x.reshape(rows),
            flat_value(self.gamma),
            saved[0],
            saved[1],
            dx=None if dx is None else dx.reshape(rows),
            dgamma=flat_gradient(self.gamma),
            dbeta=flat_gradient(self.beta),
        )
