"""The confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .labels import label_pair, names_of
from .style import GREY, INK, SMALL, TITLE, figure_of, luminance, new_figure, require

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Below this luminance of the ground, white text has more contrast than black: the root of
# (1 + 0.05) / (L + 0.05) = (L + 0.05) / (0 + 0.05), the contrast ratios of WCAG 2.
_BALANCED_LUMINANCE = 0.179


def confusion_matrix(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    class_names: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Draw the counts of each true class (row) against each predicted class (column).

    The colour of a cell is its share of the row, on a scale that makes rare confusions visible.

    Arguments:
        y_true: integer labels (N,) or (N, 1), or one-hot (N, K).
        y_pred: predicted labels in the same forms, or probabilities (N, K) as of `predict`.
        class_names: K names in label order; the numbers if None.
        ax: where to draw; a new figure if None.

    Returns:
        The figure.

    Raises:
        ValueError: different numbers of labels and predictions, none at all, or a label that has
            no name.
    """
    true, predicted = label_pair(y_true, y_pred)
    names = names_of(class_names, true, predicted)
    require("sklearn", "scikit-learn")
    from sklearn import metrics

    counts = np.asarray(metrics.confusion_matrix(true, predicted, labels=np.arange(len(names))))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if ax is None:
        side = 2.2 + 0.52 * len(names)
        ax = new_figure(width=side + 0.9, height=side).add_subplot()
    _draw_matrix(ax, counts, shares)
    ticks = np.arange(len(names))
    ax.set_yticks(ticks, names)
    if max(len(name) for name in names) <= 3:
        ax.set_xticks(ticks, names)
    else:  # longer names need a slant, or they would run into each other
        ax.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")
    correct = int(np.trace(counts))
    ax.set_xlabel("predicted class", color=INK)
    ax.set_ylabel("true class", color=INK)
    ax.set_title(
        f"{correct:,} of {len(true):,} correct ({100 * correct / len(true):.2f} %)",
        color=INK,
        fontsize=TITLE,
    )
    return figure_of(ax)


def _draw_matrix(ax: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    from matplotlib.colors import PowerNorm
    from matplotlib.ticker import PercentFormatter

    image = ax.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0.0, vmax=1.0))
    bar = figure_of(ax).colorbar(image, ax=ax, fraction=0.046, pad=0.03)
    bar.set_label("share of the true class (square-root scale)", color=INK)
    bar.set_ticks([0, 0.01, 0.05, 0.2, 0.5, 1.0])
    bar.ax.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0, symbol=" %"))
    bar.ax.tick_params(color=GREY, labelcolor=INK)
    cast("Any", bar.outline).set_visible(False)
    ax.spines[:].set_visible(False)
    # White lines between the cells.
    edges = np.arange(len(counts) + 1) - 0.5
    ax.set_xticks(edges, minor=True)
    ax.set_yticks(edges, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.2)
    ax.tick_params(which="both", length=0, labelcolor=INK)
    for row, column in np.ndindex(*counts.shape):
        number = counts[row, column]
        dark = luminance(image.cmap(image.norm(shares[row, column]))) < _BALANCED_LUMINANCE
        ax.text(
            column,
            row,
            f"{number:,}",
            ha="center",
            va="center",
            color="white" if dark else "black" if number else "#BDBDBD",
            fontsize=SMALL,
            fontweight="bold" if row == column else "normal",
        )
