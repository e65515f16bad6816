"""Grids of images that a model has classified."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .labels import label_pair, names_of
from .style import INK, SMALL, TITLE, VERMILION, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Kind = Literal["correct", "incorrect", "confident_mistakes"]
_KINDS: tuple[Kind, ...] = get_args(Kind)


def samples(
    x: ArrayLike,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    class_names: Sequence[str] | None = None,
    count: int = 25,
    which: Kind = "correct",
    figure: Figure | None = None,
) -> Figure:
    """Draw a grid of images that were classified correctly, or of those that were not.

    Arguments:
        x: images (N, H, W), (N, H, W, 1) or (N, H, W, 3); grey ones in any range from 0, colour
            ones integers from 0 to 255 or floats from 0 to 1.
        y_true: integer labels (N,) or (N, 1), or one-hot (N, K).
        y_pred: predicted labels in the same forms, or probabilities (N, K) as of `predict`.
        class_names: K names in label order; the numbers if None.
        count: how many images at most.
        which: `"correct"` or `"incorrect"`, in the order of the images; `"confident_mistakes"`, the
            incorrect ones of which the model was most certain first, with the probability that it
            gave to its answer. These need probabilities in `y_pred`.
        figure: an empty figure to draw into; a new one if None.

    Returns:
        The figure.

    Raises:
        ValueError: a wrong shape, different numbers of images, labels and predictions, a count
            below 1, an unknown `which`, a label that has no name, or no probabilities where they
            are needed.
    """
    images = _images(x)
    true, predicted = label_pair(y_true, y_pred)
    names = names_of(class_names, true, predicted)
    if len(images) != len(true):
        raise ValueError(f"expected a label for each of the {len(images)} images, got {len(true)}")
    check_count(count, "image")
    if which not in _KINDS:
        raise ValueError(f"which: expected one of {', '.join(map(repr, _KINDS))}, got {which!r}")
    chosen = np.flatnonzero((true == predicted) == (which == "correct"))
    certainty = None
    if which == "confident_mistakes":
        certainty = _certainty(y_pred)
        chosen = chosen[np.argsort(-certainty[chosen], kind="stable")]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(min(count, max(len(chosen), 1)) / columns)
    if figure is None:
        height = 1.55 + 0.15 * (1 + _KINDS.index(which))  # one to three lines of text above
        figure = new_figure(width=1.5 * columns, height=height * rows + 0.4)
    figure.suptitle(_samples_title(which, count, len(chosen)), color=INK, fontsize=TITLE)
    brightest = float(images.max(initial=0)) or 1.0
    for place, index in enumerate(chosen[:count]):
        ax = figure.add_subplot(rows, columns, place + 1)
        draw_image(ax, images[index], brightest)
        lines = [(names[true[index]], INK)]
        if which != "correct":
            lines.append((f"taken for {names[predicted[index]]}", VERMILION))
        if certainty is not None:
            lines.append((f"with {100 * certainty[index]:.1f} %", VERMILION))
        _write_above(ax, lines)
    return figure


def check_count(count: int, what: str) -> None:
    """Raise ValueError unless there is at least one to draw."""
    if count < 1:
        raise ValueError(f"count: expected at least 1 {what}, got {count}")


def draw_image(ax: Axes, image: NDArray[Any], brightest: float) -> None:
    """Draw an image (H, W), from white at 0 to black at `brightest`, or (H, W, 3)."""
    if image.ndim == 3:  # matplotlib warns of colours that rounding took out of the range
        image = np.clip(image, 0, 255 if np.issubdtype(image.dtype, np.integer) else 1)
    ax.imshow(image, cmap="gray_r", vmin=0, vmax=brightest, interpolation="nearest")
    ax.set_axis_off()


def _certainty(y_pred: ArrayLike) -> NDArray[Any]:
    """The probability of the predicted class, (N,)."""
    probabilities = np.asarray(y_pred)
    if probabilities.ndim != 2 or probabilities.shape[1] < 2:
        raise ValueError(
            f'y_pred: which="confident_mistakes" needs probabilities (N, K), as of predict, '
            f"got labels of shape {probabilities.shape}"
        )
    return np.asarray(probabilities.max(axis=1))


def _samples_title(which: Kind, count: int, found: int) -> str:
    kind = f"{'correctly' if which == 'correct' else 'incorrectly'} classified images"
    if not found:
        return f"no {kind}"
    order = ", the most certain first" if which == "confident_mistakes" else ""
    if found <= count:
        return f"all {found:,} {kind}{order}"
    first = f"the {count} most certain" if order else f"the first {count}"
    return f"{first} of {found:,} {kind}"


def _write_above(ax: Axes, lines: Sequence[tuple[str, str]]) -> None:
    """Lines of (text, colour) above an image, the first on top."""
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
            fontsize=SMALL,
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
