"""The closed list of classes that a saved model may consist of.

A file names a class by its module and name, and this list is where the name is looked up: nothing
is ever imported, and no class from outside convkit is ever called, because a file says so.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from .. import constraints, initializers, layers, losses, metrics, optimizers, regularizers
from ..core import custom, lazy
from ..core.config import Configurable
from ..optimizers import schedules

# What `serialize` says of an object.
DESCRIPTION = ("module", "class_name", "config")

# The public classes of a module that belong to its kind: one line for each kind.
_KINDS: tuple[tuple[Any, type[Configurable]], ...] = (
    (constraints, constraints.Constraint),
    (initializers, initializers.Initializer),
    (layers, layers.Layer),
    (losses, losses.Loss),
    (metrics, metrics.Metric),
    (optimizers, optimizers.Optimizer),
    (regularizers, regularizers.Regularizer),
    (schedules, schedules.LearningRateSchedule),
)


@cache
def known_classes() -> dict[tuple[str, str], type[Configurable]]:
    """Every class that a file may name, by its module (such as `convkit.layers`) and name."""
    found: dict[tuple[str, str], type[Configurable]] = {}
    for module, base in _KINDS:
        kind = ".".join(module.__name__.split(".")[:2])
        for value in lazy.classes(module, base).values():
            found[kind, value.__name__] = value
    return found


def find_class(module: Any, name: Any) -> type[Configurable] | None:
    """The class that a file names: convkit's own, or one that the user has registered."""
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    found = known_classes().get((module, name))
    return custom.find(name) if found is None else found


def check_known(description: dict[str, Any], what: str) -> dict[str, Any]:
    """Return what `serialize` made of an object; ValueError if a file could not give it back."""
    key = (description["module"], description["class_name"])
    if find_class(*key) is None:
        raise ValueError(
            f"{what} is a {'.'.join(key)}, which cannot be saved: a file holds convkit's own "
            f"classes and no code. Use save_weights and load_weights, and build the model in "
            f"Python; or register the class by @convkit.saving.register_keras_serializable()"
        )
    for name, value in description["config"].items():
        if _is_description(value):
            check_known(value, f"the {name} of {what}")
    return description


def revive(description: Any, base: type[Configurable]) -> Any:
    """Make an object again from what `serialize` made of it.

    Args:
        description: its module, class_name and config, as JSON gave them.
        base: the class that the object must belong to.

    Raises:
        ValueError: it names no known class of that kind, or is of another form. What a constructor
            thinks of its arguments is raised as the constructor raises it.
    """
    if not _is_description(description) or not isinstance(description.get("config"), dict):
        raise ValueError(
            f"a {base.__name__} must be described by its module, class_name and config, found "
            f"{_short(description)}"
        )
    if unknown := sorted(description.keys() - set(DESCRIPTION)):
        raise ValueError(
            f"a {base.__name__} is described by more than its module, class_name and config: "
            f"{_short(unknown)}"
        )
    key = (description.get("module"), description["class_name"])
    kind = find_class(*key)
    if kind is None:
        raise ValueError(
            f"there is no class {_short('.'.join(map(str, key)))} in convkit; one of your own is "
            f"registered by @convkit.saving.register_keras_serializable(), or given in "
            f"custom_objects"
        )
    if not issubclass(kind, base):
        raise ValueError(f"expected a {base.__name__}, found a {kind.__name__}")
    config = {
        name: revive(value, Configurable) if _is_description(value) else value
        for name, value in description["config"].items()
    }
    return kind.from_config(config)


def _is_description(value: Any) -> bool:
    return isinstance(value, dict) and "class_name" in value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
