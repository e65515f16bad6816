"""Adam and its kin: moving means of the gradient and of its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from .. import ops
from ..core.config import flag, not_negative
from ..core.parameters import Array
from .arguments import OptimizerOptions, share
from .optimizer import Optimizer
from .schedules import LearningRateSchedule

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Adam(Optimizer):
    """Adam (D. Kingma and J. Ba, "Adam: a method for stochastic optimization", 2015).

    Args:
        learning_rate: the step size, or a schedule of it.
        beta_1, beta_2: how much of the mean gradient, and of its mean square, stays at each step.
        epsilon: added to the root of the mean square.
        amsgrad: divide by the largest mean square so far (S. Reddi, S. Kale and S. Kumar, "On the
            convergence of Adam and beyond", 2018).
        weight_decay: if not 0, AdamW's decoupled decay.
        **options: as of `Optimizer`.
    """

    slot_names = ("momentum", "velocity")
    capturable = True
    _derived = ("slot_names",)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        weight_decay: float | None = None,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **options)
        self.beta_1 = share(beta_1, "beta_1", self)
        self.beta_2 = share(beta_2, "beta_2", self)
        self.epsilon = not_negative(epsilon, "epsilon", self)
        self.amsgrad = flag(amsgrad, "amsgrad", self)
        peak = ("velocity_hat",) if self.amsgrad else ()
        self.slot_names = ("momentum", "velocity", *peak)

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """One step with the bias-corrected moments."""
        ops.adam_update(
            w,
            g,
            *slots,
            learning_rate=self._rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            step=self._step,
            weight_decay=self._decay,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (I. Loshchilov and F. Hutter, 2019).

    Args:
        learning_rate: the step size, or a schedule of it.
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        beta_1, beta_2, epsilon, amsgrad: as of `Adam`.
        **options: as of `Optimizer`.
    """

    capturable = True

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, **options)


class _Moments(Optimizer):
    """What Adamax and Nadam share: their arguments, and the form of their updates."""

    _native: ClassVar[Callable[..., None]]

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **options)
        self.beta_1 = share(beta_1, "beta_1", self)
        self.beta_2 = share(beta_2, "beta_2", self)
        self.epsilon = not_negative(epsilon, "epsilon", self)

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """One step with the bias-corrected moments."""
        type(self)._native(
            w,
            g,
            *slots,
            learning_rate=self._rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            step=self._step,
            weight_decay=self._decay,
        )


class Adamax(_Moments):
    """Adam by the largest gradient, which decays, in place of the mean square (its section 7.1).

    Args:
        learning_rate: the step size, or a schedule of it.
        beta_1, beta_2: how much of the mean gradient, and of the largest, stays at each step.
        epsilon: added to the largest gradient.
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        **options: as of `Optimizer`.
    """

    capturable = True
    slot_names = ("momentum", "norm")
    _native = ops.adamax_update


class Nadam(_Moments):
    """Adam with Nesterov's momentum (T. Dozat, 2016).

    Args:
        learning_rate: the step size, or a schedule of it.
        beta_1, beta_2: how much of the mean gradient, and of its mean square, stays at each step;
            beta_1 grows to its value over the first steps.
        epsilon: added to the root of the mean square.
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        **options: as of `Optimizer`.
    """

    capturable = True
    slot_names = ("momentum", "velocity")
    _native = ops.nadam_update
