"""Images in folders, one folder a class, as a data set that reads them while a model trains."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import random
from ..core.config import as_number, flag
from ..core.parameters import Array
from ..core.warn import say
from .arguments import choice, count_of, path_of, size_of
from .dataset import Dataset
from .image_files import ImageFiles, Reader
from .index import Index
from .pictures import check_mode, pillow
from .resize import check_interpolation
from .stages import Batched, FromSource, Shuffled, Stage

_WHERE = "image_dataset_from_directory"
_LABEL_MODES = ("int", "categorical", "binary", None)
_SUBSETS = ("training", "validation", "both", None)


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: str | Sequence[int] | None = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: int | tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
    *,
    unreadable: str = "raise",
) -> Any:
    """Make a data set of the images in a folder, which are read while a model trains.

    Threads decode the next batches meanwhile, and there are never more than a few in memory: by
    Pillow, or JPEG files by simplejpeg, where it is installed, to the same pixels sooner. Files
    that end in .jpg, .jpeg, .png, .bmp or .gif count (of a moving image its first picture), in
    subfolders of any depth. Each epoch has an order of its own, a function of the seed and the
    epoch, of all images.

    Args:
        directory: with one folder for each class.
        labels: "inferred" from the folders; None for images alone; or the labels in the order of
            the sorted paths.
        label_mode: "int" for int32 (n,), "categorical" for float32 (n, classes), "binary" for
            float32 (n, 1), or None for images alone.
        class_names: the folders in the order of their labels; by default all, sorted.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: None for single images.
        image_size: (height, width) that all are resized to.
        shuffle: whether the images come in random order.
        seed: of the order and of the split; by default that of the process, or of the model.
        validation_split: the share of the images that is kept for validation.
        subset: "training", "validation", or "both" for a list of the two.
        interpolation: "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian"
            or "mitchellcubic", without antialiasing.
        follow_links: whether links to folders are followed.
        crop_to_aspect_ratio: whether images are cropped to the shape of `image_size` instead of
            being stretched to it.
        pad_to_aspect_ratio: whether black is added instead.
        data_format: "channels_last" alone.
        format: "tf" or "grain", which give the same `Dataset`.
        verbose: whether the number of files is printed.
        unreadable: "raise", or "skip" to leave out files that are damaged or no images, with a
            warning that names them; batches with such a file are smaller.

    Returns:
        A `Dataset` of batches, float32 (n, height, width, channels) with values 0 .. 255, or of
        pairs of those and labels. Its `class_names` are the folders, its `file_paths` the files.

    Raises:
        ValueError: a wrong argument, or no images; in a pass over the data set, a file that is
            empty, damaged, no image or has too many pixels, with its name.
        OSError: the folder cannot be read.
        ImportError: Pillow is missing; the message says how to install it.

    Example:
        >>> training, validation = convkit.utils.image_dataset_from_directory(
        ...     "flowers", image_size=(64, 64), validation_split=0.2, subset="both", seed=1
        ... )
        >>> model.fit(training, validation_data=validation, epochs=10)
    """
    pillow()  # at once, and not in the first epoch
    reader = Reader(
        color_mode,
        _checked_size(image_size, color_mode),
        check_interpolation(interpolation),
        _fit(crop_to_aspect_ratio, pad_to_aspect_ratio),
        _skips(unreadable),
    )
    _check_labels(labels, label_mode, class_names)
    _check_split(validation_split, subset, flag(shuffle, "shuffle", _WHERE), seed)
    choice(data_format, (None, "channels_last"), "data_format")
    choice(format, ("tf", "grain"), "format")
    own = None if seed is None else random.check_seed(seed, bits=32)
    size = None if batch_size is None else count_of(batch_size, "batch_size")
    shows = flag(verbose, "verbose", _WHERE)
    if label_mode is None:
        labels = None
    index = Index(
        path_of(directory, "directory"),
        labels,
        class_names,
        flag(follow_links, "follow_links", _WHERE),
    )
    if shows:
        index.tell()
    if shuffle:
        index.shuffle(np.random.randint(10**6) if own is None else own)  # noqa: NPY002 - as Keras
    made = []
    for part in ("training", "validation") if subset == "both" else (subset,):
        chosen = index.part(validation_split, part)
        if part is not None and shows:
            say(f"Using {len(chosen)} files for {part}.")
        each_pass = bool(shuffle) and not (subset == "both" and part == "validation")
        # What each pass puts into an order of its own shall not depend on another random order.
        numbers = np.sort(chosen) if each_pass else chosen
        source = ImageFiles(
            reader, [index.paths[i] for i in numbers], _labels(index, numbers, label_mode)
        )
        stage: Stage = FromSource(source)
        if each_pass:
            stage = Shuffled(stage, len(source), own, again=True)
        dataset = Dataset(stage if size is None else Batched(stage, size, False))
        dataset.class_names = index.class_names
        dataset.file_paths = [index.paths[i] for i in chosen]
        made.append(dataset)
    return made if subset == "both" else made[0]


def _labels(index: Index, numbers: Array, label_mode: str | None) -> Array | None:
    """The labels of images of those numbers, in the form of a mode."""
    if index.labels is None or index.class_names is None:
        return None
    labels: Array = index.labels[numbers]
    classes = len(index.class_names)
    if label_mode == "binary":
        if classes != 2:
            raise ValueError(f'label_mode="binary" needs two classes, received {classes}')
        return labels[:, np.newaxis].astype(np.float32)
    if label_mode == "categorical":
        if labels.min() < 0 or labels.max() >= classes:
            raise ValueError(
                f"labels of {classes} classes must lie in 0 .. {classes - 1}, received "
                f"{index.class_names}"
            )
        rows: Array = (labels[:, np.newaxis] == np.arange(classes)).astype(np.float32)
        return rows
    return labels


def _checked_size(image_size: Any, color_mode: str) -> tuple[int, int]:
    check_mode(color_mode)
    is_one = hasattr(image_size, "__index__") and not isinstance(image_size, np.ndarray)
    return size_of((image_size, image_size) if is_one else image_size, "image_size")


def _fit(crops: bool, pads: bool) -> str:
    crops, pads = (
        flag(crops, "crop_to_aspect_ratio", _WHERE),
        flag(pads, "pad_to_aspect_ratio", _WHERE),
    )
    if crops and pads:
        raise ValueError("give crop_to_aspect_ratio or pad_to_aspect_ratio, not both")
    return "crop" if crops else "pad" if pads else "stretch"


def _skips(unreadable: str) -> bool:
    choice(unreadable, ("raise", "skip"), "unreadable")
    return unreadable == "skip"


def _check_labels(labels: Any, label_mode: Any, class_names: Any) -> None:
    choice(label_mode, _LABEL_MODES, "label_mode")
    if labels is None:
        if class_names is not None:
            raise ValueError("class_names are those of labels, and there are none: labels=None")
        return
    if isinstance(labels, str) and labels == "inferred":
        if class_names is not None and not _are_names(class_names):
            raise TypeError(f"class_names must be a list of folders, received {class_names!r}")
        return
    kinds = (int, np.integer)
    if not isinstance(labels, list | tuple | np.ndarray) or not all(
        isinstance(label, kinds) for label in labels
    ):
        raise ValueError(
            f'labels must be "inferred", None, or a list of integers, received {labels!r}'
        )
    if class_names is not None:
        raise ValueError('class_names are for labels="inferred"; those of given labels are sorted')


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def _check_split(fraction: Any, subset: Any, shuffle: bool, seed: Any) -> None:
    share = 0.0 if fraction is None else as_number(fraction)
    if share is None or not 0.0 <= share < 1.0:
        raise ValueError(f"validation_split must lie between 0 and 1, received {fraction!r}")
    choice(subset, _SUBSETS, "subset")
    if bool(share) != (subset is not None):
        raise ValueError("give both validation_split and subset, or neither")
    if share and shuffle and seed is None:
        raise ValueError(
            "with validation_split and shuffle, give a seed, or an image may be in both subsets"
        )
