"""SGD and Lion: one memory, the momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from ..core.config import flag
from ..core.parameters import Array
from .arguments import OptimizerOptions, share
from .optimizer import Optimizer
from .schedules import LearningRateSchedule

if TYPE_CHECKING:
    from typing_extensions import Unpack


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for.

    Args:
        learning_rate: the step size, or a schedule of it.
        momentum: how much of the last step is repeated.
        nesterov: look ahead by the momentum (Y. Nesterov, 1983).
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        **options: as of `Optimizer`.
    """

    capturable = True
    _derived = ("slot_names",)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **options)
        self.momentum = share(momentum, "momentum", self)
        self.nesterov = flag(nesterov, "nesterov", self)
        self.slot_names = ("velocity",) if self.momentum else ()

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """velocity = momentum * velocity - learning_rate * g; w += velocity."""
        ops.sgd_update(
            w,
            g,
            slots[0] if slots else None,
            learning_rate=self._rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self._decay,
        )


class Lion(Optimizer):
    """Steps of one size, in the direction of the momentum's sign (X. Chen et al., 2023).

    Args:
        learning_rate: the step size, or a schedule of it; a tenth of what Adam is given does well.
        beta_1: how much of the momentum counts beside the gradient in a step; above 0.
        beta_2: how much of the momentum stays at each step.
        weight_decay: subtract learning_rate * weight_decay * w at each step.
        **options: as of `Optimizer`.
    """

    capturable = True
    slot_names = ("momentum",)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float | None = None,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **options)
        self.beta_1 = share(beta_1, "beta_1", self)
        if self.beta_1 == 0.0:
            raise self._error("beta_1 must be above 0, or the momentum would count for nothing")
        self.beta_2 = share(beta_2, "beta_2", self)

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """w -= learning_rate * sign(beta_1 * momentum + (1 - beta_1) * g)."""
        ops.lion_update(
            w,
            g,
            slots[0],
            learning_rate=self._rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            weight_decay=self._decay,
        )
