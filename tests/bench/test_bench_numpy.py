"""The benchmark's contenders: all NumPy networks compute what the reference does."""

from __future__ import annotations

import numpy as np
import pytest

from compare import Array, assert_close, random_array
from convkit import reference
from convkit.bench.contenders import numpy_indexed
from convkit.bench.contenders import numpy_plain as plain
from convkit.bench.contenders.numpy_conv2d import Conv2D
from convkit.bench.contenders.numpy_layers import BatchNorm, Dense, Dropout, MaxPool2D, ReLU
from convkit.bench.contenders.numpy_model import Adam, softmax_cross_entropy


def float64(*arrays: Array) -> tuple[Array, ...]:
    return tuple(array.astype(np.float64) for array in arrays)


# (x_shape, (KH, KW), OC, padding, whether backward_input is by col2im)
CONVOLUTIONS = [
    ((2, 7, 6, 1), (3, 3), 5, "same", True),  # few channels: the matrix is built transposed
    ((2, 7, 6, 3), (3, 3), 4, "valid", True),
    ((3, 6, 5, 8), (3, 3), 8, "same", False),
    ((2, 9, 10, 9), (3, 3), 7, "valid", False),
    ((2, 5, 5, 16), (3, 3), 16, "valid", True),
    ((2, 8, 9, 8), (5, 2), 7, "same", False),
    ((1, 4, 4, 8), (1, 1), 16, "valid", True),
]


@pytest.mark.parametrize(("x_shape", "kernel", "oc", "padding", "col2im"), CONVOLUTIONS)
@pytest.mark.parametrize("relu", [False, True])
def test_numpy_conv2d(
    x_shape: tuple[int, ...],
    kernel: tuple[int, int],
    oc: int,
    padding: str,
    col2im: bool,
    relu: bool,
) -> None:
    x, w = random_array("x", x_shape), random_array("w", (*kernel, x_shape[-1], oc))
    b = random_array("b", (oc,))
    layer = Conv2D(x_shape, w, b, padding=padding, relu=relu)
    dy = random_array("dy", layer.output_shape)
    terms = int(np.prod(w.shape[:3]))
    activation = "relu" if relu else None
    x64, w64, b64, dy64 = float64(x, w, b, dy)
    y = reference.conv2d_forward(x64, w64, b64, padding=padding, activation=activation)
    for _ in range(2):  # what a call leaves in the buffers must not reach the next
        assert_close(layer.forward(x), y, terms=terms)
        if relu:
            dy64 = reference.relu_backward(dy64, y)
        dx = layer.backward(dy.copy())
        assert dx is not None
        wanted = reference.conv2d_backward_input(dy64, w64, x_shape, padding=padding)
        assert_close(dx, wanted, terms=oc * kernel[0] * kernel[1])
        count = int(np.prod(layer.output_shape[:3]))
        wanted = reference.conv2d_backward_weights(x64, dy64, w.shape, padding=padding)
        assert_close(layer.dw, wanted, terms=count)
        assert_close(layer.db, reference.bias_backward(dy64), terms=count)
    assert layer._use_col2im is col2im
    assert layer.backward(dy, need_dx=False) is None


@pytest.mark.parametrize("x_shape", [(2, 6, 4, 5), (3, 5, 7, 2)])
def test_numpy_max_pool2d_takes_the_first_of_equal_values(x_shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(0, 3, x_shape).astype(np.float32)
    layer = MaxPool2D(x_shape)
    y, indices = reference.max_pool2d_forward(x)
    np.testing.assert_array_equal(layer.forward(x), y)
    dy = random_array("dy", y.shape)
    wanted = reference.max_pool2d_backward(dy, indices, x_shape)
    np.testing.assert_array_equal(layer.backward(dy), wanted)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("x_shape", [(4, 3, 5, 6), (9, 7)])
def test_numpy_batchnorm(x_shape: tuple[int, ...], relu: bool) -> None:
    x = np.float32(3) + np.float32(2) * random_array("x", x_shape)
    gamma, beta, dy = (random_array(n, x_shape[-1:]) for n in ("g", "b", "m"))
    moving = np.zeros(x_shape[-1:], np.float32), np.ones(x_shape[-1:], np.float32)
    expected_moving = float64(*moving)
    dy = random_array("dy", x_shape)
    layer = BatchNorm(
        x_shape, gamma, beta, moving_mean=moving[0], moving_variance=moving[1], relu=relu
    )
    activation = "relu" if relu else None
    x64, gamma64, beta64, dy64 = float64(x, gamma, beta, dy)
    y, mean, rstd = reference.batchnorm_forward(
        x64, gamma64, beta64, *expected_moving, activation=activation
    )
    count = int(np.prod(x_shape[:-1]))
    assert_close(layer.forward(x), y, terms=count)
    for own, wanted in zip(moving, expected_moving, strict=True):
        assert_close(own, wanted, terms=count)
    dx, dgamma, dbeta = reference.batchnorm_backward(
        dy64, x64, gamma64, beta64, mean, rstd, activation=activation
    )
    got = layer.backward(dy)
    assert got is not None
    # Terms of the size of dy * gamma * rstd cancel in dx, so that is its scale.
    assert_close(got, dx, terms=count, scale=float(np.max(np.abs(gamma64 * rstd))))
    assert_close(layer.dgamma, dgamma, terms=count)
    assert_close(layer.dbeta, dbeta, terms=count)


@pytest.mark.parametrize("relu", [False, True])
def test_numpy_dense(relu: bool) -> None:
    x, w, b, dy = (random_array(n, s) for n, s in zip("xwby", _DENSE, strict=True))
    layer = Dense(x.shape, w, b, relu=relu)
    x64, w64, b64, dy64 = float64(x, w, b, dy)
    y = reference.dense_forward(x64, w64, b64, activation="relu" if relu else None)
    assert_close(layer.forward(x), y, terms=w.shape[0])
    if relu:
        dy64 = reference.relu_backward(dy64, y)
    dx = layer.backward(dy)
    assert dx is not None
    assert_close(dx, reference.dense_backward_input(dy64, w64), terms=w.shape[1])
    assert_close(layer.dw, reference.dense_backward_weights(x64, dy64), terms=len(x))
    assert_close(layer.db, reference.bias_backward(dy64), terms=len(x))


_DENSE = [(6, 13), (13, 9), (9,), (6, 9)]


def test_numpy_relu_works_in_place() -> None:
    x, dy = np.array([-1.0, 0.0, 2.0], np.float32), np.array([3.0, 4.0, 5.0], np.float32)
    layer = ReLU((3,))
    assert layer.forward(x) is x
    np.testing.assert_array_equal(x, [0.0, 0.0, 2.0])
    np.testing.assert_array_equal(layer.backward(dy), [0.0, 0.0, 5.0])


def test_numpy_dropout_drops_the_share_and_keeps_the_mean() -> None:
    layer = Dropout((400, 100), 0.3)
    y = layer.forward(np.ones((400, 100), np.float32)).copy()
    kept = y != 0
    assert abs(kept.mean() - 0.7) < 0.02  # eight standard deviations
    np.testing.assert_allclose(y[kept], 1 / 0.7, rtol=1e-6)
    dx = layer.backward(np.ones((400, 100), np.float32))
    np.testing.assert_array_equal(dx, y)
    assert (layer.forward(np.ones((400, 100), np.float32)) != y).any()


def test_numpy_loss_and_adam() -> None:
    logits, labels = np.float32(3) * random_array("logits", (5, 4)), np.array([0, 3, 1, 1, 2])
    losses, _, dlogits = reference.softmax_cross_entropy(logits.astype(np.float64), labels)
    loss, got = softmax_cross_entropy(logits, labels, np.arange(5))
    assert loss == pytest.approx(float(losses.mean()), rel=1e-6)
    assert_close(got, dlogits, terms=4)

    w = random_array("w", (50,))
    expected, m, v = w.astype(np.float64), np.zeros(50), np.zeros(50)
    adam = Adam(50, 1e-3, 0.9, 0.999, 1e-7)
    for step in range(1, 6):
        gradient = random_array(f"gradient {step}", (50,))
        adam.update(w, gradient)
        gradient64 = gradient.astype(np.float64)
        reference.adam_update(expected, gradient64, m, v, learning_rate=1e-3, step=step)
    assert_close(w, expected)


def test_plain_adam() -> None:
    w, b = random_array("w", (5, 4)), random_array("b", (4,))
    layer = plain.Dense(w, b)
    for index, initial in enumerate((w, b)):
        expected = initial.astype(np.float64)
        m, v = np.zeros_like(expected), np.zeros_like(expected)
        layer.parameters, model = [w, b], plain.PlainModel([layer])
        for step in range(1, 6):
            layer.gradients = [random_array(f"gradient {step}", p.shape) for p in (w, b)]
            model._adam()
            gradient = layer.gradients[index].astype(np.float64)
            reference.adam_update(expected, gradient, m, v, learning_rate=1e-3, step=step)
        assert_close(layer.parameters[index], expected)


@pytest.mark.parametrize("convolution", [plain.Conv2D, numpy_indexed.Conv2D])
@pytest.mark.parametrize(("x_shape", "kernel", "oc", "padding"), [c[:4] for c in CONVOLUTIONS])
def test_plain_conv2d(
    convolution: type[plain.Conv2D],
    x_shape: tuple[int, ...],
    kernel: tuple[int, int],
    oc: int,
    padding: str,
) -> None:
    x, w = random_array("x", x_shape), random_array("w", (*kernel, x_shape[-1], oc))
    layer = convolution(w, random_array("b", (oc,)), padding=padding)
    x64, w64, b64 = float64(x, *layer.parameters)
    terms = int(np.prod(w.shape[:3]))
    y = layer.forward(x)
    assert_close(y, reference.conv2d_forward(x64, w64, b64, padding=padding), terms=terms)
    dy = random_array("dy", y.shape)
    (dy64,) = float64(dy)
    wanted = reference.conv2d_backward_input(dy64, w64, x_shape, padding=padding)
    dx = layer.backward(dy)
    assert_close(dx, wanted, terms=oc * kernel[0] * kernel[1])
    dw, db = layer.gradients
    assert {array.dtype for array in (y, dx, dw, db)} == {np.dtype(np.float32)}
    count = int(np.prod(y.shape[:3]))
    wanted = reference.conv2d_backward_weights(x64, dy64, w.shape, padding=padding)
    assert_close(dw, wanted, terms=count)
    assert_close(db, reference.bias_backward(dy64), terms=count)
    assert_close(layer.forward(x[:1]), y[:1], terms=terms)  # a batch of another size


@pytest.mark.parametrize("x_shape", [(2, 6, 4, 5), (3, 5, 7, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_both_max_pool2d_agree(x_shape: tuple[int, ...], training: bool) -> None:
    x = np.random.default_rng(0).integers(0, 3, x_shape).astype(np.float32)
    clear, tuned = plain.MaxPool2D(), MaxPool2D(x_shape)
    y, indices = reference.max_pool2d_forward(x)
    np.testing.assert_array_equal(clear.forward(x, training), y)
    np.testing.assert_array_equal(tuned.forward(x, training=training), y)
    if training:
        dy = random_array("dy", y.shape)
        wanted = reference.max_pool2d_backward(dy, indices, x_shape)
        np.testing.assert_array_equal(clear.backward(dy), wanted)


@pytest.mark.parametrize("x_shape", [(4, 3, 5, 6), (9, 7)])
def test_both_batchnorms_agree(x_shape: tuple[int, ...]) -> None:
    x = np.float32(3) + np.float32(2) * random_array("x", x_shape)
    gamma, beta = (random_array(name, x_shape[-1:]) for name in ("gamma", "beta"))
    dy = random_array("dy", x_shape)
    moving = [np.full(x_shape[-1:], value, np.float32) for value in (0.5, 1.5)]
    clear = plain.BatchNorm(gamma, beta, *moving, momentum=0.9, epsilon=1e-3)
    moving_mean, moving_variance = (values.copy() for values in moving)
    tuned = BatchNorm(
        x_shape,
        gamma,
        beta,
        moving_mean=moving_mean,
        moving_variance=moving_variance,
        momentum=0.9,
    )
    count = int(np.prod(x_shape[:-1]))
    for training in (False, True, False):  # the last sees the statistics of the one before
        y = clear.forward(x, training)
        assert y.dtype == np.float32
        assert_close(tuned.forward(x, training=training), y, terms=count)
        if training:
            dx = clear.backward(dy)
            got = tuned.backward(dy.copy())
            assert got is not None
            scale = float(np.max(np.abs(gamma)))
            assert_close(got, dx, terms=count, scale=scale)
            for own, wanted in zip((tuned.dgamma, tuned.dbeta), clear.gradients, strict=True):
                assert_close(own, wanted, terms=count)
    assert not np.array_equal(clear.moving_mean, moving[0])
    assert_close(moving_mean, clear.moving_mean, terms=count)


def test_plain_dense_relu_and_dropout() -> None:
    x, w, b, dy = (random_array(n, s) for n, s in zip("xwby", _DENSE, strict=True))
    dense = plain.Dense(w, b)
    x64, w64, b64, dy64 = float64(x, w, b, dy)
    assert_close(dense.forward(x), reference.dense_forward(x64, w64, b64), terms=w.shape[0])
    wanted = reference.dense_backward_input(dy64, w64)
    assert_close(dense.backward(dy), wanted, terms=w.shape[1])
    dw, db = dense.gradients
    assert_close(dw, reference.dense_backward_weights(x64, dy64), terms=len(x))
    assert_close(db, reference.bias_backward(dy64), terms=len(x))

    relu = plain.ReLU()
    values = np.array([[-1.0, 0.0, 2.0]], np.float32)
    np.testing.assert_array_equal(relu.forward(values), [[0.0, 0.0, 2.0]])
    np.testing.assert_array_equal(relu.backward(values + 5), [[0.0, 0.0, 7.0]])

    dropout, ones = plain.Dropout(0.3), np.ones((400, 100), np.float32)
    y = dropout.forward(ones)
    assert y.dtype == np.float32
    assert abs((y != 0).mean() - 0.7) < 0.02  # eight standard deviations
    np.testing.assert_allclose(y[y != 0], 1 / 0.7, rtol=1e-6)
    np.testing.assert_array_equal(dropout.backward(ones), y)
    for layer in (dropout, Dropout(ones.shape, 0.3)):
        assert layer.forward(ones, training=False) is ones
