"""Timing contenders against each other: alternating runs in one process, medians of their ratios.

A machine's speed drifts with its neighbours and its temperature, so an absolute time says little.
Here the contenders take turns, a run of some tens of milliseconds each; a round has one run of
each, and a contender's ratio is taken within the round. What is reported is the median over the
rounds, with the smallest and the largest beside it.
"""

from __future__ import annotations

import gc
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Call = Callable[[], object]

CONVKIT = "convkit"  # the contender that all ratios are taken against


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
class Case:
    """One thing to time, done by several contenders.

    Attributes:
        name: of the layer shape or the model.
        direction: "forward", "backward_input", "backward_weights", "backward" or "step".
        calls: the contenders by name; each call does the same work.
        flops: floating-point operations a call would need if done directly; None where that says
            nothing.
        images: the number of images a call handles; None where that says nothing.
    """

    name: str
    direction: str
    calls: Mapping[str, Call]
    flops: float | None = None
    images: int | None = None


@dataclass(frozen=True)
class Result:
    """The times of a `Case`: seconds per call, one value a round for each contender."""

    name: str
    direction: str
    seconds: Mapping[str, list[float]]
    flops: float | None = None
    images: int | None = None

    @property
    def contenders(self) -> list[str]:
        """The names of the others, in the order they were given."""
        return [name for name in self.seconds if name != CONVKIT]

    def time(self, contender: str = CONVKIT) -> Spread:
        """Seconds per call."""
        return Spread.of(self.seconds[contender])

    def ratio(self, contender: str) -> Spread:
        """How many times as long as convkit the contender takes, from runs of the same round."""
        pairs = zip(self.seconds[contender], self.seconds[CONVKIT], strict=True)
        return Spread.of([theirs / ours for theirs, ours in pairs])

    def gflops(self, contender: str = CONVKIT) -> float | None:
        """Effective GFLOP/s: the operations of the direct method over the time taken."""
        return None if self.flops is None else self.flops / self.time(contender).median / 1e9

    def images_per_second(self, contender: str = CONVKIT) -> float | None:
        """Images per second at the median time."""
        return None if self.images is None else self.images / self.time(contender).median


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
    """Time a case's contenders in alternating runs.

    Garbage collection is off meanwhile, as in `timeit`: a collection would hit one side by chance.
    """
    pace = pace or Pace()
    seconds: dict[str, list[float]] = {name: [] for name in case.calls}
    repeats = {name: _calibrate(call, pace.run_seconds) for name, call in case.calls.items()}
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        for _ in range(pace.rounds):
            for name, call in case.calls.items():
                _settle(call, pace.settle_seconds)
                seconds[name].append(_run(call, repeats[name]))
    finally:
        if collecting:
            gc.enable()
    return Result(case.name, case.direction, seconds, case.flops, case.images)


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
    once = _run(call, 1)
    return max(1, round(run_seconds / max(once, 1e-7)))


def _settle(call: Call, seconds: float) -> None:
    end = time.perf_counter() + seconds
    call()
    while time.perf_counter() < end:
        call()


def _run(call: Call, repeats: int) -> float:
    """Seconds per call over `repeats` calls."""
    start = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - start) / repeats
