"""Arrays of other libraries and pictures: read where they are, converted once, or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from convkit import layers, ops
from convkit.training import data, data_adapter
from convkit.training.images import as_images

SHAPE = (4, 6, 6, 3)


class OnlyArray:
    """Something with `__array__`, as JAX gives it: its own memory, read-only."""

    def __init__(self, array: np.ndarray) -> None:
        self.view = array.view()
        self.view.flags.writeable = False

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.view if dtype is None else self.view.astype(dtype)


class OnlyDLPack:
    """Something that speaks DLPack and nothing else."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


def pixels(dtype: Any = np.float32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, SHAPE).astype(dtype)


def model() -> convkit.Sequential:
    convkit.utils.set_random_seed(0)
    made = convkit.Sequential(
        [
            convkit.Input(SHAPE[1:]),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(2, activation="softmax"),
        ]
    )
    made.compile(convkit.optimizers.SGD(1e-4), "sparse_categorical_crossentropy")
    return made


def assert_trains_alike(x: Any, y: Any, array: np.ndarray) -> None:
    """fit, evaluate, predict and the batch functions do the same with x as with the array."""
    labels = [0, 1, 1, 0]
    one, two = model(), model()
    for each, images, targets in ((one, array, np.array(labels)), (two, x, y)):
        each.fit(images, targets, 2, 2, 0, validation_data=(images, targets))
        each.train_on_batch(images, targets)
    assert one.history is not None
    assert two.history is not None
    assert one.history.history == two.history.history
    assert one.evaluate(array, labels, verbose=0) == two.evaluate(x, y, verbose=0)
    assert one.test_on_batch(array, labels) == two.test_on_batch(x, y)
    expected = one.predict(array, verbose=0)
    np.testing.assert_array_equal(expected, two.predict(x, verbose=0))
    np.testing.assert_array_equal(expected, two.predict_on_batch(x))
    np.testing.assert_array_equal(expected, two.predict(iter([(x,)]), verbose=0))


# Protocols.


@pytest.mark.parametrize("wrap", [OnlyArray, OnlyDLPack])
@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_memory_of_others_is_used_as_it_is(wrap: Any, dtype: Any) -> None:
    array = pixels(dtype)
    converted = as_images(wrap(array))
    assert np.shares_memory(converted, array)
    assert converted.dtype == dtype
    prepared = data.samples([array], None, data.Expected([SHAPE[1:]]))
    assert np.shares_memory(prepared.inputs[0], array), "nor is it copied on the way to the batches"
    assert_trains_alike(wrap(array), wrap(np.array([0, 1, 1, 0])), array)


@pytest.mark.parametrize("wrap", [OnlyArray, OnlyDLPack])
def test_other_types_are_converted_once(wrap: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    array = pixels(np.float64)
    converted = as_images(wrap(array))
    assert converted.dtype == np.float32
    assert not np.shares_memory(converted, array)
    np.testing.assert_array_equal(converted, array)
    calls: list[Any] = []

    def counted(x: Any) -> np.ndarray:
        result = as_images(x)
        if result is not x:
            calls.append(x)
        return result

    for module in (data_adapter, data):
        monkeypatch.setattr(module, "as_images", counted)
    model().fit(wrap(array), [0, 1, 1, 0], 1, 3, 0)
    assert len(calls) == 1, "not once a batch or an epoch"


def test_ops_take_them_too() -> None:
    x, w = pixels(), np.random.default_rng(1).normal(size=(3, 3, 3, 2)).astype(np.float32)
    expected = ops.conv2d_forward(x, w)
    for wrap in (OnlyArray, OnlyDLPack):
        np.testing.assert_array_equal(ops.conv2d_forward(wrap(x), wrap(w)), expected)
    with pytest.raises(TypeError, match="x must hold real numbers"):
        ops.relu_forward(OnlyArray(np.zeros(3, complex)))


# PyTorch.


def torch_or_skip() -> Any:
    return pytest.importorskip("torch", reason="PyTorch's tensors are tried with torch")


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_tensors_are_not_copied(dtype: str) -> None:
    torch = torch_or_skip()
    tensor = torch.from_numpy(pixels(dtype))
    assert np.shares_memory(as_images(tensor), tensor.numpy())
    assert_trains_alike(tensor, torch.tensor([0, 1, 1, 0]), pixels(dtype))


def test_tensors_of_other_types_and_layouts() -> None:
    torch = torch_or_skip()
    tensor = torch.from_numpy(pixels())
    for variant in (
        tensor.double(),
        tensor.long(),
        tensor.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1),
        tensor.clone().requires_grad_().detach(),
        list(tensor),
        tuple(tensor.to(torch.uint8)),
    ):
        converted = as_images(variant)
        np.testing.assert_array_equal(converted, pixels())
        assert converted.flags.c_contiguous
    weights = torch.tensor([1.0, 0.0, 2.0, 1.0])
    one, two = model(), model()
    expected = one.test_on_batch(pixels(), [0, 1, 1, 0], weights.numpy())
    assert two.test_on_batch(tensor, torch.tensor([0, 1, 1, 0]), weights) == expected


def test_tensors_that_cannot_be_read() -> None:
    torch = torch_or_skip()
    tensor, labels = torch.from_numpy(pixels()), torch.tensor([0, 1, 1, 0])
    for wrong, message in (
        (tensor.clone().requires_grad_(), r"x is a Tensor .*: pass it detached, as x\.detach\(\)"),
        (tensor.bfloat16(), "x is a Tensor that NumPy cannot read: .*BFloat16"),
        (tensor.to("meta"), r"x is a Tensor that NumPy cannot read: .*Tensor\.cpu\(\)"),
        (tensor.to_sparse(), r"x is a Tensor .*Tensor\.to_dense\(\)"),
        ([tensor[0], tensor[1].clone().requires_grad_()], r"x\[1\] is a Tensor .*detach"),
    ):
        for call in (
            lambda wrong=wrong: model().fit(wrong, labels[: len(wrong)], verbose=0),
            lambda wrong=wrong: model().predict(wrong, verbose=0),
        ):
            with pytest.raises(TypeError, match=message):
                call()
    weights = torch.ones(4)
    with pytest.raises(TypeError, match=r"y is a Tensor .*detach"):
        model().fit(tensor, labels.float().requires_grad_(), verbose=0)
    with pytest.raises(TypeError, match=r"sample_weight is a Tensor .*detach"):
        model().fit(tensor, labels, sample_weight=weights.requires_grad_(), verbose=0)
    with pytest.raises(TypeError, match=r"x is a Tensor .*detach"):
        ops.relu_forward(tensor.clone().requires_grad_())


def test_jax_arrays() -> None:
    jnp = pytest.importorskip("jax.numpy", reason="JAX's arrays are tried with jax")
    array = jnp.asarray(pixels())
    assert np.shares_memory(as_images(array), np.asarray(array))
    assert_trains_alike(array, jnp.asarray([0, 1, 1, 0]), pixels())


# Lists, and pictures.


def test_lists_of_arrays_become_one() -> None:
    images = list(pixels(np.uint8))
    stacked = as_images(images)
    assert stacked.dtype == np.uint8
    np.testing.assert_array_equal(stacked, pixels())
    mixed = [images[0], images[1].astype(np.float64), images[2]]
    converted = as_images(mixed)
    assert converted.dtype == np.float32
    np.testing.assert_array_equal(converted, pixels()[:3])
    wrapped = as_images([OnlyArray(images[0]), OnlyDLPack(images[1])])
    np.testing.assert_array_equal(wrapped, pixels()[:2])
    with pytest.raises(
        ValueError, match=r"x cannot become one array: x\[2\] has shape \(5, 6, 3\)"
    ):
        as_images([images[0], images[1], images[2][:5]])
    with pytest.raises(TypeError, match=r"x\[1\] must hold real numbers"):
        as_images([images[0], images[1].astype(complex)])


def pil_or_skip() -> Any:
    return pytest.importorskip("PIL.Image", reason="pictures are tried with Pillow")


def test_lists_of_pictures() -> None:
    image = pil_or_skip()
    array = pixels(np.uint8)
    pictures = [image.fromarray(each) for each in array]
    stacked = as_images(pictures)
    assert stacked.dtype == np.uint8
    np.testing.assert_array_equal(stacked, array)
    assert_trains_alike(pictures, [0, 1, 1, 0], array)


@pytest.mark.parametrize(
    ("mode", "channels", "dtype"),
    [
        ("L", 1, np.uint8),
        ("RGB", 3, np.uint8),
        ("RGBA", 4, np.uint8),
        ("LA", 2, np.uint8),
        ("1", 1, np.float32),
        ("F", 1, np.float32),
        ("I", 1, np.float32),
        ("I;16", 1, np.float32),
    ],
)
def test_every_picture_has_channels(mode: str, channels: int, dtype: Any) -> None:
    image = pil_or_skip()
    stacked = as_images([image.new(mode, (5, 7), 1), image.new(mode, (5, 7), 0)])
    assert stacked.shape == (2, 7, 5, channels)
    assert stacked.dtype == dtype
    assert stacked[0].flat[0] == 1


def test_pictures_that_are_refused() -> None:
    image = pil_or_skip()
    rgb, grey = image.new("RGB", (6, 6)), image.new("L", (6, 6))
    for wrong, message in (
        ([rgb, image.new("P", (6, 6))], r"x\[1\] is a PIL image with a palette.*convert\('RGB'\)"),
        ([rgb, grey], r"x\[1\] has shape \(6, 6, 1\), and x\[0\] has \(6, 6, 3\); bring all"),
        ([rgb, image.new("RGB", (5, 6))], r"x\[1\] has shape \(6, 5, 3\)"),
        (rgb, "x must be several images: for a single PIL image, give a list of one"),
        ([grey, grey], r"x must have shape \(N, 6, 6, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            model().predict(wrong, verbose=0)
