"""ImageDataGenerator: random transforms and standardization of images, as Keras 1 and 2 had it."""

# ruff: noqa: NPY002 - scripts seed `numpy.random`, and are to get the numbers that they got before

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.parameters import Array
from ..core.warn import warn
from . import layout, transforms

__all__ = ["ImageDataGenerator"]


class ImageDataGenerator:
    """Makes batches of images that are transformed at random and standardized.

    The parameters of the transforms are drawn from `numpy.random`, in Keras's order: after
    `numpy.random.seed`, or with the `seed` of an iterator, the images are Keras's.

    Args:
        featurewise_center, featurewise_std_normalization: subtract the mean of the data that `fit`
            was given, and divide by their standard deviation.
        samplewise_center, samplewise_std_normalization: likewise of each image.
        zca_whitening, zca_epsilon: multiply by the whitening matrix of the data of `fit`.
        rotation_range: degrees.
        width_shift_range, height_shift_range: a share below 1, or pixels; or several to choose of.
        brightness_range: two factors.
        shear_range: degrees.
        zoom_range: two factors, or how far they are from 1.
        channel_shift_range: the largest number that is added.
        fill_mode, cval: what lies outside the image: "constant", "nearest", "reflect" or "wrap".
        horizontal_flip, vertical_flip: whether half of the images are turned over.
        rescale: a factor; None or 0 for none.
        preprocessing_function: of an image, applied before it is standardized.
        data_format: "channels_last" or "channels_first".
        validation_split: the share of `subset="validation"`.
        interpolation_order: 0 takes the nearest pixel, 1 interpolates; more needs SciPy.
        dtype: of what is made.
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: Any = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Any = None,
        shear_range: Any = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: Any = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: Any = None,
        preprocessing_function: Any = None,
        data_format: Any = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: Any = None,
        dim_ordering: Any = None,
    ) -> None:
        self.featurewise_center, self.samplewise_center = featurewise_center, samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        self.rotation_range, self.shear_range = rotation_range, shear_range
        self.width_shift_range, self.height_shift_range = width_shift_range, height_shift_range
        self.brightness_range, self.channel_shift_range = brightness_range, channel_shift_range
        self.fill_mode, self.cval = fill_mode, cval
        self.horizontal_flip, self.vertical_flip = horizontal_flip, vertical_flip
        self.rescale, self.preprocessing_function = rescale, preprocessing_function
        self.interpolation_order = interpolation_order
        self.dtype = np.dtype(dtype or np.float32)
        first = layout.is_first(dim_ordering if data_format is None else data_format)
        self.data_format = "channels_first" if first else "channels_last"
        self.channel_axis, self.row_axis, self.col_axis = (1, 2, 3) if first else (3, 1, 2)
        if validation_split and not 0 < validation_split < 1:
            raise ValueError(
                f"validation_split must lie between 0 and 1, received {validation_split!r}"
            )
        self._validation_split = validation_split
        self.mean: Array | None = None
        self.std: Array | None = None
        self.zca_whitening_matrix: Array | None = None
        self.zoom_range = _zoom(zoom_range)
        self._check_standardization()

    def _check_standardization(self) -> None:
        """What is divided is centred before, and what is whitened is not divided."""
        if self.zca_whitening:
            self.featurewise_center = True
            self.featurewise_std_normalization = False
        if self.featurewise_std_normalization:
            self.featurewise_center = True
        if self.samplewise_std_normalization:
            self.samplewise_center = True

    # Batches.

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: Any = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: Any = None,
    ) -> Any:
        """Batches of arrays: images (n, height, width, channels), and targets if there are some."""
        from .iterators import NumpyArrayIterator

        return NumpyArrayIterator(
            x,
            y,
            self,
            batch_size,
            shuffle,
            sample_weight,
            seed,
            self.data_format,
            save_to_dir,
            save_prefix,
            save_format,
            subset,
            ignore_class_split,
            self.dtype,
        )

    def flow_from_directory(
        self,
        directory: Any,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: Any = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: Any = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: Any = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
    ) -> Any:
        """Batches of the images in a folder, which has a folder for each class."""
        from .file_iterators import DirectoryIterator

        return DirectoryIterator(
            directory,
            self,
            target_size,
            color_mode,
            classes,
            class_mode,
            batch_size,
            shuffle,
            seed,
            self.data_format,
            save_to_dir,
            save_prefix,
            save_format,
            follow_links,
            subset,
            interpolation,
            keep_aspect_ratio,
            self.dtype,
        )

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: Any = None,
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
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: Any = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        **options: Any,
    ) -> Any:
        """Batches of the images whose files a pandas frame names."""
        from .file_iterators import DataFrameIterator

        if options.get("has_ext") is False:
            raise ValueError("flow_from_dataframe: give the names with their endings, not has_ext")
        return DataFrameIterator(
            dataframe,
            directory,
            self,
            x_col,
            y_col,
            weight_col,
            target_size,
            color_mode,
            classes,
            class_mode,
            batch_size,
            shuffle,
            seed,
            self.data_format,
            save_to_dir,
            save_prefix,
            save_format,
            subset,
            interpolation,
            False,
            self.dtype,
            validate_filenames,
        )

    # Single images.

    def get_random_transform(self, img_shape: Any, seed: Any = None) -> dict[str, Any]:
        """Draw the parameters of a transform for an image of that shape."""
        if seed is not None:
            np.random.seed(seed)
        rows, columns = img_shape[self.row_axis - 1], img_shape[self.col_axis - 1]
        theta = _within(self.rotation_range)
        tx, ty = _shift(self.height_shift_range, rows), _shift(self.width_shift_range, columns)
        shear = _within(self.shear_range)
        zx, zy = transforms.zooms(*self.zoom_range)
        horizontal = (np.random.random() < 0.5) * self.horizontal_flip
        vertical = (np.random.random() < 0.5) * self.vertical_flip
        channels = self.channel_shift_range
        intensity = None if channels == 0 else np.random.uniform(-channels, channels)
        brightness = self.brightness_range
        return {
            "theta": theta,
            "tx": tx,
            "ty": ty,
            "shear": shear,
            "zx": zx,
            "zy": zy,
            "flip_horizontal": horizontal,
            "flip_vertical": vertical,
            "channel_shift_intensity": intensity,
            "brightness": None if brightness is None else np.random.uniform(*brightness[:2]),
        }

    def apply_transform(self, x: Any, transform_parameters: dict[str, Any]) -> Array:
        """Transform an image by the parameters that `get_random_transform` gives."""
        given = transform_parameters
        axes = (self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1)
        names = ("theta", "tx", "ty", "shear")
        made = transforms.apply_affine_transform(
            x,
            **{name: given.get(name, 0) for name in names},
            zx=given.get("zx", 1),
            zy=given.get("zy", 1),
            row_axis=axes[0],
            col_axis=axes[1],
            channel_axis=axes[2],
            fill_mode=self.fill_mode,
            cval=self.cval,
            order=self.interpolation_order,
        )
        if given.get("channel_shift_intensity") is not None:
            made = transforms.apply_channel_shift(made, given["channel_shift_intensity"])
        if given.get("flip_horizontal", False):
            made = transforms.flip_axis(made, axes[1])
        if given.get("flip_vertical", False):
            made = transforms.flip_axis(made, axes[0])
        if given.get("brightness") is not None:
            made = transforms.apply_brightness_shift(made, given["brightness"], False)
        return made

    def transform(self, images: Array, drawn: Sequence[dict[str, Any]]) -> Array:
        """Transform images, each by its own parameters: natively, where convkit does the same.

        Args:
            images: (n, height, width, channels), or with the channels first.
            drawn: what `get_random_transform` gave for each.
        """
        is_own = type(self).apply_transform is ImageDataGenerator.apply_transform
        native = self.fill_mode in ("nearest", "reflect") and self.interpolation_order in (0, 1)
        if not (is_own and native and self.row_axis == 1 and images.dtype == np.float32):
            made = [self.apply_transform(*each) for each in zip(images, drawn, strict=True)]
            return np.stack(made)
        moved = transforms.affine_batch(images, drawn, self.fill_mode, self.interpolation_order)
        if self.channel_shift_range == 0 and self.brightness_range is None:
            return moved
        names = ("channel_shift_intensity", "brightness")
        kept = [{name: each.get(name) for name in names} for each in drawn]
        made = [self.apply_transform(*each) for each in zip(moved, kept, strict=True)]
        return np.stack(made)

    def random_transform(self, x: Any, seed: Any = None) -> Array:
        """Transform an image at random."""
        return self.apply_transform(x, self.get_random_transform(np.shape(x), seed))

    def standardize(self, x: Any) -> Any:
        """Apply the function, the factor and the standardization; the array itself is changed."""
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        x = np.asarray(x) if not isinstance(x, np.ndarray) else x
        if self.rescale:
            x *= self.rescale
        if self.samplewise_center:
            x -= np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, keepdims=True) + 1e-6
        if self.featurewise_center:
            x = self._fitted("featurewise_center", self.mean, x, np.subtract)
        if self.featurewise_std_normalization:
            std = None if self.std is None else self.std + 1e-6
            x = self._fitted("featurewise_std_normalization", std, x, np.divide)
        if self.zca_whitening:
            x = self._fitted("zca_whitening", self.zca_whitening_matrix, x, _whiten)
        return x

    def _fitted(self, name: str, value: Any, x: Array, apply: Any) -> Any:
        """What is applied of what `fit` has found."""
        if value is None:
            warn(f"ImageDataGenerator: {name} needs the data first: call fit(x)")
            return x
        return apply(x, value).astype(x.dtype, copy=False)

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: Any = None) -> None:
        """Find the mean, the deviation and the whitening matrix of images, as far as they are used.

        Raises:
            ValueError: the array has not four axes.
        """
        if np.ndim(x) != 4:
            raise ValueError(
                f"fit needs images (n, height, width, channels), received shape {np.shape(x)}"
            )
        if not (self.featurewise_center or self.zca_whitening):
            return
        if seed is not None:
            np.random.seed(seed)
        images = np.array(x, self.dtype)
        if self.rescale:
            images *= self.rescale
        if augment:
            images = np.stack(
                [self.random_transform(each) for _ in range(rounds) for each in images]
            )
        axes = (0, self.row_axis, self.col_axis)
        self.mean = images.mean(axis=axes, keepdims=True)[0]
        images -= self.mean
        if self.featurewise_std_normalization:
            self.std = images.std(axis=axes, keepdims=True)[0]
            images /= self.std + 1e-6
        if self.zca_whitening:
            flat = images.reshape(len(images), -1)
            u, s, _ = np.linalg.svd(flat.T, full_matrices=False)
            inverse = np.sqrt(len(images)) / (s + self.zca_epsilon)
            self.zca_whitening_matrix = (u * inverse) @ u.T


def _zoom(value: Any) -> list[Any]:
    if isinstance(value, int | float):
        return [1 - value, 1 + value]
    if len(value) != 2:
        raise ValueError(f"zoom_range must be a number or two numbers, received {value!r}")
    return list(value)


def _within(size: Any) -> Any:
    return np.random.uniform(-size, size) if size else 0


def _shift(size: Any, pixels: int) -> Any:
    """A shift in pixels: of a share, of whole pixels, or one of several numbers."""
    if size is None or (np.ndim(size) == 0 and not size):
        return 0
    if np.ndim(size) or isinstance(size, int | np.integer):
        shift = np.random.choice(size) * np.random.choice([-1, 1])
    else:
        shift = np.random.uniform(-size, size)
    return shift * pixels if np.max(size) < 1 else shift


def _whiten(x: Array, matrix: Array) -> Array:
    return (x.reshape(-1, math.prod(x.shape[-3:])) @ matrix).reshape(x.shape)
