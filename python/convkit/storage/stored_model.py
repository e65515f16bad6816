"""What is asked of a model that is written to a file or read from one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..core.parameters import Parameter, ParameterStore
from ..layers.base import WeightSource
from ..layers.graph import Graph
from ..losses import Loss
from ..metrics import Metric
from ..optimizers import Optimizer


class StoredObjective(Protocol):
    """What `compile` was given, for each output."""

    losses: list[Loss | None]
    metrics: list[list[Metric]]
    loss_weights: list[float]


class StoredEngine(Protocol):
    """What training changes beside the weights."""

    store: ParameterStore | None

    @property
    def objective(self) -> StoredObjective:
        """What `compile` was given."""

    def parameters(self) -> ParameterStore:
        """The flat buffers, with every parameter in its place."""


class StoredModel(Protocol):
    """A model of `convkit.models`."""

    name: str
    seed: int | None
    _engine: StoredEngine
    _steps: int

    @property
    def built(self) -> bool:
        """Whether the shapes are known and the parameters made."""

    @property
    def graph(self) -> Graph:
        """The layers and how they are connected."""

    @property
    def input_shape(self) -> Any:
        """The shape of the input."""

    @property
    def weights(self) -> list[Parameter]:
        """All parameters, in the order of the layers."""

    @property
    def optimizer(self) -> Optimizer | None:
        """What changes the weights."""

    def named_weights(self) -> list[tuple[str, Parameter]]:
        """All parameters with their names."""

    def build(self, input_shape: Any = None) -> None:
        """Make all parameters."""

    def compile(
        self,
        optimizer: str | Optimizer = "adam",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
    ) -> None:
        """Say how to train."""

    def get_config(self) -> dict[str, Any]:
        """The architecture."""

    def _seed_in_use(self) -> int: ...

    def _target_names(self) -> Sequence[str]: ...

    def _restore(self, config: Any, source: WeightSource | None, depth: int = 0) -> None: ...
