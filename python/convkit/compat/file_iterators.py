"""Iterators over images in files: of a folder with one for each class, or that a frame names."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..core.parameters import Array
from ..core.warn import say, warn
from .iterators import FORMATS, Images

__all__ = ["DataFrameIterator", "DirectoryIterator"]


class FileIterator(Images):
    """Batches of images in files.

    Attributes:
        filenames: of the samples, below the folder.
        classes: the number of each sample's class.
        class_indices: the number of each class by its name.
    """

    filenames: list[str]
    class_indices: dict[str, int]
    classes: Any
    class_mode: Any

    def _prepare(
        self,
        generator: Any,
        target_size: Any,
        color_mode: str,
        data_format: str,
        saving: Any,
        subset: Any,
        interpolation: str,
        keep_aspect_ratio: bool,
        dtype: Any,
    ) -> None:
        """Check and keep what all files are read with."""
        channels = {"grayscale": 1, "rgb": 3, "rgba": 4}
        if color_mode not in channels:
            raise ValueError(
                f"color_mode must be one of {', '.join(channels)}, received {color_mode!r}"
            )
        if subset not in (None, "training", "validation"):
            raise ValueError(f"subset must be 'training' or 'validation', received {subset!r}")
        self.image_data_generator, self.color_mode = generator, color_mode
        height, width = target_size
        self.target_size = (int(height), int(width))
        self.data_format, self.dtype = data_format, dtype
        self.save_to_dir, self.save_prefix, self.save_format = saving
        self.interpolation, self.keep_aspect_ratio = interpolation, keep_aspect_ratio
        shape = (*self.target_size, channels[color_mode])
        self.image_shape = (shape[2], *shape[:2]) if data_format == "channels_first" else shape
        self.subset, self.split = subset, None
        if subset is not None:
            part = generator._validation_split
            self.split = (0, part) if subset == "validation" else (part, 1)

    @property
    def filepaths(self) -> list[str]:
        """The paths of the samples."""
        return self._filepaths

    @property
    def labels(self) -> Any:
        """The number of each sample's class, or its targets."""
        return self.classes

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.class_indices)

    nb_class = num_classes

    @property
    def nb_sample(self) -> int:
        """How many samples there are."""
        return self.n

    _filepaths: list[str]
    sample_weight: Any = None

    def _image(self, place: int) -> Array:
        from ..utils import img_to_array, load_img

        picture = load_img(
            self._filepaths[place],
            color_mode=self.color_mode,
            target_size=self.target_size,
            interpolation=self.interpolation,
            keep_aspect_ratio=self.keep_aspect_ratio,
        )
        array: Array = np.asarray(img_to_array(picture))
        return np.moveaxis(array, -1, 0) if self.data_format == "channels_first" else array

    def _make(self, places: Array, drawn: list[Any]) -> Any:
        images = self._pictures(places, drawn)
        targets = self._targets(places, images)
        if targets is None:
            return images
        if self.sample_weight is None:
            return images, targets
        return images, targets, self.sample_weight[places]

    def _targets(self, places: Array, images: Array) -> Any:
        mode = self.class_mode
        if mode == "input":
            return images.copy()
        if mode in ("binary", "sparse"):
            return np.asarray([self.classes[i] for i in places], self.dtype)
        if mode == "categorical":
            rows = np.zeros((len(places), len(self.class_indices)), self.dtype)
            for row, place in zip(rows, places, strict=True):
                row[self.classes[place]] = 1.0
            return rows
        if mode in ("raw", "other"):
            return self.labels[places]
        return [each[places] for each in self.labels] if mode == "multi_output" else None


class DirectoryIterator(FileIterator):
    """Batches of the images in a folder; see `ImageDataGenerator.flow_from_directory`."""

    def __init__(
        self,
        directory: Any,
        image_data_generator: Any,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: Any = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: Any = None,
        data_format: str = "channels_last",
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: Any = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = np.float32,
    ) -> None:
        self._prepare(
            image_data_generator,
            target_size,
            color_mode,
            data_format,
            (save_to_dir, save_prefix, save_format),
            subset,
            interpolation,
            keep_aspect_ratio,
            dtype,
        )
        known = ("categorical", "binary", "sparse", "input", None)
        if class_mode not in known:
            raise ValueError(f"class_mode must be one of {known}, received {class_mode!r}")
        self.directory, self.class_mode = directory, class_mode
        names = (
            list(classes)
            if classes
            else sorted(
                each
                for each in os.listdir(directory)
                if os.path.isdir(os.path.join(directory, each))
            )
        )
        self.class_indices = {name: i for i, name in enumerate(names)}
        found = [
            (i, each) for i, name in enumerate(names) for each in self._files_of(name, follow_links)
        ]
        self.filenames = [each for _, each in found]
        self.classes = np.array([i for i, _ in found], np.int32)
        self._filepaths = [os.path.join(directory, each) for each in self.filenames]
        self.samples = len(found)
        say(f"Found {self.samples} images belonging to {len(names)} classes.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    def _files_of(self, name: str, follow_links: bool) -> list[str]:
        """The images of a class below the folder, those of the subset."""
        folder = os.path.join(self.directory, name)
        files = [
            os.path.join(name, os.path.relpath(os.path.join(root, each), folder))
            for root, _, here in sorted(os.walk(folder, followlinks=follow_links))
            for each in sorted(here)
            if each.lower().endswith(FORMATS)
        ]
        if self.split is None:
            return files
        start, stop = (int(each * len(files)) for each in self.split)
        return files[start:stop]


class DataFrameIterator(FileIterator):
    """Batches of the images that a frame names; see `ImageDataGenerator.flow_from_dataframe`."""

    def __init__(
        self,
        dataframe: Any,
        directory: Any = None,
        image_data_generator: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: Any = None,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: Any = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: Any = None,
        data_format: str = "channels_last",
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: Any = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = np.float32,
        validate_filenames: bool = True,
    ) -> None:
        self._prepare(
            image_data_generator,
            target_size,
            color_mode,
            data_format,
            (save_to_dir, save_prefix, save_format),
            subset,
            interpolation,
            keep_aspect_ratio,
            dtype,
        )
        self.directory, self.class_mode = directory or "", class_mode
        frame = dataframe
        if validate_filenames:
            frame = self._readable(frame, x_col)
        labelled = class_mode in ("categorical", "binary", "sparse")
        self.class_indices = {}
        if labelled:
            names = (
                list(dict.fromkeys(classes))
                if classes
                else sorted({name for each in frame[y_col] for name in _several(each)})
            )
            self.class_indices = {name: i for i, name in enumerate(names)}
            if class_mode == "binary" and len(names) != 2:
                raise ValueError(f"class_mode='binary' needs two classes, found {len(names)}")
            frame = frame[
                [
                    any(name in self.class_indices for name in _several(each))
                    for each in frame[y_col]
                ]
            ]
        if self.split is not None:
            start, stop = (int(each * len(frame)) for each in self.split)
            frame = frame.iloc[start:stop]
        self._keep(frame, x_col, y_col, weight_col, labelled)
        self.samples = len(self.filenames)
        kind = "validated" if validate_filenames else "non-validated"
        classed = f" belonging to {len(self.class_indices)} classes" if labelled else ""
        say(f"Found {self.samples} {kind} image filenames{classed}.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    def _readable(self, frame: Any, x_col: str) -> Any:
        """The rows whose files are there and are images."""
        paths = [os.path.join(self.directory, each) for each in frame[x_col]]
        valid = [each.lower().endswith(FORMATS) and os.path.isfile(each) for each in paths]
        if missing := valid.count(False):
            warn(
                f"flow_from_dataframe leaves out {missing} files of the column {x_col!r} that are "
                f"not there or no images"
            )
        return frame[valid]

    def _keep(self, frame: Any, x_col: str, y_col: Any, weight_col: Any, labelled: bool) -> None:
        self.filenames = frame[x_col].tolist()
        self._filepaths = [os.path.join(self.directory, each) for each in self.filenames]
        self.sample_weight = None if weight_col is None else frame[weight_col].to_numpy()
        self.classes = []
        if labelled:
            numbers = self.class_indices
            self.classes = [
                [numbers[name] for name in each if name in numbers]
                if isinstance(each, list | tuple)
                else numbers[each]
                for each in frame[y_col]
            ]
        self._values: Any = None
        if self.class_mode == "multi_output":
            self._values = [np.array(frame[each].tolist()) for each in y_col]
        elif self.class_mode in ("raw", "other"):
            self._values = frame[y_col].to_numpy()

    @property
    def labels(self) -> Any:
        """The number of each sample's class, or its targets."""
        return self.classes if self._values is None else self._values


def _several(labels: Any) -> Any:
    return labels if isinstance(labels, list | tuple) else [labels]
