"""How a model of Keras was compiled, as its file describes it."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from .. import losses, metrics, optimizers
from ..core.config import argument_names
from ..models import Model
from ..optimizers import schedules

# What Keras's objects have and convkit's need not: the values that mean nothing, besides None,
# False and 0.
_MEANING_NOTHING: dict[str, tuple[Any, ...]] = {
    "axis": (-1,),
    "dtype": ("float32",),
    "ema_momentum": (0.99,),
    "jit_compile": (True, "auto"),
    "reduction": ("sum_over_batch_size", "auto"),
}
_UNIMPORTANT = ("fn", "is_legacy_optimizer", "name")


def compile_as(model: Model, config: Any) -> str:
    """Compile a model as one of Keras was.

    Args:
        model: not compiled.
        config: the optimizer, loss, metrics and loss_weights of Keras.

    Returns:
        Why it is not compiled, or "" if it is.
    """
    if not isinstance(config, Mapping):
        return f"the file describes the training by {config!r:.80}"
    loss = config.get("loss")
    if loss is None:
        return ""
    try:
        optimizer: Any = config.get("optimizer") or config.get("optimizer_config")
        model.compile(
            _each(optimizer, optimizers),
            _each(loss, losses),
            loss_weights=config.get("loss_weights"),
            metrics=_each(config.get("metrics"), metrics),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return str(error)
    return ""


def _each(value: Any, module: ModuleType) -> Any:
    """Names, objects, and lists and dictionaries of those, in Keras's words."""
    if isinstance(value, list):
        return [_each(each, module) for each in value]
    if isinstance(value, Mapping):
        if "class_name" in value and "config" in value:
            return _revived(value, module)
        return {key: _each(each, module) for key, each in value.items()}
    return value


def _revived(described: Mapping[str, Any], module: ModuleType) -> Any:
    """The object of that class and configuration; ValueError if convkit has it not."""
    name, config = described["class_name"], described["config"]
    if name == "function":  # a loss or metric that was given as a function of Keras
        return config
    kind = getattr(module, name) if name in module.__all__ else None
    if not isinstance(kind, type):
        raise ValueError(f"convkit has no {name!r} in {module.__name__.rpartition('.')[2]}")
    known = argument_names(kind)
    given = {}
    for key, value in config.items():
        if key in known:
            given[key] = _revived(value, schedules) if _is_object(value) else value
        elif key not in _UNIMPORTANT and not _means_nothing(key, value):
            raise ValueError(f"convkit's {name} has no {key}={value!r}")
    return kind(**given)


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping) and "class_name" in value


def _means_nothing(key: str, value: Any) -> bool:
    return value in (None, False, 0) or value in _MEANING_NOTHING.get(key, ())
