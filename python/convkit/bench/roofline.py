"""The kernels under the machine's roofs: a picture that needs matplotlib."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .measure import Result
from .style import color_of, new_figure, plain_ticks, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def save_roofline(
    results: Sequence[Result],
    path: str | PathLike[str],
    *,
    bandwidth: float,
    title: str,
    note: str = "",
) -> Path:
    """Save effective GFLOP/s against arithmetic intensity, under the machine's two roofs.

    A point can be above the roof of the multiply-adds: its operations are counted as the direct
    method needs them, and there are methods that need fewer. The other roof is the main memory's;
    what fits into the caches can be above it too. (Williams, Waterman, Patterson: "Roofline", 2009)

    Args:
        results: those without operations, bytes or peaks are left out. The roof of the
            multiply-adds is the median of all peaks.
        path: of the picture; its suffix gives the format.
        bandwidth: of the main memory, GB/s.
        title: what the picture shows.
        note: on what it was measured, in small print.

    Returns:
        The path.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: there is nothing to show.
    """
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    peaks: list[float] = []
    for result in results:
        flops, nbytes = result.facts.flops, result.facts.nbytes
        if not result.peaks:
            continue
        peaks += result.peaks
        for contender in result.values:
            speed = result.gflops(contender)
            if flops is not None and nbytes is not None and speed is not None:
                series = points.setdefault((contender, result.direction), [])
                series.append((flops / nbytes, speed))
    if not points:
        raise ValueError("there is no result with operations, bytes and peaks to show")
    figure, axes = new_figure(6.0)
    directions = list(dict.fromkeys(direction for _, direction in points))
    markers = dict(zip(directions, "o^sDv", strict=False))
    # What was named first is drawn last, and lies on top.
    for (contender, direction), series in reversed(points.items()):
        axes.plot(
            *zip(*series, strict=True),
            markers[direction],
            color=color_of(contender),
            markeredgecolor="white",
            markeredgewidth=0.6,
            linestyle="none",
        )
    intensities = [intensity for series in points.values() for intensity, _ in series]
    _draw_roofs(axes, intensities, statistics.median(peaks) / 1e9, bandwidth)
    axes.set_xlabel(
        "operations of the direct method per byte of inputs and outputs (flop/byte)", fontsize=9
    )
    axes.set_ylabel("effective GFLOP/s, of the direct method's operations", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    _legend(figure, list(dict.fromkeys(contender for contender, _ in points)), markers)
    return save(figure, path, title, note)


def _draw_roofs(axes: Axes, intensities: Sequence[float], peak: float, bandwidth: float) -> None:
    """Both roofs, each with its name on it."""
    ridge = peak / bandwidth
    left, right = min(*intensities, ridge) / 2, max(*intensities, ridge) * 2
    axes.plot([left, ridge, right], [left * bandwidth, peak, peak], color="0.2", linewidth=1.2)
    axes.set(xscale="log", yscale="log", xlim=(left, right))
    plain_ticks(axes.xaxis)
    plain_ticks(axes.yaxis)
    roof: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "color": "0.2"}
    label = f"multiply-add peak {peak:.0f} GFLOP/s"
    axes.annotate(label, (ridge, peak), xytext=(4, 4), **roof)
    label = f"memory {bandwidth:.0f} GB/s"
    middle = (left * ridge) ** 0.5
    axes.annotate(label, (middle, middle * bandwidth), xytext=(-6, 6), ha="right", **roof)


def _legend(figure: Figure, contenders: Sequence[str], markers: dict[str, str]) -> None:
    """Colours are contenders, markers directions."""
    from matplotlib.lines import Line2D

    def sample(label: str, marker: str, color: str) -> Line2D:
        return Line2D([], [], marker=marker, color=color, linestyle="none", label=label)

    handles = [sample(name, "o", color_of(name)) for name in contenders]
    handles += [sample(d.replace("_", " "), marker, "0.4") for d, marker in markers.items()]
    figure.legend(
        handles=handles, loc="outside upper right", ncols=len(handles), fontsize=8, frameon=False
    )
