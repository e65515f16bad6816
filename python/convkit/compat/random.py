"""`tf.random` and the seeds of old: random tensors by NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import random as own
from .tensor import as_tensor, dtype_of

__all__ = [
    "Generator",
    "SeedGenerator",
    "categorical",
    "generator",
    "get_global_generator",
    "get_seed",
    "normal",
    "randint",
    "set_random_seed",
    "set_seed",
    "shuffle",
    "split",
    "stateless_normal",
    "stateless_uniform",
    "truncated_normal",
    "uniform",
]


def set_seed(seed: int) -> None:
    """Fix what is random in convkit: first weights, order, dropout. NumPy's seed is its own."""
    global _shared
    own.set_seed(own.check_seed(int(seed), bits=64))
    _shared = np.random.default_rng(abs(int(seed)))


set_random_seed = set_seed
_shared = np.random.default_rng()


def generator(seed: Any = None) -> np.random.Generator:
    """That of a seed, which may be several numbers, or the one that `set_seed` seeds."""
    if seed is None:
        return _shared
    return np.random.default_rng([abs(int(each)) for each in np.ravel(seed)])


def get_seed(op_seed: Any) -> Any:
    """The seed of the process, and the one that was given."""
    return own.seed(), op_seed


def uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = np.float32,
    seed: Any = None,
    name: Any = None,
) -> Any:
    """Numbers from `minval` to below `maxval`."""
    kind, sizes = dtype_of(dtype), tuple(np.ravel(shape).astype(int))
    if kind.kind in "iu":
        return as_tensor(generator(seed).integers(int(minval), int(maxval), sizes).astype(kind))
    high = 1.0 if maxval is None else maxval
    return as_tensor(generator(seed).uniform(minval, high, sizes), kind)


def normal(
    shape: Any,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = np.float32,
    seed: Any = None,
    name: Any = None,
) -> Any:
    """Numbers of a normal distribution."""
    sizes = tuple(np.ravel(shape).astype(int))
    return as_tensor(generator(seed).normal(mean, stddev, sizes), dtype_of(dtype))


def truncated_normal(
    shape: Any,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = np.float32,
    seed: Any = None,
    name: Any = None,
) -> Any:
    """Numbers of a normal distribution, none further than two deviations from the mean."""
    drawn = generator(seed).normal(0.0, 1.0, tuple(np.ravel(shape).astype(int)))
    while (outside := np.abs(drawn) > 2.0).any():
        drawn[outside] = generator(seed and [seed, int(outside.sum())]).normal(size=outside.sum())
    return as_tensor(mean + stddev * drawn, dtype_of(dtype))


def stateless_uniform(
    shape: Any,
    seed: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = np.float32,
    **options: Any,
) -> Any:
    """Numbers from `minval` to below `maxval`, those of the seed."""
    return uniform(shape, minval, maxval, dtype, seed)


def stateless_normal(
    shape: Any,
    seed: Any,
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = np.float32,
    **options: Any,
) -> Any:
    """Numbers of a normal distribution, those of the seed."""
    return normal(shape, mean, stddev, dtype, seed)


def randint(shape: Any, minval: Any, maxval: Any, dtype: Any = np.int32, seed: Any = None) -> Any:
    """Whole numbers from `minval` to below `maxval`."""
    return uniform(shape, minval, maxval, dtype, seed)


def shuffle(value: Any, seed: Any = None, name: Any = None) -> Any:
    """The parts along the first axis in another order."""
    return as_tensor(np.asarray(value)[generator(seed).permutation(len(value))])


def categorical(logits: Any, num_samples: int, dtype: Any = np.int64, seed: Any = None) -> Any:
    """So many classes drawn for each row of logits."""
    rows = np.asarray(logits, np.float64)
    noise = generator(seed).gumbel(size=(len(rows), int(num_samples), rows.shape[1]))
    return as_tensor((rows[:, np.newaxis] + noise).argmax(-1).astype(dtype_of(dtype)))


def split(seed: Any, num: int = 2) -> Any:
    """So many seeds made of one, (num, 2)."""
    return as_tensor(generator(seed).integers(0, 2**31 - 1, (num, 2)).astype(np.int32))


class SeedGenerator:
    """Gives seeds, one after the other."""

    def __init__(self, seed: Any = None, name: Any = None) -> None:
        self._numbers = np.random.default_rng(seed)

    def next(self, ordered: bool = True) -> Any:
        """The next seed, (2,)."""
        return as_tensor(self._numbers.integers(0, 2**31 - 1, 2).astype(np.int32))


class Generator:
    """Gives random tensors, one after the other."""

    def __init__(self, numbers: np.random.Generator) -> None:
        self._numbers = numbers

    @classmethod
    def from_seed(cls, seed: Any, alg: Any = None) -> Generator:
        """The one that begins with a seed."""
        return cls(np.random.default_rng(abs(int(seed))))

    @classmethod
    def from_non_deterministic_state(cls, alg: Any = None) -> Generator:
        """One that begins anywhere."""
        return cls(np.random.default_rng())

    def uniform(self, shape: Any, minval: Any = 0, maxval: Any = 1, dtype: Any = np.float32) -> Any:
        """Numbers from `minval` to below `maxval`."""
        return as_tensor(self._numbers.uniform(minval, maxval, tuple(shape)), dtype)

    def normal(self, shape: Any, mean: float = 0.0, stddev: float = 1.0) -> Any:
        """Numbers of a normal distribution."""
        return as_tensor(self._numbers.normal(mean, stddev, tuple(shape)).astype(np.float32))

    def make_seeds(self, count: int = 1) -> Any:
        """So many seeds, (2, count)."""
        return as_tensor(self._numbers.integers(0, 2**31 - 1, (2, count)))

    def split(self, count: int = 1) -> list[Generator]:
        """So many generators made of this one."""
        return [Generator(each) for each in self._numbers.spawn(count)]


def get_global_generator() -> Generator:
    """The one that `set_seed` seeds."""
    return Generator(_shared)
