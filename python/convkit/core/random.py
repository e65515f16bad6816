"""Where every random number of convkit comes from.

Nothing here keeps the state of a generator. A random number is a pure function of the seed, what
it is for, and where it is used (epoch, step, layer, element), computed with the counter-based
Philox generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011). So neither
the number of threads nor an interruption and resumption can change it.

`set_seed` fixes the seed of the process; before that it comes from the operating system. `seeded`
replaces it for a block of code, in the thread that runs it.
"""

from __future__ import annotations

import itertools
import operator
import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum

import numpy as np

_LAYER_SHIFT = 48


class Stream(IntEnum):
    """What random numbers are drawn for; each use has a stream of its own."""

    INITIALIZER = 1
    SHUFFLE = 2
    MIXING = 3
    DATASET = 7


class _Process:
    """The seed of this process, how many variables it has initialised, and calls on arrays."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.variables = itertools.count()
        self.calls = itertools.count()


_process = _Process(int.from_bytes(os.urandom(8), "little"))
_instead: ContextVar[_Process | None] = ContextVar("convkit_seed", default=None)


def _current() -> _Process:
    return _instead.get() or _process


def check_seed(seed: int, bits: int = 64) -> int:
    """Return `seed` as an int; ValueError unless it has at most so many bits and no sign."""
    try:
        number = operator.index(seed)
    except TypeError:
        raise TypeError(f"a seed must be an integer, received {seed!r}") from None
    if not 0 <= number < 2**bits:
        raise ValueError(f"a seed must lie in 0 .. 2**{bits}-1, received {number}")
    return number


def set_seed(seed: int) -> None:
    """Make everything random that follows a function of `seed`."""
    global _process
    _process = _Process(check_seed(seed))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within, what is random is a function of `seed`; outside, nothing has changed.

    Other threads do not notice either, so that models can be made in several at a time.
    """
    token = _instead.set(_Process(check_seed(seed)))
    try:
        yield
    finally:
        _instead.reset(token)


def seed() -> int:
    """The seed of this process, or the one that `seeded` has put in its place."""
    return _current().seed


def next_variable() -> int:
    """A number for the next variable to be initialised, counted since the seed was set."""
    return next(_current().variables)


def next_call() -> int:
    """A number for the next call of a random layer on arrays, counted since the seed was set."""
    return next(_current().calls)


def generator(seed: int, stream: Stream, *position: int) -> np.random.Generator:
    """A NumPy generator for one place: up to three numbers that say where it is used."""
    # The first word of the counter is the one that the generator itself counts up.
    counter = [0, *position, *([0] * (3 - len(position)))]
    # Lists with numbers from 2**63 on would become floating-point numbers, which round them.
    words = [np.array(each, np.uint64) for each in ([seed, int(stream)], counter)]
    return np.random.Generator(np.random.Philox(key=words[0], counter=words[1]))


def permutation(
    count: int, seed: int, epoch: int, step: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The order of `count` samples in the epoch that begins at training step `step`.

    Both numbers count: `fit` called again begins at epoch 0 again, but at a later step.
    """
    return generator(seed, Stream.SHUFFLE, epoch, step).permutation(count)


def dropout_offset(layer: int) -> int:
    """What layer number `layer` adds to a training step's number, for a mask of its own."""
    return layer << _LAYER_SHIFT
