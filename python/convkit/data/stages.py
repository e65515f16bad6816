"""What a data set consists of: where its elements come from, and what is done with them in turn.

A pass over a data set is a pure function of its place: the seed, the epoch and the training step
before which it begins. So a pass can be made again in another process.

Where elements can be had by their numbers, as of arrays and of files, everything that only chooses
and orders elements works on the numbers, and `batch` reads what is left in one go.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..core import random
from ..core.parameters import Array
from . import nested
from .parallel import ordered, prefetched

ENDLESS = math.inf
_DRAWN = 1024  # so many random numbers are drawn at a time
_ROUNDS = 2**44


class Part(Protocol):
    """What is wanted of each batch."""

    def rows(self, size: int) -> slice:
        """Those of a batch of that size; asked once for each, in their order."""


class Place(NamedTuple):
    """Which pass over the data it is.

    Attributes:
        seed: of what has no seed of its own.
        epoch: the number of the epoch.
        step: of the training step before which the pass begins.
        round: of a data set that is repeated within the pass.
        part: what is wanted of each batch, where several processes share it; None for all.
    """

    seed: int
    epoch: int
    step: int = 0
    round: int = 0
    part: Part | None = None

    def within(self, number: int) -> Place:
        """The place of the pass of that number within this one."""
        return self._replace(round=(self.round * 1_000_003 + number) % _ROUNDS)


class Source(ABC):
    """Elements that can be had by their numbers, 0 .. len - 1.

    Attributes:
        is_complete: whether a batch has an element for each number that is asked for.
    """

    is_complete = True

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def elements(self, numbers: Iterator[int]) -> Iterator[Any]:
        """The elements of those numbers, one after the other."""

    @abstractmethod
    def batches(self, chunks: Iterator[Array]) -> Iterator[Any]:
        """Batches of the elements of those numbers."""


class Slices(Source):
    """The rows of arrays.

    Args:
        element: of arrays with a common first axis.

    Raises:
        ValueError: the arrays have different lengths, or no axis.
    """

    def __init__(self, element: Any) -> None:
        self.element = nested.as_element(element)
        lengths = [len(leaf) if np.ndim(leaf) else -1 for leaf in nested.leaves(self.element)]
        if not lengths or min(lengths) < 0 or len(set(lengths)) != 1:
            raise ValueError(
                f"all arrays must have a first axis of the same length, received the shapes "
                f"{[np.shape(leaf) for leaf in nested.leaves(self.element)]}"
            )
        self._length = lengths[0]

    def __len__(self) -> int:
        return self._length

    def elements(self, numbers: Iterator[int]) -> Iterator[Any]:
        for number in numbers:
            yield nested.map_leaves(lambda leaf, i=number: nested.read_only(leaf[i]), self.element)

    def batches(self, chunks: Iterator[Array]) -> Iterator[Any]:
        for chunk in chunks:
            yield nested.map_leaves(lambda leaf, rows=chunk: leaf[rows], self.element)


class Stage(ABC):
    """A step on the way of the elements.

    Attributes:
        source: where the elements can be had by their numbers, or None.
        depth: how many steps come before it, which sets apart what each of them draws.
        gives_parts: whether its elements are batches of which a pass may make a part alone.
    """

    source: Source | None = None
    depth = 0
    gives_parts = False

    @abstractmethod
    def elements(self, place: Place) -> Iterator[Any]:
        """The elements of a pass."""

    def numbers(self, place: Place) -> Iterator[int]:
        """Those of the elements of a pass, where there is a source."""
        raise NotImplementedError

    @abstractmethod
    def length(self) -> float | None:
        """How many elements a pass has; None if nobody knows."""


class FromSource(Stage):
    """All elements of a source, in their order."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def elements(self, place: Place) -> Iterator[Any]:
        assert self.source is not None
        return self.source.elements(self.numbers(place))

    def numbers(self, place: Place) -> Iterator[int]:
        assert self.source is not None
        return iter(range(len(self.source)))

    def length(self) -> float | None:
        assert self.source is not None
        return len(self.source)


class FromFunction(Stage):
    """What a function gives for each pass: an iterable."""

    def __init__(self, make: Callable[[], Iterable[Any]], length: float | None = None) -> None:
        self._make, self._length = make, length

    def elements(self, place: Place) -> Iterator[Any]:
        return iter(self._make())

    def length(self) -> float | None:
        return self._length


class Changed(Stage):
    """A step that makes other elements of those before it.

    Args:
        before: the step that it takes elements from.
        change: makes an iterator of the new elements of one of the old.
        length: of how many elements so many become.
        keeps_parts: whether what it makes of a part of a batch is that part of what it makes of the
            batch.
    """

    def __init__(
        self,
        before: Stage,
        change: Callable[[Iterator[Any]], Iterator[Any]],
        length: Callable[[float], float | None] = lambda count: count,
        *,
        keeps_parts: bool = False,
    ) -> None:
        self.before, self._change, self._length = before, change, length
        self.depth = before.depth + 1
        self.gives_parts = keeps_parts and before.gives_parts

    def elements(self, place: Place) -> Iterator[Any]:
        return self._change(self.before.elements(place))

    def length(self) -> float | None:
        count = self.before.length()
        return None if count is None else self._length(count)


class Chosen(Changed):
    """A step that leaves elements out, or gives them in another order: of their numbers, too.

    Of batches that it is to make a part alone of, it may leave out only those at the end: how many
    samples the others have is told in their order.
    """

    def __init__(
        self,
        before: Stage,
        change: Callable[[Iterator[Any]], Iterator[Any]],
        length: Callable[[float], float | None] = lambda count: count,
        *,
        keeps_parts: bool = False,
    ) -> None:
        super().__init__(before, change, length, keeps_parts=keeps_parts)
        self.source = before.source

    def elements(self, place: Place) -> Iterator[Any]:
        if self.source is None:
            return self._arranged(self.before.elements, place)
        return self.source.elements(self.numbers(place))

    def numbers(self, place: Place) -> Iterator[int]:
        return self._arranged(self.before.numbers, place)

    def _arranged(self, begin: Callable[[Place], Iterator[Any]], place: Place) -> Iterator[Any]:
        return self._change(begin(place))


class Leading(Chosen):
    """The first so many elements."""

    def __init__(self, before: Stage, most: int) -> None:
        super().__init__(
            before,
            lambda each: islice(each, most),
            lambda length: min(length, most),
            keeps_parts=True,
        )


class Repeated(Chosen):
    """The elements so many times; None for ever. Each round is a pass of its own."""

    def __init__(self, before: Stage, count: int | None) -> None:
        self._count = ENDLESS if count is None else count
        super().__init__(
            before, iter, lambda length: length * self._count if length else 0, keeps_parts=True
        )

    def _arranged(self, begin: Callable[[Place], Iterator[Any]], place: Place) -> Iterator[Any]:
        number = 0
        while number < self._count:
            empty = True
            for element in begin(place.within(number)):
                empty = False
                yield element
            if empty:
                return
            number += 1


class Shuffled(Chosen):
    """The elements in a random order: each is drawn from a buffer, which the next one fills up.

    Args:
        before: the step that it takes elements from.
        size: of the buffer; of the whole length or more, all orders are equally likely.
        seed: of its own, or None for the pass's.
        again: whether each pass has an order of its own.
    """

    def __init__(self, before: Stage, size: int, seed: int | None, again: bool) -> None:
        super().__init__(before, iter)
        self._size, self._seed, self._again = size, seed, again

    def _arranged(self, begin: Callable[[Place], Iterator[Any]], place: Place) -> Iterator[Any]:
        seed = place.seed if self._seed is None else self._seed
        own = (place.epoch, place.step, place.round << 16) if self._again else (0, 0, 0)
        position = (*own[:2], own[2] | (self.depth & 0xFFFF))
        generator = random.generator(seed, random.Stream.DATASET, *position)
        source = begin(place)
        buffer = list(islice(source, self._size))
        if len(buffer) < self._size or self._size >= (self.before.length() or ENDLESS):
            for i in generator.permutation(len(buffer)):
                yield buffer[i]
            return
        while True:
            coming = list(islice(source, _DRAWN))
            draws = generator.integers(self._size, size=len(coming))
            for i, element in zip(draws, coming, strict=True):
                yield buffer[i]
                buffer[i] = element
            if len(coming) < _DRAWN:
                break
        for i in generator.permutation(len(buffer)):
            yield buffer[i]


class Batched(Stage):
    """So many elements at a time as one.

    Args:
        before: the step that it takes elements from.
        size: of a batch.
        drop_remainder: whether a last one that is smaller is left out.
    """

    def __init__(self, before: Stage, size: int, drop_remainder: bool) -> None:
        self.before, self.size, self._drop = before, size, drop_remainder
        self.depth = before.depth + 1
        self.gives_parts = before.source is None or before.source.is_complete

    def elements(self, place: Place) -> Iterator[Any]:
        source, whole = self.before.source, place._replace(part=None)
        if source is None:
            chunks = self._chunks(self.before.elements(whole), place.part)
            return (nested.stack(chunk) for chunk in chunks)
        numbers = self._chunks(self.before.numbers(whole), place.part)
        return source.batches(np.array(chunk, np.int64) for chunk in numbers)

    def _chunks(self, elements: Iterator[Any], part: Part | None) -> Iterator[Sequence[Any]]:
        while chunk := list(islice(elements, self.size)):
            if self._drop and len(chunk) < self.size:
                return
            yield chunk if part is None else chunk[part.rows(len(chunk))]

    def length(self) -> float | None:
        count = self.before.length()
        if count is None or count == ENDLESS:
            return count
        whole, rest = divmod(int(count), self.size)
        return whole + (1 if rest and not self._drop else 0)


class Cached(Stage):
    """Elements that the first pass to its end keeps in memory for all others.

    The order is that of this first pass.
    """

    def __init__(self, before: Stage) -> None:
        self.before, self.depth = before, before.depth + 1
        self._kept: list[Any] | None = None

    def elements(self, place: Place) -> Iterator[Any]:
        if self._kept is not None:
            yield from self._kept
            return
        kept = []
        for element in self.before.elements(place):
            kept.append(nested.map_leaves(nested.read_only, element))
            yield kept[-1]
        self._kept = kept

    def length(self) -> float | None:
        return self.before.length() if self._kept is None else len(self._kept)


class Joined(Stage):
    """Several data sets, one behind the other or side by side.

    Args:
        stages: of the data sets.
        join: makes an iterator of elements of theirs.
        length: of all, of the lengths of each.
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        join: Callable[[list[Iterator[Any]]], Iterator[Any]],
        length: Callable[[list[float]], float],
    ) -> None:
        self._stages, self._join, self._length = stages, join, length
        self.depth = sum(stage.depth + 1 for stage in stages)

    def elements(self, place: Place) -> Iterator[Any]:
        return self._join([stage.elements(place) for stage in self._stages])

    def length(self) -> float | None:
        lengths = [stage.length() for stage in self._stages]
        known = [length for length in lengths if length is not None]
        return self._length(known) if len(known) == len(lengths) else None


def mapped(before: Stage, function: Callable[[Any], Any], workers: int) -> Stage:
    """A step that makes an element of each, by so many threads ahead of time, or by none."""

    def change(elements: Iterator[Any]) -> Iterator[Any]:
        if workers < 2:
            return (function(each) for each in elements)
        return ordered(function, elements, workers, 2 * workers)

    return Changed(before, change, keeps_parts=True)


def ahead(before: Stage, count: int) -> Stage:
    """A step that lets another thread make so many elements before they are asked for."""
    return Changed(before, lambda elements: prefetched(elements, count), keeps_parts=True)
