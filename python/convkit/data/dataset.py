"""Dataset: elements one after the other, as often as one likes."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import random
from ..core.config import flag
from ..core.parameters import Array
from . import nested
from .arguments import AUTOTUNE, check_function, count_of, typed, workers_of
from .stages import (
    ENDLESS,
    Batched,
    Cached,
    Changed,
    Chosen,
    FromFunction,
    FromSource,
    Joined,
    Leading,
    Part,
    Place,
    Repeated,
    Shuffled,
    Slices,
    Stage,
    ahead,
    mapped,
)

if TYPE_CHECKING:
    from typing_extensions import Self

INFINITE, UNKNOWN = -1, -2
_PREFETCHED = 2
# What is asked of TensorFlow's and is not here.
_ABSENT = {
    "flat_map": "`map` and `unbatch`",
    "group_by_window": "batches of one kind of elements: `filter` and `batch`",
    "interleave": "`concatenate`, or files that are read in `map`, by num_parallel_calls threads",
    "padded_batch": "a `map` that brings the elements to one shape, and `batch`",
    "ragged_batch": "a `map` that brings the elements to one shape, and `batch`",
    "save": "`numpy.savez` of what `as_numpy_iterator` gives",
    "window": "a `map` that cuts the arrays",
}


class Dataset:
    """Elements that a pass goes over, made when they are asked for, and changed on their way.

    An element is an array, or a tuple or dictionary of elements; arrays are NumPy's. The methods
    are those of TensorFlow's `tf.data.Dataset`; each returns a new data set. `fit`, `evaluate` and
    `predict` take one of batches: each x, or (x, y), or (x, y, sample_weight).

    The order of a pass is a function of the seed, the epoch and the training step, so that a
    training which `BackupAndRestore` continues meets the same batches.

    Attributes:
        class_names: of `image_dataset_from_directory`: the names of the classes, or None.
        file_paths: of `image_dataset_from_directory`: the files.

    Example:
        >>> dataset = convkit.data.Dataset.from_tensor_slices((x_train, y_train))
        >>> dataset = dataset.shuffle(len(x_train)).batch(32).prefetch(2)
        >>> model.fit(dataset, epochs=5)
    """

    class_names: list[str] | None
    file_paths: list[str]

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._passes = 0

    # Where elements come from.

    @classmethod
    def from_tensor_slices(cls, tensors: Any, name: str | None = None) -> Self:
        """The rows of an array, or of a tuple or dictionary of arrays of the same length.

        Raises:
            ValueError: the lengths differ.
        """
        return cls(FromSource(Slices(tensors)))

    @classmethod
    def from_tensors(cls, tensors: Any, name: str | None = None) -> Self:
        """One element: all of the arrays."""
        element = nested.as_element(tensors)
        return cls(FromFunction(lambda: [element], 1))

    @classmethod
    def from_generator(
        cls,
        generator: Callable[..., Iterable[Any]],
        output_types: Any = None,
        output_shapes: Any = None,
        args: Sequence[Any] | None = None,
        output_signature: Any = None,
        name: str | None = None,
    ) -> Self:
        """What a generator function yields; it is called for each pass.

        Args:
            generator: a function without arguments, or with `args`, that returns an iterable.
            output_types: the types that the arrays are converted to, in the elements' structure;
                by default they stay what they are.
            output_shapes: not needed.
            args: arguments of the function.
            output_signature: in the elements' structure, objects with a `dtype`, instead of
                `output_types`.

        Raises:
            TypeError: it is no function.
        """
        if not callable(generator):
            raise TypeError(
                f"from_generator takes a function that returns an iterable, received "
                f"{type(generator).__name__}"
            )
        types = output_types
        if output_signature is not None:
            types = nested.map_leaves(lambda spec: spec.dtype, output_signature)
        given = () if args is None else tuple(args)

        def elements() -> Iterator[Any]:
            for value in generator(*given):
                if isinstance(types, tuple) and isinstance(value, list):
                    value = tuple(value)
                yield nested.as_element(value) if types is None else typed(value, types)

        return cls(FromFunction(elements))

    @classmethod
    def range(cls, *args: int, name: str | None = None) -> Self:
        """Whole numbers, int64, as Python's `range` counts them."""
        numbers = builtins.range(*args)
        return cls(FromSource(Slices(np.arange(numbers.start, numbers.stop, numbers.step))))

    @classmethod
    def zip(cls, *args: Any, datasets: Any = None, name: str | None = None) -> Self:
        """The elements of several data sets side by side, until one ends.

        Args:
            args: data sets, or one tuple or dictionary of them.
            datasets: that tuple or dictionary.
        """
        given = datasets if datasets is not None else args[0] if len(args) == 1 else args
        if isinstance(given, list):
            given = tuple(given)
        several = list(nested.leaves(given))
        for each in several:
            _check_dataset(each, "zip")

        def join(iterators: list[Iterator[Any]]) -> Iterator[Any]:
            for values in builtins.zip(*iterators, strict=False):
                left = iter(values)
                yield nested.map_leaves(lambda _, left=left: next(left), given)

        return cls(Joined([each._stage for each in several], join, min))

    # What is done with them.

    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Self:
        """What a function makes of each element.

        Args:
            map_func: a Python function of arrays. It is given the members of a tuple one by one,
                and anything else as one argument. It must not change them. A list that it returns
                becomes an array.
            num_parallel_calls: so many threads call the function ahead of time, AUTOTUNE (-1) for
                one a processor. What it draws from a common random generator then depends on their
                timing; without threads it does not.
            deterministic: the order always stays.
        """
        function = check_function(map_func, "map")
        return self._with(
            mapped(
                self._stage,
                lambda element: nested.as_element(self._call(function, element)),
                workers_of(num_parallel_calls),
            )
        )

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Self:
        """The elements for which a function, called as that of `map`, is true."""
        function = check_function(predicate, "filter")
        return self._with(
            Changed(
                self._stage,
                lambda elements: (each for each in elements if bool(self._call(function, each))),
                lambda count: None,
            )
        )

    def shuffle(
        self,
        buffer_size: int,
        seed: int | None = None,
        reshuffle_each_iteration: bool = True,
        name: str | None = None,
    ) -> Self:
        """The elements in a random order.

        Args:
            buffer_size: each element is drawn from so many that wait. Arrays and files are chosen
                by their numbers, so that a large buffer costs little.
            seed: of the order; by default the model's, in `fit`, or that of the process.
            reshuffle_each_iteration: whether each pass has an order of its own.
        """
        own = None if seed is None else random.check_seed(seed)
        again = flag(reshuffle_each_iteration, "reshuffle_each_iteration", "shuffle")
        return self._with(Shuffled(self._stage, count_of(buffer_size, "buffer_size"), own, again))

    def batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_calls: int | None = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Self:
        """So many elements as one, with an axis more in front; the last one may be smaller.

        Args:
            batch_size: so many.
            drop_remainder: whether a smaller one at the end is left out.
        """
        drop = flag(drop_remainder, "drop_remainder", "batch")
        return self._with(Batched(self._stage, count_of(batch_size, "batch_size"), drop))

    def unbatch(self, name: str | None = None) -> Self:
        """The elements of the batches one by one."""
        return self._with(
            Changed(
                self._stage,
                lambda elements: chain.from_iterable(builtins.map(nested.unstack, elements)),
                lambda count: None,
            )
        )

    def repeat(self, count: int | None = None, name: str | None = None) -> Self:
        """The elements so many times; None or -1 for ever, which needs `steps_per_epoch`."""
        times = None if count is None or count < 0 else count_of(count, "count", 0)
        return self._with(Repeated(self._stage, times))

    def take(self, count: int, name: str | None = None) -> Self:
        """The first so many elements; -1 for all."""
        if count == -1:
            return self._with(self._stage)
        return self._with(Leading(self._stage, count_of(count, "count", 0)))

    def skip(self, count: int, name: str | None = None) -> Self:
        """All but the first so many elements; -1 for none."""
        if count == -1:
            return self.take(0)
        first = count_of(count, "count", 0)
        return self._with(
            Chosen(
                self._stage,
                lambda each: islice(each, first, None),
                lambda length: max(length - first, 0),
            )
        )

    def shard(self, num_shards: int, index: int, name: str | None = None) -> Self:
        """Every so many-th element, from that number on."""
        step, start = count_of(num_shards, "num_shards"), count_of(index, "index", 0)
        if start >= step:
            raise ValueError(f"index must be below num_shards={step}, received {index!r}")
        return self._with(
            Chosen(
                self._stage,
                lambda each: islice(each, start, None, step),
                lambda length: (
                    length if length == ENDLESS else max(0, (length - start - 1) // step + 1)
                ),
            )
        )

    def concatenate(self, dataset: Dataset, name: str | None = None) -> Self:
        """The elements, and behind them those of another data set."""
        _check_dataset(dataset, "concatenate")
        return self._with(Joined([self._stage, dataset._stage], chain.from_iterable, sum))

    def enumerate(self, start: int = 0, name: str | None = None) -> Self:
        """Pairs of a number, counted from `start`, and an element."""
        return self._with(
            Changed(
                self._stage,
                lambda elements: (
                    (np.int64(i), element) for i, element in builtins.enumerate(elements, start)
                ),
            )
        )

    def cache(self, filename: str = "", name: str | None = None) -> Self:
        """The elements, kept in memory when a pass has gone over all of them.

        Raises:
            ValueError: a file is named.
        """
        if filename:
            raise ValueError(
                f"cache keeps elements in memory, and not in the file {filename!r}; leave it out, "
                f"and do without cache where memory does not suffice"
            )
        return self._with(Cached(self._stage))

    def prefetch(self, buffer_size: int, name: str | None = None) -> Self:
        """A thread makes so many elements, AUTOTUNE (-1) for a few, before they are needed."""
        count = _PREFETCHED if buffer_size == AUTOTUNE else count_of(buffer_size, "buffer_size", 0)
        return self._with(ahead(self._stage, count) if count else self._stage)

    def apply(self, transformation_func: Callable[[Self], Any]) -> Any:
        """What a function makes of the data set."""
        return transformation_func(self)

    def with_options(self, options: Any, name: str | None = None) -> Self:
        """The data set: it has no options."""
        return self._with(self._stage)

    def reduce(self, initial_state: Any, reduce_func: Callable[..., Any]) -> Any:
        """What a function of a state and an element makes of all of them, one after the other."""
        state = initial_state
        for element in self:
            state = reduce_func(state, element)
        return state

    # How they are had.

    @property
    def batch_size(self) -> int | None:
        """Of what `batch` returned; None of any other data set."""
        return self._stage.size if isinstance(self._stage, Batched) else None

    def __iter__(self) -> Iterator[Any]:
        """A new pass: the first, second ... of this object, each with its own order."""
        self._passes += 1
        return self._begin_pass(random.seed(), self._passes - 1, 0)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """A new pass over the elements, as arrays of NumPy."""
        self._passes += 1
        return self._stage.elements(Place(random.seed(), self._passes - 1))

    def _begin_pass(
        self,
        seed: int,
        epoch: int,
        step: int,
        order: Callable[[int, int, int], Array] | None = None,
        part: Part | None = None,
    ) -> Iterator[Any]:
        """Called by `fit`: the pass that begins with an epoch, before a training step."""
        place = Place(seed, epoch, step, part=part)
        return builtins.map(self._given, self._stage.elements(place))

    @property
    def _gives_parts(self) -> bool:
        """Whether a pass can be told to make a part of each batch alone."""
        return self._stage.gives_parts

    def _given(self, element: Any) -> Any:
        """An element as users and their functions are given it; subclasses may dress it up."""
        return element

    def _call(self, function: Callable[..., Any], element: Any) -> Any:
        given = self._given(element)
        return function(*given) if isinstance(given, tuple) else function(given)

    def _with(self, stage: Stage) -> Self:
        return type(self)(stage)

    def cardinality(self) -> Any:
        """The number of elements; -1 of an endless data set, -2 where nobody knows."""
        length = self._stage.length()
        return UNKNOWN if length is None else INFINITE if length == ENDLESS else int(length)

    def __len__(self) -> int:
        count = int(self.cardinality())
        if count < 0:
            raise TypeError(
                f"this Dataset has no len(): {'it is endless' if count == INFINITE else 'unknown'}"
            )
        return count

    def __bool__(self) -> bool:
        return True

    if not TYPE_CHECKING:  # to type checkers, every attribute would be there

        def __getattr__(self, name: str) -> Any:
            hint = f"; take {_ABSENT[name]}" if name in _ABSENT else ""
            kind = type(self).__name__
            raise AttributeError(f"{kind!r} object has no attribute {name!r}{hint}")

    def __repr__(self) -> str:
        count = int(self.cardinality())
        known = {INFINITE: "endless", UNKNOWN: "of unknown length"}
        return f"<Dataset, {known.get(count, f'{count} elements')}>"


def _check_dataset(value: Any, what: str) -> None:
    if not isinstance(value, Dataset):
        raise TypeError(f"{what} takes data sets, received {type(value).__name__}")
