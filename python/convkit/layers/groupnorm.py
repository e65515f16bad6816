"""GroupNormalization: groups of an image's channels at mean 0 and variance 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import initializers, ops, regularizers
from ..core.parameters import Array, Shape
from .affine import AffineLayer, flat_gradient, flat_value
from .base import LayerOptions
from .checks import positive
from .step_context import SavedArray, StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class GroupNormalization(AffineLayer):
    """y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, for groups of channels.

    Mean and (population) variance are those of all positions of an image and the neighbouring
    channels of a group, in training and otherwise. gamma and beta are each channel's own.
    (Y. Wu and K. He, "Group normalization", 2018.)

    Args:
        groups: into how many the channels are cut; -1 for every channel by itself, which is
            instance normalisation.
        axis: the last axis, the channels: -1, or its number (3 for images).
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer, gamma_initializer: names or objects of `convkit.initializers`.
        beta_regularizer, gamma_regularizer: names or objects of `convkit.regularizers`, or None.

    Input and output: (N, ..., C).
    Weights: gamma and beta, each (C,).

    Example:
        >>> convkit.layers.GroupNormalization(groups=8)
    """

    capturable = True
    operation = "groupnorm"
    shaping = AffineLayer.shaping | {"groups"}

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
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
        each = isinstance(groups, int) and groups == -1
        self.groups = -1 if each else positive(groups, "groups, if not -1,", self)
        self.axis = axis

    def _group_count(self, input_shape: Shape) -> int:
        """How many groups; ValueError unless they divide the channels."""
        channels = self._channels(input_shape)
        if self.groups == -1:
            return channels
        if channels % self.groups:
            raise self.error(
                f"groups ({self.groups}) must divide the input's channels, received {channels} in "
                f"shape {tuple(input_shape)}; -1 takes every channel by itself"
            )
        return self.groups

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        self._group_count(input_shape)
        if isinstance(self.axis, bool) or self.axis not in (-1, len(input_shape) - 1):
            raise self.error(
                f"axis must be -1, the channels, which of inputs {tuple(input_shape)} is also "
                f"{len(input_shape) - 1}; received {self.axis!r}"
            )
        return tuple(input_shape)

    def create_parameters(self, input_shape: Shape) -> None:
        """Gamma and beta, (C,) each."""
        self._add_scales((self._channels(input_shape),))

    def saved_arrays(self, input_shape: tuple[int, ...]) -> tuple[SavedArray, ...]:
        """The groups' mean and 1 / sqrt(variance + epsilon), of each image."""
        shape = (input_shape[0], self._group_count(input_shape))
        return (SavedArray(shape), SavedArray(shape))

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = normalised x, scaled and shifted."""
        ops.groupnorm_forward(
            x,
            flat_value(self.gamma),
            flat_value(self.beta),
            groups=saved[0].shape[1],
            epsilon=self.epsilon,
            out=y,
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
        ops.groupnorm_backward(
            dy,
            x,
            flat_value(self.gamma),
            saved[0],
            saved[1],
            dx=dx,
            dgamma=flat_gradient(self.gamma),
            dbeta=flat_gradient(self.beta),
        )
