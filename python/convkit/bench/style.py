"""How the benchmark's pictures look, whichever they are.

They need matplotlib, which is imported when a picture is drawn. Colours are those of Okabe and Ito,
which all kinds of colour vision tell apart.
"""

from __future__ import annotations

import io
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.files import write_atomically
from .measure import CONVKIT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR_INCHES = 0.17
_TICKS = (1.0, 2.0, 5.0)  # of each decade of a logarithmic axis

BLUE, _ORANGE, _VERMILLION, _GREEN, SKY = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#56B4E9"
_PURPLE = "#CC79A7"
_COLORS = {
    **{CONVKIT: BLUE, "numpy": _ORANGE, "torch": _VERMILLION, "keras": _GREEN},
    **dict.fromkeys(("onnxruntime", "openvino", "ncnn", "mnn"), _PURPLE),
}


def new_figure(inches: float) -> tuple[Figure, Axes]:
    """A figure of that height with one pair of axes; ImportError says what to install."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        message = 'charts need matplotlib: pip install "convkit[examples]"'
        raise ImportError(message) from error
    figure = Figure(figsize=(9.0, inches), layout="constrained")
    return figure, figure.subplots()


def save(figure: Figure, path: str | PathLike[str], title: str, note: str) -> Path:
    """With the title above and the note below; nothing in the file but what can be seen."""
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    figure.supxlabel(note, x=0.01, ha="left", fontsize=7, color="0.35")
    path = Path(path)
    kind = path.suffix[1:].lower()
    drawn = io.BytesIO()
    if kind == "svg":
        figure.savefig(drawn, format=kind, metadata={"Date": None})
    else:
        figure.savefig(drawn, format=kind, dpi=150)
    write_atomically(path, drawn.getbuffer())
    return path


def plain_ticks(axis: Any) -> None:
    """1, 2, 5, 10 ... in place of powers of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_major_locator(LogLocator(subs=_TICKS))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def color_of(contender: str) -> str:
    """That of its family."""
    return next((color for name, color in _COLORS.items() if contender.startswith(name)), BLUE)


def three_figures(value: float) -> str:
    """1.23, 12.3, 123."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def heading(axes: Axes, place: float, text: str) -> None:
    """A group's name, above the name of its first bar."""
    axes.annotate(
        text,
        (0.0, place - 1.0),
        xycoords=axes.get_yaxis_transform(),
        xytext=(-4, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=8,
        weight="bold",
    )


def bar_figure(last: float, note: str) -> tuple[Figure, Axes]:
    """A figure for horizontal bars from place 0 down to the last one, with a note below."""
    figure, axes = new_figure(1.5 + 0.12 * note.count("\n") + _BAR_INCHES * last)
    axes.set_ylim(last + 0.8, -1.8)
    return figure, axes


def tidy(axes: Axes) -> None:
    """Nothing beside horizontal bars but a light grid behind them."""
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
