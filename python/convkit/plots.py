"""Pictures of a training run: its curves, its confusion matrix, its hits and misses.

Each function draws with matplotlib into axes or a figure of yours, or into a new figure, and
returns the figure. None of them needs a display or touches matplotlib's global state::

    plots.history(model.fit(...)).savefig("history.png")

matplotlib, and scikit-learn for the confusion matrix, are imported when a picture is drawn. They
come with `pip install "convkit[examples]"`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["confusion_matrix", "history", "samples"]

# Two colours of the palette of Okabe and Ito, which colour-blind readers can tell apart; the line
# styles and markers tell the curves apart in a black-and-white print.
_BLUE = "#0072B2"
_VERMILION = "#D55E00"
_INK = "#262626"
_GREY = "#8C8C8C"
# Below this luminance of the ground, white text has more contrast than black: the root of
# (1 + 0.05) / (L + 0.05) = (L + 0.05) / (0 + 0.05), the contrast ratios of WCAG 2.
_BALANCED_LUMINANCE = 0.179
_TITLE = 11  # points
_DPI = 150


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
        figure = _new_figure(width=4.8 * len(quantities), height=3.6)
        axes = [figure.add_subplot(1, len(quantities), i + 1) for i in range(len(quantities))]
    panels = cast("list[Axes]", list(np.ravel(np.asarray(axes, dtype=object))))
    if len(panels) != len(quantities):
        raise ValueError(
            f"history has {len(quantities)} quantities to draw ({', '.join(quantities)}); "
            f"expected as many axes, got {len(panels)}"
        )
    for ax, quantity in zip(panels, quantities, strict=True):
        _draw_curves(ax, quantity, record[quantity], record.get(f"val_{quantity}"))
    return _figure_of(panels[0])


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
    true, predicted = _label_pair(y_true, y_pred)
    names = _names(class_names, true, predicted)
    _require("sklearn", "scikit-learn")
    from sklearn import metrics

    counts = np.asarray(metrics.confusion_matrix(true, predicted, labels=np.arange(len(names))))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if ax is None:
        side = 2.2 + 0.52 * len(names)
        ax = _new_figure(width=side + 0.9, height=side).add_subplot()
    _draw_matrix(ax, counts, shares)
    ticks = np.arange(len(names))
    ax.set_yticks(ticks, names)
    if max(len(name) for name in names) <= 3:
        ax.set_xticks(ticks, names)
    else:  # longer names need a slant, or they would run into each other
        ax.set_xticks(ticks, names, rotation=45, ha="right", rotation_mode="anchor")
    correct = int(np.trace(counts))
    ax.set_xlabel("predicted class", color=_INK)
    ax.set_ylabel("true class", color=_INK)
    ax.set_title(
        f"{correct:,} of {len(true):,} correct ({100 * correct / len(true):.2f} %)",
        color=_INK,
        fontsize=_TITLE,
    )
    return _figure_of(ax)


def samples(
    x: ArrayLike,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    class_names: Sequence[str] | None = None,
    count: int = 25,
    which: Literal["correct", "incorrect"] = "correct",
    figure: Figure | None = None,
) -> Figure:
    """Draw a grid of the first images that were classified correctly, or of those that were not.

    Arguments:
        x: images (N, H, W), (N, H, W, 1) or (N, H, W, 3); grey ones in any range from 0, colour
            ones integers from 0 to 255 or floats from 0 to 1.
        y_true: integer labels (N,) or (N, 1), or one-hot (N, K).
        y_pred: predicted labels in the same forms, or probabilities (N, K) as of `predict`.
        class_names: K names in label order; the numbers if None.
        count: how many images at most.
        which: `"correct"` or `"incorrect"`.
        figure: an empty figure to draw into; a new one if None.

    Returns:
        The figure.

    Raises:
        ValueError: a wrong shape, different numbers of images, labels and predictions, a count
            below 1, an unknown `which`, or a label that has no name.
    """
    images = _images(x)
    true, predicted = _label_pair(y_true, y_pred)
    names = _names(class_names, true, predicted)
    if len(images) != len(true):
        raise ValueError(f"expected a label for each of the {len(images)} images, got {len(true)}")
    if count < 1:
        raise ValueError(f"count: expected at least 1 image, got {count}")
    if which not in ("correct", "incorrect"):
        raise ValueError(f'which: expected "correct" or "incorrect", got {which!r}')
    hits = true == predicted
    chosen = np.flatnonzero(hits if which == "correct" else ~hits)
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(min(count, max(len(chosen), 1)) / columns)
    if figure is None:
        height = 1.7 if which == "correct" else 1.85  # one line of text above an image, or two
        figure = _new_figure(width=1.5 * columns, height=height * rows + 0.4)
    figure.suptitle(_samples_title(which, count, len(chosen)), color=_INK, fontsize=_TITLE)
    brightest = float(images.max(initial=0)) or 1.0
    for place, index in enumerate(chosen[:count]):
        ax = figure.add_subplot(rows, columns, place + 1)
        image = images[index]
        if image.ndim == 3:  # matplotlib warns of colours that rounding took out of the range
            image = np.clip(image, 0, 255 if np.issubdtype(image.dtype, np.integer) else 1)
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=brightest, interpolation="nearest")
        ax.set_axis_off()
        _name_sample(ax, names[true[index]], names[predicted[index]])
    return figure


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
    ax.plot(epochs, training, color=_BLUE, label="training", **style)
    if validation is not None:
        style |= {"marker": "s", "linestyle": "--"}
        ax.plot(epochs, validation, color=_VERMILION, label="validation", **style)
        ax.legend(frameon=False)
    ax.set_xlabel("epoch", color=_INK)
    ax.set_title(quantity.replace("_", " "), color=_INK, fontsize=_TITLE)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.grid(color="#E3E3E3", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(_GREY)
    ax.tick_params(color=_GREY, labelcolor=_INK)


def _draw_matrix(ax: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    from matplotlib.colors import PowerNorm
    from matplotlib.ticker import PercentFormatter

    image = ax.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0.0, vmax=1.0))
    bar = _figure_of(ax).colorbar(image, ax=ax, fraction=0.046, pad=0.03)
    bar.set_label("share of the true class", color=_INK)
    bar.set_ticks([0, 0.01, 0.05, 0.2, 0.5, 1.0])
    bar.ax.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
    bar.ax.tick_params(color=_GREY, labelcolor=_INK)
    cast("Any", bar.outline).set_visible(False)
    ax.spines[:].set_visible(False)
    # White lines between the cells.
    edges = np.arange(len(counts) + 1) - 0.5
    ax.set_xticks(edges, minor=True)
    ax.set_yticks(edges, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.2)
    ax.tick_params(which="both", length=0, labelcolor=_INK)
    for row, column in np.ndindex(*counts.shape):
        number = counts[row, column]
        dark = _luminance(image.cmap(image.norm(shares[row, column]))) < _BALANCED_LUMINANCE
        ax.text(
            column,
            row,
            f"{number:,}",
            ha="center",
            va="center",
            color="white" if dark else "black" if number else "#BDBDBD",
            fontsize=8,
            fontweight="bold" if row == column else "normal",
        )


def _samples_title(which: str, count: int, found: int) -> str:
    how_many = "no" if not found else "all" if found <= count else f"the first {count} of"
    number = f" {found:,}" if found else ""
    return f"{how_many}{number} {which}ly classified images"


def _luminance(color: ArrayLike) -> float:
    """Relative luminance of an sRGB colour, from 0 to 1 (IEC 61966-2-1, as WCAG 2 uses it)."""
    rgb = np.asarray(color)[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _name_sample(ax: Axes, true: str, predicted: str) -> None:
    """Say above the image what it is and, where that was not recognised, what it was taken for."""
    wrong = true != predicted
    lines = [(true, _INK), (f"taken for {predicted}", _VERMILION)][: 1 + wrong]
    for line, (text, color) in enumerate(reversed(lines)):
        ax.annotate(
            text,
            xy=(0.5, 1.0),
            xycoords="axes fraction",
            xytext=(0, 3 + 10 * line),
            textcoords="offset points",
            ha="center",
            va="bottom",
            color=color,
            fontsize=8,
        )


def _images(x: ArrayLike) -> NDArray[Any]:
    """The images as (N, H, W) or (N, H, W, 3)."""
    images = np.asarray(x)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if not (images.ndim == 3 or (images.ndim == 4 and images.shape[-1] == 3)):
        raise ValueError(
            f"x: expected images of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), "
            f"got {images.shape}"
        )
    return images


def _label_pair(
    y_true: ArrayLike, y_pred: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    true, predicted = _labels(y_true, "y_true"), _labels(y_pred, "y_pred")
    if len(true) != len(predicted):
        raise ValueError(
            f"expected one prediction a label, got {len(true)} labels in y_true and "
            f"{len(predicted)} in y_pred"
        )
    return true, predicted


def _labels(y: ArrayLike, name: str) -> NDArray[np.int64]:
    """Integer labels (N,), from labels (N,) or (N, 1) or from one column a class (N, K)."""
    labels = np.asarray(y)
    if labels.ndim == 2:
        labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(axis=1)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"{name}: expected labels of shape (N,), (N, 1) or (N, K) with N at least 1, "
            f"got {np.asarray(y).shape}"
        )
    integers = labels.astype(np.int64)
    if not np.array_equal(integers, labels) or integers.min() < 0:
        raise ValueError(f"{name}: expected integer labels from 0, got {labels.dtype} {labels}")
    return integers


def _names(
    class_names: Sequence[str] | None, true: NDArray[np.int64], predicted: NDArray[np.int64]
) -> list[str]:
    classes = int(max(true.max(), predicted.max())) + 1
    if class_names is None:
        return [str(label) for label in range(classes)]
    if len(class_names) < classes:
        raise ValueError(
            f"class_names: label {classes - 1} has no name; expected at least {classes} names, "
            f"got {len(class_names)}"
        )
    return [str(name) for name in class_names]


def _new_figure(width: float, height: float) -> Figure:
    """A figure of width x height inches that belongs to nobody: pyplot does not know of it."""
    _require("matplotlib", "matplotlib")
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # Compressed, because most plots here have axes of a fixed aspect.
    layout = ConstrainedLayoutEngine(compress=True, w_pad=0.08, h_pad=0.08)
    return Figure(figsize=(width, height), dpi=_DPI, layout=layout, facecolor="white")


def _figure_of(ax: Axes) -> Figure:
    return cast("Figure", ax.figure)


def _require(module: str, package: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise ImportError(
            f"{package} draws this picture and is not installed; install it with: "
            f'pip install "convkit[examples]"'
        )
