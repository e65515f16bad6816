"""The three models: exact parameter counts, shapes, and that they train."""

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
