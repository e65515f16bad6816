"""What all pictures share: colours, sizes, figures, and the packages that draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Two colours of the palette of Okabe and Ito, which colour-blind readers can tell apart; the line
# styles and markers tell the curves apart in a black-and-white print.
BLUE = "#0072B2"
VERMILION = "#D55E00"
INK = "#262626"
GREY = "#8C8C8C"
TITLE = 11  # points
SMALL = 8
_DPI = 150


def new_figure(width: float, height: float) -> Figure:
    """A figure of width x height inches that belongs to nobody: pyplot does not know of it."""
    require("matplotlib", "matplotlib")
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # Compressed, because most plots here have axes of a fixed aspect.
    layout = ConstrainedLayoutEngine(compress=True, w_pad=0.08, h_pad=0.08)
    return Figure(figsize=(width, height), dpi=_DPI, layout=layout, facecolor="white")


def figure_of(ax: Axes) -> Figure:
    """The figure that the axes are in."""
    return cast("Figure", ax.figure)


def luminance(color: ArrayLike) -> float:
    """Relative luminance of an sRGB colour, from 0 to 1 (IEC 61966-2-1, as WCAG 2 uses it)."""
    rgb = np.asarray(color)[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def require(module: str, package: str) -> None:
    """Raise an ImportError that says what to install, unless the module is there."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise ImportError(
            f"{package} draws this picture and is not installed; install it with: "
            f'pip install "convkit[examples]"'
        )
