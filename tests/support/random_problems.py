"""Random problems: every op in every direction, on every instruction set, against the reference.

`python random_problems.py --count 1000000 --seed 0` computes a million of them. A failure is
printed with its number, and `--start 4711 --count 1` computes that one problem again.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence

import drawn_convolutions
import drawn_images
import drawn_others
import drawn_training
from convkit import runtime
from drawn import Draw, Outputs, Problem

# Setting another number of threads takes longer than many a problem: some in a row share it.
_RUN_OF_THREADS = 64
KINDS = (
    *drawn_convolutions.KINDS,
    *drawn_images.KINDS,
    *drawn_others.KINDS,
    *drawn_training.KINDS,
)


def problem(seed: int, index: int) -> Problem:
    """Problem number `index` of a seed."""
    draw = Draw(seed, index)
    return draw.one_of(KINDS)(draw)


def threads_of(seed: int, index: int) -> int:
    """The number of threads that computes it: two times in three more than one."""
    return random.Random(f"{seed}:{index // _RUN_OF_THREADS}:threads").choice((1, 2, 3))


def failures(seed: int, index: int, isas: Sequence[str]) -> Iterator[str]:
    """Compute a problem on every instruction set; yield what is wrong."""
    threads = threads_of(seed, index)
    if threads != runtime.get_num_threads():
        runtime.set_num_threads(threads)
    runtime.set_conv2d_algorithm("auto")
    drawn = problem(seed, index)
    runtime.set_conv2d_algorithm("direct" if drawn.direct else "auto")
    for isa in isas:
        runtime.set_isa(isa)
        outputs = Outputs()
        try:
            results = drawn.run(outputs)
            outputs.check()
            drawn.check(results)
        except Exception as error:
            where = f"problem {index} of seed {seed} on {isa}, {threads} threads"
            yield f"{where}: {drawn.text}\n  {type(error).__name__}: {error}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compute the problems that were asked for; 1 if one of them is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--start", type=int, default=0, help="number of the first problem")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--isa", choices=runtime.available_isas(), help="this one alone")
    options = parser.parse_args(arguments)
    isas = [options.isa] if options.isa else runtime.available_isas()
    begin, wrong, index = time.monotonic(), 0, options.start
    for index in range(options.start, options.start + options.count):
        for failure in failures(options.seed, index, isas):
            wrong += 1
            print(failure, flush=True)
        if wrong >= 20 or time.monotonic() - begin > options.seconds:
            break
    print(
        f"{index + 1 - options.start} problems on {', '.join(isas)} in "
        f"{time.monotonic() - begin:.0f} s, {wrong} failures; seed {options.seed}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
