"""What a model needs to know for subclasses whose `call` connects their attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..layers.composite import check_attributes, shapes_in, trace
from ..layers.graph import Operation, tick
from ..layers.structure import Structure

if TYPE_CHECKING:
    from typing_extensions import Self


class Subclassable(Operation):
    """A model whose graph may come from a method `call`."""

    _is_traced = False
    _set_at: dict[str, int]

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        """A model that can note when its attributes are set."""
        made = super().__new__(cls)
        object.__setattr__(made, "_set_at", {})
        return made

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "call" in vars(cls):
            cls.__setattr__ = _set_attribute  # type: ignore[assignment,method-assign]

    @property
    def _title(self) -> str:
        return f'model "{self.name}"'

    def _check_is_configurable(self) -> None:
        if self._is_traced:
            raise ValueError(
                f"a {type(self).__name__} cannot be saved, or copied by its configuration, because "
                f"its code would not be in it; use save_weights and load_weights"
            )

    def _trace(self, input_shape: Any) -> tuple[Structure, Structure]:
        """The inputs and outputs of what `call` connects for inputs of some shapes."""
        shapes, is_one = shapes_in(input_shape)
        graph, outputs = trace(self, shapes, is_one)
        check_attributes(self, graph)
        return Structure(graph.inputs[0] if is_one else graph.inputs, "inputs"), outputs


def _set_attribute(self: Subclassable, name: str, value: Any) -> None:
    """Set an attribute, and remember when, for the order of the layers."""
    object.__setattr__(self, name, value)
    self._set_at[name] = tick()
