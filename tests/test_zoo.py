"""The models: exact parameter counts, shapes, and that they train."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import convkit
from convkit import zoo

MODELS = [
    (zoo.mnist_cnn, (28, 28, 1), 469_172, 0),
    (zoo.fashion_mnist_cnn, (28, 28, 1), 467_818, 0),
    (zoo.cifar10_cnn, (32, 32, 3), 362_346, 384),
]


@pytest.mark.parametrize(("make", "sizes", "total", "fixed"), MODELS)
def test_parameter_counts(
    make: Callable[[], convkit.Sequential], sizes: tuple[int, ...], total: int, fixed: int
) -> None:
    model = make()
    assert model.input_shape == (None, *sizes)
    assert model.output_shape == (None, 10)
    assert model.count_params() == total
    assert sum(w.size for w in model.non_trainable_weights) == fixed
    assert sum(w.size for w in model.trainable_weights) == total - fixed
    assert model.loss is None, "the user compiles"
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert f"Total params: {total:,} " in text
    assert f"Trainable params: {total - fixed:,} " in text
    assert f"Non-trainable params: {fixed:,} " in text


def test_the_planes_of_the_cifar_model() -> None:
    shapes = [layer.output_shape for layer in zoo.cifar10_cnn().layers]
    planes = [shape[1:] for shape in shapes if shape is not None and len(shape) == 4]
    assert planes[6] == (16, 16, 32)
    assert planes[10] == (14, 14, 64)
    assert planes[13] == (7, 7, 64)
    assert planes[15] == (5, 5, 128)
    assert planes[16] == (2, 2, 128)


@pytest.mark.parametrize(("make", "sizes", "total", "fixed"), MODELS)
def test_one_step_changes_every_trainable_array(
    make: Callable[[], convkit.Sequential], sizes: tuple[int, ...], total: int, fixed: int
) -> None:
    convkit.utils.set_random_seed(1)
    model = make()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (4, *sizes), np.uint8)
    before = [w.numpy() for w in model.trainable_weights]
    loss, accuracy = model.train_on_batch(x / 255.0, rng.integers(0, 10, 4))
    assert 1.5 < loss < 3.5
    assert 0.0 <= accuracy <= 1.0
    for weight, old in zip(model.trainable_weights, before, strict=True):
        assert not np.array_equal(weight.numpy(), old), weight.path


# Networks with branches.

# Trainable parameters as others have counted them for CIFAR-10: the ResNets' without the 1x1
# convolutions of their shortcuts and those' batch normalisation, as with the paper's option A.
COUNTED = [
    (zoo.resnet20, 269_722, 2_752),
    (zoo.resnet56, 853_018, 2_752),
    (lambda: zoo.wide_resnet(40, 2), 2_243_546, 0),
    (lambda: zoo.wide_resnet(16, 8), 10_961_370, 0),
]


@pytest.mark.parametrize(("make", "trainable", "shortcuts"), COUNTED)
def test_as_many_parameters_as_published(
    make: Callable[[], convkit.Model], trainable: int, shortcuts: int
) -> None:
    model = make()
    assert sum(w.size for w in model.trainable_weights) == trainable + shortcuts


BRANCHED = [
    (zoo.resnet20, 274_042, 1_568),
    (zoo.resnet56, 860_026, 4_256),
    (zoo.wide_resnet, 2_752_506, 3_616),
    (zoo.mobilenet_v2_cifar, 2_270_794, 34_112),
]


@pytest.mark.parametrize(("make", "total", "fixed"), BRANCHED)
def test_the_counts_of_the_docstrings(
    make: Callable[[], convkit.Model], total: int, fixed: int
) -> None:
    model = make()
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 10)
    assert model.count_params() == total
    assert sum(w.size for w in model.non_trainable_weights) == fixed
    text = make.__doc__ or ""
    assert f"{total:,}" in text
    assert f"{fixed:,}" in text


def test_the_count_of_wrn_28_10_by_its_formula() -> None:
    """Two 3x3 convolutions a block, 1x1 shortcuts, four numbers a normalised channel."""

    def count(depth: int, width: int) -> int:
        before, total, channels = 16, 3 * 9 * 16, 0
        for filters in (16 * width, 32 * width, 64 * width):
            for _ in range((depth - 4) // 6):
                total += 9 * before * filters + 9 * filters * filters
                total += before * filters if before != filters else 0
                channels += before + filters
                before = filters
        return total + 4 * (channels + before) + 10 * before + 10

    assert zoo.wide_resnet(16, 4).count_params() == count(16, 4)
    assert zoo.wide_resnet(10, 1).count_params() == count(10, 1)
    assert f"{count(28, 10):,}" in (zoo.wide_resnet.__doc__ or "")


def test_the_planes_of_networks_with_branches() -> None:
    for model, depth in ((zoo.resnet20(), 8), (zoo.wide_resnet(10, 1), 8)):
        planes = [each.output_shape for each in model.layers if each.name.startswith("add")]
        assert planes[0][1:] == (32, 32, 16)
        assert planes[-1][1:] == (depth, depth, 64)
    planes = [each.output_shape[1:] for each in zoo.mobilenet_v2_cifar(0.25).layers]
    assert planes[-3] == (4, 4, 1280)


SMALL = [
    lambda: zoo.resnet20((16, 16, 1), 3),
    lambda: zoo.wide_resnet(10, 1, (16, 16, 1), 3, dropout=0.1),
    lambda: zoo.mobilenet_v2_cifar(0.25, (16, 16, 1), 3),
]


@pytest.mark.parametrize("make", SMALL, ids=["resnet20", "wide_resnet", "mobilenet_v2"])
def test_they_learn(make: Callable[[], convkit.Model]) -> None:
    """Stripes that lie, stand, or do neither, in noise: guessing is right one time in three."""
    convkit.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    y = np.arange(180) % 3
    x = rng.normal(0.0, 0.3, (180, 16, 16, 1)).astype(np.float32)
    wave = np.sin(np.arange(16) * np.pi / 2 + 0.5).astype(np.float32)
    x[y == 0] += wave[:, None, None]
    x[y == 1] += wave[:, None]
    model = make()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    found = model.fit(x, y, epochs=8, batch_size=20, verbose=0).history
    assert found["loss"][-1] < 0.3 * found["loss"][0]
    assert found["accuracy"][-1] > 0.9


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: zoo.wide_resnet(17),
            r"must be 10, 16, 22, .*6 n \+ 4, received 17",
        ),
        (lambda: zoo.wide_resnet(4), "depth must be 10, .*received 4"),
        (lambda: zoo.wide_resnet(10, 0), "width must be at least 1, received 0"),
        (lambda: zoo.mobilenet_v2_cifar(0.0), r"alpha must be positive, received 0\.0"),
    ],
)
def test_networks_that_are_not(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
