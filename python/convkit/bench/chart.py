"""Bar charts of the measured ratios. Needs matplotlib, which is imported only here."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .measure import Result, Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BAR_INCHES = 0.17
_GAP = 0.7  # between the bars of one name and the next, in bars


class _Bar(NamedTuple):
    name: str  # what the axis says beside the bar
    series: str  # what the legend says of its colour
    ratio: Spread
    place: float


def save_chart(
    results: Sequence[Result],
    path: str | PathLike[str],
    *,
    title: str,
    note: str = "",
    contenders: Sequence[str] | None = None,
) -> Path:
    """Save the ratios as bars: how many times as long as convkit each contender takes.

    Results of the same name stand together. Whiskers reach from the smallest to the largest ratio
    of the rounds.

    Args:
        results: what was measured.
        path: of the picture; its suffix gives the format, such as `.png`.
        title: what the picture shows.
        note: on what it was measured, in small print.
        contenders: which to show; all by default.

    Returns:
        The path.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: there is nothing to show.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        message = 'charts need matplotlib: pip install "convkit[examples]"'
        raise ImportError(message) from error

    bars = _place(results, contenders)
    if not bars:
        raise ValueError("there is no result with a contender to show")
    height = 1.9 + _BAR_INCHES * bars[-1].place
    figure = Figure(figsize=(9.0, height), layout="constrained")
    axes = figure.subplots()
    for color, series in enumerate(dict.fromkeys(bar.series for bar in bars)):
        _draw(axes, [bar for bar in bars if bar.series == series], f"C{color}")
    _label(axes, bars)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    axes.set_title(note, loc="left", fontsize=7, color="0.35")
    figure.savefig(Path(path), dpi=150)
    return Path(path)


def _place(results: Sequence[Result], contenders: Sequence[str] | None) -> list[_Bar]:
    """All bars from the top down, with a gap wherever the name changes."""
    bars: list[_Bar] = []
    for result in results:
        for contender in result.contenders:
            if contenders is not None and contender not in contenders:
                continue
            step = 0.0 if not bars else 1.0 if bars[-1].name == result.name else 1.0 + _GAP
            place = step + (bars[-1].place if bars else 0.0)
            series = contender if result.direction == "step" else result.direction
            bars.append(_Bar(result.name, series, result.ratio(contender), place))
    return bars


def _draw(axes: Axes, bars: Sequence[_Bar], color: str) -> None:
    """One series, with whiskers and, behind them, the medians in figures."""
    places = [bar.place for bar in bars]
    medians = [bar.ratio.median for bar in bars]
    below = [bar.ratio.median - bar.ratio.low for bar in bars]
    above = [bar.ratio.high - bar.ratio.median for bar in bars]
    label = bars[0].series.replace("_", " ")
    axes.barh(places, medians, height=0.9, color=color, label=label)
    axes.errorbar(medians, places, xerr=[below, above], fmt="none", ecolor="0.3", elinewidth=0.8)
    for bar in bars:
        axes.annotate(
            f"{bar.ratio.median:.{1 if bar.ratio.median >= 0.1 else 2}f}",
            (bar.ratio.high, bar.place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )


def _label(axes: Axes, bars: Sequence[_Bar]) -> None:
    places: dict[str, list[float]] = {}
    for bar in bars:
        places.setdefault(bar.name, []).append(bar.place)
    centres = [sum(of_name) / len(of_name) for of_name in places.values()]
    axes.set_yticks(centres, list(places), fontsize=8)
    axes.set_ylim(bars[-1].place + 0.8, -0.8)
    axes.set_xlim(0.0, 1.08 * max(bar.ratio.high for bar in bars))
    axes.axvline(1.0, color="0.2", linewidth=0.8, linestyle="--")
    axes.set_xlabel("times as long as convkit (1 = equally fast)")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="best", fontsize=8, framealpha=1.0)
