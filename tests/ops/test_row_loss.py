"""Losses of rows, of classes at every position, and what they count, against the reference."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest

from compare import (
    Array,
    assert_close,
    assert_out_is_used,
    assert_same_bits,
    assert_threads_agree,
    float64,
    random_array,
)
from convkit import ops, reference
from drawn_training import CLASS_LOSSES, REDUCTIONS, ROW_LOSSES, suited

# A plain output, one value, many values, images, and a sample of more than one piece of the sum.
SHAPES = ((1, 1), (5, 3), (32, 10), (3, 4, 5, 2), (2, 7, 9, 1), (2, 70, 70, 1), (1, 3, 4097))

every_kind = pytest.mark.parametrize("kind", ROW_LOSSES)
every_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def problem(kind: str, shape: tuple[int, ...]) -> tuple[Array, Array, dict[str, Any]]:
    """Predictions, targets and options that suit a loss."""
    return suited(kind, random_array(f"y {kind}", shape), random_array(f"target {kind}", shape))


def weights_of(shape: tuple[int, ...]) -> Array:
    seed = zlib.crc32(str(shape).encode())
    return np.random.default_rng(seed).uniform(0, 2, shape).astype(np.float32)


def compare(actual: tuple[Array, ...], expected: tuple[Array, ...], rows: int) -> None:
    for got, wanted in zip(actual, expected, strict=True):
        assert got.dtype == np.float32
        scale = float(np.abs(wanted).max()) or 1.0
        # All sums are in double precision: what is left is the result's own rounding, and that of
        # the float32 predictions, of which a difference of nearly equal ones is made.
        assert_close(got, wanted, terms=4, scale=scale)


@every_kind
@every_reduction
@pytest.mark.usefixtures("isa", "threads")
def test_row_losses(kind: str, reduction: str) -> None:
    for shape in SHAPES:
        y, target, options = problem(kind, shape)
        for weights in (None, weights_of(shape[:1]), weights_of(shape[:-1])):
            options |= {"sample_weight": weights, "reduction": reduction}
            actual = ops.row_loss(y, target, **options)
            expected = reference.row_loss(float64(y), float64(target), **options)
            compare(actual, expected, int(np.prod(shape[:-1])))


@pytest.mark.parametrize("kind", ["binary_cross_entropy", "binary_focal_cross_entropy"])
@pytest.mark.usefixtures("isa", "one_thread")
def test_binary_losses_of_logits(kind: str) -> None:
    for shape in SHAPES:
        _, target, options = problem(kind, shape)
        logits = 6 * random_array("logits", shape)
        actual = ops.row_loss(logits, target, from_logits=True, **options)
        wanted = reference.row_loss(float64(logits), float64(target), from_logits=True, **options)
        compare(actual, wanted, 1)


@every_kind
def test_finite_differences(kind: str) -> None:
    """The reference's gradient is that of its losses, wherever they are weighted and reduced."""
    y, target, options = problem(kind, (2, 3, 4))
    y, target = float64(y), float64(target)
    weights = weights_of((2, 3))
    for reduction in REDUCTIONS:
        for logits in (False, True) if kind.startswith("binary") else (False,):
            options |= {"reduction": reduction, "sample_weight": weights, "from_logits": logits}
            check_gradient(
                y, lambda v, o=options: reference.row_loss(v, target, **o), tolerance=1e-5
            )


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("alpha", [0.25, [0.5, 1.0, 2.0]])
def test_finite_differences_of_the_focal_loss(from_logits: bool, alpha: Any) -> None:
    y = np.abs(float64(random_array("focal", (2, 5, 3)))) + 0.1
    labels = np.array([[0, 1, 2, 0, 1], [2, 2, 1, 0, 0]])
    options = {"alpha": alpha, "gamma": 1.5, "from_logits": from_logits, "label_smoothing": 0.1}
    check_gradient(
        y,
        lambda v: reference.categorical_focal_cross_entropy(v, labels, **options),
        tolerance=1e-5,
    )


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "cross_entropy"])
def test_finite_differences_of_positions(name: str) -> None:
    y = np.abs(float64(random_array("positions", (2, 5, 3)))) + 0.1
    labels = np.array([[0, 1, 2, 9, 1], [9, 2, 1, 0, 0]])
    options: dict[str, Any] = {"ignore_class": 9, "label_smoothing": 0.1}
    for reduction in REDUCTIONS:
        options |= {"reduction": reduction, "sample_weight": weights_of((2, 5))}
        op = getattr(reference, name)
        check_gradient(y, lambda v, o=options, f=op: f(v, labels, **o), tolerance=1e-5)


def check_gradient(y: Array, function: Any, tolerance: float) -> None:
    """Compare the last result of a function with the derivatives of the mean of its first."""
    gradient, step = function(y)[-1], 1e-6
    for place in np.ndindex(y.shape):
        moved = y.copy()
        moved[place] += step
        above = function(moved)[0].mean()
        moved[place] -= 2 * step
        slope = (above - function(moved)[0].mean()) / (2 * step)
        assert gradient[place] == pytest.approx(slope, rel=tolerance, abs=tolerance * 1e-2)


@pytest.mark.parametrize("name", CLASS_LOSSES)
@every_reduction
@pytest.mark.usefixtures("isa", "threads")
def test_classes_at_every_position(name: str, reduction: str) -> None:
    for shape in ((3, 4, 5, 2), (2, 6, 21), (4, 10), (1, 70, 70, 3)):
        classes = shape[-1]
        y = np.abs(random_array(name, shape)) + np.float32(0.05)
        labels = np.random.default_rng(classes).integers(0, classes, shape[:-1])
        options: dict[str, Any] = {"reduction": reduction, "label_smoothing": 0.125}
        if name == CLASS_LOSSES[2]:
            options |= {"alpha": np.linspace(0.5, 2, classes), "gamma": 3.0}
        else:
            labels[labels == 1] = 255
            options["ignore_class"] = 255
        for weights in (None, weights_of(shape[:1]), weights_of(shape[:-1])):
            options["sample_weight"] = weights
            expected = getattr(reference, name)(float64(y), labels, **options)
            for given in (labels, labels.astype(np.uint8), labels[..., None]):
                actual = getattr(ops, name)(y, given, **options)
                compare(actual, expected, int(np.prod(shape[:-1])))


@pytest.mark.usefixtures("isa", "one_thread")
def test_focal_loss_of_logits() -> None:
    for shape in ((7, 10), (2, 3, 4, 5)):
        logits = 4 * random_array("logits", shape)
        labels = np.random.default_rng(1).integers(0, shape[-1], shape[:-1])
        probs, wanted = np.empty_like(logits), np.empty(shape)
        actual = ops.categorical_focal_cross_entropy(logits, labels, from_logits=True, probs=probs)
        expected = reference.categorical_focal_cross_entropy(
            float64(logits), labels, from_logits=True, probs=wanted
        )
        compare((*actual, probs), (*expected, wanted), 1)
    # A certain and right answer has no loss; a certain and wrong one has one that is finite.
    logits = np.array([[1e4, -1e4], [-1e4, 1e4]], np.float32)
    losses, gradient = ops.categorical_focal_cross_entropy(logits, [0, 0], from_logits=True)
    assert losses[0] == 0
    assert losses[1] == pytest.approx(0.25 * 2e4)
    assert np.isfinite(gradient).all()


def test_no_focus_is_the_cross_entropy() -> None:
    y, labels = np.abs(random_array("y", (6, 4))) + np.float32(0.1), np.array([0, 1, 2, 3, 0, 1])
    plain = ops.cross_entropy(y, labels)
    focal = ops.categorical_focal_cross_entropy(y, labels, alpha=1.0, gamma=0.0)
    for got, wanted in zip(focal, plain, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-8)


def test_bits_do_not_depend_on_threads() -> None:
    for kind in ROW_LOSSES:
        y, target, options = problem(kind, (5, 120, 90, 3))
        assert_threads_agree(lambda y=y, t=target, o=options: ops.row_loss(y, t, **o))
    y, labels = np.abs(random_array("y", (3, 150, 90, 3))), np.zeros((3, 150, 90), np.uint8)
    for name in CLASS_LOSSES:
        assert_threads_agree(lambda n=name: getattr(ops, n)(y, labels))


def test_outputs_are_written_where_they_are_told() -> None:
    for kind in ROW_LOSSES:
        y, target, options = problem(kind, (3, 4, 2))
        assert_out_is_used(
            lambda y=y, t=target, o=options, **out: ops.row_loss(y, t, **o, **out),
            ("losses", "dy"),
        )


def test_nothing_that_counts() -> None:
    """Where all weights are 0, or all rows are ignored, there is no loss, and no division by 0."""
    y, zeros = random_array("y", (3, 4)), np.zeros(3, np.float32)
    results = ops.row_loss(
        y, y + 1, kind="squared_error", sample_weight=zeros, reduction="mean_with_sample_weight"
    )
    ignored = ops.softmax_cross_entropy(y, [7, 7, 7], ignore_class=7)
    for result in (*results, ignored[0], ignored[2]):
        assert not result.any()


def test_hinge_losses_take_zeros_for_signs() -> None:
    y = random_array("y", (4, 3))
    signs = np.sign(random_array("signs", (4, 3)))
    for kind in ("hinge", "squared_hinge"):
        wanted = ops.row_loss(y, signs, kind=kind)
        got = ops.row_loss(y, (signs + 1) / 2, kind=kind)
        assert_same_bits(got, wanted)


def test_wrong_arguments() -> None:
    y = random_array("y", (3, 4))
    with pytest.raises(ValueError, match=r"kind must be one of .*'huber'"):
        ops.row_loss(y, y, kind="hubert")
    with pytest.raises(ValueError, match=r"reduction must be one of .*'sum', .*but is 'total'"):
        ops.row_loss(y, y, kind="huber", reduction="total")
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(3,\)"):
        ops.row_loss(y, y, kind="huber", sample_weight=np.ones((4,)))
    with pytest.raises(ValueError, match=r"shape \(3,\) or \(3, 4\)"):
        ops.row_loss(y[..., None], y[..., None], kind="huber", sample_weight=np.ones((3, 5)))
    with pytest.raises(ValueError, match="label_smoothing must lie in"):
        ops.cross_entropy(y, [0, 1, 2], label_smoothing=2.0)
    with pytest.raises(ValueError, match="alpha must be one number, or one for each of the 4"):
        ops.categorical_focal_cross_entropy(y, [0, 1, 2], alpha=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"label 5 .*classes of the output"):
        ops.cross_entropy(y, [0, 5, 2], ignore_class=7)
    with pytest.raises(ValueError, match="too large"):
        ops.cross_entropy(y, [0, 1, 2], ignore_class=2**70)
