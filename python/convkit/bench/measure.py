"""Measuring contenders against each other: alternating runs, medians of their ratios.

A machine's speed drifts with its neighbours and its temperature, so an absolute time says little.
Here the contenders take turns, a run of some tens of milliseconds each; a round has one run of
each, and a contender's ratio is taken within the round. What needs a process of its own, such as
an import, takes turns in the same way, and so does a contender that lives in one: it is asked to
settle and to run, and says how long that took (`Remote`, see `convkit.bench.isolated`). What is
reported is the median over the rounds, with the smallest and the largest beside it.
"""

from __future__ import annotations

import gc
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, SupportsFloat, cast, runtime_checkable

Call = Callable[[], object]

CONVKIT = "convkit"  # who the others are compared with


@runtime_checkable
class Remote(Protocol):
    """A call that is timed where it is made, in another process.

    `settle` and `run` raise `RemoteError` when that process is gone.
    """

    def __call__(self) -> object:
        """One call, which is not timed."""

    def settle(self, seconds: float) -> None:
        """Untimed calls, one at least, for so long."""

    def run(self, repeats: int) -> float:
        """Seconds per call over `repeats` calls."""


class RemoteError(RuntimeError):
    """Why a contender in another process takes no part (any more), in its own words."""


@dataclass(frozen=True)
class Spread:
    """The median of some measurements, and the smallest and largest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """The spread of a list of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Facts:
    """What is known of a case before it is measured.

    Attributes:
        flops: floating-point operations a call would need if done directly; None where that says
            nothing.
        nbytes: what a call must at least read and write, in bytes; None where nobody counts it.
        images: the number of images a call handles, for all contenders or for some; None where
            that says nothing.
        unit: of the values, "s" or "B".
        reports: a call returns its value (of a process of its own, say) instead of being timed.
        bases: whom a contender's ratio is taken against, where that is not the first.
        second_base: a contender that ratios are reported against as well; None where one base is
            enough.
    """

    flops: float | None = None
    nbytes: float | None = None
    images: int | Mapping[str, int] | None = None
    unit: str = "s"
    reports: bool = False
    bases: Mapping[str, str] = field(default_factory=dict)
    second_base: str | None = None


def _nothing() -> None:
    """What a case without processes has to end."""


@dataclass(frozen=True)
class Case:
    """One thing to measure, done by several contenders.

    Attributes:
        name: of the layer shape or the model.
        direction: "forward", "backward_input", "backward_weights", "backward", "step", "predict".
        calls: the contenders by name, first the one that ratios are taken against.
        peak: returns the operations a second that the machine reaches at that moment; measured
            right behind the first contender in every round. None where nobody asks.
        absent: who was meant to take part and cannot, and why.
        close: ends the processes that the case has started; `measure` calls it in any event.
    """

    name: str
    direction: str
    calls: Mapping[str, Call]
    facts: Facts = Facts()
    peak: Callable[[], float] | None = None
    absent: Mapping[str, str] = field(default_factory=dict)
    close: Callable[[], None] = _nothing


@dataclass(frozen=True)
class Result:
    """The values of a `Case` in `facts.unit`: for each contender one a round, for one call.

    Attributes:
        peaks: operations a second that the machine reached, one a round; none where nobody asked.
        absent: who was meant to take part and did not, or not to the end, and why.
    """

    name: str
    direction: str
    values: Mapping[str, list[float]]
    facts: Facts = Facts()
    peaks: list[float] = field(default_factory=list)
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def first(self) -> str:
        """The contender that was named first: convkit where it meets others."""
        return next(iter(self.values))

    @property
    def contenders(self) -> list[str]:
        """The names of those that have a ratio, in the order they were given."""
        return [name for name in self.values if self.base(name) != name]

    def base(self, contender: str) -> str:
        """Whom the contender's ratio is taken against."""
        return self.facts.bases.get(contender, self.first)

    def value(self, contender: str | None = None) -> Spread:
        """Seconds or bytes per call, of the first contender unless another is named."""
        return Spread.of(self.values[contender or self.first])

    def ratio(self, contender: str, base: str | None = None) -> Spread:
        """How many times its base the contender needs, from values of the same round.

        The base is `base(contender)` unless another contender is named.
        """
        bases = self.values[base or self.base(contender)]
        pairs = zip(self.values[contender], bases, strict=True)
        return Spread.of([theirs / ours for theirs, ours in pairs])

    def second_ratio(self, contender: str) -> Spread | None:
        """The same against the second base; None for the bases themselves, or without one."""
        second = self.facts.second_base
        if second is None or contender in (second, self.base(contender)):
            return None
        return self.ratio(contender, second)

    def gflops(self, contender: str | None = None) -> float | None:
        """Effective GFLOP/s: the operations of the direct method over the time taken."""
        flops = self.facts.flops
        return None if flops is None else flops / self.value(contender).median / 1e9

    def share_of_peak(self) -> Spread | None:
        """The first contender's effective operations over the machine's peak of the same round."""
        flops = self.facts.flops
        if flops is None or not self.peaks:
            return None
        pairs = zip(self.values[self.first], self.peaks, strict=True)
        return Spread.of([flops / seconds / peak for seconds, peak in pairs])

    def images_per_second(self, contender: str | None = None) -> float | None:
        """Images per second at the median time."""
        images = self.facts.images
        if isinstance(images, Mapping):
            images = images.get(contender or self.first)
        return None if images is None else images / self.value(contender).median


@dataclass(frozen=True)
class Pace:
    """How long to measure.

    Attributes: rounds: runs of each contender. run_seconds: the length of a run that is timed.
        settle_seconds: untimed calls at the beginning of each run. The contender before may have
            left threads spinning (OpenBLAS's do for 100 ms) and caches full of its data.
    """

    rounds: int = 5
    run_seconds: float = 0.04
    settle_seconds: float = 0.12

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rounds must be at least 1, received {self.rounds}")
        for name in ("run_seconds", "settle_seconds"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be at least 0 seconds, received {value}")


def measure(case: Case, pace: Pace | None = None) -> Result:
    """Measure a case's contenders in alternating runs, and end its processes.

    A contender whose process ends meanwhile is left out of the result, which says why.
    """
    pace = pace or Pace()
    try:
        if case.facts.reports:
            return Result(case.name, case.direction, _collect(case, pace.rounds), case.facts)
        return _time(case, pace)
    finally:
        case.close()


def _collect(case: Case, rounds: int) -> dict[str, list[float]]:
    """What the calls report; the first call, which may find cold files, is not counted."""
    for call in case.calls.values():
        call()
    values: dict[str, list[float]] = {name: [] for name in case.calls}
    for _ in range(rounds):
        for name, call in case.calls.items():
            values[name].append(float(cast(SupportsFloat, call())))
    return values


def _time(case: Case, pace: Pace) -> Result:
    """Seconds per call, and the machine's peaks.

    Garbage collection is off meanwhile, as in `timeit`: a collection would hit one side by chance.
    """
    calls, absent = dict(case.calls), dict(case.absent)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    repeats: dict[str, int] = {}
    peaks: list[float] = []

    def turn(name: str, call: Call) -> None:
        settle(call, pace.settle_seconds)
        seconds[name].append(run(call, repeats[name]))
        if case.peak is not None and len(peaks) < len(seconds[name]):
            peaks.append(case.peak())

    def calibrate(name: str, call: Call) -> None:
        repeats[name] = _calibrate(call, pace.run_seconds)

    def take_turns(what: Callable[[str, Call], None]) -> None:
        for name, call in list(calls.items()):
            try:
                what(name, call)
            except RemoteError as error:
                absent[name] = str(error)
                del calls[name], seconds[name]

    take_turns(calibrate)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(pace.rounds):
            take_turns(turn)
    finally:
        if collecting:
            gc.enable()
    return Result(case.name, case.direction, seconds, case.facts, peaks, absent)


def measure_all(
    cases: Iterable[Case], pace: Pace | None = None, *, progress: bool = True
) -> list[Result]:
    """Time the cases one after another; on a terminal, stderr says which one it is at."""
    progress = progress and sys.stderr.isatty()
    clear = "\r\033[K"  # the beginning of the line, and erase it
    results = []
    for case in cases:
        if progress:
            print(f"{clear}{case.name} {case.direction}", end="", file=sys.stderr, flush=True)
        results.append(measure(case, pace))
    if progress:
        print(clear, end="", file=sys.stderr, flush=True)
    return results


def _calibrate(call: Call, run_seconds: float) -> int:
    """The number of calls that make a run; the first call may allocate and is not counted."""
    call()
    once = run(call, 1)
    return max(1, round(run_seconds / max(once, 1e-7)))


def settle(call: Call, seconds: float) -> None:
    """Untimed calls, one at least, for so long."""
    if isinstance(call, Remote):
        call.settle(seconds)
        return
    end = time.perf_counter() + seconds
    call()
    while time.perf_counter() < end:
        call()


def run(call: Call, repeats: int) -> float:
    """Seconds per call over `repeats` calls."""
    if isinstance(call, Remote):
        return call.run(repeats)
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats
