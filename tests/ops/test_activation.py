"""Activations against the reference: every width, special numbers, aliasing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from compare import (
    EPS,
    Array,
    all_float64,
    assert_elementwise,
    assert_out_is_used,
    assert_same_bits,
    assert_threads_agree,
    float64,
    random_array,
)
from convkit import ops, reference


@dataclass(frozen=True)
class Activation:
    """An activation, whether its gradient takes x or y, its options, and its rounding.

    `floor` is the size of the numbers that cancel on the way to a small result.
    """

    name: str
    takes: str = "y"
    options: dict[str, Any] = field(default_factory=dict)
    along_rows: bool = False
    floor: float = 1.0

    def __str__(self) -> str:
        return "-".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])

    def _find(self, module: Any, suffix: str) -> Callable[..., Array]:
        function: Callable[..., Array] = getattr(module, f"{self.name}_{suffix}")
        return function

    def forward(self, x: Array, **out: Array) -> Array:
        return self._find(ops, "forward")(x, **self.options, **out)

    def backward(self, dy: Array, other: Array, **out: Array) -> Array:
        return self._find(ops, "backward")(dy, other, **self.options, **out)

    def expected_forward(self, x: Array) -> Array:
        with np.errstate(all="ignore"):
            return self._find(reference, "forward")(x, **self.options)

    def expected_backward(self, dy: Array, other: Array) -> Array:
        with np.errstate(all="ignore"):
            return self._find(reference, "backward")(dy, other, **self.options)


ACTIVATIONS = (
    Activation("relu"),
    Activation("relu", options={"max_value": 6.0}),
    Activation("relu", options={"max_value": 0.0, "negative_slope": 0.25}),
    Activation("relu", options={"negative_slope": 0.3}),
    Activation("relu", options={"threshold": 0.75}),
    Activation("relu", options={"max_value": 1.5, "negative_slope": 0.125, "threshold": 0.5}),
    Activation("relu", options={"max_value": 1.5, "threshold": 2.5}),
    Activation("sigmoid"),
    Activation("tanh"),
    Activation("softmax", along_rows=True),
    # x * (1 + tanh(u)) is small for negative x, of a product of size |x|, up to 15 here.
    Activation("gelu", "x", floor=16),
    Activation("gelu", "x", {"approximate": True}, floor=16),
    Activation("leaky_relu", "x"),
    Activation("leaky_relu", "x", {"negative_slope": 0.01}),
    Activation("elu"),
    Activation("elu", "y", {"alpha": 0.5}),
    Activation("silu", "x"),
    Activation("selu"),
    Activation("softplus"),
    Activation("softsign"),
    Activation("hard_sigmoid"),
    Activation("hard_silu", "x"),
    Activation("exponential"),
    Activation("mish", "x"),
    Activation("log_softmax", along_rows=True),
)

every_activation = pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)

SHAPES = (
    *((n,) for n in range(1, 36)),
    (3, 10),
    (5, 65),
    (2, 3, 4, 5),
    (7, 1),
    (1, 1000),
    (300, 33),
    (4, 28, 28, 32),
)


@every_activation
@pytest.mark.usefixtures("isa", "threads")
def test_against_the_reference(activation: Activation) -> None:
    for shape in SHAPES:
        x, dy = 3 * random_array("x", shape), random_array("dy", shape)
        y = activation.forward(x)
        assert_elementwise(y, activation.expected_forward(float64(x)), floor=activation.floor)
        other = y if activation.takes == "y" else x
        dx = activation.backward(dy, other)
        # dy is at most 4 or so; a softmax row adds up dy * y, whose sizes sum to no more.
        expected = activation.expected_backward(*all_float64(dy, other))
        assert_elementwise(dx, expected, floor=4 * activation.floor)


@every_activation
@pytest.mark.usefixtures("isa")
def test_the_whole_range(activation: Activation) -> None:
    """From the smallest to the largest exponents: no overflow on the way to a finite result."""
    sizes = np.concatenate([10.0 ** np.arange(-38, 39), np.linspace(0, 110, 2000)])
    x = np.concatenate([sizes, -sizes]).astype(np.float32)
    if activation.name == "gelu":
        x = x[np.abs(x) < 1e12]  # x**3 of the tanh formula overflows float32 beyond
    if activation.name == "exponential":
        x = x[x < 88.7]
    if activation.along_rows:
        x = np.stack([x, np.zeros_like(x), x / 2], axis=1)
    y = activation.forward(x)
    assert np.isfinite(y).all()
    # Exponentials of large arguments keep fewer digits: an argument of 100 is known to 100 eps.
    expected = activation.expected_forward(float64(x))
    assert_elementwise(y, expected, floor=4 * activation.floor)


@every_activation
@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.usefixtures("isa", "one_thread")
def test_body_and_tail_treat_special_numbers_alike(activation: Activation, special: float) -> None:
    """At every position of every width up to 33, forward and backward."""
    for width in range(1, 34):
        for position in range(width):
            x, dy = np.full(width, 0.5, np.float32), np.ones(width, np.float32)
            x[position] = special
            y = activation.forward(x)
            expected = activation.expected_forward(float64(x))
            if activation.name == "gelu" and special == -np.inf:
                # The limit is 0 and the formula's -inf * 0 is NaN: either, but the same everywhere.
                expected[position] = activation.forward(np.array([special], np.float32))[0]
            assert_elementwise(y, expected)
            other = y if activation.takes == "y" else x
            dx = activation.backward(dy, other)
            expected = activation.expected_backward(*all_float64(dy, other))
            if activation.name == "gelu" and np.isinf(special):
                alone = activation.backward(np.ones(1, np.float32), np.array([special], np.float32))
                expected[position] = alone[0]
            assert_elementwise(dx, expected)
            dy[position], x[position] = special, 0.5
            dx = activation.backward(dy, x)
            assert_elementwise(dx, activation.expected_backward(*all_float64(dy, x)))


@every_activation
@pytest.mark.usefixtures("isa", "threads")
def test_out_may_be_an_input(activation: Activation) -> None:
    for shape in ((1,), (33,), (5, 17), (300, 33)):
        x, dy = random_array("x", shape), random_array("dy", shape)
        y, dx = activation.forward(x), activation.backward(dy, x)
        buffer = x.copy()
        assert activation.forward(buffer, out=buffer) is buffer
        assert_same_bits(buffer, y)
        buffer = dy.copy()
        assert activation.backward(buffer, x, out=buffer) is buffer
        assert_same_bits(buffer, dx)


@every_activation
@pytest.mark.usefixtures("isa")
def test_out_is_used_and_its_surroundings_are_not(activation: Activation) -> None:
    for shape in SHAPES:
        x, dy = random_array("x", shape), random_array("dy", shape)
        assert_out_is_used(lambda x=x, **k: activation.forward(x, **k), ["out"])
        assert_out_is_used(lambda x=x, dy=dy, **k: activation.backward(dy, x, **k), ["out"])


@every_activation
@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits(activation: Activation) -> None:
    x, dy = random_array("x", (300, 333)), random_array("dy", (300, 333))
    assert_threads_agree(lambda: (activation.forward(x), activation.backward(dy, x)))


@every_activation
@pytest.mark.usefixtures("isa", "one_thread")
def test_an_element_does_not_depend_on_its_position(activation: Activation) -> None:
    """The vector's body, its tail and a lone element use one formula: the bits are the same."""
    x = random_array("x", (3, 37))
    if activation.along_rows:
        rows = [activation.forward(row[None])[0] for row in x]
        assert_same_bits(activation.forward(x), np.stack(rows))
        return
    y = activation.forward(x.ravel())
    for position, value in enumerate(x.ravel()):
        assert_same_bits(activation.forward(np.array([value])), y[position : position + 1])


@pytest.mark.parametrize("name", ["max_value", "negative_slope", "threshold"])
@pytest.mark.parametrize("number", [-0.5, float("nan")])
def test_the_numbers_of_relu_are_not_negative(name: str, number: float) -> None:
    """The gradient is computed from y, which would not tell what a threshold below 0 has done."""
    x = np.ones(3, np.float32)
    with pytest.raises(ValueError, match="must be numbers of at least 0"):
        ops.relu_forward(x, **{name: number})
    with pytest.raises(ValueError, match="must be numbers of at least 0"):
        ops.relu_backward(x, x, **{name: number})


def test_a_softmax_row_sums_to_one() -> None:
    for width in range(1, 34):
        y = ops.softmax_forward(50 * random_array("x", (4, width)))
        assert_elementwise(y.sum(axis=1, dtype=np.float64).astype(np.float32), np.ones(4))


GATED = ("silu", "hard_silu", "mish")


@pytest.mark.parametrize("name", [*GATED, "softplus", "softsign", "selu", "hard_sigmoid"])
@pytest.mark.usefixtures("isa")
def test_the_limits_at_infinity(name: str) -> None:
    """Where a formula would say infinity times 0, or over infinity."""
    activation = next(each for each in ACTIVATIONS if each.name == name)
    limits = {"softsign": (-1, 1), "selu": (-1.7580993408473766, np.inf), "hard_sigmoid": (0, 1)}
    ends = np.array([-np.inf, np.inf], np.float32)
    y = activation.forward(ends)
    assert_elementwise(y, np.array(limits.get(name, (0, np.inf))))
    other = y if activation.takes == "y" else ends
    slopes = (0, 1) if name in (*GATED, "softplus") else (0, 1.0507009873554805)
    slopes = (0, 0) if name in ("softsign", "hard_sigmoid") else slopes
    assert_elementwise(activation.backward(np.ones(2), other), np.array(slopes))


@pytest.mark.parametrize("name", ["silu", "softplus", "mish", "exponential", "selu"])
@pytest.mark.usefixtures("isa")
def test_small_results_keep_their_digits(name: str) -> None:
    """Left of zero they vanish exponentially, and near zero like x: relative errors, then."""
    activation = next(each for each in ACTIVATIONS if each.name == name)
    x = np.concatenate([-np.linspace(1e-6, 80, 3001), np.linspace(1e-6, 1e-3, 500)])
    x = x.astype(np.float32)
    expected = activation.expected_forward(float64(x))
    # An exponent of 80 is known to 40 eps by itself.
    errors = np.abs(activation.forward(x) / expected - 1) / np.maximum(1, np.abs(x) / 2)
    assert errors.max() < 4 * EPS


def test_log_softmax_of_many_classes_and_of_large_logits() -> None:
    x = 3 * random_array("x", (3, 70_001)) + np.float32(1e6)
    expected = reference.log_softmax_forward(float64(x))
    assert_elementwise(ops.log_softmax_forward(x), expected, ulps=2)
    y = ops.log_softmax_forward([[0, -np.inf, 0], [-np.inf, -np.inf, 3]])
    np.testing.assert_allclose(np.exp(y), [[0.5, 0, 0.5], [0, 0, 1]], rtol=1e-6)


def test_a_masked_softmax_gives_zero() -> None:
    y = ops.softmax_forward([[0, -np.inf, 0], [-np.inf, -np.inf, 3]])
    np.testing.assert_array_equal(y, [[0.5, 0, 0.5], [0, 0, 1]])
