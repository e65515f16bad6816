"""TerminateOnNaN: no step more once the loss is lost."""

from __future__ import annotations

import math

from ..core.warn import say
from .base import Callback, Logs
from .monitor import as_number


class TerminateOnNaN(Callback):
    """Stop when the loss is NaN or infinite.

    Args:
        raise_error: raise an error at once, rather than end training in the usual way.

    Raises:
        RuntimeError: in `fit`, if `raise_error` is set.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(as_number(loss, "loss", self)):
            return
        if self.raise_error:
            raise RuntimeError(
                f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}. "
                f"Terminating training immediately."
            )
        say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
