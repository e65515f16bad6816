"""Losses, their gradients and the count of right answers, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compare import (
    Array,
    all_float64,
    assert_close,
    assert_elementwise,
    assert_out_is_used,
    assert_same_bits,
    assert_threads_agree,
    float64,
    random_array,
)
from convkit import ops, reference

SHAPES = (
    *((3, classes) for classes in range(1, 34)),
    (1, 10),
    (32, 10),
    (257, 10),
    (33, 100),
    (5, 1000),
)
KINDS = ("integers", "column", "one-hot", "smoothed")

every_kind = pytest.mark.parametrize("kind", KINDS)


def make_labels(kind: str, shape: tuple[int, int]) -> Array:
    count, classes = shape
    labels = np.random.default_rng(classes).integers(0, classes, count)
    if kind == "integers":
        return labels
    if kind == "column":
        return labels[:, None].astype(np.uint8 if classes < 256 else np.int32)
    hot = np.eye(classes, dtype=np.float32)[labels]
    return hot if kind == "one-hot" else hot * np.float32(0.9) + np.float32(0.1 / classes)


def make_weights(count: int) -> Array:
    weights = np.random.default_rng(count).uniform(0, 2, count).astype(np.float32)
    weights[0] = 0
    return weights


def compare_losses(actual: Array, expected: Array, classes: int) -> None:
    # log(sum(exp)) of numbers up to 30: an eps of each, and of the sum's sqrt(classes) roundings.
    assert_close(actual, expected, terms=classes, scale=max(1.0, float(np.abs(expected).max())))


@every_kind
@pytest.mark.usefixtures("isa", "threads")
def test_softmax_cross_entropy(kind: str) -> None:
    for shape in SHAPES:
        logits, labels = 5 * random_array("logits", shape), make_labels(kind, shape)
        for weights in (None, make_weights(shape[0])):
            results = ops.softmax_cross_entropy(logits, labels, sample_weight=weights)
            expected = reference.softmax_cross_entropy(
                float64(logits), labels, sample_weight=weights
            )
            compare_losses(results[0], expected[0], shape[1])
            assert_close(results[1], expected[1], terms=shape[1], scale=1)
            assert_close(results[2], expected[2], terms=shape[1], scale=2 / shape[0])


@every_kind
@pytest.mark.usefixtures("isa", "threads")
def test_cross_entropy(kind: str) -> None:
    for shape in SHAPES:
        probs = np.abs(random_array("probs", shape)) + np.float32(0.05)
        labels = make_labels(kind, shape)
        for weights in (None, make_weights(shape[0])):
            losses, dprobs = ops.cross_entropy(probs, labels, sample_weight=weights)
            expected = reference.cross_entropy(float64(probs), labels, sample_weight=weights)
            if shape[1] == 1:
                # The one probability is 1, which the clip turns into 1 - 1e-7: eps away.
                assert np.abs(losses).max() <= 4e-7
                continue
            compare_losses(losses, expected[0], shape[1])
            largest = float(np.abs(expected[1]).max())
            assert_close(dprobs, expected[1], terms=shape[1], scale=largest)


@pytest.mark.usefixtures("isa", "one_thread")
def test_cross_entropy_of_certain_answers() -> None:
    """Softmax outputs that reached 0 and 1 must give a finite loss and gradient."""
    for classes in range(2, 34):
        for right in range(classes):
            probs = np.zeros((2, classes), np.float32)
            probs[:, right] = 1
            labels = np.array([right, (right + 1) % classes])
            losses, dprobs = ops.cross_entropy(probs, labels)
            # The nearest float32 to 1 - 1e-7 is 1 - eps, whose logarithm is -1.2e-7.
            assert 0 <= losses[0] <= 2e-7
            assert_elementwise(losses[1:], [-np.log(1e-7)])
            assert np.isfinite(dprobs).all()


@pytest.mark.usefixtures("isa", "one_thread")
def test_extreme_logits() -> None:
    for classes in range(2, 34):
        logits = np.full((2, classes), -1e4, np.float32)
        logits[:, classes // 2] = 1e4
        labels = np.array([classes // 2, 0])
        losses, probs, dlogits = ops.softmax_cross_entropy(logits, labels)
        expected = reference.softmax_cross_entropy(float64(logits), labels)
        assert_elementwise(losses, expected[0])
        np.testing.assert_array_equal(probs, expected[1])
        np.testing.assert_array_equal(dlogits, expected[2])


@pytest.mark.usefixtures("isa")
def test_a_small_focal_loss_has_its_digits() -> None:
    """(1 - q)^3 log q of an answer that is nearly certain, of which float32 knows 1 - q to 2e-6."""
    logits = np.float32([[3.6, 0.0], [0.0, 5.0], [12.0, -2.0]])
    labels = np.array([0, 1, 0])
    given: Any = {"alpha": 0.5, "gamma": 3.0, "from_logits": True}
    actual = ops.categorical_focal_cross_entropy(logits, labels, **given)
    expected = reference.categorical_focal_cross_entropy(float64(logits), labels, **given)
    # In closed form: with r = exp(-d), q is 1 / (1 + r).
    r = np.exp(-np.float64([3.6, 5.0, 14.0]).astype(np.float32).astype(np.float64))
    by_hand = 0.5 * (r / (1 + r)) ** 3 * np.log1p(r)
    np.testing.assert_allclose(expected[0], by_hand, rtol=1e-9)
    np.testing.assert_allclose(actual[0], by_hand, rtol=3e-7)
    np.testing.assert_allclose(actual[1], expected[1], rtol=3e-7)


@pytest.mark.parametrize("special", [np.nan, np.inf])
@pytest.mark.usefixtures("isa", "one_thread")
def test_a_special_logit_spoils_its_row_alone(special: float) -> None:
    for classes in range(1, 34):
        for position in range(classes):
            logits = random_array("logits", (3, classes))
            clean = ops.softmax_cross_entropy(logits, [0, 0, 0])
            logits[1, position] = special
            results = ops.softmax_cross_entropy(logits, [0, 0, 0])
            for result, before in zip(results, clean, strict=True):
                assert np.isnan(result[1]).any()
                assert_same_bits(result[[0, 2]], before[[0, 2]])


@pytest.mark.parametrize(
    "shape", [(1,), (7,), *((3, n) for n in range(1, 34)), (5, 3, 4, 2), (40, 999)], ids=str
)
@pytest.mark.usefixtures("isa", "threads")
def test_mean_squared_error(shape: tuple[int, ...]) -> None:
    y, target = random_array("y", shape), random_array("target", shape)
    size = int(np.prod(shape[1:]))
    for weights in (None, make_weights(shape[0])):
        losses, dy = ops.mean_squared_error(y, target, sample_weight=weights)
        expected = reference.mean_squared_error(*all_float64(y, target), sample_weight=weights)
        assert_close(losses, expected[0], terms=size, scale=4)
        assert_elementwise(dy, expected[1], floor=float(1 / (size * shape[0])))


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (5, 3, 4, 2), (40, 999)], ids=str)
@pytest.mark.usefixtures("isa", "threads")
def test_mean_absolute_error(shape: tuple[int, ...]) -> None:
    y, target = random_array("y", shape), random_array("target", shape)
    y.ravel()[0] = target.ravel()[0]  # where the slope is 0
    size = int(np.prod(shape[1:]))
    for weights in (None, make_weights(shape[0])):
        losses, dy = ops.mean_absolute_error(y, target, sample_weight=weights)
        expected = reference.mean_absolute_error(*all_float64(y, target), sample_weight=weights)
        assert_close(losses, expected[0], terms=size, scale=4)
        assert_elementwise(dy, expected[1], floor=float(1 / (size * shape[0])))
        assert dy.ravel()[0] == 0


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(1,), (7, 1), (3, 5), (5, 3, 4, 2), (40, 999)], ids=str)
@pytest.mark.usefixtures("isa", "threads")
def test_binary_cross_entropy(shape: tuple[int, ...], smoothing: float, from_logits: bool) -> None:
    y, target = 3 * random_array("y", shape), np.float32(random_array("target", shape) > 0)
    if not from_logits:
        # Outside 0.02 .. 0.98 the float32 of 1 - p alone would cost more than the bound.
        y = np.clip(0.5 + y / 16, 0.02, 0.98)
    size = int(np.prod(shape[1:]))
    options: dict[str, Any] = {"from_logits": from_logits, "label_smoothing": smoothing}
    for weights in (None, make_weights(shape[0])):
        options["sample_weight"] = weights
        losses, dy = ops.binary_cross_entropy(y, target, **options)
        expected = reference.binary_cross_entropy(*all_float64(y, target), **options)
        assert_close(losses, expected[0], terms=size, scale=4)
        assert_elementwise(dy, expected[1], floor=float(1 / (size * shape[0])))


@pytest.mark.usefixtures("isa")
def test_binary_cross_entropy_at_the_ends() -> None:
    """Logits of any size are exact; probabilities are clipped, and clipped ones have no slope."""
    y = np.array([1e4, -1e4, 1e4, -1e4, 0.0], np.float32)
    target = np.array([1.0, 0.0, 0.0, 1.0, 1.0], np.float32)
    losses, dy = ops.binary_cross_entropy(y, target, from_logits=True)
    np.testing.assert_allclose(losses, [0, 0, 1e4, 1e4, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(dy, np.array([0, 0, 1, -1, -0.5]) / 5, rtol=1e-6)
    probs = np.array([1.0, 0.0, 0.0, 1.0, -3.0, 2.0], np.float32)
    target = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 1.0], np.float32)
    losses, dy = ops.binary_cross_entropy(probs, target)
    low, high = -np.log(1e-7), -np.log1p(-1e-7)
    np.testing.assert_allclose(losses, [high, high, low, low, low, high], rtol=1e-6)
    np.testing.assert_array_equal(dy, 0)
    for from_logits in (False, True):
        for function in (ops.binary_cross_entropy, reference.binary_cross_entropy):
            y = np.array([[np.nan], [0.5]], np.float32)
            losses, dy = function(y, np.ones((2, 1), np.float32), from_logits=from_logits)
            assert np.isnan(losses[0])
            assert np.isnan(dy[0, 0])
            assert np.isfinite(losses[1])
    losses, dy = ops.mean_absolute_error(np.array([np.nan, 1.0]), np.zeros(2))
    assert np.isnan(losses[0])
    assert np.isnan(dy[0])


@pytest.mark.parametrize("smoothing", [-0.1, 1.1, float("nan")])
def test_wrong_smoothing(smoothing: float) -> None:
    with pytest.raises(ValueError, match="label_smoothing must lie in"):
        ops.binary_cross_entropy(np.ones(3), np.ones(3), label_smoothing=smoothing)


@pytest.mark.usefixtures("isa", "threads")
def test_count_correct() -> None:
    for shape in SHAPES:
        y = np.random.default_rng(shape[1]).integers(0, 4, shape).astype(np.float32)  # many ties
        for kind in KINDS:
            labels = make_labels(kind, shape)
            count = ops.count_correct(y, labels)
            assert type(count) is int
            assert count == reference.count_correct(y, labels)
    assert ops.count_correct([[1, 2, 2], [3, 3, 3], [0, 0, 1]], [1, 0, 2]) == 3


@every_kind
@pytest.mark.usefixtures("isa")
def test_out_is_used_and_its_surroundings_are_not(kind: str) -> None:
    for shape in SHAPES:
        values, labels = np.abs(random_array("values", shape)), make_labels(kind, shape)
        target = random_array("target", shape)
        assert_out_is_used(
            lambda values=values, labels=labels, **k: ops.softmax_cross_entropy(
                values, labels, **k
            ),
            ["losses", "probs", "dlogits"],
        )
        assert_out_is_used(
            lambda values=values, labels=labels, **k: ops.cross_entropy(values, labels, **k),
            ["losses", "dprobs"],
        )
        assert_out_is_used(
            lambda values=values, target=target, **k: ops.mean_squared_error(values, target, **k),
            ["losses", "dy"],
        )
        for function in (ops.mean_absolute_error, ops.binary_cross_entropy):
            assert_out_is_used(
                lambda f=function, values=values, target=target, **k: f(values, target, **k),
                ["losses", "dy"],
            )


@pytest.mark.parametrize("shape", [(32, 10), (1000, 37)], ids=str)
@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits(shape: tuple[int, int]) -> None:
    values, labels = np.abs(random_array("values", shape)), make_labels("integers", shape)
    target = random_array("target", shape)

    def everything() -> tuple[Array, ...]:
        return (
            *ops.softmax_cross_entropy(values, labels),
            *ops.cross_entropy(values, labels),
            *ops.mean_squared_error(values, target),
            *ops.mean_absolute_error(values, target),
            *ops.binary_cross_entropy(values, target, from_logits=True),
        )

    assert_threads_agree(everything)


@pytest.mark.parametrize(
    "function", [ops.softmax_cross_entropy, ops.cross_entropy, ops.count_correct]
)
@pytest.mark.parametrize("wrong", [-1, 4, 2**31, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("column", [False, True])
def test_labels_out_of_range_are_named(function: Any, wrong: int, column: bool) -> None:
    for position in range(3):
        labels = np.zeros(3, np.int64)
        labels[position] = wrong
        with pytest.raises(ValueError, match=str(wrong)):
            function(np.ones((3, 4), np.float32), labels[:, None] if column else labels)


@pytest.mark.parametrize(
    "function", [ops.softmax_cross_entropy, ops.cross_entropy, ops.count_correct]
)
def test_labels_of_another_shape_or_kind(function: Any) -> None:
    y = np.ones((3, 4), np.float32)
    for labels in (
        np.zeros(2, np.int64),
        np.zeros(4, np.int64),
        np.zeros((3, 2), np.float32),
        np.zeros((2, 4), np.float32),
        np.zeros((3, 4, 1), np.float32),
        np.zeros((1, 3), np.int64),
        np.int64(0),
        np.zeros(0, np.int64),
        np.zeros(3, np.complex64),
        ["0", "1", "2"],
        None,
    ):
        with pytest.raises((ValueError, TypeError)):
            function(y, labels)


def test_wrong_sample_weights() -> None:
    y, labels = np.ones((3, 4), np.float32), np.zeros(3, np.int64)
    for weights in (np.ones(2), np.ones(4), np.ones((3, 1)), np.ones((3, 4)), "abc"):
        with pytest.raises((ValueError, TypeError)):
            ops.softmax_cross_entropy(y, labels, sample_weight=weights)
        with pytest.raises((ValueError, TypeError)):
            ops.cross_entropy(y, labels, sample_weight=weights)
        with pytest.raises((ValueError, TypeError)):
            ops.mean_squared_error(y, y, sample_weight=weights)
