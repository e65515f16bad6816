"""ImageDataGenerator beside Keras's own: the same images for the same seed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convkit.compat import transforms
from convkit.compat.generator import ImageDataGenerator

ARGUMENTS: dict[str, dict[str, Any]] = {
    "rotation": {"rotation_range": 40},
    "shift": {"width_shift_range": 0.3, "height_shift_range": 0.2},
    "pixels": {"width_shift_range": 3, "height_shift_range": [-2, 1]},
    "shear": {"shear_range": 20},
    "zoom": {"zoom_range": 0.4},
    "zoom of a range": {"zoom_range": [0.5, 0.8]},
    "flips": {"horizontal_flip": True, "vertical_flip": True},
    "channels": {"channel_shift_range": 30.0},
    "brightness": {"brightness_range": (0.3, 1.6)},
    "constant": {"rotation_range": 90, "zoom_range": 0.5, "fill_mode": "constant", "cval": 9.0},
    "reflect": {"rotation_range": 90, "width_shift_range": 0.9, "fill_mode": "reflect"},
    "wrap": {"rotation_range": 60, "height_shift_range": 0.7, "fill_mode": "wrap"},
    "nearest pixel": {"rotation_range": 30, "interpolation_order": 0, "zoom_range": 0.2},
    "cubic": {"rotation_range": 30, "interpolation_order": 3},
    "samplewise": {"samplewise_center": True, "samplewise_std_normalization": True},
    "featurewise": {"featurewise_center": True, "featurewise_std_normalization": True},
    "whitening": {"zca_whitening": True, "featurewise_center": True},
    "all": {
        "rotation_range": 20, "width_shift_range": 0.1, "height_shift_range": 0.1,
        "shear_range": 10, "zoom_range": 0.1, "horizontal_flip": True, "rescale": 1 / 255,
        "channel_shift_range": 5.0,
    },
}  # fmt: skip


pytestmark = pytest.mark.filterwarnings("ignore:Please import:DeprecationWarning")  # of Keras


def keras_image() -> Any:
    """Keras's module of image generators."""
    pytest.importorskip("keras", reason="Keras is not installed")
    pytest.importorskip("scipy", reason="SciPy is not installed, which Keras's generators need")
    from keras.src.legacy.preprocessing import image

    return image


def pictures(count: int = 6) -> Any:
    return np.random.default_rng(0).uniform(0, 255, (count, 14, 14, 3)).astype(np.float32)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_images_are_those_of_keras(name: str) -> None:
    keras, x, y = keras_image(), pictures(), np.arange(6)
    batches = []
    for kind in (ImageDataGenerator, keras.ImageDataGenerator):
        np.random.seed(5)  # noqa: NPY002 - which is what Keras draws from
        generator = kind(**ARGUMENTS[name])
        generator.fit(x.copy())
        flow = generator.flow(x.copy(), y, batch_size=4, seed=3)
        batches.append([next(flow) for _ in range(4)])
    for own, theirs in zip(*batches, strict=True):
        np.testing.assert_array_equal(own[1], theirs[1])
        scale = max(1.0, float(np.abs(theirs[0]).max()))
        if name == "nearest pixel":  # where a place lies between two pixels, rounding decides
            assert (own[0] != theirs[0]).mean() < 0.01
        else:
            np.testing.assert_allclose(own[0], theirs[0], atol=2e-5 * scale)


def test_batches_by_threads_are_those_of_one_after_the_other() -> None:
    x, y = pictures(20), np.arange(20)
    taken = []
    for by_threads in (True, False):
        np.random.seed(1)  # noqa: NPY002
        flow = ImageDataGenerator(rotation_range=30, horizontal_flip=True).flow(x, y, batch_size=3)
        taken.append(list(flow.batches()) if by_threads else [flow[i] for i in range(len(flow))])
    for one, other in zip(*taken, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_folders_are_read_as_keras_reads_them(workplace: Path) -> None:
    keras = keras_image()
    given: dict[str, Any] = {"target_size": (16, 18), "batch_size": 5, "seed": 2, "shuffle": True}
    for more in ({"class_mode": "binary"}, {"color_mode": "grayscale"}, {"class_mode": None}):
        flows = [
            kind(rescale=1 / 255, rotation_range=10).flow_from_directory(
                "images/train", **given, **more
            )
            for kind in (ImageDataGenerator, keras.ImageDataGenerator)
        ]
        assert flows[0].filenames == flows[1].filenames
        assert flows[0].class_indices == flows[1].class_indices
        own, theirs = (next(flow) for flow in flows)
        for one, other in zip(*(each if isinstance(each, tuple) else (each,)
                                for each in (own, theirs)), strict=True):  # fmt: skip
            np.testing.assert_allclose(one, other, atol=2e-5)


def test_frames_are_read_as_keras_reads_them(workplace: Path) -> None:
    keras, pandas = keras_image(), pytest.importorskip("pandas")
    names = [f"cats/{i}.jpg" for i in range(12)]
    frame = pandas.DataFrame({"filename": names, "class": list("abcabcabcabc"), "v": range(12)})
    for more in ({}, {"class_mode": "raw", "y_col": "v"}, {"class_mode": None}):
        flows = [
            kind().flow_from_dataframe(
                frame, "images/train", target_size=(9, 9), batch_size=4, seed=1, **more
            )
            for kind in (ImageDataGenerator, keras.ImageDataGenerator)
        ]
        own, theirs = (next(flow) for flow in flows)
        pairs = zip(own, theirs, strict=True) if more.get("class_mode", 1) else [(own, theirs)]
        for one, other in pairs:
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_functions_of_single_images_are_those_of_keras() -> None:
    keras, image = keras_image(), pictures(1)[0]
    for name, arguments in (
        ("random_rotation", (20,)), ("random_shift", (0.2, 0.3)), ("random_shear", (15,)),
        ("random_zoom", ((0.7, 1.2),)),
    ):  # fmt: skip
        made = []
        for module in (transforms, keras):
            np.random.seed(4)  # noqa: NPY002
            axes = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
            made.append(getattr(module, name)(image, *arguments, **axes))
        np.testing.assert_allclose(made[0], made[1], atol=1e-3)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="images"):
        ImageDataGenerator().flow(np.zeros((3, 4, 4)))
    with pytest.raises(ValueError, match="as many targets"):
        ImageDataGenerator().flow(np.zeros((3, 4, 4, 1)), np.zeros(2))
    with pytest.raises(ValueError, match="fill_mode"):
        ImageDataGenerator(rotation_range=9, fill_mode="edge").random_transform(pictures(1)[0])
    with pytest.raises(ValueError, match="zoom_range"):
        ImageDataGenerator(zoom_range=(1, 2, 3))
    with pytest.raises(ValueError, match="validation_split"):
        ImageDataGenerator(validation_split=2.0)


def test_scipy_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError, match="pip install scipy"):
        ImageDataGenerator(rotation_range=9, interpolation_order=3).random_transform(pictures(1)[0])


def test_interpolated_pixels_stay_within_those_of_the_images() -> None:
    """Scripts divide by 255 and rely on numbers up to 1."""
    images = np.full((4, 33, 31, 3), 255.0, np.float32)
    images[:, ::7] = 0.0
    drawn = [{"theta": 3.7 * i, "shear": 11.3, "zx": 0.83, "zy": 1.21} for i in range(4)]
    for mode in ("nearest", "reflect"):
        made = transforms.affine_batch(images, drawn, mode)
        assert made.min() == 0.0
        assert made.max() == 255.0


def test_an_empty_folder_is_said_and_does_not_wait_for_ever(tmp_path: Path) -> None:
    from convkit.compat import keras

    (tmp_path / "cats").mkdir()
    flow = ImageDataGenerator().flow_from_directory(str(tmp_path), (8, 8), class_mode="binary")
    model = keras.Sequential([keras.layers.Flatten(input_shape=(8, 8, 3)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match="fit received no batch"):
        model.fit(flow, verbose=0)
    with pytest.raises(ValueError, match="no samples: no images were found"):
        model.fit(flow, steps_per_epoch=3, verbose=0)
