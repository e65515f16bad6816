"""The curves of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from .style import BLUE, GREY, INK, TITLE, VERMILION, figure_of, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def history(history: Any, axes: Axes | Sequence[Axes] | None = None) -> Figure:
    """Draw the training and validation curves, one plot for each quantity (loss, accuracy ...).

    Arguments:
        history: what `fit` returned, or its `.history`: a dict of lists with one number an epoch.
            A key `val_x` is drawn as the validation curve beside the key `x`.
        axes: as many Axes as there are quantities; a new figure if None.

    Returns:
        The figure.

    Raises:
        ValueError: no epochs, lists of different lengths, or not as many axes as quantities.
    """
    record = _record(history)
    quantities = [name for name in record if not name.startswith("val_")]
    quantities.sort(key=lambda name: name != "loss")  # the loss first, the others as they come
    if axes is None:
        figure = new_figure(width=4.8 * len(quantities), height=3.6)
        axes = [figure.add_subplot(1, len(quantities), i + 1) for i in range(len(quantities))]
    panels = cast("list[Axes]", list(np.ravel(np.asarray(axes, dtype=object))))
    if len(panels) != len(quantities):
        raise ValueError(
            f"history has {len(quantities)} quantities to draw ({', '.join(quantities)}); "
            f"expected as many axes, got {len(panels)}"
        )
    for ax, quantity in zip(panels, quantities, strict=True):
        _draw_curves(ax, quantity, record[quantity], record.get(f"val_{quantity}"))
    return figure_of(panels[0])


def _record(history: Any) -> Mapping[str, Sequence[float]]:
    """The dict of lists in a History, checked."""
    record = getattr(history, "history", history)
    if not isinstance(record, Mapping):
        raise TypeError(
            f"history: expected what fit() returned, or its .history dict, "
            f"got {type(history).__name__}"
        )
    lengths = {key: len(values) for key, values in record.items()}
    if not lengths or not max(lengths.values()):
        raise ValueError("history: it holds no epochs, so there is nothing to draw; train first")
    if len(set(lengths.values())) > 1:
        raise ValueError(f"history: expected one number an epoch in every list, got {lengths}")
    return record


def _draw_curves(
    ax: Axes, quantity: str, training: Sequence[float], validation: Sequence[float] | None
) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = np.arange(1, len(training) + 1)
    # On a long run markers would merge into a band.
    every = max(1, len(training) // 20)
    style: dict[str, Any] = {"marker": "o", "linewidth": 1.8, "markersize": 4.5, "markevery": every}
    ax.plot(epochs, training, color=BLUE, label="training", **style)
    if validation is not None:
        style |= {"marker": "s", "linestyle": "--"}
        ax.plot(epochs, validation, color=VERMILION, label="validation", **style)
        ax.legend(frameon=False, handlelength=3)
    ax.set_xlabel("epoch", color=INK)
    ax.set_title(quantity.replace("_", " "), color=INK, fontsize=TITLE)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _tidy(ax)


def learning_rate_finder(finder: Any, axes: Axes | None = None) -> Figure:
    """Draw the mean loss against the learning rate, on a logarithmic scale, and the suggestion.

    Arguments:
        finder: a `callbacks.LearningRateFinder` after `fit`.
        axes: to draw into; a new figure if None.

    Returns:
        The figure.

    Raises:
        ValueError: it has made no steps.
        TypeError: it is no such callback.
    """
    rates, losses = (getattr(finder, name, None) for name in ("learning_rates", "losses"))
    if rates is None or losses is None:
        raise TypeError(f"expected a LearningRateFinder after fit(), got {type(finder).__name__}")
    if not losses:
        raise ValueError("the finder has made no steps; give it to fit(callbacks=[...]) first")
    ax = new_figure(width=5.6, height=3.6).add_subplot() if axes is None else axes
    ax.plot(rates, losses, color=BLUE, linewidth=1.8, label="loss, moving mean")
    try:
        best = finder.suggestion
    except ValueError:  # the loss never fell
        best = None
    if best is not None:
        ax.axvline(
            best, color=VERMILION, linestyle="--", linewidth=1.4, label=f"steepest: {best:.2g}"
        )
    ax.set_xscale("log")
    ax.legend(frameon=False)
    ax.set_xlabel("learning rate", color=INK)
    ax.set_title("loss by learning rate", color=INK, fontsize=TITLE)
    _tidy(ax)
    return figure_of(ax)


def _tidy(ax: Axes) -> None:
    ax.grid(color="#E3E3E3", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(GREY)
    ax.tick_params(color=GREY, labelcolor=INK)
