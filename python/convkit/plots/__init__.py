"""Pictures of a training run and of what a network has learnt.

Each function draws with matplotlib into axes or a figure of yours, or into a new figure, and
returns the figure. None of them needs a display or touches matplotlib's global state::

    plots.history(model.fit(...)).savefig("history.png")

matplotlib, and scikit-learn for the confusion matrix, are imported when a picture is drawn. They
come with `pip install "convkit[examples]"`.
"""

from __future__ import annotations

from .curves import history, learning_rate_finder
from .images import samples
from .maps import activations, filters
from .matrix import confusion_matrix

__all__ = [
    "activations",
    "confusion_matrix",
    "filters",
    "history",
    "learning_rate_finder",
    "samples",
]


def __dir__() -> list[str]:
    return __all__
