"""What the measurements look like in text: tables for people, JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .bounds import Work
from .machine import Machine
from .measure import Result, Spread
from .profile import Account, Part

RATIOS = (
    "Values are medians over the rounds, ratios medians of the ratios within a round; "
    "in brackets the smallest and the largest."
)


def table(results: Sequence[Result]) -> str:
    """A row for each result, its contenders side by side: many results, few contenders.

    Times are in milliseconds; a ratio says how many times as long as the first the contender takes.
    Where the machine's peak was measured, a column says what share of it the first reaches.

    Args:
        results: times, of the same first contender.
    """
    contenders = list(dict.fromkeys(name for result in results for name in result.contenders))
    rate = any(result.gflops() is not None for result in results)
    header = ["", "", f"{results[0].first} ms", "GFLOP/s" if rate else "images/s"]
    peaks = any(result.peaks for result in results)
    header += ["of peak"] if peaks else []
    for contender in contenders:
        header += [f"{contender} ms", "ratio"]
    rows = [header]
    for result in results:
        row = [result.name, result.direction, f"{1e3 * result.value().median:.3f}"]
        speed = result.gflops() if rate else result.images_per_second()
        row.append(_rounded(speed))
        share = result.share_of_peak()
        row += ["" if share is None else f"{100 * share.median:.0f} %"] if peaks else []
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

    A ratio names the contender it is taken against; where there is a second base, so does a column
    of its own. Below stands who did not take part, and why.
    """
    rate = any(result.images_per_second() is not None for result in results)
    second = any(result.facts.second_base is not None for result in results)
    header = ["", "", "", "value", *(["images/s"] if rate else []), "ratio"]
    rows = [header + (["ratio"] if second else [])]
    for result in results:
        for contender in result.values:
            first = contender == result.first
            row = [result.name, result.direction] if first else ["", ""]
            row += [contender, _value(result.value(contender), result.facts.unit)]
            row += [_rounded(result.images_per_second(contender))] if rate else []
            if contender in result.contenders:
                row.append(f"{_spread(result.ratio(contender), 2)} of {result.base(contender)}")
            else:
                row.append("")
            if second:
                ratio = result.second_ratio(contender)
                of = f" of {result.facts.second_base}"
                row.append("" if ratio is None else _spread(ratio, 2) + of)
            rows.append(row)
    lines = [
        f"{result.name} without {side}: {reason}"
        for result in results
        for side, reason in result.absent.items()
    ]
    return "\n".join([_aligned(rows, left=3), *([""] if lines else []), *lines])


PROFILE = (
    "ms: medians, in native functions; their sum and Python's share are the undisturbed step. "
    "GFLOP: of the direct\nmethod, and as the algorithm needs them; MB: every array once; L2 MB: "
    "Winograd's transformed tiles, written and read.\nbound: the least time by the slowest of "
    "these at the machine's speed; ratio: how many times that the part takes."
)


def profile(account: Account) -> str:
    """A row for each part of a training step, its sum, Python's share, and the whole."""
    header = ["", "", "operation", "ms", "share", "GFLOP", "needed", "MB", "L2 MB"]
    rows = [[*header, "bound ms", "by", "ratio", "GFLOP/s"]]
    rows += [_profile_row(account, part) for part in account.parts]
    native, whole = account.native, account.whole.median
    share, bound = native / whole, account.bound
    times = [f"{1e3 * bound:.3f}", "", f"{native / bound:.2f}", _rate(account.work, native)]
    rows.append(["sum", "", "", _ms(native), _percent(share), *_amounts(account.work), *times])
    rows.append(["Python", "", "", _ms(account.python), _percent(account.python / whole)])
    rows.append(["step", "", "", _ms(whole), _percent(1.0)])
    rows = [row + [""] * (len(rows[0]) - len(row)) for row in rows]
    top = account.roofs
    return "\n".join(
        [
            f"{account.model}, batch {account.batch_size}: "
            f"{account.batch_size / whole:.0f} images/s, {1e3 * account.watched.median:.3f} ms "
            f"a step while it was watched",
            f"multiply-adds {top.peak / 1e9:.0f} GFLOP/s, memory {top.memory / 1e9:.0f} GB/s (over "
            f"the {account.working_set / 1e6:.0f} MB of a step), L2 {top.cache / 1e9:.0f} GB/s",
            "",
            _aligned(rows, left=3),
        ]
    )


def _profile_row(account: Account, part: Part) -> list[str]:
    seconds, top = part.seconds.median, account.roofs
    row = [part.name, part.direction, part.operation, _ms(seconds)]
    row.append(_percent(seconds / account.whole.median))
    if part.work.nbytes == 0.0:
        return row
    bound, limit = top.bound(part.work), top.limit(part.work)
    row += [*_amounts(part.work), f"{1e3 * bound:.3f}", limit, f"{seconds / bound:.2f}"]
    return [*row, _rate(part.work, seconds)]


def _amounts(work: Work) -> list[str]:
    flops = [f"{1e-9 * flops:.3f}" if flops else "" for flops in (work.direct_flops, work.flops)]
    cache = f"{1e-6 * work.cache_bytes:.1f}" if work.cache_bytes else ""
    return [*flops, f"{1e-6 * work.nbytes:.2f}", cache]


def _rate(work: Work, seconds: float) -> str:
    """Effective: of the direct method's operations."""
    return f"{1e-9 * work.direct_flops / seconds:.0f}" if work.direct_flops else ""


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


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
    results: Iterable[Result] | Iterable[Account],
    machine: Machine,
    skipped: Mapping[str, str] | None = None,
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
        "results": [
            _profile_record(result) if isinstance(result, Account) else _record(result)
            for result in results
        ],
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
    if facts.second_base is not None:
        record["second_ratios"] = {
            name: {"to": facts.second_base, **dataclasses.asdict(ratio)}
            for name in result.values
            if (ratio := result.second_ratio(name)) is not None
        }
    if result.absent:
        record["absent"] = dict(result.absent)
    if result.peaks:
        record["peaks"] = result.peaks
    if facts.flops is not None:
        record["gflops"] = {name: result.gflops(name) for name in result.values}
    return record


def _profile_record(account: Account) -> dict[str, Any]:
    """The account, in seconds, operations and bytes, and what follows from it."""
    top = account.roofs
    record = dataclasses.asdict(account)
    record |= {"native": account.native, "python": account.python, "bound": account.bound}
    for fields, part in zip(record["parts"], account.parts, strict=True):
        fields["bounds"] = top.seconds(part.work)
    return record
