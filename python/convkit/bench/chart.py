"""Bars: ratios between contenders, and the parts of a training step. They need matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .measure import Result, Spread
from .profile import Account
from .style import (
    BLUE,
    SKY,
    bar_figure,
    color_of,
    heading,
    plain_ticks,
    save,
    three_figures,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINEAR_UP_TO = 30.0  # with a larger ratio the axis is logarithmic, and its bars begin at 1
_GAP = 1.6  # between the bars of one name and the next, in bars: the name stands there
_SMALL = 0.01  # of a training step: parts below share one bar


class _Bar(NamedTuple):
    name: str  # what stands above its group
    series: str  # what stands beside the bar
    contender: str
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
    bars = _place(results, contenders)
    if not bars:
        raise ValueError("there is no result with a contender to show")
    figure, axes = bar_figure(bars[-1].place, note)
    wide = max(bar.ratio.high for bar in bars) > _LINEAR_UP_TO
    if wide:
        axes.set_xscale("log")
    _draw(axes, bars, float(wide))
    _label(axes, bars)
    axes.axvline(1.0, color="0.2", linewidth=0.8, linestyle="--")
    axes.set_xlim(*_limits(bars) if wide else (0.0, 1.08 * max(bar.ratio.high for bar in bars)))
    axes.set_xlabel(_axis(results), fontsize=9)
    if wide:
        plain_ticks(axes.xaxis)
    return save(figure, path, title, note)


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
            bars.append(_Bar(result.name, series, contender, result.ratio(contender), place))
    return bars


def _limits(bars: Sequence[_Bar]) -> tuple[float, float]:
    """The ends of a logarithmic axis, with room for the figures behind the bars."""
    return 0.7 * min(1.0, *(bar.ratio.low for bar in bars)), 2 * max(bar.ratio.high for bar in bars)


def _draw(axes: Axes, bars: Sequence[_Bar], origin: float) -> None:
    """The bars, with whiskers and, behind them, the medians in figures."""
    for bar in bars:
        median, low, high = bar.ratio.median, bar.ratio.low, bar.ratio.high
        color = color_of(bar.contender)
        axes.barh(bar.place, median - origin, left=origin, height=0.9, color=color)
        whisker = [[median - low], [high - median]]
        axes.errorbar(median, bar.place, xerr=whisker, fmt="none", ecolor="0.2", elinewidth=0.8)
        axes.annotate(
            three_figures(median),
            (max(high, origin), bar.place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )


def _label(axes: Axes, bars: Sequence[_Bar]) -> None:
    """Each bar's name beside it, each group's above."""
    axes.set_yticks([bar.place for bar in bars], [bar.series for bar in bars], fontsize=7)
    for bar, before in zip(bars, [None, *bars], strict=False):
        if before is None or before.name != bar.name:
            heading(axes, bar.place, bar.name)
    tidy(axes)


def save_profile(
    accounts: Sequence[Account], path: str | PathLike[str], *, title: str, note: str = ""
) -> Path:
    """Save the parts of training steps as bars of time, each with its bound.

    Args:
        accounts: the steps, one below the other.
        path: of the picture; its suffix gives the format.
        title: what the picture shows.
        note: on what it was measured, in small print.

    Returns:
        The path.

    Raises:
        ImportError: matplotlib is not installed.
    """
    names: list[str] = []
    places: list[float] = []
    rows: list[tuple[float, float]] = []  # milliseconds and their bound
    headings: list[tuple[float, str]] = []
    for each in accounts:
        place = places[-1] + 1.0 + _GAP if places else 0.0
        headings.append((place, f"{each.model}: {1e3 * each.whole.median:.1f} ms"))
        for name, seconds, bound in _profile_rows(each):
            names.append(name)
            rows.append((1e3 * seconds, 1e3 * bound))
            places.append(place)
            place += 1.0
    figure, axes = bar_figure(places[-1], note)
    times, bounds = zip(*rows, strict=True)
    axes.barh(places, times, height=0.8, color=SKY, label="time")
    axes.barh(
        places, bounds, height=0.36, color=BLUE, label="least time by the machine's measured speed"
    )
    for place, (taken, bound) in zip(places, rows, strict=True):
        text = f"{three_figures(taken)} ms"
        if bound:
            text += f", {taken / bound:.1f} times"
        end = (max(taken, bound, 0.0), place)
        axes.annotate(text, end, xytext=(3, 0), textcoords="offset points", va="center", fontsize=6)
    axes.set_yticks(places, names, fontsize=6)
    for place, text in headings:
        heading(axes, place, text)
    axes.set_xlim(0.0, 1.2 * max(*times, *bounds))
    axes.set_xlabel("milliseconds of a training step", fontsize=9)
    tidy(axes)
    figure.legend(loc="outside upper right", ncols=2, fontsize=8, frameon=False)
    return save(figure, path, title, note)


def _profile_rows(account: Account) -> Iterator[tuple[str, float, float]]:
    """Name, seconds and bound of the parts worth a bar, of all others together, and of Python."""
    small = [p for p in account.parts if p.seconds.median < _SMALL * account.whole.median]
    bound = account.roofs.bound
    for part in account.parts:
        if part not in small:
            name = " ".join(filter(None, (part.name, part.direction)))
            yield name, part.seconds.median, bound(part.work)
    if small:
        seconds, least = (p.seconds.median for p in small), (bound(p.work) for p in small)
        yield f"{len(small)} parts below {_SMALL:.0%}", sum(seconds), sum(least)
    yield "Python", account.python, 0.0


def _axis(results: Sequence[Result]) -> str:
    """What 1 means on the axis of ratios."""
    amount = "long" if all(result.facts.unit == "s" for result in results) else "much"
    bases = _bases(results)
    base = f" as {bases.pop()}" if len(bases) == 1 else ""
    return f"times as {amount}{base} (1 = equally {amount})"


def _bases(results: Sequence[Result]) -> set[str]:
    return {result.base(contender) for result in results for contender in result.contenders}
