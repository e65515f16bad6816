"""`tf.data`: convkit's `Dataset`, whose elements are tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import data
from ..data import nested
from .tensor import Tensor, as_tensor

__all__ = [
    "AUTOTUNE",
    "Counter",
    "Dataset",
    "Iterator",
    "Options",
    "TFRecordDataset",
    "TextLineDataset",
    "cardinality",
    "dressed",
    "ignore_errors",
    "prefetch_to_device",
    "sample_from_datasets",
    "shuffle_and_repeat",
    "unbatch",
]
AUTOTUNE = -1
Iterator = object


class Dataset(data.Dataset):
    """Elements one after the other; users and their functions are given tensors."""

    def _given(self, element: Any) -> Any:
        return nested.map_leaves(as_tensor, element)

    def as_numpy_iterator(self) -> Any:
        """A pass over the elements as arrays, which has `next`."""
        return _Pass(super().as_numpy_iterator())

    def make_one_shot_iterator(self) -> Any:
        """A pass, whose next element `get_next` gives."""
        return _Pass(self)

    make_initializable_iterator = make_one_shot_iterator

    @property
    def element_spec(self) -> Any:
        """The shapes and types of the first element."""
        return nested.map_leaves(lambda each: TensorSpec(each.shape, each.dtype), next(iter(self)))

    @classmethod
    def list_files(cls, file_pattern: Any, shuffle: Any = True, seed: Any = None) -> Any:
        """The paths that fit a pattern, or one of several, as bytes."""
        import glob

        patterns = [file_pattern] if isinstance(file_pattern, str | bytes) else list(file_pattern)
        found = sorted(each for one in patterns for each in glob.glob(_text(one)))
        if not found:
            raise ValueError(f"no file fits the pattern {file_pattern!r}")
        made = cls.from_tensor_slices(np.array([each.encode() for each in found], object))
        return made.shuffle(len(found), seed) if shuffle else made


class _Pass:
    """A pass over a data set."""

    initializer = None

    def __init__(self, dataset: Any) -> None:
        self._elements = iter(dataset)

    def __iter__(self) -> Any:
        return self._elements

    def __next__(self) -> Any:
        return next(self._elements)

    def get_next(self) -> Any:
        """The next element."""
        return next(self._elements)

    next = get_next


class TensorSpec:
    """A shape and a type."""

    def __init__(self, shape: Any = None, dtype: Any = np.float32, name: Any = None) -> None:
        from .tensor import dtype_of

        self.shape, self.dtype, self.name = shape, dtype_of(dtype), name

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype})"


class Options:
    """Options of a data set; none of them changes anything here."""

    def __init__(self) -> None:
        object.__setattr__(self, "_inner", {})

    def __getattr__(self, name: str) -> Any:
        return self.__dict__["_inner"].setdefault(name, Options())

    def __setattr__(self, name: str, value: Any) -> None:
        """Nothing."""


def _text(value: Any) -> str:
    value = value.numpy() if isinstance(value, Tensor) else value
    return value.decode() if isinstance(value, bytes) else str(value)


def dressed(dataset: Any) -> Any:
    """A data set of convkit's, so that its elements are tensors."""
    if type(dataset) is data.Dataset:
        dataset.__class__ = Dataset
    return dataset


def Counter(start: int = 0, step: int = 1) -> Any:
    """Numbers without end."""
    import itertools

    return Dataset.from_generator(lambda: (np.int64(each) for each in itertools.count(start, step)))


def cardinality(dataset: Any) -> Any:
    """The number of elements, -1 for no end, -2 where it is not known."""
    return as_tensor(np.int64(dataset.cardinality()))


def ignore_errors(*arguments: Any, **options: Any) -> Any:
    """For `apply`: the data set, whose files are checked where they are read."""
    return lambda dataset: dataset


def prefetch_to_device(*arguments: Any, **options: Any) -> Any:
    """For `apply`: the data set, with elements made ahead of time."""
    return lambda dataset: dataset.prefetch(AUTOTUNE)


def shuffle_and_repeat(buffer_size: int, count: Any = None, seed: Any = None) -> Any:
    """For `apply`: the data set in random order, so many times."""
    return lambda dataset: dataset.shuffle(buffer_size, seed).repeat(count)


def unbatch() -> Any:
    """For `apply`: the elements of the batches one by one."""
    return lambda dataset: dataset.unbatch()


def sample_from_datasets(datasets: Any, weights: Any = None, seed: Any = None) -> Any:
    """Elements of several data sets, drawn at random, until one ends."""
    numbers = np.random.default_rng(seed)
    shares = None if weights is None else np.asarray(weights, float) / np.sum(weights)

    def draw() -> Any:
        passes = [iter(each) for each in datasets]
        while True:
            try:
                yield next(passes[numbers.choice(len(passes), p=shares)])
            except StopIteration:
                return

    return Dataset.from_generator(draw)


def TFRecordDataset(*arguments: Any, **options: Any) -> Any:
    """TensorFlow's files of records, which convkit does not read."""
    raise ValueError("TFRecord files are not read: keep images as files in a folder for each class")


def TextLineDataset(filenames: Any, *arguments: Any, **options: Any) -> Any:
    """The lines of text files, as bytes."""
    names = [filenames] if isinstance(filenames, str | bytes) else list(filenames)

    def lines() -> Any:
        for each in names:
            with open(_text(each), "rb") as file:
                yield from (np.array(line.rstrip(b"\n"), object) for line in file)

    return Dataset.from_generator(lines)
