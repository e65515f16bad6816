"""Images from files, and their folders, against Keras's own functions."""

from __future__ import annotations

import io
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit.data.resize import INTERPOLATIONS, crop_to, pad_to, resize

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

from image_folders import make_folder, picture  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("images") / "all", 10)


# Resizing.

SHAPES = [
    ((13, 17), (5, 9)),
    ((13, 17), (40, 31)),
    ((8, 8), (8, 20)),
    ((1, 3), (4, 1)),
    ((7, 7), (7, 7)),
]


@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(("before", "after"), SHAPES)
def test_resize(keras: Any, interpolation: str, fit: str, before: Any, after: Any) -> None:
    image = np.asarray(picture(1, "RGBA", before))
    theirs = keras.ops.image.resize(
        image.astype(np.float32),
        after,
        interpolation,
        crop_to_aspect_ratio=fit == "crop",
        pad_to_aspect_ratio=fit == "pad",
        data_format="channels_last",
    )
    cut = {"stretch": lambda x, _: x, "crop": crop_to, "pad": pad_to}[fit](image, after)
    ours = resize(cut, after, interpolation)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=0, atol=1e-3)


@pytest.mark.parametrize(("before", "after"), [((13, 17), (29, 40)), ((5, 9), (6, 9))])
def test_bicubic_is_that_of_tensorflow_and_jax(keras: Any, before: Any, after: Any) -> None:
    """PyTorch has their kernel where it antialiases, which changes nothing in larger images."""
    image = np.asarray(picture(2, "RGB", before)).astype(np.float32)
    theirs = keras.ops.image.resize(
        image, after, "bicubic", antialias=True, data_format="channels_last"
    )
    np.testing.assert_allclose(resize(image, after, "bicubic"), theirs.numpy(), atol=1e-3)


@pytest.mark.parametrize(("name", "filter_name"), [("lanczos3", "LANCZOS"), ("bicubic", "BICUBIC")])
def test_kernels_are_those_of_pillow_in_larger_images(name: str, filter_name: str) -> None:
    image = np.asarray(picture(3, "L", (11, 14))).astype(np.float32)
    theirs = Image.fromarray(image).resize((30, 37), Image.Resampling[filter_name])
    ours = resize(image[..., np.newaxis], (37, 30), name)[..., 0]
    np.testing.assert_allclose(ours, np.asarray(theirs), atol=2e-3)


@pytest.mark.parametrize("name", INTERPOLATIONS)
@pytest.mark.parametrize(("before", "after"), [(11, 4), (4, 11), (6, 6), (9, 8)])
def test_interpolations_by_their_definitions(name: str, before: int, after: int) -> None:
    """A flat image stays flat, and a row is the sum that the kernel's definition says."""
    flat = np.full((before, before, 2), 7.0, np.float32)
    np.testing.assert_allclose(resize(flat, (after, after), name), 7.0, rtol=1e-6)
    row = np.random.default_rng(before).normal(size=before)
    ours = resize(
        np.tile(row[np.newaxis, :, np.newaxis], (2, 1, 1)).astype(np.float32), (2, after), name
    )
    expected = [
        defined(row, name, (i + 0.5) * before / after, before / after) for i in range(after)
    ]
    np.testing.assert_allclose(ours[0, :, 0], expected, atol=2e-6)


def defined(row: Array, name: str, centre: float, scale: float) -> float:
    """The value at a place of a row, straight from the definitions, in float64."""
    centres = np.arange(len(row)) + 0.5
    if name == "nearest":
        return float(row[int(centre)])
    if name == "area":
        low, high = centre - scale / 2, centre + scale / 2
        weights = np.clip(np.minimum(centres + 0.5, high) - np.maximum(centres - 0.5, low), 0, None)
    else:
        x = np.abs(
            centres - (np.clip(centre, 0.5, len(row) - 0.5) if name == "bilinear" else centre)
        )
        weights = {
            "bilinear": np.clip(1 - x, 0, None),
            "bicubic": cubic(x, 0.0, 0.5),
            "mitchellcubic": cubic(x, 1 / 3, 1 / 3),
            "gaussian": np.where(x < 1.5, np.exp(-(x**2) / (2 * 0.5**2)), 0),
            "lanczos3": lanczos(x, 3),
            "lanczos5": lanczos(x, 5),
        }[name]
    return float((weights * row).sum() / weights.sum())


def cubic(x: Array, b: float, c: float) -> Array:
    """Mitchell and Netravali's family of kernels."""
    near = (12 - 9 * b - 6 * c) * x**3 + (-18 + 12 * b + 6 * c) * x**2 + 6 - 2 * b
    far = (-b - 6 * c) * x**3 + (6 * b + 30 * c) * x**2 + (-12 * b - 48 * c) * x + 8 * b + 24 * c
    return np.where(x < 1, near, np.where(x < 2, far, 0)) / 6


def lanczos(x: Array, radius: int) -> Array:
    safe = np.where(x == 0, 1, x)
    value = radius * np.sin(np.pi * safe) * np.sin(np.pi * safe / radius) / (np.pi * safe) ** 2
    return np.where(x == 0, 1.0, np.where(x < radius, value, 0.0))


# Folders.


@pytest.mark.parametrize("mode", ["rgb", "rgba", "grayscale"])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_pixels(keras: Any, folder: Path, mode: str, fit: str, interpolation: str) -> None:
    """The function that Keras reads a file by where it needs no TensorFlow."""
    from keras.src.utils.image_dataset_utils import _load_image_grain

    options = {"crop_to_aspect_ratio": fit == "crop", "pad_to_aspect_ratio": fit == "pad"}
    dataset = convkit.utils.image_dataset_from_directory(
        folder,
        color_mode=mode,
        batch_size=None,
        image_size=(12, 10),
        shuffle=False,
        interpolation=interpolation,
        verbose=False,
        **options,
    )
    channels = {"rgb": 3, "rgba": 4, "grayscale": 1}[mode]
    for (image, _), path in zip(dataset, dataset.file_paths, strict=True):
        with open(path, "rb") as file:
            content = io.BytesIO(file.read())
        theirs = _load_image_grain(
            content, (12, 10), channels, interpolation, "channels_last", *options.values()
        )
        np.testing.assert_allclose(image, theirs.numpy(), rtol=0, atol=1e-3, err_msg=path)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("labels", ["inferred", None, [*range(30)]])
def test_files_labels_and_splits(keras: Any, folder: Path, shuffle: bool, labels: Any) -> None:
    from keras.src.utils import dataset_utils

    formats = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
    paths, theirs, names = dataset_utils.index_directory(
        str(folder), copy(labels), formats, shuffle=shuffle, seed=7, verbose=False
    )
    for subset in ("training", "validation"):
        ours = convkit.utils.image_dataset_from_directory(
            folder,
            labels=labels,
            shuffle=shuffle,
            seed=7,
            validation_split=0.3,
            subset=subset,
            batch_size=None,
            verbose=False,
            image_size=4,
        )
        chosen, own = dataset_utils.get_training_or_validation_split(paths, theirs, 0.3, subset)
        plain = [str(Path(path)) for path in ours.file_paths]
        assert plain == [str(Path(path)) for path in chosen]
        assert ours.class_names == names
        if labels is not None and not shuffle:
            assert [int(label) for _, label in ours] == [int(label) for label in own]
        elif labels is not None:
            assert sorted(int(label) for _, label in ours) == sorted(map(int, own))


# Single images.


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "CMYK", "1", "I;16"])
@pytest.mark.parametrize("color_mode", ["rgb", "rgba", "grayscale"])
def test_load_img(keras: Any, tmp_path: Path, mode: str, color_mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.arange(60, dtype=np.uint16).reshape(6, 10) * 1000)
    else:
        image = picture(4, "RGB").convert(mode)
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    image.save(path)
    options: list[dict[str, Any]] = [
        {},
        {"target_size": (5, 7)},
        {"target_size": (9, 30), "keep_aspect_ratio": True, "interpolation": "bilinear"},
        {"target_size": (20, 6), "keep_aspect_ratio": True, "interpolation": "lanczos"},
    ]
    for each in options if mode != "I;16" else options[:1]:
        theirs = keras.utils.load_img(path, color_mode, **each)
        ours = convkit.utils.load_img(path, color_mode, **each)
        assert ours.mode == theirs.mode
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    with open(path, "rb") as file:
        read = convkit.utils.load_img(io.BytesIO(file.read()), color_mode)
    np.testing.assert_array_equal(
        convkit.utils.img_to_array(read),
        keras.utils.img_to_array(keras.utils.load_img(path, color_mode)),
    )


@pytest.mark.parametrize("data_format", [None, "channels_last", "channels_first"])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.filterwarnings("ignore:.mode. parameter is deprecated:DeprecationWarning")
def test_arrays_and_images(keras: Any, data_format: Any, channels: int, scale: bool) -> None:
    rng = np.random.default_rng(channels)
    array = rng.uniform(0, 255, (6, 5, channels)).astype(np.float32)
    if data_format == "channels_first":
        array = array.transpose(2, 0, 1)
    theirs = keras.utils.array_to_img(array, data_format, scale)
    ours = convkit.utils.array_to_img(array, data_format, scale)
    assert ours.mode == theirs.mode
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    one = convkit.utils.img_to_array(ours, data_format)
    two = keras.utils.img_to_array(ours, data_format)
    np.testing.assert_array_equal(one, two)
    assert one.dtype == two.dtype


@pytest.mark.parametrize("name", ["x.png", "x.bmp", "x.JPG"])
def test_save_img(keras: Any, tmp_path: Path, name: str) -> None:
    array = np.random.default_rng(0).uniform(-3, 3, (8, 9, 3)).astype(np.float32)
    (tmp_path / "theirs").mkdir()
    convkit.utils.save_img(tmp_path / name, array)
    keras.utils.save_img(tmp_path / "theirs" / name, array)
    assert (tmp_path / name).read_bytes() == (tmp_path / "theirs" / name).read_bytes()
    file = io.BytesIO()
    convkit.utils.save_img(file, array, file_format="png")
    assert file.getvalue().startswith(b"\x89PNG")
    with pytest.warns(UserWarning, match="JPEG has no transparency"):
        convkit.utils.save_img(tmp_path / "y.jpg", np.zeros((3, 3, 4)))


@pytest.mark.parametrize("rank", [3, 4])
@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
def test_smart_resize(keras: Any, rank: int) -> None:
    images = np.random.default_rng(1).uniform(0, 255, (2, 9, 14, 3)).astype(np.float32)
    given = images if rank == 4 else images[0]
    theirs = keras.preprocessing.image.smart_resize(given, (6, 5), data_format="channels_last")
    ours = convkit.preprocessing.image.smart_resize(given, (6, 5))
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


# Arrays.


@pytest.mark.parametrize("axis", [-1, 0, 1])
@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_normalize(keras: Any, axis: int, order: float) -> None:
    x = np.random.default_rng(0).normal(size=(4, 5))
    x[2] = 0
    x[:, 3] = 0
    if axis == 0:  # of which Keras makes the last
        theirs = keras.utils.normalize(x.T, -1, order).T
    else:
        theirs = keras.utils.normalize(x, axis, order)
    np.testing.assert_allclose(convkit.utils.normalize(x, axis, order), theirs)


@pytest.mark.parametrize("sizes", [(0.6, None), (None, 3), (4, 6), (0.25, 0.75)])
def test_split_dataset(keras: Any, sizes: Any) -> None:
    x, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    theirs = keras.utils.split_dataset((x, y), *sizes)
    ours = convkit.utils.split_dataset((x, y), *sizes)
    assert [len(each) for each in ours] == [len(each) for each in theirs]
    assert [int(label) for _, label in ours[0]] == [*range(len(ours[0]))]
    shuffled = convkit.utils.split_dataset((x, y), *sizes, shuffle=True, seed=1)
    labels = [int(label) for part in shuffled for _, label in part]
    assert len(set(labels)) == len(labels) == sum(map(len, theirs))
    for wrong in ((None, None), (11, None), (0.7, 0.7), (1.5, None)):
        with pytest.raises(ValueError, match=r"left_size|right_size"):
            convkit.utils.split_dataset((x, y), *wrong)
