"""The reference against finite differences in float64, and convolution against its definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from convkit import reference

Array = NDArray[Any]


STEP = 1e-6


def numeric_gradient(function: Callable[[Array], float], x: Array) -> Array:
    """Return the gradient of a scalar function of x by central differences.

    With steps of 1e-6 the cut-off error is about 1e-12 and the rounding error about
    1e-16 * |function| / 1e-6, so seven digits can be asked for.
    """
    gradient = np.zeros_like(x)
    for position in np.ndindex(x.shape):
        values = []
        for sign in (1, -1):
            moved = x.copy()
            moved[position] += sign * STEP
            values.append(function(moved))
        gradient[position] = (values[0] - values[1]) / (2 * STEP)
    return gradient


def assert_gradient(analytic: Array, function: Callable[[Array], float], x: Array) -> None:
    assert analytic.dtype == np.float64
    numeric = numeric_gradient(function, x)
    np.testing.assert_allclose(analytic, numeric, rtol=1e-6, atol=1e-7 * np.abs(numeric).max())


def away_from_zero(x: Array) -> Array:
    """Push the numbers of x off the kink at zero."""
    return x + np.where(x < 0, -0.05, 0.05)


CONV_GRADIENT_CASES: list[tuple[Any, ...]] = [
    ((2, 4, 5, 3), (3, 3, 3, 2), {}),
    ((1, 4, 5, 2), (3, 2, 2, 3), {"padding": "same"}),
    ((1, 6, 5, 2), (3, 3, 2, 2), {"padding": "same", "strides": 2}),
    ((1, 7, 8, 2), (2, 3, 2, 2), {"strides": (3, 2), "dilation": (2, 1)}),
    ((1, 4, 4, 4), (3, 3, 2, 6), {"groups": 2, "padding": ((2, 0), (1, 3))}),
    ((1, 4, 4, 3), (3, 3, 1, 6), {"groups": 3, "padding": "same", "dilation": 2}),
]


@pytest.mark.parametrize(("x_shape", "w_shape", "options"), CONV_GRADIENT_CASES)
def test_conv2d_gradients(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    options: dict[str, Any],
    rng: np.random.Generator,
) -> None:
    x, w = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    dy = rng.standard_normal(reference.conv2d_output_shape(x_shape, w_shape, **options))

    def loss(x: Array, w: Array) -> float:
        return float((reference.conv2d_forward(x, w, **options) * dy).sum())

    dx = reference.conv2d_backward_input(dy, w, x_shape, **options)
    dw = reference.conv2d_backward_weights(x, dy, w_shape, **options)
    assert_gradient(dx, lambda x: loss(x, w), x)
    assert_gradient(dw, lambda w: loss(x, w), w)


@pytest.mark.parametrize(("x_shape", "w_shape", "options"), CONV_GRADIENT_CASES)
def test_conv2d_is_its_definition(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    options: dict[str, Any],
    rng: np.random.Generator,
) -> None:
    """Compare with the definition's loops, pixel by pixel, without any padding of arrays."""
    x, w = rng.standard_normal(x_shape), rng.standard_normal(w_shape)
    y = reference.conv2d_forward(x, w, **options)
    _, height, width, _ = x_shape
    kernel_h, kernel_w, group_channels, oc = w_shape
    sh, sw = np.broadcast_to(options.get("strides", 1), 2)
    dh, dw = np.broadcast_to(options.get("dilation", 1), 2)
    padding = options.get("padding", "valid")
    if padding == "valid":
        top, left = 0, 0
    elif padding == "same":
        top = max((y.shape[1] - 1) * sh + (kernel_h - 1) * dh + 1 - height, 0) // 2
        left = max((y.shape[2] - 1) * sw + (kernel_w - 1) * dw + 1 - width, 0) // 2
    else:
        top, left = padding[0][0], padding[1][0]
    outputs_per_group = oc // options.get("groups", 1)
    expected = np.zeros_like(y)
    for n, i, j, o in np.ndindex(y.shape):
        first = o // outputs_per_group * group_channels
        for kh, kw, c in np.ndindex(kernel_h, kernel_w, group_channels):
            row, column = i * sh + kh * dh - top, j * sw + kw * dw - left
            if 0 <= row < height and 0 <= column < width:
                expected[n, i, j, o] += x[n, row, column, first + c] * w[kh, kw, c, o]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


def test_conv2d_bias_and_relu(rng: np.random.Generator) -> None:
    x, w, b = rng.standard_normal((2, 4, 4, 3)), rng.standard_normal((3, 3, 3, 5)), np.arange(5.0)
    plain = reference.conv2d_forward(x, w)
    np.testing.assert_array_equal(reference.conv2d_forward(x, w, b), plain + b)
    y = reference.conv2d_forward(x, w, b, activation="relu")
    np.testing.assert_array_equal(y, np.maximum(plain + b, 0))
    assert (y == 0).any()
    assert (y > 0).any()


POOL_CASES: list[tuple[Any, ...]] = [
    ((2, 4, 5, 2), (2, 2), {}),
    ((1, 5, 6, 2), (3, 3), {"strides": (2, 2), "padding": "same"}),
    ((1, 5, 5, 2), (2, 3), {"strides": (1, 2)}),
    ((1, 4, 5, 2), (3, 3), {"strides": 2, "padding": ((2, 1), (0, 2))}),
]


@pytest.mark.parametrize(("x_shape", "pool_size", "options"), POOL_CASES)
def test_pool2d_gradients(
    x_shape: tuple[int, ...],
    pool_size: tuple[int, int],
    options: dict[str, Any],
    rng: np.random.Generator,
) -> None:
    # Distinct values 0.01 apart: no step of the finite difference changes who is the maximum.
    x = rng.permutation(np.arange(math.prod(x_shape)) * 0.01).reshape(x_shape)
    dy = rng.standard_normal(reference.pool2d_output_shape(x_shape, pool_size, **options))
    _, indices = reference.max_pool2d_forward(x, pool_size, **options)
    assert_gradient(
        reference.max_pool2d_backward(dy, indices, x_shape, pool_size, **options),
        lambda x: float((reference.max_pool2d_forward(x, pool_size, **options)[0] * dy).sum()),
        x,
    )
    assert_gradient(
        reference.average_pool2d_backward(dy, x_shape, pool_size, **options),
        lambda x: float((reference.average_pool2d_forward(x, pool_size, **options) * dy).sum()),
        x,
    )


def test_global_pool2d_gradients(rng: np.random.Generator) -> None:
    shape = (2, 3, 4, 3)
    x = rng.permutation(np.arange(math.prod(shape)) * 0.01).reshape(shape)
    dy = rng.standard_normal((2, 3))
    assert_gradient(
        reference.global_average_pool2d_backward(dy, shape),
        lambda x: float((reference.global_average_pool2d_forward(x) * dy).sum()),
        x,
    )
    _, indices = reference.global_max_pool2d_forward(x)
    assert_gradient(
        reference.global_max_pool2d_backward(dy, indices, shape),
        lambda x: float((reference.global_max_pool2d_forward(x)[0] * dy).sum()),
        x,
    )


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("shape", [(6, 3), (2, 3, 2, 3)])
def test_batchnorm_gradients(
    shape: tuple[int, ...], activation: str | None, rng: np.random.Generator
) -> None:
    x, dy = rng.standard_normal(shape) * 2 + 1, rng.standard_normal(shape)
    gamma, beta = rng.standard_normal(3) + 2, rng.standard_normal(3) * 0.3

    def forward(x: Array, gamma: Array, beta: Array) -> tuple[Array, Array, Array]:
        return reference.batchnorm_forward(
            x, gamma, beta, np.zeros(3), np.ones(3), activation=activation
        )

    def loss(x: Array, gamma: Array, beta: Array) -> float:
        return float((forward(x, gamma, beta)[0] * dy).sum())

    y, mean, rstd = forward(x, gamma, beta)
    assert activation is None or (y == 0).any()
    dx, dgamma, dbeta = reference.batchnorm_backward(
        dy, x, gamma, beta, mean, rstd, activation=activation
    )
    assert_gradient(dx, lambda x: loss(x, gamma, beta), x)
    assert_gradient(dgamma, lambda gamma: loss(x, gamma, beta), gamma)
    assert_gradient(dbeta, lambda beta: loss(x, gamma, beta), beta)


def test_dense_gradients(rng: np.random.Generator) -> None:
    x, w, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 5)), rng.standard_normal(5)
    dy = rng.standard_normal((3, 5))

    def loss(x: Array, w: Array, b: Array) -> float:
        return float((reference.dense_forward(x, w, b) * dy).sum())

    assert_gradient(reference.dense_backward_input(dy, w), lambda x: loss(x, w, b), x)
    assert_gradient(reference.dense_backward_weights(x, dy), lambda w: loss(x, w, b), w)
    assert_gradient(reference.bias_backward(dy), lambda b: loss(x, w, b), b)
    # The bias gradient serves convolutions too.
    images = rng.standard_normal((2, 3, 4, 5))
    np.testing.assert_allclose(reference.bias_backward(images), images.sum((0, 1, 2)))


ACTIVATIONS: dict[str, tuple[Callable[..., Array], Callable[..., Array], str, dict[str, Any]]] = {
    "relu": (reference.relu_forward, reference.relu_backward, "y", {}),
    **{
        f"relu-{i}": (reference.relu_forward, reference.relu_backward, "y", options)
        for i, options in enumerate(
            [
                {"max_value": 1.5},
                {"negative_slope": 0.3},
                {"threshold": 0.7},
                {"max_value": 0.0, "negative_slope": 0.3},
                {"max_value": 1.5, "negative_slope": 0.3, "threshold": 0.7},
                {"max_value": 0.4, "threshold": 0.7},
            ]
        )
    },
    "sigmoid": (reference.sigmoid_forward, reference.sigmoid_backward, "y", {}),
    "tanh": (reference.tanh_forward, reference.tanh_backward, "y", {}),
    "softmax": (reference.softmax_forward, reference.softmax_backward, "y", {}),
    "gelu": (reference.gelu_forward, reference.gelu_backward, "x", {}),
    "gelu-tanh": (
        reference.gelu_forward,
        reference.gelu_backward,
        "x",
        {"approximate": True},
    ),
    "leaky_relu": (
        reference.leaky_relu_forward,
        reference.leaky_relu_backward,
        "x",
        {"negative_slope": 0.3},
    ),
    "elu": (reference.elu_forward, reference.elu_backward, "y", {"alpha": 1.7}),
    "silu": (reference.silu_forward, reference.silu_backward, "x", {}),
    "selu": (reference.selu_forward, reference.selu_backward, "y", {}),
    "softplus": (reference.softplus_forward, reference.softplus_backward, "y", {}),
    "softsign": (reference.softsign_forward, reference.softsign_backward, "y", {}),
    "hard_sigmoid": (reference.hard_sigmoid_forward, reference.hard_sigmoid_backward, "y", {}),
    "hard_silu": (reference.hard_silu_forward, reference.hard_silu_backward, "x", {}),
    "exponential": (reference.exponential_forward, reference.exponential_backward, "y", {}),
    "mish": (reference.mish_forward, reference.mish_backward, "x", {}),
    "log_softmax": (reference.log_softmax_forward, reference.log_softmax_backward, "y", {}),
}
# Where a hard function bends, besides its options.
BENDS = {"hard_sigmoid": (-3.0, 3.0), "hard_silu": (-3.0, 3.0)}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_gradients(name: str, rng: np.random.Generator) -> None:
    forward, backward, takes, options = ACTIVATIONS[name]
    x = away_from_zero(rng.standard_normal((4, 7)) * 2)
    # At its threshold ReLU jumps, at its bound it bends.
    bends = (options.get("threshold", 0.0), options.get("max_value", 0.0))
    for bend in (*bends, *BENDS.get(name, ())):
        x = bend + away_from_zero(x - bend)
    dy = rng.standard_normal(x.shape)
    other = forward(x, **options) if takes == "y" else x
    assert_gradient(
        backward(dy, other, **options), lambda x: float((forward(x, **options) * dy).sum()), x
    )


LOSS_LABELS: dict[str, Any] = {
    "integers": np.array([2, 0, 1]),
    "column": np.array([[2], [0], [1]]),
    "one-hot": np.eye(4)[[2, 0, 1]],
    "smoothed": np.eye(4)[[2, 0, 1]] * 0.9 + 0.025,
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labels", LOSS_LABELS)
def test_cross_entropy_gradients(labels: str, weighted: bool, rng: np.random.Generator) -> None:
    target = LOSS_LABELS[labels]
    weights = np.array([0.5, 2.0, 0.0]) if weighted else None
    logits = rng.standard_normal((3, 4))
    losses, probs, dlogits = reference.softmax_cross_entropy(logits, target, sample_weight=weights)
    np.testing.assert_allclose(probs, reference.softmax_forward(logits))

    def of_logits(logits: Array) -> float:
        return float(
            reference.softmax_cross_entropy(logits, target, sample_weight=weights)[0].mean()
        )

    def of_probs(probs: Array) -> float:
        return float(reference.cross_entropy(probs, target, sample_weight=weights)[0].mean())

    assert_gradient(dlogits, of_logits, logits)
    from_probs, dprobs = reference.cross_entropy(probs, target, sample_weight=weights)
    np.testing.assert_allclose(from_probs, losses)
    # Rows that do not sum to one show that the gradient goes through the division.
    unnormalised = rng.uniform(0.2, 2, (3, 4))
    assert_gradient(dprobs, of_probs, probs)
    assert_gradient(
        reference.cross_entropy(unnormalised, target, sample_weight=weights)[1],
        of_probs,
        unnormalised,
    )


@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 3, 2, 2)])
def test_mean_squared_error_gradient(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    y, target = rng.standard_normal(shape), rng.standard_normal(shape)
    weights = rng.uniform(0, 2, shape[0])
    losses, dy = reference.mean_squared_error(y, target, sample_weight=weights)
    for n in range(shape[0]):
        np.testing.assert_allclose(losses[n], weights[n] * np.mean((y[n] - target[n]) ** 2))
    assert_gradient(
        dy,
        lambda y: float(reference.mean_squared_error(y, target, sample_weight=weights)[0].mean()),
        y,
    )


@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 3, 2, 2)])
def test_mean_absolute_error_gradient(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    target = rng.standard_normal(shape)
    y, weights = target + away_from_zero(rng.standard_normal(shape)), rng.uniform(0, 2, shape[0])
    losses, dy = reference.mean_absolute_error(y, target, sample_weight=weights)
    for n in range(shape[0]):
        np.testing.assert_allclose(losses[n], weights[n] * np.mean(np.abs(y[n] - target[n])))
    assert_gradient(
        dy,
        lambda y: float(reference.mean_absolute_error(y, target, sample_weight=weights)[0].mean()),
        y,
    )


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_binary_cross_entropy_gradient(
    from_logits: bool, smoothing: float, rng: np.random.Generator
) -> None:
    shape = (4, 3)
    y = rng.standard_normal(shape) if from_logits else rng.uniform(0.1, 0.9, shape)
    target, weights = rng.uniform(0, 1, shape), rng.uniform(0, 2, shape[0])

    def losses_and_gradient(y: Array) -> tuple[Array, Array]:
        return reference.binary_cross_entropy(
            y, target, from_logits=from_logits, label_smoothing=smoothing, sample_weight=weights
        )

    losses, dy = losses_and_gradient(y)
    p = 1 / (1 + np.exp(-y)) if from_logits else y
    t = target * (1 - smoothing) + 0.5 * smoothing
    plain = -t * np.log(p) - (1 - t) * np.log(1 - p)
    np.testing.assert_allclose(losses, weights * plain.mean(axis=1))
    assert_gradient(dy, lambda y: float(losses_and_gradient(y)[0].mean()), y)


def test_zero_padding2d_gradient(rng: np.random.Generator) -> None:
    padding, x = ((1, 0), (2, 3)), rng.standard_normal((2, 3, 2, 2))
    dy = rng.standard_normal((2, 4, 7, 2))
    assert_gradient(
        reference.zero_padding2d_backward(dy, padding),
        lambda x: float((reference.zero_padding2d_forward(x, padding) * dy).sum()),
        x,
    )


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 1)])
def test_upsampling2d_gradient(
    size: tuple[int, int], interpolation: str, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((2, 3, 2, 2))
    dy = rng.standard_normal((2, 3 * size[0], 2 * size[1], 2))
    assert_gradient(
        reference.upsampling2d_backward(dy, size, interpolation=interpolation),
        lambda x: float(
            (reference.upsampling2d_forward(x, size, interpolation=interpolation) * dy).sum()
        ),
        x,
    )


def test_gradients_through_noise(rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 3, 2, 4)), rng.standard_normal((2, 3, 2, 4))
    for name in ("spatial_dropout2d", "gaussian_dropout"):
        forward, backward = (getattr(reference, f"{name}_{way}") for way in ("forward", "backward"))
        assert_gradient(
            backward(dy, 0.5, seed=3, step=2),
            lambda x, forward=forward: float((forward(x, 0.5, seed=3, step=2) * dy).sum()),
            x,
        )
    assert_gradient(
        reference.gaussian_noise_backward(dy),
        lambda x: float((reference.gaussian_noise_forward(x, 0.5, seed=3) * dy).sum()),
        x,
    )


@pytest.mark.parametrize("alpha_shape", [(4, 5, 3), (1, 1, 3), (4, 1, 3), (4, 5, 1), (1, 1, 1)])
def test_prelu_gradients(alpha_shape: tuple[int, ...], rng: np.random.Generator) -> None:
    x = away_from_zero(rng.standard_normal((2, 4, 5, 3)))
    alpha, dy = rng.standard_normal(alpha_shape), rng.standard_normal(x.shape)

    def loss(x: Array, alpha: Array) -> float:
        return float((reference.prelu_forward(x, alpha) * dy).sum())

    assert_gradient(reference.prelu_backward_input(dy, x, alpha), lambda x: loss(x, alpha), x)
    dalpha = reference.prelu_backward_alpha(dy, x, alpha_shape)
    assert_gradient(dalpha, lambda alpha: loss(x, alpha), alpha)


def test_rescaling_gradient(rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 3, 4))
    scale, offset = rng.standard_normal(4), rng.standard_normal(4)
    assert_gradient(
        reference.rescaling_backward(dy, scale),
        lambda x: float((reference.rescaling_forward(x, scale, offset) * dy).sum()),
        x,
    )


MERGE_CASES: list[tuple[tuple[int, ...], ...]] = [
    ((2, 3, 4), (2, 3, 4)),
    ((2, 3, 2, 3), (2, 1, 1, 3)),
    ((2, 1, 3), (2, 4, 1), (2, 4, 3)),
    ((2, 3, 4), (4,), ()),
]


@pytest.mark.parametrize("shapes", MERGE_CASES)
@pytest.mark.parametrize("name", ["add", "multiply", "average", "maximum", "minimum", "subtract"])
def test_merge_gradients(
    name: str, shapes: tuple[tuple[int, ...], ...], rng: np.random.Generator
) -> None:
    shapes = shapes[:2] if name == "subtract" else shapes
    # Distinct values 0.01 apart, as for pools: no step changes which array has the largest.
    sizes = [math.prod(shape) for shape in shapes]
    values = rng.permutation(np.arange(sum(sizes)) * 0.01 - 0.5)
    pieces = np.split(values, np.cumsum(sizes)[:-1])
    arrays = [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]
    dy = rng.standard_normal(np.broadcast_shapes(*shapes))
    for k, shape in enumerate(shapes):

        def loss(x: Array, k: int = k) -> float:
            y = getattr(reference, name)(*arrays[:k], x, *arrays[k + 1 :])
            return float(((y[0] if isinstance(y, tuple) else y) * dy).sum())

        if name == "multiply":
            others = [array for j, array in enumerate(arrays) if j != k]
            dx = reference.multiply_backward(dy, shape, *others)
        elif name in ("maximum", "minimum"):
            dx = reference.maximum_backward(dy, getattr(reference, name)(*arrays)[1], k, shape)
        else:
            divisor = {"average": float(len(shapes)), "subtract": 1.0 - 2 * k}.get(name, 1.0)
            dx = reference.add_backward(dy, shape, divisor=divisor)
        assert_gradient(np.asarray(dx), loss, arrays[k])


@pytest.mark.parametrize("axis", [1, 2, -1])
def test_concatenate_gradients(axis: int, rng: np.random.Generator) -> None:
    arrays = [rng.standard_normal((2, 3, 2)) for _ in range(3)]
    dy = rng.standard_normal(reference.concatenate(arrays, axis).shape)
    for k, x in enumerate(arrays):

        def loss(x: Array, k: int = k) -> float:
            y = reference.concatenate([*arrays[:k], x, *arrays[k + 1 :]], axis)
            return float((y * dy).sum())

        begin = k * x.shape[axis]
        assert_gradient(reference.concatenate_backward(dy, x.shape, begin, axis), loss, x)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("kind", ["layernorm", "groupnorm"])
def test_normalisation_gradients(kind: str, scaled: bool, rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 3, 2, 6)), rng.standard_normal((2, 3, 2, 6))
    gamma, beta = rng.standard_normal(6), rng.standard_normal(6)
    options = {"epsilon": 0.1, **({"groups": 3} if kind == "groupnorm" else {})}
    forward, backward = (getattr(reference, f"{kind}_{way}") for way in ("forward", "backward"))

    def loss(x: Array, gamma: Array | None, beta: Array) -> float:
        return float((forward(x, gamma, beta, **options)[0] * dy).sum())

    given = gamma if scaled else None
    _, mean, rstd = forward(x, given, beta, **options)
    gradients = {"dx": np.empty_like(x), "dgamma": np.empty(6), "dbeta": np.empty(6)}
    backward(dy, x, given, mean, rstd, **gradients)
    assert_gradient(gradients["dx"], lambda x: loss(x, given, beta), x)
    assert_gradient(gradients["dbeta"], lambda beta: loss(x, given, beta), beta)
    if scaled:
        assert_gradient(gradients["dgamma"], lambda gamma: loss(x, gamma, beta), gamma)


def test_normalization_gradient(rng: np.random.Generator) -> None:
    x, dy = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 3, 4))
    mean, scale = rng.standard_normal(4), rng.standard_normal(4)
    assert_gradient(
        reference.normalization_backward(dy, scale),
        lambda x: float((reference.normalization_forward(x, mean, scale) * dy).sum()),
        x,
    )
