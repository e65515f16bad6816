"""Problems drawn at random: where their numbers come from, and what the kinds of problems share.

Problem number i of a seed depends on both and on nothing else, so that one problem of a million can
be had again alone. Arrays hold small whole numbers: sums of their products are exact in float32 in
whatever order they are added, so that most comparisons need no tolerance.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from compare import EPS, Array, Guarded
from shapes import Conv

LARGEST = 3  # of the whole numbers that arrays hold
_USUAL_WORK, _RARE_WORK = 200_000, 6_000_000  # multiply-adds of a problem
_T = TypeVar("_T")


class Outputs:
    """Hands out the arrays that an op writes into; afterwards nothing beside them may have changed.

    New ones hold 77 everywhere, so that an element that was not written shows.
    """

    def __init__(self) -> None:
        self._guards: list[Guarded] = []

    def __call__(self, shape: Sequence[int], dtype: DTypeLike = np.float32) -> Array:
        guard = Guarded(shape, dtype)
        self._guards.append(guard)
        return guard.array

    def copy(self, array: Array) -> Array:
        """A copy of an array that an op changes in place."""
        made = self(array.shape, array.dtype)
        made[...] = array
        return made

    def check(self) -> None:
        """Assert that nothing outside the arrays was written."""
        for guard in self._guards:
            guard.check()


@dataclass
class Problem:
    """What is computed, how, and what must come out.

    Attributes:
        text: the op and its shapes, for the message of a failure.
        run: calls the ops; the arrays that it returns are what `check` is given.
        check: asserts that they are right.
        direct: whether convolutions are computed as direct sums.
    """

    text: str
    run: Callable[[Outputs], Sequence[Array]]
    check: Callable[[Sequence[Array]], None] = field(repr=False)
    direct: bool = False


def exactly(*wanted: Array) -> Callable[[Sequence[Array]], None]:
    """A check for the very numbers."""

    def check(actual: Sequence[Array]) -> None:
        for place, (one, other) in enumerate(zip(actual, wanted, strict=True)):
            equal(one, other, f"result {place}")

    return check


def equal(actual: Array, wanted: Array, what: str = "the result") -> None:
    """Assert that all numbers are the same; much faster than NumPy's own assertion if they are."""
    assert actual.shape == wanted.shape, f"{what} has shape {actual.shape}, not {wanted.shape}"
    if not np.array_equal(actual, wanted):
        place = tuple(int(i[0]) for i in np.nonzero(actual != wanted))
        wrong = int(np.sum(actual != wanted))
        raise AssertionError(
            f"{what} of shape {wanted.shape} has {wrong} wrong numbers, the first at {place}: "
            f"{actual[place]} and not {wanted[place]}"
        )


def near(actual: Array, wanted: Array, bound: Any, what: str = "the result") -> None:
    """Assert |actual - wanted| <= bound everywhere; NaN is never near."""
    assert actual.shape == wanted.shape, f"{what} has shape {actual.shape}, not {wanted.shape}"
    difference = np.abs(actual.astype(np.float64) - wanted)
    if not (difference <= bound).all():
        place = np.unravel_index(int(np.argmax(difference - bound)), wanted.shape)
        raise AssertionError(
            f"{what} of shape {wanted.shape} differs at {tuple(map(int, place))}: "
            f"{actual[place]} and not {wanted[place]}, allowed is {np.max(bound):.2e}"
        )


def nearly(*pairs: tuple[Array, Any]) -> Callable[[Sequence[Array]], None]:
    """A check for numbers up to a bound each."""

    def check(actual: Sequence[Array]) -> None:
        for place, (one, (wanted, bound)) in enumerate(zip(actual, pairs, strict=True)):
            near(one, wanted, bound, f"result {place}")

    return check


def relative(wanted: Array, ulps: float = 8.0, floor: float = 1.0) -> tuple[Array, Array]:
    """The pair for `nearly` of some roundings of each number."""
    return wanted, ulps * EPS * np.maximum(np.abs(wanted), floor)


class Draw:
    """The random numbers of one problem.

    Args:
        seed, index: any numbers from 0 on; the same two give the same problem.
    """

    def __init__(self, seed: int, index: int) -> None:
        self._numbers = random.Random(f"{seed}:{index}")
        self._arrays = np.random.Generator(np.random.Philox(key=[seed, index]))
        self._work = _RARE_WORK if self.often(0.01) else _USUAL_WORK

    def often(self, share: float) -> bool:
        return self._numbers.random() < share

    def number(self, low: int, high: int) -> int:
        """A whole number in low .. high."""
        return self._numbers.randint(low, high)

    def one_of(self, values: Sequence[_T]) -> _T:
        return self._numbers.choice(values)

    def uniform(self, low: float, high: float) -> float:
        return self._numbers.uniform(low, high)

    def whole(self, *shape: int, low: int = -LARGEST, high: int = LARGEST) -> Array:
        """Whole numbers as float32."""
        return self._arrays.integers(low, high + 1, shape).astype(np.float32)

    def indices(self, *shape: int, below: int, dtype: DTypeLike = np.int64) -> Array:
        return self._arrays.integers(0, below, shape).astype(dtype)

    def normal(self, *shape: int) -> Array:
        return self._arrays.standard_normal(shape, np.float32)

    def among(self, values: Sequence[float], *shape: int) -> Array:
        """An array of some of the values."""
        return np.asarray(values, np.float32)[self._arrays.integers(0, len(values), shape)]

    def channels(self) -> int:
        """Around the widths of vectors and of register tiles, where tails begin."""
        if self.often(0.5):
            return self.number(1, 20)
        width = self.one_of((4, 8, 16, 32, 48, 64))
        return max(1, width * self.number(1, 2) + self.number(-2, 2))

    def plane(self) -> tuple[int, int]:
        most = 34 if self.often(0.1) else 11
        return self.number(1, most), self.number(1, most)

    def batch(self) -> int:
        return self.number(8, 18) if self.often(0.2) else self.number(1, 4)

    def vector(self) -> int:
        """How long a vector is: a few, or so many that threads work on each its part."""
        return self.number(1, 40_000 if self.often(0.1) else 70)

    def shape(self) -> tuple[int, int, int, int]:
        """Images (N, H, W, C), not many."""
        (h, w), c = self.plane(), self.channels()
        return max(1, min(self.batch(), self._work // (8 * h * w * c))), h, w, c

    def rows(self) -> tuple[int, int]:
        """Rows and columns of a matrix."""
        return self.number(1, 70 if self.often(0.2) else 12), self.channels()

    def window(self, size: tuple[int, int]) -> Any:
        """A padding for a window of that size: "valid", "same" or four numbers below it."""
        chosen = self.one_of(("valid", "same", "same", "numbers"))
        if chosen != "numbers":
            return chosen
        return tuple((self.number(0, extent - 1), self.number(0, extent - 1)) for extent in size)

    def convolution(self) -> Conv:
        """A convolution of any kind; Winograd's filtering takes many of every third."""
        while True:
            problem = self._any_convolution()
            try:
                outputs = problem.y_shape
            except ValueError:  # the kernel does not fit
                continue
            if np.prod(outputs) * problem.forward_terms <= self._work:
                return problem

    def _any_convolution(self) -> Conv:
        kind = self.one_of(("tiles", "tiles", "any", "any", "depthwise", "groups"))
        n, (h, w), c, oc = self.batch(), self.plane(), self.channels(), self.channels()
        if kind == "tiles":
            padding = self.one_of(("same", "valid", ((1, 2), (0, 1)), ((2, 2), (2, 2))))
            c, oc = c + 15, oc + 15
            return Conv(kind, (n, h, w, c), (3, 3, c, oc), padding=padding)
        groups = 1
        if kind == "depthwise":
            groups, oc = c, c * (self.number(2, 4) if self.often(0.3) else 1)
        elif kind == "groups":
            groups = self.number(2, 4)
            c, oc = groups * self.number(1, 18), groups * self.number(1, 18)
        size = (3, 3) if self.often(0.4) else (self.number(1, 5), self.number(1, 5))
        strides, dilation = (1, 1), (1, 1)
        if self.often(0.5):
            strides = self.number(1, 3), self.number(1, 3)
        if self.often(0.3):
            dilation = self.number(1, 3), self.number(1, 3)
        padding = self.one_of(("valid", "same", "numbers"))
        if padding == "numbers":
            padding = tuple((self.number(0, 5), self.number(0, 5)) for _ in "hw")
        shape = (*size, c // groups, oc)
        return Conv(kind, (n, h, w, c), shape, strides, padding, dilation, groups)


def text_of(problem: Conv) -> str:
    """A convolution in one line, as the ops take it."""
    return f"x {problem.x_shape}, w {problem.w_shape}, {problem.options}"
