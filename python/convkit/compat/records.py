"""Whether what is computed now is recorded, for a `tf.GradientTape` or for the loss of a script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import Any

_state = local()


class Records:
    """What was recorded while some tapes were open, of which one is within another.

    It is forgotten with the last of the tapes: results that a script keeps, such as its losses, do
    not hold what they were computed of.

    Attributes:
        leaves: what stands for weights, variables and watched tensors, by their identities.
        made: all that was recorded.
    """

    def __init__(self) -> None:
        self.leaves: dict[int, tuple[Any, Any]] = {}
        self.made: list[Any] = []

    def __del__(self) -> None:
        for each in self.made:
            each.sources = []


def open_tapes() -> list[Any]:
    """The tapes of this thread that record, the innermost last."""
    found: list[Any] = _state.__dict__.setdefault("tapes", [])
    return found


def in_records(value: Any) -> Any:
    """What stands for a weight, a variable or a watched tensor while a tape is open, else None."""
    tapes = open_tapes()
    return tapes[0].stands_for(value) if tapes else None


def is_recording() -> bool:
    """Whether a tape is open, or the loss of a script is being computed."""
    return is_in_loss() or bool(open_tapes())


@contextmanager
def loss_of_a_script() -> Iterator[None]:
    """Within, recorded numbers are never taken out of the records: a part would be missed."""
    before = is_in_loss()
    _state.in_loss = True
    try:
        yield
    finally:
        _state.in_loss = before


def is_in_loss() -> bool:
    """Whether the loss of a script is being computed."""
    return getattr(_state, "in_loss", False)
