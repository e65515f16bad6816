"""What can be converted: models in which each layer follows another one."""

from __future__ import annotations

from ..layers.base import Layer
from ..models import Model


def chain_of(model: Model) -> list[Layer]:
    """The layers of a model in which each follows another one, those of inner models too.

    Raises:
        ValueError: the model is not built, or has branches or shared layers.
    """
    chain = model.graph.as_chain()
    if chain is None:
        raise ValueError(
            f'model "{model.name}" has branches, layers that are called several times, or several '
            f"inputs or outputs; only a chain of layers can be converted"
        )
    return chain
