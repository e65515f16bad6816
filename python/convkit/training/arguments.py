"""The smaller arguments of `fit`, `evaluate` and `predict`, checked; and what they return."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from ..callbacks import Callback, CallbackList, Logs
from ..callbacks.base import TrainedModel
from ..core import processes
from ..core.config import as_number, flag
from .batches import Batches
from .progress import check_verbose


def per_output(value: Any, names: Sequence[str], what: str, *, alike: bool = False) -> list[Any]:
    """What is given for each output of a model, None where nothing is.

    Args:
        value: of one output, it or a list of it; of several, a list in their order, or a dictionary
            by their names.
        names: of the outputs.
        what: it is, for errors.
        alike: whether one that is no list is for all outputs.

    Raises:
        ValueError: there are more, or others, than there are outputs.
    """
    if isinstance(value, Mapping):
        if unknown := [key for key in value if key not in names]:
            raise ValueError(f"{what} names {unknown[0]!r}, and the outputs are {list(names)}")
        return [value.get(name) for name in names]
    if len(names) == 1:
        is_list = isinstance(value, list | tuple) and len(value) == 1
        nested = is_list and (
            what != "metrics" or isinstance(value[0], list | tuple)
        )  # [metric, ...] is one's own
        return [value[0] if nested else value]
    if value is None or (alike and not isinstance(value, list | tuple)):
        return [value] * len(names)
    if not isinstance(value, list | tuple) or len(value) != len(names):
        raise ValueError(
            f"{what} must be a list of {len(names)}, one for each of the outputs {list(names)}, or "
            f"a dictionary by their names, received {value!r}"
        )
    return list(value)


def checked_weight(value: Any) -> float:
    """The weight of a loss as a float; ValueError unless it is a finite number."""
    number = as_number(value)
    if number is None or not math.isfinite(number):
        raise ValueError(f"loss_weights must be finite numbers, received {value!r}")
    return number


def should_validate(validation_freq: int | Sequence[int]) -> Callable[[int], bool]:
    """Whether to validate after an epoch, which counts from 0."""
    if isinstance(validation_freq, Sequence) and not isinstance(validation_freq, str):
        epochs = {integer(epoch, "validation_freq") for epoch in validation_freq}
        return lambda epoch: epoch + 1 in epochs
    every = integer(validation_freq, "validation_freq")
    return lambda epoch: (epoch + 1) % every == 0


def optional(value: int | None, what: str) -> int | None:
    """None, or a positive integer."""
    return None if value is None else integer(value, what)


def integer(value: int, what: str, least: int = 1) -> int:
    """Return `value` as an int; TypeError or ValueError unless it is one of at least `least`."""
    try:
        number = operator.index(value)
    except TypeError:
        import reprlib  # for the targets that somebody gave as the batch size

        raise TypeError(f"{what} must be an integer, received {reprlib.repr(value)}") from None
    if isinstance(value, bool) or number < least:
        raise ValueError(f"{what} must be an integer of at least {least}, received {value!r}")
    return number


def as_list(callbacks: Callback | Sequence[Callback] | None) -> list[Callback]:
    """None, one callback or several, as a new list."""
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        return [callbacks]  # what is no callback, `CallbackList` finds
    return list(callbacks)


@contextmanager
def callback_scope(
    callbacks: Callback | Sequence[Callback] | None,
    progress: Callable[[int], Callback],
    verbose: str | int,
    model: TrainedModel,
    batches: Batches,
    epochs: int = 1,
) -> Iterator[CallbackList]:
    """The callbacks of a pass, its progress last; they also hear what ends it before its time."""
    everyone = as_list(callbacks)
    shown = check_verbose(verbose) if processes.is_first() else 0
    if shown:
        everyone.append(progress(shown))
    params = {
        "verbose": shown,
        "epochs": epochs,
        "steps": batches.length,
        "samples": batches.samples,
        "batch_size": batches.batch_size,
    }
    callback_list = CallbackList(everyone, model, params)
    try:
        yield callback_list
    except BaseException as error:
        callback_list.interrupted(error)
        if (others := processes.current()) is not None:
            others.interrupted(error)
        raise


def pack_logs(logs: Logs, return_dict: bool) -> Any:
    """A dictionary, a list with the loss first, or the loss alone: what Keras returns."""
    if flag(return_dict, "return_dict", "evaluate"):
        return logs
    values = list(logs.values())
    return values if len(values) > 1 else values[0]
