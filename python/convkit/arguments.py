"""The smaller arguments of `fit`, `evaluate` and `predict`, checked; and what they return."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .batches import Batches
from .callbacks import Callback, CallbackList, Logs
from .config import flag
from .progress import check_verbose

if TYPE_CHECKING:
    from .models import Sequential


def due(validation_freq: int | Sequence[int]) -> Callable[[int], bool]:
    """Whether to validate after an epoch, which counts from 0."""
    if isinstance(validation_freq, Sequence) and not isinstance(validation_freq, str):
        listed = {integer(epoch, "validation_freq") for epoch in validation_freq}
        return lambda epoch: epoch + 1 in listed
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


def listed(callbacks: Callback | Sequence[Callback] | None) -> list[Callback]:
    """None, one callback or several, as a new list."""
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
        return [callbacks]  # what is no callback, `CallbackList` finds
    return list(callbacks)


@contextmanager
def hearing(
    callbacks: Callback | Sequence[Callback] | None,
    progress: Callable[[int], Callback],
    verbose: str | int,
    model: Sequential,
    batches: Batches,
    epochs: int = 1,
) -> Iterator[CallbackList]:
    """The callbacks of a pass, its progress last; they also hear what ends it before its time."""
    everyone, shown = listed(callbacks), check_verbose(verbose)
    if shown:
        everyone.append(progress(shown))
    params = {
        "verbose": shown,
        "epochs": epochs,
        "steps": batches.length,
        "samples": batches.samples,
        "batch_size": batches.batch_size,
    }
    loop = CallbackList(everyone, model, params)
    try:
        yield loop
    except BaseException as error:
        loop.interrupted(error)
        raise


def flat(logs: Logs, return_dict: bool) -> Any:
    """A dictionary, a list with the loss first, or the loss alone: what Keras returns."""
    if flag(return_dict, "return_dict", "evaluate"):
        return logs
    values = list(logs.values())
    return values if len(values) > 1 else values[0]
