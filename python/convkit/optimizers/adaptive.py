"""RMSprop, Adagrad, Adadelta and Ftrl: a learning rate of its own for each weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from ..core.config import flag, not_negative, real
from ..core.parameters import Array
from .arguments import OptimizerOptions, share
from .optimizer import Optimizer
from .schedules import LearningRateSchedule

if TYPE_CHECKING:
    from typing_extensions import Unpack


class RMSprop(Optimizer):
    """Steps divided by a moving root mean square of the gradients (T. Tieleman, G. Hinton, 2012).

    Args:
        learning_rate: the step size, or a schedule of it.
        rho: how much of the moving mean of the squared gradients stays at each step.
        momentum: how much of the last step is repeated.
        epsilon: added to the mean square, under the root, as Keras does.
        centered: subtract the square of the mean gradient from the mean square (A. Graves,
            "Generating sequences with recurrent neural networks", 2013).
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        **options: as of `Optimizer`.
    """

    capturable = True
    _derived = ("slot_names",)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        weight_decay: float | None = None,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **options)
        self.rho = share(rho, "rho", self)
        self.momentum = share(momentum, "momentum", self)
        self.epsilon = not_negative(epsilon, "epsilon", self)
        self.centered = flag(centered, "centered", self)
        momentum_slot = ("momentum",) if self.momentum else ()
        mean = ("average_gradient",) if self.centered else ()
        self.slot_names = ("velocity", *momentum_slot, *mean)

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """w -= learning_rate * g / sqrt(velocity + epsilon), with momentum if asked for."""
        ops.rmsprop_update(
            w,
            g,
            slots[0],
            slots[1] if self.momentum else None,
            slots[-1] if self.centered else None,
            learning_rate=self._rate,
            rho=self.rho,
            momentum=self.momentum,
            epsilon=self.epsilon,
            weight_decay=self._decay,
        )


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients (J. Duchi et al., 2011).

    Args:
        learning_rate: the step size, or a schedule of it.
        initial_accumulator_value: what the sum begins with.
        epsilon: added to the sum, under the root.
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        **options: as of `Optimizer`.
    """

    capturable = True
    slot_names = ("accumulator",)
    slot_values = {"accumulator": "initial_accumulator_value"}  # noqa: RUF012

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **options)
        self.initial_accumulator_value = not_negative(
            initial_accumulator_value, "initial_accumulator_value", self
        )
        self.epsilon = not_negative(epsilon, "epsilon", self)

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """accumulator += g^2; w -= learning_rate * g / sqrt(accumulator + epsilon)."""
        ops.adagrad_update(
            w,
            g,
            slots[0],
            learning_rate=self._rate,
            epsilon=self.epsilon,
            weight_decay=self._decay,
        )


class Adadelta(Optimizer):
    """Steps of the size of earlier ones, over that of the gradients (M. Zeiler, 2012).

    Args:
        learning_rate: a factor of the steps, or a schedule of it; the paper has 1.
        rho: how much of the moving mean squares stays at each step.
        epsilon: added to the mean squares, under the roots.
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        **options: as of `Optimizer`.
    """

    capturable = True
    slot_names = ("accumulated_grad", "accumulated_delta_var")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **options)
        self.rho = share(rho, "rho", self)
        self.epsilon = not_negative(epsilon, "epsilon", self)

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """w -= learning_rate * sqrt(mean square of steps / mean square of gradients) * g."""
        ops.adadelta_update(
            w,
            g,
            *slots,
            learning_rate=self._rate,
            rho=self.rho,
            epsilon=self.epsilon,
            weight_decay=self._decay,
        )


class Ftrl(Optimizer):
    """Follow the regularized leader: penalties that make weights exactly 0.

    (H. B. McMahan et al., "Ad click prediction: a view from the trenches", 2013.)

    Args:
        learning_rate: the step size, or a schedule of it; above 0.
        learning_rate_power: how the steps shrink with the sum of squared gradients; at most 0.
        initial_accumulator_value: what that sum begins with.
        l1_regularization_strength, l2_regularization_strength: of penalties on the weights.
        l2_shrinkage_regularization_strength: of a penalty that is added to the gradients alone.
        beta: of the paper, which makes the first steps smaller.
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        **options: as of `Optimizer`.
    """

    capturable = True
    slot_names = ("accumulator", "linear")
    slot_values = {"accumulator": "initial_accumulator_value"}  # noqa: RUF012

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        weight_decay: float | None = None,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **options)
        self.learning_rate_power = real(learning_rate_power, "learning_rate_power", self)
        if not self.learning_rate_power <= 0.0:
            raise self._error(
                f"learning_rate_power must be at most 0, received {learning_rate_power!r}"
            )
        given = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
            "beta": beta,
        }
        for name, value in given.items():
            setattr(self, name, not_negative(value, name, self))

    initial_accumulator_value: float
    l1_regularization_strength: float
    l2_regularization_strength: float
    l2_shrinkage_regularization_strength: float
    beta: float

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """The weights that make small all gradients so far, and the penalties."""
        ops.ftrl_update(
            w,
            g,
            *slots,
            learning_rate=self._rate,
            power=-self.learning_rate_power,
            l1=self.l1_regularization_strength,
            l2=self.l2_regularization_strength,
            shrinkage=self.l2_shrinkage_regularization_strength,
            beta=self.beta,
            weight_decay=self._decay,
        )
