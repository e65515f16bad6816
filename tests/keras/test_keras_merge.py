"""The layers of several inputs beside Keras in float64: shapes, outputs, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array, assert_close, random_array
from convkit.layers.step_context import StepContext
from peer_keras import WITH_KERAS, Make, keras, numbers, torch

pytestmark = WITH_KERAS

IMAGES, CHANNELS, PIXELS, VECTOR = (9, 8, 6), (1, 1, 6), (9, 8, 1), (6,)
LAYERS: list[tuple[Make, tuple[tuple[int, ...], ...]]] = [
    (lambda m: m.layers.Add(), (IMAGES, IMAGES)),
    (lambda m: m.layers.Add(), (IMAGES, IMAGES, IMAGES)),
    (lambda m: m.layers.Add(), (IMAGES,)),
    (lambda m: m.layers.Add(), (IMAGES, CHANNELS, PIXELS)),
    (lambda m: m.layers.Subtract(), (IMAGES, IMAGES)),
    (lambda m: m.layers.Subtract(), (VECTOR, IMAGES)),
    (lambda m: m.layers.Multiply(), (IMAGES, IMAGES)),
    (lambda m: m.layers.Multiply(), (IMAGES, CHANNELS)),
    (lambda m: m.layers.Multiply(), (IMAGES, VECTOR)),
    (lambda m: m.layers.Multiply(), (PIXELS, IMAGES)),
    (lambda m: m.layers.Multiply(), (CHANNELS, PIXELS, IMAGES)),
    (lambda m: m.layers.Average(), (IMAGES, IMAGES, IMAGES)),
    (lambda m: m.layers.Average(), (IMAGES, PIXELS)),
    (lambda m: m.layers.Maximum(), (IMAGES, IMAGES)),
    (lambda m: m.layers.Maximum(), (VECTOR, VECTOR, VECTOR)),
    (lambda m: m.layers.Maximum(), (IMAGES, VECTOR)),
    (lambda m: m.layers.Minimum(), (IMAGES, IMAGES)),
    (lambda m: m.layers.Minimum(), (PIXELS, IMAGES)),
    (lambda m: m.layers.Concatenate(), (IMAGES, IMAGES, (9, 8, 2))),
    (lambda m: m.layers.Concatenate(), (VECTOR, (3,))),
    (lambda m: m.layers.Concatenate(1), (IMAGES, (4, 8, 6))),
    (lambda m: m.layers.Concatenate(axis=-2), (IMAGES, (9, 1, 6))),
]


def run_convkit(layer: Any, x: tuple[Array, ...], dy: Array) -> list[Array]:
    y = np.empty(dy.shape, np.float32)
    dx = tuple(np.empty_like(each) for each in x)
    saved = tuple(np.empty(s.shape, s.dtype) for s in layer.saved_arrays([a.shape for a in x]))
    layer.forward(x, y, saved, StepContext(True))
    layer.backward(x, y, dy, dx, saved, StepContext(True))
    return [y, *dx]


def run_keras(layer: Any, x: tuple[Array, ...], dy: Array) -> list[Array]:
    tensors = [torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in x]
    y = layer(tensors)
    (y * torch.tensor(dy, dtype=torch.float64)).sum().backward()
    return [numbers(y.detach()), *(numbers(each.grad) for each in tensors)]


@pytest.mark.parametrize("case", range(len(LAYERS)))
@pytest.mark.usefixtures("keras_float64")
def test_layers(case: int) -> None:
    make, sizes = LAYERS[case]
    theirs, ours = make(keras), make(convkit)
    shapes = [(None, *each) for each in sizes]
    ours.build(shapes)
    theirs.build(shapes)
    assert ours.compute_output_shape(shapes) == theirs.compute_output_shape(shapes)
    config = theirs.get_config()
    assert all(config[key] == value for key, value in ours.get_config().items() if key != "name")
    x = tuple(random_array(f"x{k}", (10, *each)) for k, each in enumerate(sizes))
    dy = random_array("dy", (10, *ours.output_shape[1:]))
    for actual, wanted in zip(run_convkit(ours, x, dy), run_keras(theirs, x, dy), strict=True):
        assert_close(actual, wanted, terms=72)


@pytest.mark.usefixtures("keras_float64")
def test_equal_numbers_are_where_keras_s_backends_differ() -> None:
    """On PyTorch the gradient is shared out; on TensorFlow, and here, it goes to the first."""
    x, dy = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    for name in ("Maximum", "Minimum"):
        ours, theirs = getattr(convkit.layers, name)(), getattr(keras.layers, name)()
        ours.build([(None, 3), (None, 3)])
        mine, shared = run_convkit(ours, (x, x), dy), run_keras(theirs, (x, x), dy)
        np.testing.assert_array_equal(mine[1] + mine[2], shared[1] + shared[2])
        np.testing.assert_array_equal(mine[1], dy)
        np.testing.assert_array_equal(shared[1], dy / 2)


@pytest.mark.parametrize(
    ("make", "shapes"),
    [
        (lambda m: m.layers.Add(), [(None, 5, 4, 6), (None, 5, 4, 3)]),
        (lambda m: m.layers.Add(), [(2, 5), (3, 5)]),
        (lambda m: m.layers.Add(), (None, 5)),
        (lambda m: m.layers.Subtract(), [(None, 5)] * 3),
        (lambda m: m.layers.Concatenate(), [(None, 5, 4, 6), (None, 5, 3, 6)]),
        (lambda m: m.layers.Concatenate(), [(None, 5, 4), (None, 5)]),
    ],
)
def test_both_refuse(make: Make, shapes: Any) -> None:
    for module in (keras, convkit):
        layer = make(module)
        with pytest.raises(ValueError, match=r"[Ss]hape|inputs"):
            layer.build(shapes)
