"""The reference against values known from elsewhere: by hand, from papers, from tables."""

from __future__ import annotations

import ast
import itertools
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from convkit import reference
from convkit.reference.dropout import _philox4x32

Array = NDArray[Any]


ACTIVATIONS = (
    *("relu", "sigmoid", "tanh", "softmax", "gelu", "leaky_relu", "elu", "silu", "selu"),
    *("softplus", "softsign", "hard_sigmoid", "hard_silu", "exponential", "mish", "log_softmax"),
)


def test_conv2d_same_padding_follows_tensorflow() -> None:
    """An even plane with stride 2 is padded below and to the right only."""
    x = np.arange(16.0).reshape(1, 4, 4, 1)
    w = np.zeros((3, 3, 1, 1))
    w[0, 0] = 1
    y = reference.conv2d_forward(x, w, strides=2, padding="same")
    np.testing.assert_array_equal(y[0, :, :, 0], [[0, 2], [8, 10]])
    # Stride 1: one pixel on each side, so the first tap of the first window is padding.
    y = reference.conv2d_forward(x, w, padding="same")
    np.testing.assert_array_equal(y[0, 0, :, 0], [0, 0, 0, 0])
    np.testing.assert_array_equal(y[0, 1, :, 0], [0, 0, 1, 2])


def test_max_pool2d_takes_the_first_maximum_and_the_first_nan() -> None:
    nan, low = np.nan, -np.inf
    cases = [
        ([1, 3, 3, 2], 3, 1),
        ([0.0, -0.0, 0, 0], 0, 0),
        ([1, nan, 3, nan], nan, 1),
        ([nan, nan, nan, nan], nan, 0),
        ([low, low, low, low], low, 0),
        ([low, low, 5, low], 5, 2),
    ]
    for pixels, best, position in cases:
        x = np.array(pixels, np.float64).reshape(1, 2, 2, 1)
        y, indices = reference.max_pool2d_forward(x)
        np.testing.assert_array_equal(y.ravel(), [best])
        assert indices.ravel().tolist() == [position]
        assert indices.dtype == np.uint8
        dx = reference.max_pool2d_backward(np.full_like(y, 7), indices, x.shape)
        assert dx.ravel().tolist() == [7 * (k == position) for k in range(4)]


def test_pool2d_padding_never_counts() -> None:
    """Negative pixels at the border: a padding of zeros would win, or pull the mean up."""
    x = np.full((1, 3, 3, 1), -2.0)
    y, indices = reference.max_pool2d_forward(x, 3, strides=1, padding="same")
    assert (y == -2).all()
    assert indices[0, 0, 0, 0] == 4  # the window's centre is the first pixel that is real
    average = reference.average_pool2d_forward(x, 3, strides=1, padding="same")
    np.testing.assert_allclose(average, -2, rtol=1e-15)
    minus_infinity = np.full((1, 3, 3, 1), -np.inf)
    _, indices = reference.max_pool2d_forward(minus_infinity, 3, strides=1, padding="same")
    assert indices[0, 0, 0, 0] == 4
    with pytest.raises(ValueError, match="padding"):
        reference.max_pool2d_backward(
            y, np.zeros_like(indices), x.shape, 3, strides=1, padding="same"
        )


def test_batchnorm_statistics_and_moving_averages() -> None:
    x = np.array([[1.0, 10.0], [3.0, 10.0]])
    moving_mean, moving_variance = np.array([1.0, 0.0]), np.array([2.0, 4.0])
    y, mean, rstd = reference.batchnorm_forward(
        x, [1, 2], [0, 5], moving_mean, moving_variance, momentum=0.75, epsilon=0.5
    )
    np.testing.assert_allclose(mean, [2, 10])
    np.testing.assert_allclose(rstd, [1 / math.sqrt(1.5), 1 / math.sqrt(0.5)])
    np.testing.assert_allclose(y, [[-1 / math.sqrt(1.5), 5], [1 / math.sqrt(1.5), 5]])
    np.testing.assert_allclose(reference.batchnorm_apply(x, [1, 2], [0, 5], mean, rstd), y)
    # The batch's population variances are 1 and 0.
    np.testing.assert_allclose(moving_mean, [1.25, 2.5])
    np.testing.assert_allclose(moving_variance, [1.75, 3.0])
    y = reference.batchnorm_inference(x, [1, 2], [0, 5], [1, 8], [3.5, 0], epsilon=0.5)
    np.testing.assert_allclose(
        y, [[0, 2 * 2 / math.sqrt(0.5) + 5], [1, 2 * 2 / math.sqrt(0.5) + 5]]
    )


def test_activation_values() -> None:
    """Values from tables of the normal distribution and from the formulas at easy points."""
    np.testing.assert_allclose(
        reference.gelu_forward([1.0, -1.0, 2.0]),
        [0.8413447460685429, -0.15865525393145707, 1.9544997361036416],
        rtol=1e-14,
    )
    np.testing.assert_allclose(
        reference.gelu_forward([1.0], approximate=True), [0.8411919906082768], rtol=1e-12
    )
    np.testing.assert_allclose(reference.sigmoid_forward([0, math.log(3), -1000]), [0.5, 0.75, 0])
    np.testing.assert_allclose(
        reference.softmax_forward([[1000, 1000 + math.log(3)]]), [[0.25, 0.75]]
    )
    np.testing.assert_allclose(reference.elu_forward([-math.log(2), 2], alpha=4), [-2, 2])
    np.testing.assert_allclose(reference.leaky_relu_forward([-5, 5]), [-1, 5])
    x = [-np.inf, -2.0, 0.0, 1.0, 1.5, 3.0, 9.0, np.inf]
    np.testing.assert_array_equal(reference.relu_forward(x, max_value=6), np.clip(x, 0, 6))
    # Keras's own words: x >= max_value, threshold <= x < max_value, and the rest.
    given = {"max_value": 4.0, "negative_slope": 0.5, "threshold": 1.0}
    expected = [-np.inf, -1.5, -0.5, 0.0, 1.5, 3.0, 4.0, 4.0]
    np.testing.assert_array_equal(reference.relu_forward(x, **given), expected)
    assert np.isnan(reference.relu_forward([np.nan], max_value=6)).all()
    dx = reference.relu_backward(np.ones(8), expected, max_value=4.0, negative_slope=0.5)
    np.testing.assert_array_equal(dx, [0.5, 0.5, 0.5, 0.5, 1, 1, 0, 0])
    assert np.isnan(reference.relu_forward([np.nan])).all()
    assert reference.relu_backward([1.0, 1.0, 1.0], [0.0, -0.0, 2.0]).tolist() == [0, 0, 1]


def test_values_of_smooth_and_hard_activations() -> None:
    """From the formulas at easy points."""
    x = [-math.log(3), 0.0, math.log(3)]
    np.testing.assert_allclose(
        reference.silu_forward(x), [-math.log(3) / 4, 0, 3 * math.log(3) / 4], rtol=1e-14
    )
    np.testing.assert_allclose(
        reference.softplus_forward(x), [math.log(4 / 3), math.log(2), math.log(4)], rtol=1e-14
    )
    # e^softplus is 1 + e^x: 4 / 3, 2 and 4, and tanh of a logarithm is (u^2 - 1) / (u^2 + 1).
    np.testing.assert_allclose(
        reference.mish_forward(x), [-math.log(3) * 7 / 25, 0, math.log(3) * 15 / 17], rtol=1e-14
    )
    np.testing.assert_allclose(
        reference.selu_forward([-math.log(2), 1.0]), [-0.8790496704236883, 1.0507009873554805]
    )
    np.testing.assert_allclose(reference.softsign_forward([-3.0, 0, 1]), [-0.75, 0, 0.5])
    points = [-np.inf, -4.0, -3, -1.5, 0, 1.5, 3, 4, np.inf]
    hard = [0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1]
    np.testing.assert_allclose(reference.hard_sigmoid_forward(points), hard)
    np.testing.assert_allclose(
        reference.hard_silu_forward(points), [0, 0, 0, -0.375, 0, 1.125, 3, 4, np.inf]
    )
    np.testing.assert_allclose(reference.exponential_forward(x), [1 / 3, 1, 3])
    np.testing.assert_allclose(
        reference.log_softmax_forward([[1000, 1000 + math.log(3)]]), [np.log([0.25, 0.75])]
    )
    np.testing.assert_allclose(
        reference.prelu_forward([[-2.0, -2], [3, -1]], [0.5, 2]), [[-1, -4], [3, -2]]
    )


def test_loss_values() -> None:
    losses, _, _ = reference.softmax_cross_entropy(np.zeros((2, 10)), [3, 9])
    np.testing.assert_allclose(losses, math.log(10))
    # A class that is certainly wrong costs log(1e7) and no more; a certain right one nothing.
    losses, dprobs = reference.cross_entropy([[1.0, 0.0], [0.0, 1.0]], [1, 1])
    np.testing.assert_allclose(losses, [-math.log(1e-7), -math.log(1 - 1e-7)])
    assert np.isfinite(dprobs).all()
    losses, dlogits = reference.softmax_cross_entropy([[1e4, -1e4]], [1])[::2]
    np.testing.assert_allclose(losses, [2e4])
    np.testing.assert_allclose(dlogits, [[1, -1]])
    with pytest.raises(ValueError, match="10"):
        reference.softmax_cross_entropy(np.zeros((2, 10)), [3, 10])


def test_count_correct() -> None:
    y = np.array([[1, 2, 2], [5, 4, 3], [0, 0, 1], [7, 7, 7]])
    assert reference.count_correct(y, [1, 0, 2, 0]) == 4  # ties go to the first
    assert reference.count_correct(y, [[2], [0], [0], [1]]) == 1
    assert reference.count_correct(y, np.eye(3)[[1, 1, 2, 2]]) == 2


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (0xFFFFFFFF,) * 4,
            (0xFFFFFFFF,) * 2,
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_known_answers(
    counter: tuple[int, int, int, int], key: tuple[int, int], words: tuple[int, ...]
) -> None:
    """The known-answer vectors that are published with Random123 (philox4x32, 10 rounds)."""
    c0, c1, c2, c3 = (np.array([word], np.uint64) for word in counter)
    assert _philox4x32((c0, c1, c2, c3), key)[0].tolist() == list(words)


def test_dropout_uses_the_first_philox_block_as_documented() -> None:
    # The words above for counter 0, key 0; in 24 bits, as fractions: 0.40, 0.88, 0.74, 0.61.
    words = (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    for rate in (0.0, 0.25, 0.5, 0.7, 0.8, 0.95):
        y = reference.dropout_forward(np.ones(4), rate, seed=0)
        kept = [word / 2**32 >= rate for word in words]
        np.testing.assert_allclose(y, np.where(kept, 1 / (1 - rate), 0), rtol=1e-7)


def test_dropout_masks(rng: np.random.Generator) -> None:
    x = np.ones(100_000)
    y = reference.dropout_forward(x, 0.3, seed=2**63 + 5, offset=2**40)
    # Five standard deviations of a binomial of 100,000 draws are 0.7 %.
    assert abs((y > 0).mean() - 0.7) < 0.007
    np.testing.assert_array_equal(
        y, reference.dropout_backward(x, 0.3, seed=2**63 + 5, offset=2**40)
    )
    # A mask is a prefix of every longer mask, and others come from another seed or offset.
    for count in (1, 2, 3, 4, 5, 999):
        short = reference.dropout_forward(x[:count], 0.3, seed=2**63 + 5, offset=2**40)
        np.testing.assert_array_equal(short, y[:count])
    for seed, offset in ((2**63 + 6, 2**40), (5, 2**40), (2**63 + 5, 2**40 + 1), (2**63 + 5, 0)):
        other = reference.dropout_forward(x, 0.3, seed=seed, offset=offset)
        assert abs(((other > 0) & (y > 0)).mean() - 0.49) < 0.01


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_keras_formula(momentum: float, nesterov: bool, rng: np.random.Generator) -> None:
    w, velocity = rng.standard_normal(5), np.zeros(5)
    expected_w, expected_velocity = w.copy(), np.zeros(5)
    for _ in range(3):
        g = rng.standard_normal(5)
        reference.sgd_update(
            w,
            g,
            velocity,
            learning_rate=0.1,
            momentum=momentum,
            nesterov=nesterov,
            weight_decay=0.01,
        )
        for i in range(5):
            expected_w[i] -= 0.1 * 0.01 * expected_w[i]
            expected_velocity[i] = momentum * expected_velocity[i] - 0.1 * g[i]
            if nesterov and momentum:
                expected_w[i] += momentum * expected_velocity[i] - 0.1 * g[i]
            else:
                expected_w[i] += expected_velocity[i]
    np.testing.assert_allclose(w, expected_w, rtol=1e-14)
    if momentum:
        np.testing.assert_allclose(velocity, expected_velocity, rtol=1e-14)


def test_adam_is_algorithm_1_with_epsilon_hat(rng: np.random.Generator) -> None:
    """With bias-corrected moments, and epsilon scaled to match the paper's "epsilon hat"."""
    w, m, v = rng.standard_normal(4), np.zeros(4), np.zeros(4)
    expected, m_sum, v_sum = w.copy(), np.zeros(4), np.zeros(4)
    rate, b1, b2, epsilon, decay = 0.01, 0.8, 0.95, 1e-3, 0.1
    for step in range(1, 6):
        g = rng.standard_normal(4)
        reference.adam_update(
            w,
            g,
            m,
            v,
            learning_rate=rate,
            beta_1=b1,
            beta_2=b2,
            epsilon=epsilon,
            step=step,
            weight_decay=decay,
        )
        m_sum = b1 * m_sum + (1 - b1) * g
        v_sum = b2 * v_sum + (1 - b2) * g**2
        corrected_m, corrected_v = m_sum / (1 - b1**step), v_sum / (1 - b2**step)
        epsilon_of_paper = epsilon / math.sqrt(1 - b2**step)
        expected *= 1 - rate * decay
        expected -= rate * corrected_m / (np.sqrt(corrected_v) + epsilon_of_paper)
    np.testing.assert_allclose(w, expected, rtol=1e-12)


def test_gather() -> None:
    source = np.arange(12, dtype=np.uint8).reshape(4, 3)
    rows = reference.gather(source, [3, 0, 3], scale=0.5)
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, [[4.5, 5, 5.5], [0, 0.5, 1], [4.5, 5, 5.5]])
    with pytest.raises(ValueError, match="4"):
        reference.gather(source, [4])
    with pytest.raises(ValueError, match="-1"):
        reference.gather(source, [-1])


def test_dtypes_are_kept() -> None:
    """float32 stays float32, float64 and integers are computed in float64."""
    for given, expected in ((np.float32, np.float32), (np.float64, np.float64), (int, np.float64)):
        images, kernel = np.ones((1, 4, 4, 2), given), np.ones((3, 3, 2, 2), given)
        rows, vector = np.ones((2, 2), given), np.ones(2, given)
        moving = np.ones(2, expected)
        results = itertools.chain(
            [reference.conv2d_forward(images, kernel, vector)],
            [reference.conv2d_backward_input(images[:, :2, :2], kernel, (1, 4, 4, 2))],
            [reference.conv2d_backward_weights(images, images[:, :2, :2], (3, 3, 2, 2))],
            [reference.max_pool2d_forward(images)[0]],
            [reference.average_pool2d_forward(images)],
            [reference.average_pool2d_backward(images, (1, 8, 8, 2))],
            [reference.global_average_pool2d_forward(images)],
            [reference.global_average_pool2d_backward(rows, (2, 3, 3, 2))],
            reference.batchnorm_forward(images, vector, vector, moving, moving.copy()),
            [reference.batchnorm_inference(images, vector, vector, moving, moving)],
            reference.batchnorm_backward(images, images, vector, vector, moving, moving),
            [reference.dense_forward(rows, rows, vector)],
            reference.softmax_cross_entropy(rows, [0, 1]),
            reference.cross_entropy(rows, [0, 1]),
            reference.mean_squared_error(rows, rows),
            [reference.dropout_forward(rows, 0.5, seed=1)],
            *([getattr(reference, f"{name}_forward")(rows)] for name in ACTIVATIONS),
            *([getattr(reference, f"{name}_backward")(rows, rows)] for name in ACTIVATIONS),
        )
        for position, result in enumerate(results):
            assert result.dtype == expected, f"result {position} for {given}"


def test_reference_imports_numpy_alone() -> None:
    folder = Path(reference.__file__).parent
    files = sorted(folder.glob("*.py"))
    assert len(files) > 10
    allowed = {*sys.stdlib_module_names, "numpy"}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed, file.name
            elif isinstance(node, ast.ImportFrom):
                # One dot stays inside the package.
                root = (node.module or "").split(".")[0]
                assert node.level == 1 or (node.level == 0 and root in allowed), file.name
