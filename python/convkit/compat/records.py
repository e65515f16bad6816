"""Whether what is computed now is recorded, for a `tf.GradientTape` or for the loss of a script."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from typing import Any

_state = local()


def open_tapes() -> list[Any]:
    """The tapes of this thread that record, the innermost last."""
    found: list[Any] = _state.__dict__.setdefault("tapes", [])
    return found


def in_records(value: Any) -> Any:
    """What stands for a weight, a variable or a watched tensor while a tape is open, else None."""
    tapes = open_tapes()
    return tapes[0].stands_for(value) if tapes else None


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
