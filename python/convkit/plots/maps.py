"""What a network has learnt: the filters of a convolution, and what a layer makes of an image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..models import Model
from .images import check_count, draw_image
from .style import GREY, INK, SMALL, TITLE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from ..layers.base import Layer

_COLUMNS = 8


def filters(
    layer: Layer, channel: int | None = None, count: int = 64, figure: Figure | None = None
) -> Figure:
    """Draw the kernels of a convolution, one small picture a filter, all on one scale.

    Filters over one input channel are drawn in grey from negative (black) to positive (white);
    filters over the three channels of a colour image as colours around mid-grey, which is zero.

    Arguments:
        layer: a built convolution; its first weight is the kernel (KH, KW, IC, OC).
        channel: the one input channel to draw; if None, all of one or three, otherwise the first.
        count: how many filters at most.
        figure: an empty figure to draw into; a new one if None.

    Returns:
        The figure.

    Raises:
        ValueError: the layer has no such kernel, or no such channel, or the count is below 1.
    """
    weights = layer.get_weights()
    if not weights or weights[0].ndim != 4:
        raise ValueError(
            f'layer "{layer.name}" has no filters to draw: expected a convolution that is built, '
            f"with a kernel (KH, KW, IC, OC)"
        )
    check_count(count, "filter")
    kernel = weights[0]
    height, width, inputs, outputs = kernel.shape
    about = f"of {height} x {width}"
    if channel is None and inputs != 3:
        channel = 0
    if channel is not None:
        if not 0 <= channel < inputs:
            raise ValueError(f"channel: expected one of 0 .. {inputs - 1}, got {channel!r}")
        kernel = kernel[:, :, channel]
        about += "" if inputs == 1 else f", input channel {channel} of {inputs}"
    largest = float(np.abs(kernel).max()) or 1.0
    pictures = np.moveaxis(kernel, -1, 0)[:count]
    rows = math.ceil(len(pictures) / _COLUMNS)
    if figure is None:
        figure = new_figure(width=0.62 * _COLUMNS + 1.0, height=0.62 * rows + 0.6)
    figure.suptitle(
        f"{layer.name}: {_how_many(count, outputs)} filters {about}", color=INK, fontsize=TITLE
    )
    axes = [figure.add_subplot(rows, _COLUMNS, place + 1) for place in range(len(pictures))]
    for ax, picture in zip(axes, pictures, strict=True):
        if picture.ndim == 3:
            ax.imshow(0.5 + picture / (2 * largest), interpolation="nearest")
            shown = None
        else:
            shown = _draw_map(ax, picture, "gray", -largest, largest)
        _frame(ax)
    if shown is None:
        figure.supxlabel(f"mid-grey is 0; range ±{largest:.2g}", color=INK, fontsize=SMALL)
    else:
        _legend(figure, shown, axes, "weight")
    return figure


def activations(
    model: Model,
    image: ArrayLike,
    layer: Layer | str,
    count: int = 64,
    figure: Figure | None = None,
) -> Figure:
    """Draw an image and what a layer makes of it, one small picture a channel, all on one scale.

    Arguments:
        model: a built model.
        image: one image (H, W, C) as the model takes it, or (H, W) for one channel.
        layer: a layer of the model with an output (N, H, W, C), or its name.
        count: how many channels at most.
        figure: an empty figure to draw into; a new one if None.

    Returns:
        The figure.

    Raises:
        ValueError: the layer is not in the model or its output is no stack of maps, the image has
            not the shape that the model takes, or the count is below 1.
    """
    check_count(count, "channel")
    position = _position(model, layer)
    name = model.layers[position].name
    picture = np.asarray(image)
    sizes = tuple(size for size in model.input_shape[1:] if size is not None)
    if (*picture.shape, 1) == sizes:
        picture = picture[..., np.newaxis]
    if picture.shape != sizes:
        raise ValueError(f"image: expected one of shape {sizes}, got {picture.shape}")
    # The layers themselves, not copies of them: the network up to there.
    own = model.layers[position]
    ends = [node.outputs[0] for node in model.graph.nodes if node.layer is own]
    front = Model(model.inputs, ends[0] if ends else model.inputs[0], name=f"{model.name}_front")
    maps = np.moveaxis(front.predict(picture[np.newaxis], batch_size=1, verbose=0)[0], -1, 0)
    if maps.ndim != 3:
        raise ValueError(
            f'layer "{name}" gives {front.output_shape}, which is no stack of maps (N, H, W, C); '
            f"choose a layer before the Flatten or the global pooling"
        )
    channels, height, width = maps.shape
    rows = max(2, math.ceil(min(count, channels) / _COLUMNS))
    if figure is None:
        figure = new_figure(width=0.75 * (_COLUMNS + 2) + 1.0, height=0.75 * rows + 0.6)
    figure.suptitle(
        f"{name}: {_how_many(count, channels)} channels of {height} x {width}",
        color=INK,
        fontsize=TITLE,
    )
    grid = figure.add_gridspec(rows, _COLUMNS + 2)
    _draw_input(figure.add_subplot(grid[:2, :2]), picture)
    axes = []
    for place, channel in enumerate(maps[:count]):
        ax = figure.add_subplot(grid[place // _COLUMNS, 2 + place % _COLUMNS])
        shown = _draw_map(ax, channel, *_scale(maps[:count]))
        _frame(ax)
        axes.append(ax)
    _legend(figure, shown, axes, "activation")
    return figure


def _position(model: Model, layer: Layer | str) -> int:
    for position, own in enumerate(model.layers):
        if layer is own or layer == own.name:
            return position
    wanted = layer if isinstance(layer, str) else getattr(layer, "name", repr(layer))
    raise ValueError(
        f'layer: model "{model.name}" has no layer "{wanted}"; it has '
        f"{', '.join(own.name for own in model.layers)}"
    )


def _draw_input(ax: Axes, picture: NDArray[Any]) -> None:
    if picture.shape[-1] == 3:
        draw_image(ax, picture, 1.0)
    else:  # of several channels that are no colours, the first
        draw_image(ax, picture[..., 0], float(picture.max()) or 1.0)
    ax.set_axis_on()
    _frame(ax)
    ax.set_title("input", color=INK, fontsize=SMALL, pad=3)


def _scale(maps: NDArray[Any]) -> tuple[str, float, float]:
    """A colour map and its limits: from white at 0, or grey at 0 where there are negative ones."""
    largest = float(np.abs(maps).max()) or 1.0
    return ("gray", -largest, largest) if maps.min() < 0 else ("gray_r", 0.0, largest)


def _draw_map(
    ax: Axes, picture: NDArray[Any], cmap: str, lowest: float, largest: float
) -> AxesImage:
    return ax.imshow(picture, cmap=cmap, vmin=lowest, vmax=largest, interpolation="nearest")


def _frame(ax: Axes) -> None:
    """A thin line around a picture, which may be white, and no ticks."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_color(GREY)
    ax.spines[:].set_linewidth(0.5)


def _legend(figure: Figure, shown: AxesImage, axes: list[Axes], label: str) -> Colorbar:
    bar = figure.colorbar(shown, ax=axes, fraction=0.03, pad=0.02, aspect=25)
    bar.set_label(label, color=INK, fontsize=SMALL)
    bar.ax.tick_params(color=GREY, labelcolor=INK, labelsize=SMALL)
    bar.outline.set_linewidth(0.5)
    return bar


def _how_many(count: int, found: int) -> str:
    return str(found) if found <= count else f"the first {count} of {found}"
