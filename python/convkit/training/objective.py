"""What `compile` was given: the losses, the metrics, and what makes the losses small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import losses, optimizers
from ..layers.graph import one_or_all
from ..metrics import Metric, get_all
from ..plan import Target
from .arguments import checked_weight, per_output
from .scores import Scores


class Objective:
    """The losses and the metrics of each output, and the optimizer; nothing before `compile`.

    Args:
        names: of the outputs.
        optimizer, loss, metrics, loss_weights: as of `Model.compile`.

    Attributes:
        optimizer: as an object, or None.
        losses: one for each output, None where it has none.
        loss_weights: their factors in the sum.
        metrics: those of each output.

    Raises:
        ValueError: an unknown name, or not one of each for each output.
    """

    __slots__ = ("loss_weights", "losses", "metrics", "optimizer")

    def __init__(
        self,
        names: Sequence[str] = (),
        optimizer: Any = None,
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
    ) -> None:
        self.optimizer = optimizers.get(optimizer) if names else None
        self.losses: list[losses.Loss | None] = []
        self.loss_weights: list[float] = []
        self.metrics: list[list[Metric]] = []
        if not names:
            return
        self.losses = [
            None if each is None else losses.for_training(each)
            for each in per_output(loss, names, "loss", alike=True)
        ]
        self.loss_weights = [
            1.0 if each is None else checked_weight(each)
            for each in per_output(loss_weights, names, "loss_weights")
        ]
        pairs = zip(per_output(metrics, names, "metrics"), self.losses, strict=True)
        self.metrics = [get_all(each, its) for each, its in pairs]

    def replace(self, names: Sequence[str], **changes: Any) -> Objective:
        """One with other arguments, which compiles what was not compiled with Adam."""
        former = {
            "optimizer": self.optimizer or "adam",
            "loss": self.losses or None,
            "metrics": self.metrics or None,
            "loss_weights": self.loss_weights or None,
        }
        return Objective(names, **{**former, **changes})

    @property
    def loss(self) -> Any:
        """The only output's loss, or a list; None before `compile`."""
        return one_or_all(self.losses) if self.losses else None

    def require_loss(self, what: str, model: str) -> None:
        """ValueError unless the model of that name can do what needs a loss."""
        if self.optimizer is None:
            raise ValueError(
                f'model "{model}": call compile(optimizer, loss) before {what}, for example '
                f"compile('adam', 'sparse_categorical_crossentropy', metrics=['accuracy'])"
            )
        if not self.has_loss:
            raise ValueError(f'model "{model}": {what} needs a loss; give one to compile')

    @property
    def has_loss(self) -> bool:
        """Whether an output has one."""
        return any(loss is not None for loss in self.losses)

    def targets(self) -> list[Target]:
        """The loss of each output, with its weight."""
        pairs = zip(self.losses, self.loss_weights, strict=True)
        return [Target(loss, weight) for loss, weight in pairs]

    def scores(self, names: Sequence[str]) -> Scores:
        """The means of a pass that begins, with the outputs' names."""
        wanted = zip(names, self.losses, self.metrics, strict=True)
        heads = [(name, own) for name, loss, own in wanted if loss is not None]
        return Scores(heads, len(self.losses) > 1)
