"""Layers that transform images, beside Keras's with the same parameters."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from compare import Array
from convkit import layers, ops
from convkit.layers.step_context import StepContext
from convkit.ops._image_steps import FILL_MODES, INTERPOLATIONS
from peer_keras import WITH_KERAS, keras

pytestmark = WITH_KERAS

SHAPES = ((5, 9, 12, 3), (4, 16, 16, 1))
BORDERS = [*product(FILL_MODES, INTERPOLATIONS)]


def keras_layer(name: str, *arguments: Any, **options: Any) -> Any:
    return getattr(keras.layers, name)(*arguments, **options)


def as_numpy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_numpy(each) for key, each in value.items()}
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def images(shape: tuple[int, ...], seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)


def beside(name: str, x: Array, *arguments: Any, **options: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Our layer, what Keras's makes of images, and the parameters that it drew."""
    theirs = keras_layer(name, *arguments, seed=3, **options)
    drawn = theirs.get_random_transformation(x, training=True)
    parameters = as_numpy(drawn)
    if isinstance(parameters, dict):  # its matrices are changed by their use
        parameters = {key: np.array(value) for key, value in parameters.items()}
    made = theirs.transform_images(keras.ops.convert_to_tensor(x), drawn, training=True)
    return getattr(layers, name)(*arguments, **options), as_numpy(made), parameters


def transformed(layer: Any, x: Array, parameters: dict[str, Any]) -> Array:
    return ops.transform_images(x, layer.steps_of(parameters, x.shape[1:]))


@pytest.mark.parametrize("mode", ["horizontal", "vertical", "horizontal_and_vertical"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_flips(shape: tuple[int, ...], mode: str) -> None:
    x = images((16, *shape[1:]))
    ours, made, parameters = beside("RandomFlip", x, mode)
    flips = parameters["flips"].reshape(-1)
    assert 0 < flips.sum() < 16
    np.testing.assert_array_equal(transformed(ours, x, {"flips": flips}), made)


@pytest.mark.parametrize(("fill_mode", "interpolation"), BORDERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("name", "factors"),
    [
        ("RandomTranslation", (0.4, (-0.9, 0.3))),
        ("RandomRotation", (0.3,)),
        ("RandomZoom", (0.5,)),
        ("RandomZoom", ((-0.6, 0.9), 0.4)),
        ("RandomShear", (0.7, (0.1, 0.4))),
    ],
)
def test_affine_transforms(
    name: str, factors: Any, shape: tuple[int, ...], fill_mode: str, interpolation: str
) -> None:
    x = images(shape)
    borders = {"fill_mode": fill_mode, "interpolation": interpolation, "fill_value": 0.25}
    ours, made, parameters = beside(name, x, *factors, **borders)
    y = transformed(ours, x, parameters)
    if interpolation == "nearest":  # of pixels in the middle between two, rounding decides
        assert (np.abs(y - made) > 1e-5).mean() < 0.01
    else:
        np.testing.assert_allclose(y, made, rtol=0, atol=1e-5)


@pytest.mark.parametrize("value_range", [(0, 1), (0, 255), (-1.0, 1.0)])
@pytest.mark.parametrize("name", ["RandomBrightness", "RandomContrast", "RandomInvert"])
@pytest.mark.parametrize("factor", [0.3, (0.2, 0.9)])
def test_colors(name: str, factor: Any, value_range: tuple[float, float]) -> None:
    low, high = value_range
    x = images(SHAPES[0]) * (high - low) + low
    ours, made, parameters = beside(name, x, factor, value_range=value_range)
    (key,) = parameters
    y = transformed(ours, x, {key: parameters[key].reshape(-1)})
    np.testing.assert_allclose(y, made, rtol=0, atol=1e-5 * (high - low))
    theirs = keras_layer(name, factor, value_range=value_range)
    assert ours.get_config()["factor"] == list(theirs.factor)


@pytest.mark.parametrize("value_range", [(0, 1), (0, 255), (-1.0, 1.0)])
@pytest.mark.parametrize("name", ["RandomHue", "RandomSaturation"])
@pytest.mark.parametrize("factor", [0.3, (0.2, 0.9), 1.0])
def test_hues_and_saturations(name: str, factor: Any, value_range: tuple[float, float]) -> None:
    low, high = value_range
    x = pixels() * (high - low) + low
    ours, made, parameters = beside(name, x, factor, value_range=value_range)
    y = transformed(ours, x, parameters)
    # Where saturations may be above 1, values lie as far outside of the range as they are large.
    size = np.maximum(np.abs(made).max(axis=(1, 2, 3), keepdims=True), high - low)
    assert (np.abs(y - made) / size).max() < 1e-5
    assert ours.get_config()["factor"] == list(keras_layer(name, factor).factor)


def pixels() -> Array:
    """Images in 0 .. 1 whose pixels have channels that are alike, the least or the most, too."""
    x = images(SHAPES[0])
    x[1, ::2, :, 1] = x[1, ::2, :, 0]
    x[1, 1::2, :, 2] = x[1, 1::2, :, 1]
    x[2] = np.round(x[2] * 2) / 2
    x[3, :, :, :] = x[3, :, :, :1]
    return x


@pytest.mark.parametrize("channels", [1, 3])
def test_grayscale(channels: int) -> None:
    x = images((16, 9, 12, channels))
    theirs = keras_layer("RandomGrayscale", 0.5, seed=3)
    chosen = theirs.get_random_transformation(x)
    made = as_numpy(theirs.transform_images(keras.ops.convert_to_tensor(x), chosen))
    which = as_numpy(chosen).reshape(-1)
    assert 0 < which.sum() < 16
    y = transformed(layers.RandomGrayscale(0.5), x, {"apply_grayscale": which})
    np.testing.assert_allclose(y, made, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(y[~which], x[~which])


# The layers that Keras's jitter consists of, and what their drawn numbers are called.
JITTER = {
    "brightness": "rgb_delta",
    "contrast": "contrast_factor",
    "saturation": "factor",
    "hue": "factor",
}


@pytest.mark.parametrize("value_range", [(0, 1), (0, 255)])
@pytest.mark.parametrize("changes", [("brightness",), ("contrast", "hue"), tuple(JITTER)])
def test_color_jitter(value_range: tuple[int, int], changes: tuple[str, ...]) -> None:
    """Keras's layers, in its order, with the numbers that ours drew."""
    x = pixels() * value_range[1]
    factors = {f"{name}_factor": (0.25, 0.75) for name in changes}
    ours = layers.RandomColorJitter(value_range, **factors)
    drawn = ours.draw(len(x), x.shape[1:], StepContext(True, 1, 2))
    assert {*drawn} == {*factors}
    theirs = keras_layer("RandomColorJitter", value_range, **factors)
    for name in changes:
        shape = (-1, 1, 1, 1) if name in ("brightness", "contrast") else (-1,)
        numbers = np.float32(drawn[f"{name}_factor"]).reshape(shape)
        given = {JITTER[name]: keras.ops.convert_to_tensor(numbers)}
        part = getattr(theirs, f"random_{name}")
        part.get_random_transformation = lambda *_, given=given, **__: given
    made = as_numpy(theirs.transform_images(keras.ops.convert_to_tensor(x), None))
    size = np.maximum(np.abs(made).max(axis=(1, 2, 3), keepdims=True), value_range[1])
    assert (np.abs(transformed(ours, x, drawn) - made) / size).max() < 1e-5


@pytest.mark.parametrize("fill_value", [0.5, 2.0, (0.1, 0.2, 0.3), None])
def test_erasing(fill_value: Any) -> None:
    x = images((40, 12, 11, 3))
    options = {"fill_value": fill_value, "value_range": (0, 1), "scale": (0.1, 0.6)}
    ours, made, parameters = beside("RandomErasing", x, (0.3, 0.9), **options)
    masks, chosen = parameters["batch_masks"][..., 0], parameters["apply_erasing"]
    assert 0 < chosen.sum() < len(x)
    boxes = np.zeros((len(x), 4), np.int64)
    for i in np.flatnonzero(chosen):
        for axis, at in ((1, 0), (0, 2)):
            inside = np.flatnonzero(masks[i].any(axis=axis))
            boxes[i, at : at + 2] = inside[0], inside[-1] + 1
    y = transformed(ours, x, {"boxes": boxes, "noise": (1, 2)})
    if fill_value is not None:
        np.testing.assert_allclose(y, made, rtol=0, atol=1e-6)
        return
    erased = masks & chosen[:, None, None]
    np.testing.assert_array_equal(y[~erased], made[~erased])
    # Of both, half of the noise is at the lower bound and a sixth at the upper one.
    for noise in (y[erased], made[erased]):
        assert abs((noise == 0).mean() - 0.5) < 0.05
        assert abs((noise == 1).mean() - 0.1587) < 0.05


def test_crops() -> None:
    x = images((4, 20, 17, 3))
    ours, made, (top, left) = beside("RandomCrop", x, 9, 6)
    parameters = {"top": np.full(4, int(top)), "left": np.full(4, int(left))}
    np.testing.assert_array_equal(transformed(ours, x, parameters), made)


@pytest.mark.parametrize("size", [(5, 7), (24, 30), (9, 12), (4, 31)], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("kind", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("way", ["stretched", "cropped", "padded"])
def test_resizing(
    shape: tuple[int, ...], size: tuple[int, int], kind: str, antialias: bool, way: str
) -> None:
    x = images(shape)
    options: dict[str, Any] = {
        "antialias": antialias,
        "crop_to_aspect_ratio": way == "cropped",
        "pad_to_aspect_ratio": way == "padded",
        "fill_value": 0.5,
    }
    made = as_numpy(keras_layer("Resizing", *size, kind, **options)(x))
    y = layers.Resizing(*size, kind, **options)(x)
    np.testing.assert_allclose(y, made, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(5, 7), (24, 30), (9, 12), (4, 31), (9, 4)], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_center_crop(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    x = images(shape)
    made = as_numpy(keras_layer("CenterCrop", *size)(x))
    np.testing.assert_allclose(layers.CenterCrop(*size)(x), made, rtol=0, atol=1e-5)
    # So is a random crop that is no random one.
    theirs = as_numpy(keras_layer("CenterCrop", *size)(x))
    if size[0] > shape[1] or size[1] > shape[2]:
        crop = layers.RandomCrop(*size)
        np.testing.assert_allclose(crop(x, training=False), theirs, rtol=0, atol=1e-5)
        np.testing.assert_allclose(crop(x, training=True), theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["RandomFlip", "RandomBrightness", "RandomInvert", "RandomHue"])
def test_a_call_on_arrays_is_one_of_training(name: str) -> None:
    x = images((30, 6, 6, 3))
    arguments = () if name == "RandomFlip" else (0.9,)
    for make in (keras_layer, lambda name, *given: getattr(layers, name)(*given)):
        layer = make(name, *arguments)
        assert not np.allclose(as_numpy(layer(x)), x)
        np.testing.assert_allclose(as_numpy(layer(x, training=False)), x)
        one = as_numpy(layer({"images": x, "labels": np.arange(30)}))
        np.testing.assert_array_equal(as_numpy(one["labels"]), np.arange(30))
        assert as_numpy(layer(x[0])).shape == x[0].shape


@pytest.mark.parametrize(("name", "value"), [("MixUp", 0.4), ("CutMix", 0.7), ("CutMix", (0.3, 1))])
def test_mixing(name: str, value: Any) -> None:
    x, y = images((12, 9, 8, 3)), np.eye(4, dtype=np.float32)[np.arange(12) % 4]
    theirs = keras_layer(name, value, seed=3)
    drawn = theirs.get_random_transformation({"images": x, "labels": y}, training=True)
    made = [
        as_numpy(getattr(theirs, f"transform_{what}")(keras.ops.convert_to_tensor(given), drawn))
        for what, given in (("images", x), ("labels", y))
    ]
    parameters = as_numpy(drawn)
    if name == "CutMix":
        masks, boxes = parameters["batch_masks"][..., 0], np.zeros((12, 4), np.int64)
        for i in np.flatnonzero(masks.any(axis=(1, 2))):
            for axis, at in ((1, 0), (0, 2)):
                inside = np.flatnonzero(masks[i].any(axis=axis))
                boxes[i, at : at + 2] = inside[0], inside[-1] + 1
        parameters["boxes"] = boxes
    ours = getattr(layers, name)(value)
    mixed = ours.mix({"images": x, "labels": y}, parameters)
    np.testing.assert_allclose(mixed["images"], made[0], rtol=0, atol=1e-6)
    np.testing.assert_allclose(mixed["labels"], made[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
def test_mixed_batches(name: str) -> None:
    x, y = images((300, 9, 8, 3)), np.eye(4, dtype=np.float32)[np.arange(300) % 4]
    layer = getattr(layers, name)(seed=5)
    one, other = layer({"images": x, "labels": y}), layer({"images": x, "labels": y})
    assert (one["images"] != other["images"]).any()
    np.testing.assert_allclose(one["labels"].sum(axis=1), 1.0, atol=1e-6)
    assert layer(x).shape == x.shape
    np.testing.assert_array_equal(layer(x, training=False), x)
    # Of both distributions the mean is a half: each image gives as much as it takes.
    share = (one["labels"] * y).sum(axis=1).mean()
    assert 0.5 < share < 0.75
    for wrong in (
        {"images": x, "labels": np.arange(300)},
        {"labels": y},
        x[0],
        {"images": x, 1: y},
    ):
        with pytest.raises(ValueError, match=r"labels|images"):
            layer(wrong)
    import convkit

    with pytest.raises(ValueError, match="no part of a model"):
        convkit.Sequential([convkit.Input((9, 8, 3)), layer])
