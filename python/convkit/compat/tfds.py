"""`tensorflow_datasets`: what convkit has of it, as `tf.data.Dataset` or arrays."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import numpy as np

from ..core.parameters import Array
from .data import Dataset
from .files import read_file
from .pictures import decode_image
from .tensor import Tensor
from .tfds_folders import FOLDERS, parts_of

__all__ = [
    "Split",
    "__version__",
    "as_dataframe",
    "as_numpy",
    "builder",
    "disable_progress_bar",
    "list_builders",
    "load",
    "show_examples",
]
__version__ = "4.9.0"


class Split:
    """The names of the parts of a data set."""

    TRAIN, TEST, VALIDATION, ALL = "train", "test", "validation", "all"


_MODULES = {
    "mnist": "convkit.datasets.mnist",
    "fashion_mnist": "convkit.datasets.fashion_mnist",
    "cifar10": "convkit.datasets.cifar10",
    "cifar100": "convkit.compat.cifar100",
}


def load(
    name: str,
    split: Any = None,
    data_dir: Any = None,
    batch_size: Any = None,
    shuffle_files: bool = False,
    download: bool = True,
    as_supervised: bool = False,
    decoders: Any = None,
    read_config: Any = None,
    with_info: bool = False,
    **options: Any,
) -> Any:
    """A data set, or several parts of it.

    Args:
        name: of the data set: "mnist", "fashion_mnist", "cifar10", "cifar100"; or of one of image
            files: "cats_vs_dogs", "horses_or_humans", "rock_paper_scissors" or "tf_flowers".
        data_dir: where image files lie, or are downloaded to; see `tfds_folders.parts_of`.
        split: "train", "test", a part such as "train[:80%]", or several; by default a dictionary.
        batch_size: -1 for one batch of everything.
        shuffle_files: whether the samples are in a random order.
        as_supervised: (image, label) instead of dictionaries.
        with_info: whether a description is returned, too.

    Raises:
        ValueError: convkit has no such data set.
    """
    source = builder(name, data_dir=data_dir)
    wanted = ["train", "test"] if split is None else split
    made = _structure(
        wanted, lambda part: source.dataset(part, batch_size, shuffle_files, as_supervised)
    )
    if split is None:
        made = dict(zip(wanted, made, strict=True))
    return (made, source.info) if with_info else made


def _structure(wanted: Any, make: Any) -> Any:
    if isinstance(wanted, list | tuple):
        return type(wanted)(_structure(each, make) for each in wanted)
    return make(str(wanted))


def builder(name: str, data_dir: Any = None, **options: Any) -> _Builder:
    """What makes a data set."""
    plain = name.partition("/")[0].partition(":")[0]
    if plain in FOLDERS:
        return _Folders(plain, parts_of(plain, data_dir), FOLDERS[plain].classes)
    if plain not in _MODULES:
        raise ValueError(
            f"the data set {name!r} is not here, only {', '.join(list_builders())}: get its files, "
            f"one folder for each class, and read them by "
            f"tf.keras.utils.image_dataset_from_directory"
        )
    module = import_module(_MODULES[plain])
    (x_train, y_train), (x_test, y_test) = module.load_data()
    parts = {
        "train": (_pixels(x_train), np.ravel(y_train).astype(np.int64)),
        "test": (_pixels(x_test), np.ravel(y_test).astype(np.int64)),
    }
    return _Builder(plain, parts, getattr(module, "CLASS_NAMES", ()))


def list_builders() -> list[str]:
    """The names of the data sets."""
    return [*_MODULES, *FOLDERS]


class _Builder:
    """A data set, and what is known of it."""

    def __init__(self, name: str, parts: dict[str, tuple[Array, Array]], classes: Any) -> None:
        self.name, self.parts = name, parts
        self.info = _Info(self, classes)

    def download_and_prepare(self, **options: Any) -> None:
        """Nothing is left to do."""

    def dataset(self, part: str, batch_size: Any, shuffle: bool, supervised: bool) -> Any:
        """A part of it."""
        images, labels = self.arrays(part)
        if batch_size == -1:
            return next(iter(Dataset.from_tensors(self._element(images, labels, supervised))))
        made = self._elements(images, labels, supervised)
        made = made.shuffle(len(images)) if shuffle else made
        return made.batch(int(batch_size)) if batch_size else made

    as_dataset = dataset

    def _elements(self, images: Array, labels: Array, supervised: bool) -> Any:
        return Dataset.from_tensor_slices(self._element(images, labels, supervised))

    @staticmethod
    def _element(image: Any, label: Any, supervised: bool) -> Any:
        return (image, label) if supervised else {"image": image, "label": label}

    def arrays(self, part: str) -> tuple[Array, Array]:
        """The arrays of a part, such as "train[10%:80%]" or "train+test"."""
        found = [self._slice(each.strip()) for each in part.split("+")]
        images, labels = zip(*found, strict=True)
        if len(found) == 1:
            return images[0], labels[0]
        return np.concatenate(images), np.concatenate(labels)

    def _slice(self, part: str) -> tuple[Array, Array]:
        if part == "all":
            return self.arrays("+".join(self.parts))
        match = re.fullmatch(r"(\w+)(?:\[([-\d]*%?):([-\d]*%?)\])?", part)
        if match is None or match[1] not in self.parts:
            raise ValueError(f"there is no part {part!r}, only {', '.join(self.parts)}")
        images, labels = self.parts[match[1]]

        def place(text: str | None) -> int | None:
            if not text:
                return None
            return round(int(text[:-1]) / 100 * len(images)) if text.endswith("%") else int(text)

        rows = slice(place(match[2]), place(match[3]))
        return images[rows], labels[rows]


class _Folders(_Builder):
    """A data set of image files, each of which is read when it is needed; its parts are paths."""

    def _elements(self, images: Array, labels: Array, supervised: bool) -> Any:
        paths = Dataset.from_tensor_slices((images, labels))
        return paths.map(lambda path, label: self._element(_image(path), label, supervised))

    def dataset(self, part: str, batch_size: Any, shuffle: bool, supervised: bool) -> Any:
        """A part of it; all at once, images must be of one size."""
        if batch_size != -1:
            return super().dataset(part, batch_size, shuffle, supervised)
        paths, labels = self.arrays(part)
        images = np.stack([np.asarray(_image(path)) for path in paths])
        return next(iter(Dataset.from_tensors(self._element(images, labels, supervised))))

    as_dataset = dataset


def _image(path: Any) -> Any:
    return decode_image(read_file(path), channels=3, expand_animations=False)


class _Info:
    """What is known of a data set."""

    def __init__(self, source: _Builder, names: Any) -> None:
        self.name = self.full_name = source.name
        images, labels = source.parts["train"]
        shape = (None, None, 3) if isinstance(source, _Folders) else images.shape[1:]
        self.features = _Features(
            image=_Feature(shape, ()),
            label=_Feature((), names or range(int(labels.max()) + 1)),
        )
        self.splits = {part: _Split(len(images)) for part, (images, _) in source.parts.items()}
        self.splits_names = list(self.splits)

    def __repr__(self) -> str:
        parts = ", ".join(f"{each.num_examples} {part}" for part, each in self.splits.items())
        return f"<{self.name}: {parts}>"


class _Split:
    def __init__(self, count: int) -> None:
        self.num_examples = count


class _Features(dict[str, Any]):
    @property
    def shape(self) -> dict[str, Any]:
        return {name: each.shape for name, each in self.items()}


class _Feature:
    def __init__(self, shape: Any, names: Any) -> None:
        self.shape, self.names = shape, [str(each) for each in names]
        self.num_classes = len(self.names)

    def int2str(self, number: Any) -> str:
        return self.names[int(number)]

    def str2int(self, name: str) -> int:
        return self.names.index(name)


def _pixels(images: Array) -> Array:
    return images[..., np.newaxis] if images.ndim == 3 else images


def as_numpy(dataset: Any) -> Any:
    """Tensors as arrays; a data set as an iterable of them."""
    if isinstance(dataset, Tensor):
        return dataset.numpy()
    if isinstance(dataset, dict):
        return {key: as_numpy(each) for key, each in dataset.items()}
    if isinstance(dataset, list | tuple):
        return type(dataset)(as_numpy(each) for each in dataset)
    return dataset.as_numpy_iterator() if hasattr(dataset, "as_numpy_iterator") else dataset


def as_dataframe(dataset: Any, info: Any = None) -> Any:
    """The samples of a data set as a pandas frame."""
    import pandas

    return pandas.DataFrame(list(as_numpy(dataset)))


def show_examples(*arguments: Any, **options: Any) -> None:
    """Nothing: pictures are a matter of matplotlib's."""


def disable_progress_bar() -> None:
    """Nothing: there is none."""
