"""Where a model's batches come from: arrays, or an iterable that yields batches.

Both are a `Batches`: passes over the data, cut into epochs. Without a number of steps an epoch is a
pass. With one, an epoch takes that many batches and the next epoch goes on where it ended, as in
Keras; where a pass ends within an epoch, that epoch is shorter, with a warning, and the next one
begins a new pass.

An iterator, such as a generator, gives its batches once. When nothing is left for a further epoch,
training ends. But where an iterable has a length, a pass is so many batches: iterators with one, as
Keras's image generators are, do not end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from inspect import signature
from itertools import islice, pairwise
from typing import Any

import numpy as np

from ..core import processes, random
from ..core.parameters import Array
from ..core.processes import Processes
from ..core.warn import warn
from . import data
from .data import Samples

Batch = tuple[Samples, Array]  # some samples, and the indices of those that make the batch
# An object with one of these is samples; the last one is that of SciPy's sparse matrices.
_PROTOCOLS = ("__array__", "__dlpack__", "__array_interface__", "toarray")
DEFAULT_BATCH_SIZE = 32


class Batches(ABC):
    """Batches, epoch after epoch.

    Args:
        steps: the batches of an epoch; None for as many as a pass has.

    Attributes:
        repeats: whether a further pass can be made.
        samples: how many samples an epoch has, or None where that is not known.
        batch_size: of all batches but the last, or None where they differ.
        source: the user's object that the batches come from, or None.
        has_indices: whether the indices of batches are those of the same samples in every pass.
    """

    repeats = True
    has_indices = False
    samples: int | None = None
    batch_size: int | None = None
    source: Any = None

    def __init__(self, steps: int | None) -> None:
        self.steps = steps
        self._pass: Iterator[Batch] | None = None
        self._begun = (0, 0)  # the epoch and the training step at which the pass began
        self._taken = 0  # batches of the pass
        self._given = 0  # batches of the epoch
        self._before = 0  # batches of earlier passes

    @abstractmethod
    def _begin(self, epoch: int, step: int) -> Iterator[Batch]:
        """A new pass over the data: an iterator that does not hold these batches, which hold it."""

    @property
    def length(self) -> int | None:
        """The number of batches of an epoch, or None where that is not known."""
        return self.steps

    def restart(self) -> None:
        """Let the next epoch begin a new pass, if that can be done."""
        if self.repeats:
            self._pass = None

    def epoch(self, number: int = 0, step: int = 0) -> Iterator[Batch] | None:
        """The batches of the next epoch, or None if there is nothing left.

        Args:
            number: of the epoch.
            step: of the training step before which it begins; both decide the order of a pass.
        """
        self._call("on_epoch_begin")
        self._given = 0
        first = None if self._pass is None else next(self._pass, None)
        if first is None and (self._pass is None or self.repeats):
            self._start(number, step)
            assert self._pass is not None
            first = next(self._pass, None)
        return None if first is None else self._continue(first)

    def position(self) -> dict[str, int]:
        """Where it stands, for another process that has the same data: see `resume`."""
        epoch, step = self._begun
        within = 0 if self._pass is None else self._taken
        before = self._before + self._taken - within
        return {
            "epoch": epoch, "step": step, "taken": within, "given": self._given, "before": before
        }  # fmt: skip

    def resume(self, position: Mapping[str, int], epochs: int, within: bool) -> Iterator[Batch]:
        """Go to where `position` was told; return what is left of the epoch.

        Batches that were taken are taken from the iterable once more, and its hooks are called, so
        that one which depends on nothing else stands where the earlier one stood.

        Args:
            position: what `position` returned.
            epochs: how many epochs had ended.
            within: whether another one had begun.
        """
        for _ in range(epochs):
            self._call("on_epoch_begin")
            self._call("on_epoch_end")
        if within:
            self._call("on_epoch_begin")
        if hasattr(self.source, "__next__"):  # it goes on from pass to pass
            _skip(self.source, position["before"])
        self._before = position["before"]
        if position["taken"]:
            self._start(position["epoch"], position["step"])
            assert self._pass is not None
            _skip(self._pass, position["taken"])
        self._taken, self._given = position["taken"], position["given"]
        return self._continue(None)

    def _start(self, epoch: int, step: int) -> None:
        self._before, self._taken = self._before + self._taken, 0
        self._begun = (epoch, step)
        self._pass = self._begin(epoch, step)

    def _continue(self, first: Batch | None) -> Iterator[Batch]:
        assert self._pass is not None
        batch = first
        del first  # memory of a batch that is done with
        while True:
            if batch is not None:
                self._taken += 1
                self._given += 1
                yield batch
            if self._given == self.steps:
                break
            batch = None
            try:
                batch = next(self._pass)
            except StopIteration:
                self.restart()
                if self.steps is not None:
                    warn_of_the_end()
                break
        self._call("on_epoch_end")

    def _call(self, hook: str) -> None:
        """Tell the data that an epoch begins or ends, if they want to know."""
        function = getattr(self.source, hook, None)
        if callable(function):
            function()


def _skip(batches: Iterator[Any], count: int) -> None:
    for _ in range(count):
        if next(batches, None) is None:
            break


def no_batch(what: str) -> ValueError:
    """The error where there is not even one batch."""
    return ValueError(
        f"{what} received no batch: the iterable is empty, or an iterator that was used before; "
        f"make a new one"
    )


def warn_of_the_end() -> None:
    """Warn in Keras's words that there are fewer batches than were asked for."""
    warn(
        "Your input ran out of data; interrupting training. Make sure that your dataset or "
        "generator can generate at least `steps_per_epoch * epochs` batches."
    )


class ArrayBatches(Batches):
    """Batches of samples that are all in memory; the last one of a pass may be smaller.

    Args:
        samples: the data.
        batch_size: None for 32; or, where there are steps, for what makes so many batches.
        steps: the batches of an epoch.
        order: gives the order of so many samples in the pass that begins with an epoch, before a
            training step.
    """

    has_indices = True

    def __init__(
        self,
        samples: Samples,
        batch_size: int | None,
        steps: int | None = None,
        order: Callable[[int, int, int], Array] | None = None,
    ) -> None:
        super().__init__(steps)
        if batch_size is None:
            batch_size = DEFAULT_BATCH_SIZE if steps is None else -(-len(samples) // steps)
        self.batch_size = batch_size
        self._samples, self._order = samples, order
        self._whole = -(-len(samples) // batch_size)
        if steps in (None, self._whole):
            self.samples = len(samples)

    @property
    def length(self) -> int | None:
        """The number of batches of an epoch."""
        return self.steps or self._whole

    def _begin(self, epoch: int, step: int) -> Iterator[Batch]:
        order = None if self._order is None else self._order(len(self._samples), epoch, step)
        assert self.batch_size is not None
        samples = self._samples
        return ((samples, indices) for indices in samples.batches(self.batch_size, order))


class IterableBatches(Batches):
    """Batches as an iterable yields them: x, (x,), (x, y) or (x, y, sample_weight).

    They may be of any sizes. Each is converted when it comes, and forgotten when it was used. What
    the iterable has of `on_epoch_begin` and `on_epoch_end` is called, as Keras calls it.

    Args:
        iterable: an iterator, which gives one pass; any other iterable, such as a data loader,
            gives a new pass at every `iter()`; so does an object with `__len__` and `__getitem__`.
            With `__len__`, a pass has so many batches at most, also of an iterator that has more.
        convert: makes `Samples` of x, y and sample_weight.
        steps: the batches of an epoch.
        seed: of the order, where the iterable is one of convkit's own data sets, which make each
            pass a function of it, the epoch and the training step.
        order: as of `ArrayBatches`, of batches that such a data set has by their numbers.
    """

    def __init__(
        self,
        iterable: Any,
        convert: Callable[[Any, Any, Any], Samples],
        steps: int | None = None,
        seed: int | None = None,
        order: Callable[[int, int, int], Array] | None = None,
    ) -> None:
        super().__init__(steps)
        self.source, self._convert = iterable, convert
        self._seed, self._order = seed, order
        # Asked for steps, an iterator goes on from epoch to epoch, even if it has a length.
        endless = steps is None and self.length is not None
        self.repeats = endless or not hasattr(iterable, "__next__")

    @property
    def length(self) -> int | None:
        """The number of batches of an epoch, if the iterable tells."""
        return length_of(self.source) if self.steps is None else self.steps

    def _begin(self, epoch: int, step: int) -> Iterator[Batch]:
        source, length = self.source, self.length if self.steps is None else None
        everyone = processes.current()
        if hasattr(source, "_begin_pass"):
            seed = random.seed() if self._seed is None else self._seed
            if everyone is not None and getattr(source, "_gives_parts", False):
                part = Part(everyone)
                source = source._begin_pass(seed, epoch, step, self._order, part)
                source = source if length is None else islice(source, length)
                return part.converted(source, self._convert)
            source = source._begin_pass(seed, epoch, step, self._order)
        elif everyone is not None and _shards(source):
            own = iter(source.shard(everyone.rank, everyone.size))
            return _in_step(own, self._convert, everyone)
        elif not hasattr(source, "__iter__"):
            source = map(source.__getitem__, range(len(source)))
        source = source if length is None else islice(source, length)
        return _converted(source, self._convert)


def _converted(source: Any, convert: Callable[[Any, Any, Any], Samples]) -> Iterator[Batch]:
    for item in source:
        samples = convert(*data.unpack(item, "a batch"))
        yield samples, np.arange(len(samples))


class Part:
    """What this process reads of each batch of a data set; the others have the rest.

    Args:
        everyone: all processes.
    """

    def __init__(self, everyone: Processes) -> None:
        self._everyone = everyone
        self._sizes: deque[int] = deque()

    def rows(self, size: int) -> slice:
        """Those of the next batch, which has so many; all of a small one."""
        self._sizes.append(size)
        share = self._everyone.share(size)
        return slice(None) if share is None else share.rows

    def converted(
        self, source: Iterator[Any], convert: Callable[[Any, Any, Any], Samples]
    ) -> Iterator[Batch]:
        """The samples that these rows became."""
        for samples, indices in _converted(source, convert):
            size = self._sizes.popleft()
            share = self._everyone.share(size)
            expected = size if share is None else share.rows.stop - share.rows.start
            if len(samples) != expected:
                raise ValueError(
                    f"a batch of {size} samples is shared by several processes, of which this one "
                    f"needs {expected}, but what the data set makes of those has {len(samples)}; "
                    f"samples cannot be left out here"
                )
            samples.whole = None if share is None else size
            yield samples, indices


def _shards(iterable: Any) -> bool:
    """Whether it has the method `shard(rank, ranks)`; those of other libraries are others."""
    shard = getattr(iterable, "shard", None)
    if not callable(shard):
        return False
    return list(signature(shard).parameters)[:2] == ["rank", "ranks"]


def _in_step(
    own: Iterator[Any], convert: Callable[[Any, Any, Any], Samples], everyone: Processes
) -> Iterator[Batch]:
    """Batches of which each process reads its own part, until the first of them has no more."""
    while True:
        item = next(own, None)
        samples = None if item is None else convert(*data.unpack(item, "a batch"))
        counts = everyone.counts(0 if samples is None else len(samples))
        if samples is None or 0 in counts:
            if any(counts):
                warn(f"process {counts.index(0)} has no more batches; what others have is left out")
            return
        whole, ranks = sum(counts), len(counts)
        places = [processes.first_sample(rank, ranks, whole) for rank in range(ranks + 1)]
        rule = [stop - start for start, stop in pairwise(places)]
        if counts != rule:
            raise ValueError(
                f"the parts of a batch of {whole} samples must have {rule} samples, one for each "
                f"process, but have {counts}: process r of p takes r * n // p to (r + 1) * n // p"
            )
        samples.whole = whole
        yield samples, np.arange(len(samples))


def length_of(iterable: Any) -> int | None:
    """How many batches an iterable says it has, or None if it does not say.

    Raises:
        TypeError: its `__len__` returns no integer.
    """
    if not hasattr(iterable, "__len__"):
        return None
    try:
        return len(iterable)
    except NotImplementedError:
        return None
    except TypeError as error:
        if "has no len()" in str(error):  # a data loader that reads a stream
            return None
        raise TypeError(
            f"the number of batches, __len__ of {type(iterable).__name__}, must be an integer, "
            f"such as -(-samples // batch_size): {error}"
        ) from error


def is_iterable_of_batches(x: Any, y: Any = None, with_targets: bool = True) -> bool:
    """Whether `x` yields batches, and is not samples itself.

    Arrays of any library are samples, and so are lists and tuples; only where targets are needed
    and none are given, a list of tuples is one of batches.
    """
    if isinstance(x, list | tuple):
        return with_targets and y is None and len(x) > 0 and isinstance(x[0], tuple)
    if isinstance(x, str | bytes | Mapping | type) or any(hasattr(x, name) for name in _PROTOCOLS):
        return False
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))
