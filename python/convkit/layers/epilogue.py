"""What the layers share that can apply an activation while they write their output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .. import constraints, initializers, regularizers
from ..activations import Function
from ..core.config import flag
from ..core.parameters import Array, Parameter
from ..ops._epilogue import Fused
from .activation import Activation, check_activation
from .base import Layer, LayerOptions
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class EpilogueLayer(Layer):
    """A layer that can apply an activation while it writes its output.

    The plan passes `activation` where it has fused the layer with the activation that follows.

    Attributes:
        epilogue_keeps_output: with an activation fused in, `backward` reads y.
    """

    epilogues: ClassVar[frozenset[str]] = frozenset({"relu"})
    epilogue_keeps_output: ClassVar[bool] = True

    def forward(
        self,
        x: Array,
        y: Array,
        saved: tuple[Array, ...],
        context: StepContext,
        activation: Fused | None = None,
    ) -> None:
        """Compute y from x, with the activation applied."""
        raise NotImplementedError

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
        activation: Fused | None = None,
    ) -> None:
        """As `Layer.backward`, where dy is the gradient behind the activation."""
        raise NotImplementedError


class KernelOptions(LayerOptions, total=False):
    """The keyword arguments that every layer with a kernel takes."""

    activation: str | Function | Layer | None
    use_bias: bool
    bias_initializer: str | initializers.Initializer | dict[str, Any]
    bias_regularizer: str | regularizers.Regularizer | dict[str, Any] | None
    bias_constraint: str | constraints.Constraint | dict[str, Any] | None


class KernelLayer(EpilogueLayer):
    """A layer with a kernel, perhaps a bias, and perhaps an activation behind them.

    Args:
        activation: a name, a function of `convkit.activations`, a layer such as LeakyReLU(0.1), or
            None.
        use_bias: whether there is a bias.
        bias_initializer, bias_regularizer, bias_constraint: of the bias. The kernel's have other
            names in other layers, so that they are the subclasses' affair.
    """

    keeps_input = True
    dx_over_x = True
    shaping = EpilogueLayer.shaping | {"use_bias", "bias_initializer"}

    def __init__(
        self,
        *,
        activation: str | Function | Layer | None = None,
        use_bias: bool = True,
        bias_initializer: str | initializers.Initializer | dict[str, Any] = "zeros",
        bias_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        bias_constraint: str | constraints.Constraint | dict[str, Any] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.activation = check_activation(activation, self)
        self.use_bias = flag(use_bias, "use_bias", self)
        self.bias_initializer = initializers.get(bias_initializer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.bias_constraint = constraints.get(bias_constraint)
        self.kernel: Parameter
        self.bias: Parameter | None = None

    def _add_kernel(
        self,
        shape: Sequence[int],
        outputs: int,
        initializer: initializers.Initializer,
        regularizer: regularizers.Regularizer | None,
        constraint: constraints.Constraint | None,
    ) -> None:
        """Make the kernel of that shape and, if there is one, the bias (outputs,)."""
        self.kernel = self.add_parameter("kernel", shape, initializer, regularizer, constraint)
        if self.use_bias:
            of_bias = self.bias_initializer, self.bias_regularizer, self.bias_constraint
            self.bias = self.add_parameter("bias", (outputs,), *of_bias)

    def use_parameters(self, kernel: Parameter, bias: Parameter | None = None) -> None:
        """Compute with another layer's parameters, as a stage of it."""
        self.kernel, self.bias = kernel, bias
        self._parameters = [each for each in (kernel, bias) if each is not None]

    def stages(self) -> tuple[Layer, ...]:
        """What the kernel does, then the activation if there is one."""
        if self.activation is None:
            return (self,)
        if isinstance(self.activation, Activation):
            config = {**self.activation.get_config(), "name": self.name}
            return (self, type(self.activation).from_config(config))
        return (self, Activation(self.activation, name=self.name))

    @property
    def bias_value(self) -> Array | None:
        """What `forward` adds, or None."""
        return None if self.bias is None else self.bias.array

    @property
    def kernel_gradient(self) -> Array | None:
        """Where `backward` writes the kernel's gradient; None while the kernel is frozen."""
        return None if self.kernel.frozen else self.kernel.gradient

    @property
    def bias_gradient(self) -> Array | None:
        """Where `backward` writes the bias's gradient; None while there is nothing to write."""
        return None if self.bias is None or self.bias.frozen else self.bias.gradient
