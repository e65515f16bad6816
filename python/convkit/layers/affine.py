"""What the normalisations share that scale and shift by gamma and beta."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import initializers, regularizers
from ..core.config import as_number, flag
from ..core.parameters import Array, Parameter
from .base import Layer, LayerOptions

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AffineLayer(Layer):
    """A normalisation by statistics of a sample's own, in training and otherwise.

    Args:
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer, gamma_initializer: names or objects of `convkit.initializers`.
        beta_regularizer, gamma_regularizer: names or objects of `convkit.regularizers`, or None.
    """

    keeps_input = True
    dx_over_x = True
    shaping = Layer.shaping | {"axis", "beta_initializer", "center", "gamma_initializer", "scale"}

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: str | initializers.Initializer | dict[str, Any],
        gamma_initializer: str | initializers.Initializer | dict[str, Any],
        beta_regularizer: str | regularizers.Regularizer | dict[str, Any] | None,
        gamma_regularizer: str | regularizers.Regularizer | dict[str, Any] | None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        if (added := as_number(epsilon)) is None or not 0.0 < added < float("inf"):
            raise self.error(f"epsilon must be positive, received {epsilon!r}")
        self.epsilon = added
        self.center, self.scale = flag(center, "center", self), flag(scale, "scale", self)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.gamma: Parameter | None = None
        self.beta: Parameter | None = None

    def _add_scales(self, shape: Sequence[int]) -> None:
        """Make those of gamma and beta that there are, of that shape."""
        if self.scale:
            self.gamma = self.add_parameter(
                "gamma", shape, self.gamma_initializer, self.gamma_regularizer
            )
        if self.center:
            self.beta = self.add_parameter(
                "beta", shape, self.beta_initializer, self.beta_regularizer
            )


def flat_value(parameter: Parameter | None) -> Array | None:
    """What `forward` reads, as a vector; None where there is no such parameter."""
    return None if parameter is None else parameter.array.reshape(-1)


def flat_gradient(parameter: Parameter | None) -> Array | None:
    """Where `backward` writes, as a vector; None while there is nothing to write."""
    if parameter is None or parameter.frozen:
        return None
    return parameter.gradient.reshape(-1)
