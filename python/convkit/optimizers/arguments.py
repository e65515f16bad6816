"""The arguments of optimizers: those that all take, and how they are checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypedDict

from ..core.config import Configurable, as_number, not_negative
from ..core.parameters import Parameter


class OptimizerOptions(TypedDict, total=False):
    """The keyword arguments that every optimizer takes; `Optimizer` says what they are."""

    clipnorm: float | None
    clipvalue: float | None
    global_clipnorm: float | None
    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    loss_scale_factor: float | None
    gradient_accumulation_steps: int | None
    name: str | None


def share(value: float, what: str, owner: Configurable) -> float:
    """Return an argument as a float; ValueError unless it is at least 0 and below 1."""
    number = not_negative(value, what, owner)
    if number >= 1.0:
        raise ValueError(
            f"{type(owner).__name__}: {what} must be at least 0 and below 1, received {value!r}"
        )
    return number


def count(value: int | None, what: str, least: int, owner: Configurable) -> int | None:
    """None, or an integer of at least that; Keras takes 0 for None."""
    number = as_number(value)
    if value is None or number == 0:
        return None
    if number is None or not number.is_integer() or number < least:
        raise ValueError(
            f"{type(owner).__name__}: {what} must be None or an integer of at least {least}, "
            f"received {value!r}"
        )
    return int(number)


def undecayed(
    var_list: Iterable[Parameter] | None, var_names: Iterable[str] | None, owner: Configurable
) -> tuple[frozenset[Parameter], re.Pattern[str] | None]:
    """The weights, and the pattern of names, of `Optimizer.exclude_from_weight_decay`."""
    weights = frozenset(() if var_list is None else var_list)
    names = [] if var_names is None else list(var_names)
    if wrong := [each for each in weights if not isinstance(each, Parameter)]:
        raise TypeError(f"var_list must be weights of a model, received {wrong[0]!r}")
    if isinstance(var_names, str) or not all(isinstance(each, str) for each in names):
        raise TypeError(f"var_names must be a list of texts, received {var_names!r}")
    try:
        return weights, re.compile("|".join(names)) if names else None
    except re.error as error:
        kind = type(owner).__name__
        raise ValueError(f"{kind}: var_names must be regular expressions: {error}") from None
