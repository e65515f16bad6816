"""A model as text, as JSON, and by what it was compiled with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import losses, metrics, optimizers, storage, summary
from ..core.config import flag, serialize
from ..core.warn import say

if TYPE_CHECKING:
    from ..core.parameters import Parameter
    from ..layers.graph import Graph
    from ..training.objective import Objective


class Described:
    """What a model says of itself, and Keras's other names of its weights."""

    if TYPE_CHECKING:

        @property
        def name(self) -> str: ...
        @property
        def layers(self) -> list[Any]: ...
        @property
        def built(self) -> bool: ...
        @property
        def graph(self) -> Graph: ...
        def _objective(self) -> Objective: ...
        @property
        def weights(self) -> list[Parameter]: ...
        @property
        def trainable_weights(self) -> list[Parameter]: ...
        @property
        def non_trainable_weights(self) -> list[Parameter]: ...
        def compile(self, *arguments: Any, **options: Any) -> None: ...

    def summary(
        self,
        print_fn: Callable[[str], object] | None = None,
        *,
        line_length: int | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print the layers, their output shapes and parameter counts, and the totals.

        Args:
            print_fn: what to do with the text instead of printing it.
            line_length: of the rules, at least; by default as long as the longest line.
            expand_nested: list the layers of models that are layers, too.
            show_trainable: say of each layer whether training changes it: Y, N, or - without
                weights.
            layer_range: two patterns; the layers from the first whose name begins with the one to
                the last whose name begins with the other.

        Raises:
            ValueError: there is no such layer.
        """
        text = summary.model_table(
            self.name,
            self.layers,
            self.graph if self.built else None,
            line_length=line_length,
            expand_nested=flag(expand_nested, "expand_nested", "summary"),
            show_trainable=flag(show_trainable, "show_trainable", "summary"),
            layer_range=layer_range,
        )
        (print_fn or say)(text)

    def to_json(self, **options: Any) -> str:
        """The architecture as JSON, without weights, for `models.model_from_json`.

        Args:
            **options: of `json.dumps`, such as `indent`.

        Raises:
            ValueError, TypeError: as `get_config`.
        """
        import json  # here: it takes long

        return json.dumps(serialize(self), **options)

    def get_compile_config(self) -> dict[str, Any] | None:
        """What `compile` was given, as a dictionary that JSON can hold; None before it."""
        objective = self._objective()
        if objective.optimizer is None:
            return None
        several = len(objective.losses) != 1
        own_losses = [None if each is None else serialize(each) for each in objective.losses]
        own_metrics = [[serialize(each) for each in wanted] for wanted in objective.metrics]
        return {
            "optimizer": serialize(objective.optimizer),
            "loss": own_losses if several else own_losses[0],
            "loss_weights": list(objective.loss_weights) if several else objective.loss_weights[0],
            "metrics": own_metrics if several else own_metrics[0],
        }

    def compile_from_config(self, config: Mapping[str, Any] | None) -> None:
        """Compile as the model was that gave this by `get_compile_config`; nothing for None.

        Raises:
            ValueError: a class in it is not one of convkit's own, or registered.
        """
        if config is None:
            return
        loss, wanted = config["loss"], config["metrics"] or []
        self.compile(
            storage.revive(config["optimizer"], optimizers.Optimizer),
            _each(loss, losses.Loss),
            loss_weights=config["loss_weights"],
            metrics=_each(wanted, metrics.Metric),
        )

    @property
    def variables(self) -> list[Parameter]:
        """Keras's other name of `weights`; the states of metrics are not among them."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Parameter]:
        """Keras's other name of `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Parameter]:
        """Keras's other name of `non_trainable_weights`."""
        return self.non_trainable_weights

    def reset_metrics(self) -> None:
        """Nothing: every epoch, and every call, begins with metrics of its own."""


def _each(described: Any, base: type[Any]) -> Any:
    """Objects of what `serialize` made of them, in the same lists."""
    if isinstance(described, list):
        return [_each(each, base) for each in described]
    return None if described is None else storage.revive(described, base)
