"""ProgbarLogger: the progress that `fit` shows anyway."""

from __future__ import annotations

from .base import Callback


class ProgbarLogger(Callback):
    """Says that the progress is to be shown, as `verbose` of `fit` has it.

    As in Keras it takes the place of the progress bar that `fit` adds by itself: with `verbose=0`
    nothing is shown, otherwise one bar.
    """
