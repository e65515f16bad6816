"""Constraints: by themselves against the reference and Keras's formulas, and in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array, assert_same_bits, assert_threads_agree, float64, random_array
from convkit import constraints, layers, ops, reference
from convkit.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from convkit.core import changes

SHAPES: tuple[tuple[tuple[int, ...], Any], ...] = (
    ((7,), 0),
    ((1, 1), 0),
    ((40, 9), 0),
    ((40, 9), 1),
    ((40, 9), (0, 1)),
    ((300, 129), 0),
    ((129, 300), -1),
    ((3, 3, 5, 17), (0, 1, 2)),
    ((3, 3, 5, 70), (0, 1)),
    ((3, 3, 5, 70), (0, 2)),
    ((3, 3, 5, 7), (1, 3)),
    ((3, 2, 5, 7), (3, 0, -2)),
)
BOUNDS = (
    {"max_norm": 2.0},
    {"min_norm": 1.0, "max_norm": 1.0},
    {"min_norm": 3.0, "max_norm": 5.0, "rate": 0.25},
    {},
)


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_norms(shape: tuple[int, ...], axis: Any, bounds: dict[str, float]) -> None:
    w = random_array("w", shape)
    actual, wanted = w.copy(), float64(w)
    ops.constrain_norms(actual, axis, **bounds)
    reference.constrain_norms(wanted, axis, **bounds)
    # The rounding of the factor and of the product.
    np.testing.assert_allclose(actual, wanted, rtol=2.5e-7, atol=1e-30)
    if not bounds:
        assert_same_bits(actual, w)

    def again() -> Array:
        made = w.copy()
        ops.constrain_norms(made, axis, **bounds)
        return made

    assert_threads_agree(again)


@pytest.mark.parametrize(
    ("constraint", "formula"),
    [
        (MaxNorm(1.5), lambda w, n: w * (np.clip(n, 0, 1.5) / (1e-7 + n))),
        (UnitNorm(), lambda w, n: w / (1e-7 + n)),
        (
            MinMaxNorm(2.0, 4.0, 0.5),
            lambda w, n: w * ((0.5 * np.clip(n, 2.0, 4.0) + 0.5 * n) / (1e-7 + n)),
        ),
        (NonNeg(), lambda w, n: np.maximum(w, 0)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, constraints.Constraint) else "",
)
def test_formulas(constraint: Any, formula: Any) -> None:
    w = random_array("w", (6, 50)) * np.linspace(0.1, 3, 50, dtype=np.float32)
    before, exact = w.copy(), float64(w)
    y = constraint(w)
    assert_same_bits(w, before)
    norms = np.sqrt(np.square(exact).sum(axis=0, keepdims=True))
    np.testing.assert_allclose(y, formula(exact, norms), rtol=1e-6)
    constraint.apply(w)
    assert_same_bits(w, y)


def test_nothing_becomes_of_zeros_and_of_what_is_within() -> None:
    w = np.zeros((4, 3), np.float32)
    w[:, 1] = 0.25  # of norm 0.5
    for constraint in (MaxNorm(0.5), MaxNorm(2), MinMaxNorm(0.5, 1.0), NonNeg()):
        assert_same_bits(constraint(w), w)
    assert not UnitNorm()(w)[:, 0].any()
    assert not MaxNorm(0)(w).any()


def made(**options: Any) -> convkit.Sequential:
    convkit.utils.clear_session()
    convkit.utils.set_random_seed(7)
    model = convkit.Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(5, 3, kernel_constraint=MaxNorm(0.5, [0, 1, 2])),
            layers.BatchNormalization(beta_constraint="non_neg"),
            layers.Flatten(),
            layers.Dense(3, kernel_constraint="unit_norm", **options),
        ]
    )
    model.compile(convkit.optimizers.Adam(0.05), "mse")
    return model


RNG = np.random.default_rng(3)
X, Y = RNG.random((20, 6, 6, 2), np.float32), RNG.random((20, 3), np.float32) - 1


def trained(model: convkit.Sequential, anew: bool = False) -> tuple[Array, ...]:
    for step in range(5):
        if anew:
            changes.invalidate(model.layers[0])
        model.train_on_batch(X[4 * step : 4 * step + 4], Y[4 * step : 4 * step + 4])
    return tuple(model.get_weights())


def test_after_each_step() -> None:
    model = made()
    conv, norm, _, dense = model.layers
    before = conv.kernel.numpy()
    assert np.linalg.norm(before.reshape(-1, 5), axis=0).max() > 0.5, "not before the first step"
    for _ in range(3):
        model.train_on_batch(X, Y)
        assert np.linalg.norm(conv.kernel.value.reshape(-1, 5), axis=0).max() < 0.5 + 1e-6
        assert norm.beta.value.min() >= 0
        np.testing.assert_allclose(np.linalg.norm(dense.kernel.value, axis=0), 1, rtol=1e-6)


def test_replayed_and_with_any_number_of_threads() -> None:
    whole = trained(made())
    assert_same_bits(trained(made(), anew=True), whole)
    assert_threads_agree(lambda: trained(made()), (1, 3))


def test_frozen_parameters_are_left_alone() -> None:
    model = made()
    model.layers[0].trainable = False
    before = model.layers[0].get_weights()
    trained(model)
    assert_same_bits(tuple(model.layers[0].get_weights()), tuple(before))
    model.layers[0].trainable = True
    model.train_on_batch(X, Y)
    kernel = model.layers[0].kernel.value
    assert np.linalg.norm(kernel.reshape(-1, 5), axis=0).max() < 0.5 + 1e-6


class Halved(constraints.Constraint):
    """One of a user's own, in NumPy."""

    def __call__(self, w: Any) -> Any:
        return np.clip(w, -0.01, 0.02)


class Lower(MaxNorm):
    """One that is made of convkit's, and computes something else."""

    def __call__(self, w: Any) -> Any:
        return np.minimum(w, -0.5)


@pytest.mark.parametrize(("constraint", "low", "high"), [(Halved(), -0.01, 0.02),
                                                         (Lower(), -np.inf, -0.5)])  # fmt: skip
def test_a_constraint_of_one_s_own(constraint: Any, low: float, high: float) -> None:
    """It is called after each step, also where others are replayed."""
    model = made(bias_constraint=constraint)
    for _ in range(4):
        model.train_on_batch(X, Y)
        bias = model.layers[-1].bias.value
        assert bias.min() >= np.float32(low)
        assert bias.max() <= np.float32(high)


def test_the_file_of_a_model_has_its_constraints(tmp_path: Any) -> None:
    model = made()
    trained(model)
    model.save(tmp_path / "model")
    again = convkit.models.load_model(tmp_path / "model")
    assert again.get_config() == model.get_config()
    assert again.layers[0].kernel.constraint.max_value == 0.5
    assert_same_bits(trained(again), trained(model))
    with pytest.raises(ValueError, match=r"Halved, which cannot be saved"):
        made(bias_constraint=Halved()).save(tmp_path / "model")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxNorm(-1), "max_value must be a finite number of at least 0"),
        (lambda: MaxNorm(1, "x"), "axis must be an integer or several"),
        (lambda: UnitNorm([]), "axis must be an integer or several"),
        (lambda: UnitNorm(0.5), "axis must be an integer or several"),
        (lambda: MinMaxNorm(2, 1), "min_value must be at most max_value"),
        (lambda: MinMaxNorm(rate=2), "rate must lie in 0 .. 1"),
        (lambda: constraints.get("norm"), "unknown constraint 'norm'"),
        (lambda: layers.Dense(3, kernel_constraint="norm"), "unknown constraint 'norm'"),
        (
            lambda: layers.Dense(3, kernel_constraint=UnitNorm(2), name="d").build((None, 4)),
            r'"d" \(Dense\): the constraint of the kernel: UnitNorm: axis .* \(4, 3\)',
        ),
        (
            lambda: layers.Dense(3, bias_constraint=UnitNorm([0, -1])).build((None, 4)),
            r"the constraint of the bias: UnitNorm: axis must name axes of the shape \(3,\)",
        ),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_wrong_arguments_of_the_op() -> None:
    w = np.ones((3, 4), np.float32)
    for axis in (2, -3, (0, 0), (0, -2), ()):
        with pytest.raises(ValueError, match="axis"):
            ops.constrain_norms(w, axis)
    for bounds in ({"min_norm": -1.0}, {"min_norm": 2.0, "max_norm": 1.0}, {"rate": 1.5}):
        for module in (ops, reference):
            with pytest.raises(ValueError, match=r"norm|rate"):
                module.constrain_norms(w, 0, **bounds)
    with pytest.raises(TypeError, match="axis"):
        ops.constrain_norms(w, "0")
    with pytest.raises(ValueError, match="at most 8 axes"):
        ops.constrain_norms(np.ones((1,) * 9, np.float32), 0)
    np.testing.assert_array_equal(w, 1)
