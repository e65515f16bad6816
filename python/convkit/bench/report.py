"""What the measurements look like in text: a table for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from typing import Any

from .machine import Machine
from .measure import CONVKIT, Result, Spread


def table(results: Sequence[Result]) -> str:
    """The results as a table: times in milliseconds, ratios as median (smallest to largest).

    A ratio says how many times as long as convkit the contender takes.
    """
    contenders = list(dict.fromkeys(name for result in results for name in result.contenders))
    header = ["", "", f"{CONVKIT} ms", _rate_title(results)]
    for contender in contenders:
        header += [f"{contender} ms", "ratio"]
    rows = [header] + [_row(result, contenders) for result in results]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "-" * max(len(line) for line in lines))
    return "\n".join(line.rstrip() for line in lines)


def _rate_title(results: Iterable[Result]) -> str:
    steps = all(result.direction == "step" for result in results)
    return "images/s" if steps else "GFLOP/s"


def _row(result: Result, contenders: Sequence[str]) -> list[str]:
    step = result.direction == "step"
    rate = result.images_per_second() if step else result.gflops()
    row = [result.name, result.direction, _milliseconds(result.time())]
    row.append("" if rate is None else f"{rate:.0f}")
    for contender in contenders:
        if contender in result.seconds:
            row += [_milliseconds(result.time(contender)), _ratio(result.ratio(contender))]
        else:
            row += ["", ""]
    return row


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
    return "  ".join(cells)


def _milliseconds(time: Spread) -> str:
    return f"{1e3 * time.median:.3f}"


def _ratio(ratio: Spread) -> str:
    return f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"


def as_json(results: Iterable[Result], machine: Machine) -> str:
    """Everything measured, as a JSON document: times in seconds, one for each round."""
    document = {
        "machine": dataclasses.asdict(machine),
        "results": [_record(result) for result in results],
    }
    return json.dumps(document, indent=2)


def _record(result: Result) -> dict[str, Any]:
    return {
        "name": result.name,
        "direction": result.direction,
        "flops": result.flops,
        "images": result.images,
        "seconds": {name: list(values) for name, values in result.seconds.items()},
        "ratios": {name: dataclasses.asdict(result.ratio(name)) for name in result.contenders},
    }
