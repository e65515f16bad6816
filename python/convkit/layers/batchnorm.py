"""BatchNormalization: every channel at mean 0 and variance 1, then scaled and shifted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import constraints, initializers, ops, regularizers
from ..core.config import as_number, flag
from ..core.memory import aligned_zeros
from ..core.parameters import Array, Parameter, Shape
from ..initializers import Ones, Zeros
from ..ops._epilogue import Fused
from .base import LayerOptions
from .epilogue import EpilogueLayer
from .step_context import SavedArray, StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class BatchNormalization(EpilogueLayer):
    """y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, for each channel.

    In training, mean and (population) variance are the batch's, and the moving statistics follow:
    moving = momentum * moving + (1 - momentum) * batch. Otherwise, and where `trainable` is False,
    the moving statistics are used. (S. Ioffe and C. Szegedy, "Batch normalization", 2015.)

    Args:
        axis: the last axis, the channels: -1, or its number (3 for images).
        momentum: how much of the moving statistics stays at each step.
        epsilon: added to the variance.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_initializer, gamma_initializer: names or objects of `convkit.initializers`.
        moving_mean_initializer, moving_variance_initializer: likewise.
        beta_regularizer, gamma_regularizer: names or objects of `convkit.regularizers`, or None.
        beta_constraint, gamma_constraint: names or objects of `convkit.constraints`, or None.

    Input and output: (N, ..., C).
    Weights: gamma, beta, moving_mean, moving_variance, each (C,); the last two are not trainable.
    """

    capturable = True
    has_phases = True
    operation = "batchnorm"
    shaping = EpilogueLayer.shaping | {
        "axis",
        "beta_initializer",
        "center",
        "gamma_initializer",
        "moving_mean_initializer",
        "moving_variance_initializer",
        "scale",
    }

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: str | initializers.Initializer | dict[str, Any] = "zeros",
        gamma_initializer: str | initializers.Initializer | dict[str, Any] = "ones",
        moving_mean_initializer: str | initializers.Initializer | dict[str, Any] = "zeros",
        moving_variance_initializer: str | initializers.Initializer | dict[str, Any] = "ones",
        beta_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        gamma_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        beta_constraint: str | constraints.Constraint | dict[str, Any] | None = None,
        gamma_constraint: str | constraints.Constraint | dict[str, Any] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        if (stays := as_number(momentum)) is None or not 0.0 <= stays <= 1.0:
            raise self.error(f"momentum must lie in 0 .. 1, received {momentum!r}")
        if (added := as_number(epsilon)) is None or not 0.0 < added < float("inf"):
            raise self.error(f"epsilon must be positive, received {epsilon!r}")
        self.axis = axis
        self.momentum, self.epsilon = stays, added
        self.center, self.scale = flag(center, "center", self), flag(scale, "scale", self)
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.gamma: Parameter
        self.beta: Parameter
        self.moving_mean: Parameter
        self.moving_variance: Parameter

    @property
    def keeps_input(self) -> bool:  # type: ignore[override]
        """With the batch's statistics, the gradients depend on x."""
        return self.trainable

    @property
    def adds_to_dx(self) -> bool:  # type: ignore[override]
        """With the batch's statistics."""
        return self.trainable

    @property
    def epilogue_keeps_output(self) -> bool:  # type: ignore[override]
        """Without x, ReLU's gradient needs y; with it, backward recomputes the sign of y."""
        return not self.trainable

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        self._channels(input_shape)
        if self.axis not in (-1, len(input_shape) - 1):
            raise self.error(
                f"axis must be -1, the channels, which of inputs {tuple(input_shape)} is also "
                f"{len(input_shape) - 1}; received {self.axis!r}"
            )
        return tuple(input_shape)

    def create_parameters(self, input_shape: Shape) -> None:
        """gamma, beta and the moving statistics, (C,) each."""
        channels = self._channels(input_shape)
        shape = (channels,)
        if self.scale:
            of_gamma = self.gamma_initializer, self.gamma_regularizer, self.gamma_constraint
            self.gamma = self.add_parameter("gamma", shape, *of_gamma)
        if self.center:
            of_beta = self.beta_initializer, self.beta_regularizer, self.beta_constraint
            self.beta = self.add_parameter("beta", shape, *of_beta)
        self.moving_mean = self.add_parameter(
            "moving_mean", shape, self.moving_mean_initializer, trainable=False
        )
        self.moving_variance = self.add_parameter(
            "moving_variance", shape, self.moving_variance_initializer, trainable=False
        )
        # What the layer does not have is a constant that no optimizer and no file ever sees. It
        # comes last, when a file has proved by the others that there are so many channels.
        if not self.scale:
            self.gamma = Parameter("gamma", Ones()(shape))
        if not self.center:
            self.beta = Parameter("beta", Zeros()(shape))
        self._zeros = aligned_zeros(channels)  # the shift and the mean of the frozen gradient

    def saved_arrays(self, input_shape: tuple[int, ...]) -> tuple[SavedArray, ...]:
        """The batch's mean and 1 / sqrt(variance + epsilon)."""
        return (SavedArray(input_shape[-1:]), SavedArray(input_shape[-1:]))

    def forward(
        self,
        x: Array,
        y: Array,
        saved: tuple[Array, ...],
        context: StepContext,
        activation: Fused | None = None,
    ) -> None:
        """y = activation(normalised x), with the batch's statistics in training."""
        statistics = (self.moving_mean.array, self.moving_variance.array)
        if context.training and self.trainable:
            ops.batchnorm_forward(
                x,
                self.gamma.array,
                self.beta.array,
                *statistics,
                momentum=self.momentum,
                epsilon=self.epsilon,
                activation=activation,
                out=y,
                mean=saved[0],
                rstd=saved[1],
            )
        else:
            ops.batchnorm_inference(
                x,
                self.gamma.array,
                self.beta.array,
                *statistics,
                epsilon=self.epsilon,
                activation=activation,
                out=y,
            )

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
        activation: Fused | None = None,
        add_to_dx: bool = False,
    ) -> None:
        """The gradients of gamma, beta and the input, the last perhaps added to dx."""
        if not self.trainable:
            self._backward_frozen(y, dy, dx, activation)
            return
        ops.batchnorm_backward(
            dy,
            x,
            self.gamma.array,
            self.beta.array,
            saved[0],
            saved[1],
            activation=activation,
            add_to_dx=add_to_dx,
            out=dx,
            dgamma=self.gamma.gradient,
            dbeta=self.beta.gradient,
        )

    def _backward_frozen(
        self, y: Array, dy: Array, dx: Array | None, activation: Fused | None
    ) -> None:
        """With fixed statistics the layer is y = a * x + b, so that dx = a * dy."""
        if dx is None:
            return
        if activation is not None:
            ops.relu_backward(dy, y, out=dy)
        ops.batchnorm_inference(
            dy,
            self.gamma.array,
            self._zeros,
            self._zeros,
            self.moving_variance.array,
            epsilon=self.epsilon,
            out=dx,
        )

    def describe(self, input_shape: tuple[int, ...], training: bool) -> str:
        """Whose statistics are used."""
        moving = not training or not self.trainable
        return f"{self.operation} {'moving' if moving else 'batch'} statistics"
