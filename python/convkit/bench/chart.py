"""Pictures of what was measured: bars of ratios, and the kernels under the machine's roofs.

They need matplotlib, which is imported when a picture is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .measure import Result, Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR_INCHES = 0.17
_LINEAR_UP_TO = 30.0  # with a larger ratio the axis is logarithmic, and its bars begin at 1
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
    """Save the ratios as bars: how many times what it is compared with each contender needs.

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
    Figure = _figure_class()
    bars = _place(results, contenders)
    if not bars:
        raise ValueError("there is no result with a contender to show")
    height = 1.9 + _BAR_INCHES * bars[-1].place
    figure = Figure(figsize=(9.0, height), layout="constrained")
    axes = figure.subplots()
    wide = max(bar.ratio.high for bar in bars) > _LINEAR_UP_TO
    if wide:
        axes.set_xscale("log")
    for color, series in enumerate(dict.fromkeys(bar.series for bar in bars)):
        _draw(axes, [bar for bar in bars if bar.series == series], f"C{color}", float(wide))
    _label(axes, bars)
    axes.set_xlim(*_limits(bars) if wide else (0.0, 1.08 * max(bar.ratio.high for bar in bars)))
    axes.set_xlabel(_axis(results))
    return _save(figure, axes, path, title, note)


def _figure_class() -> type[Figure]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        message = 'charts need matplotlib: pip install "convkit[examples]"'
        raise ImportError(message) from error
    return Figure


def _save(figure: Figure, axes: Axes, path: str | PathLike[str], title: str, note: str) -> Path:
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    axes.set_title(note, loc="left", fontsize=7, color="0.35")
    figure.savefig(Path(path), dpi=150)
    return Path(path)


def _place(results: Sequence[Result], contenders: Sequence[str] | None) -> list[_Bar]:
    """All bars from the top down, with a gap wherever the name changes."""
    bars: list[_Bar] = []
    shown = {
        name for r in results for name in r.contenders if contenders is None or name in contenders
    }
    bases = _bases(results)
    by_direction = len({(r.name, r.direction) for r in results}) > len({r.name for r in results})
    for result in results:
        for contender in result.contenders:
            if contender not in shown:
                continue
            step = 0.0 if not bars else 1.0 if bars[-1].name == result.name else 1.0 + _GAP
            place = step + (bars[-1].place if bars else 0.0)
            words = [contender] if len(shown) > 1 or not by_direction else []
            words += [f"of {result.base(contender)}"] if len(bases) > 1 else []
            words += [result.direction.replace("_", " ")] if by_direction else []
            series = ", ".join(words)
            bars.append(_Bar(result.name, series, result.ratio(contender), place))
    return bars


def _limits(bars: Sequence[_Bar]) -> tuple[float, float]:
    """The ends of a logarithmic axis, with room for the figures behind the bars."""
    return 0.7 * min(1.0, *(bar.ratio.low for bar in bars)), 2 * max(bar.ratio.high for bar in bars)


def _draw(axes: Axes, bars: Sequence[_Bar], color: str, origin: float) -> None:
    """One series, with whiskers and, behind them, the medians in figures."""
    places = [bar.place for bar in bars]
    medians = [bar.ratio.median for bar in bars]
    below = [bar.ratio.median - bar.ratio.low for bar in bars]
    above = [bar.ratio.high - bar.ratio.median for bar in bars]
    widths = [median - origin for median in medians]
    axes.barh(places, widths, left=origin, height=0.9, color=color, label=bars[0].series)
    axes.errorbar(medians, places, xerr=[below, above], fmt="none", ecolor="0.3", elinewidth=0.8)
    for bar in bars:
        axes.annotate(
            f"{bar.ratio.median:.{1 if bar.ratio.median >= 0.1 else 2}f}",
            (max(bar.ratio.high, origin), bar.place),
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
    axes.axvline(1.0, color="0.2", linewidth=0.8, linestyle="--")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.figure.legend(loc="outside lower center", ncols=4, fontsize=8)


def save_roofline(
    results: Sequence[Result],
    path: str | PathLike[str],
    *,
    peak: float,
    bandwidth: float,
    title: str,
    note: str = "",
) -> Path:
    """Save effective GFLOP/s against arithmetic intensity, under the machine's two roofs.

    A point can be above the roof of the multiply-adds: its operations are counted as the direct
    method needs them, and there are methods that need fewer. The other roof is the main memory's;
    what fits into the caches can be above it too. (Williams, Waterman, Patterson: "Roofline", 2009)

    Args:
        results: those without operations or bytes are left out.
        path: of the picture; its suffix gives the format.
        peak: of the multiply-adds, GFLOP/s.
        bandwidth: of the main memory, GB/s.
        title: what the picture shows.
        note: on what it was measured, in small print.

    Returns:
        The path.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: there is nothing to show.
    """
    Figure = _figure_class()
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for result in results:
        flops, nbytes = result.facts.flops, result.facts.nbytes
        for contender in result.values:
            speed = result.gflops(contender)
            if flops is not None and nbytes is not None and speed is not None:
                series = points.setdefault((contender, result.direction), [])
                series.append((flops / nbytes, speed))
    if not points:
        raise ValueError("there is no result with operations and bytes to show")
    figure = Figure(figsize=(9.0, 6.0), layout="constrained")
    axes = figure.subplots()
    contenders = list(dict.fromkeys(contender for contender, _ in points))
    directions = list(dict.fromkeys(direction for _, direction in points))
    for (contender, direction), series in sorted(points.items()):
        axes.plot(
            *zip(*series, strict=True),
            "o^sDv"[directions.index(direction) % 5],
            color=f"C{contenders.index(contender)}",
            label=f"{contender}, {direction.replace('_', ' ')}",
            linestyle="none",
            alpha=0.8,
        )
    intensities = [intensity for series in points.values() for intensity, _ in series]
    ends = [min(*intensities, peak / bandwidth) / 2, max(*intensities, peak / bandwidth) * 2]
    roof_label = f"multiply-add peak {peak:.0f} GFLOP/s, memory {bandwidth:.0f} GB/s"
    corner = [ends[0], peak / bandwidth, ends[1]]
    axes.plot(corner, [ends[0] * bandwidth, peak, peak], color="0.2", label=roof_label)
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel("operations of the direct method per byte of inputs and outputs (flop/byte)")
    axes.set_ylabel("effective GFLOP/s")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    return _save(figure, axes, path, title, note)


def _axis(results: Sequence[Result]) -> str:
    """What 1 means on the axis of ratios."""
    amount = "long" if all(result.facts.unit == "s" for result in results) else "much"
    bases = _bases(results)
    base = f" as {bases.pop()}" if len(bases) == 1 else ""
    return f"times as {amount}{base} (1 = equally {amount})"


def _bases(results: Sequence[Result]) -> set[str]:
    return {result.base(contender) for result in results for contender in result.contenders}
