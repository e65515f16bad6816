"""What the measurements look like in text: tables for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .machine import Machine
from .measure import Result, Spread

RATIOS = (
    "Values are medians over the rounds, ratios medians of the ratios within a round; "
    "in brackets the smallest and the largest."
)


def table(results: Sequence[Result], peak: float | None = None) -> str:
    """A row for each result, its contenders side by side: many results, few contenders.

    Times are in milliseconds; a ratio says how many times as long as the first the contender takes.

    Args:
        results: times, of the same first contender.
        peak: GFLOP/s of the machine; given, a column says what share of it the first reaches.
    """
    contenders = list(dict.fromkeys(name for result in results for name in result.contenders))
    rate = any(result.gflops() is not None for result in results)
    header = ["", "", f"{results[0].first} ms", "GFLOP/s" if rate else "images/s"]
    header += [] if peak is None else ["of peak"]
    for contender in contenders:
        header += [f"{contender} ms", "ratio"]
    rows = [header]
    for result in results:
        row = [result.name, result.direction, f"{1e3 * result.value().median:.3f}"]
        speed = result.gflops() if rate else result.images_per_second()
        row.append(_rounded(speed))
        row += [] if peak is None else ["" if speed is None else f"{100 * speed / peak:.0f} %"]
        for contender in contenders:
            if contender in result.values:
                milliseconds = f"{1e3 * result.value(contender).median:.3f}"
                row += [milliseconds, _spread(result.ratio(contender), 2)]
            else:
                row += ["", ""]
        rows.append(row)
    return _aligned(rows, left=2)


def listing(results: Sequence[Result]) -> str:
    """A row for each contender of each result: few results, many contenders.

    A ratio names the contender it is taken against.
    """
    rate = any(result.images_per_second() is not None for result in results)
    rows = [["", "", "", "value", *(["images/s"] if rate else []), "ratio"]]
    for result in results:
        for contender in result.values:
            first = contender == result.first
            row = [result.name, result.direction] if first else ["", ""]
            row += [contender, _value(result.value(contender), result.facts.unit)]
            row += [_rounded(result.images_per_second(contender))] if rate else []
            if first:
                row.append("")
            else:
                row.append(f"{_spread(result.ratio(contender), 2)} of {result.base(contender)}")
            rows.append(row)
    return _aligned(rows, left=3)


def _aligned(rows: Sequence[Sequence[str]], left: int) -> str:
    """Rows as lines, a rule below the first; the first `left` columns aligned to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def _rounded(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.0f}"


def _value(value: Spread, unit: str) -> str:
    """Seconds in milliseconds, bytes in MB (10^6), with the unit."""
    scale, digits, name = {"s": (1e3, 3, "ms"), "B": (1e-6, 1, "MB")}[unit]
    scaled = Spread(value.median * scale, value.low * scale, value.high * scale)
    return f"{_spread(scaled, digits)} {name}"


def _spread(spread: Spread, digits: int) -> str:
    median, low, high = (f"{x:.{digits}f}" for x in (spread.median, spread.low, spread.high))
    return f"{median} ({low} to {high})"


def as_json(
    results: Iterable[Result], machine: Machine, skipped: Mapping[str, str] | None = None
) -> str:
    """Everything measured, as a JSON document: values in seconds or bytes, one for each round.

    Args:
        results: what was measured.
        machine: on what.
        skipped: the contenders that could not take part, and why.
    """
    document = {
        "machine": dataclasses.asdict(machine),
        "skipped": dict(skipped or {}),
        "results": [_record(result) for result in results],
    }
    return json.dumps(document, indent=2)


def _record(result: Result) -> dict[str, Any]:
    facts = result.facts
    record: dict[str, Any] = {
        "name": result.name,
        "direction": result.direction,
        "unit": facts.unit,
        "flops": facts.flops,
        "bytes": facts.nbytes,
        "images": facts.images,
        "values": {name: list(values) for name, values in result.values.items()},
        "ratios": {
            name: {"to": result.base(name), **dataclasses.asdict(result.ratio(name))}
            for name in result.contenders
        },
    }
    if facts.flops is not None:
        record["gflops"] = {name: result.gflops(name) for name in result.values}
    return record
