"""LambdaCallback: a callback from functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .base import Callback

Hook = Callable[..., Any]


class LambdaCallback(Callback):
    """Call functions at the moments of training.

    Args:
        on_epoch_begin, on_epoch_end: called with (epoch, logs).
        on_train_begin, on_train_end: called with (logs).
        on_train_batch_begin, on_train_batch_end: called with (batch, logs).
        hooks: any other hook of `Callback`, by its name.

    Raises:
        TypeError: `Callback` has no hook of that name.

    Example:
        >>> convkit.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs["loss"]))
    """

    def __init__(
        self,
        on_epoch_begin: Hook | None = None,
        on_epoch_end: Hook | None = None,
        on_train_begin: Hook | None = None,
        on_train_end: Hook | None = None,
        on_train_batch_begin: Hook | None = None,
        on_train_batch_end: Hook | None = None,
        **hooks: Hook,
    ) -> None:
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **hooks,
        }
        for name, function in given.items():
            if not name.startswith("on_") or not hasattr(Callback, name):
                raise TypeError(f"LambdaCallback: a callback has no hook {name!r}")
            if function is not None and not callable(function):
                raise TypeError(f"LambdaCallback: {name} must be a function, received {function!r}")
            if function is not None:
                setattr(self, name, function)
