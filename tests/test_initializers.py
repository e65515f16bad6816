"""Initial values: Keras's limits and deviations, and streams that a seed fixes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import convkit
from convkit import initializers

CONV = (3, 3, 32, 64)
FAN_IN, FAN_OUT = 9 * 32, 9 * 64


@pytest.mark.parametrize(
    ("shape", "fans"),
    [
        ((), (1, 1)),
        ((7,), (7, 7)),
        ((5, 4), (5, 4)),
        (CONV, (FAN_IN, FAN_OUT)),
        ((3, 2, 4, 6), (24, 36)),
    ],
)
def test_fans(shape: tuple[int, ...], fans: tuple[int, int]) -> None:
    assert initializers.compute_fans(shape) == fans


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("glorot_uniform", math.sqrt(6 / (FAN_IN + FAN_OUT))),
        ("he_uniform", math.sqrt(6 / FAN_IN)),
        ("lecun_uniform", math.sqrt(3 / FAN_IN)),
        ("random_uniform", 0.05),
    ],
)
def test_uniform_limits(name: str, limit: float) -> None:
    values = initializers.get(name)(CONV)
    assert values.shape == CONV
    assert values.dtype == np.float32
    assert np.abs(values).max() <= np.float32(limit)
    assert np.abs(values).max() > 0.999 * limit
    assert abs(values.mean()) < 0.02 * limit
    assert values.std() == pytest.approx(limit / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize(
    ("name", "stddev"),
    [
        ("glorot_normal", math.sqrt(2 / (FAN_IN + FAN_OUT))),
        ("he_normal", math.sqrt(2 / FAN_IN)),
        ("lecun_normal", math.sqrt(1 / FAN_IN)),
    ],
)
def test_truncated_normal_deviation(name: str, stddev: float) -> None:
    values = initializers.get(name)(CONV)
    assert values.dtype == np.float32
    assert values.std() == pytest.approx(stddev, rel=0.02)
    assert np.abs(values).max() <= 2.0 * stddev / 0.87962566 * 1.00001


def test_plain_ones() -> None:
    assert (initializers.Zeros()((2, 3)) == 0).all()
    assert (initializers.Ones()((2, 3)) == 1).all()
    assert (initializers.Constant(2.5)((2, 3)) == 2.5).all()
    normal = initializers.RandomNormal(3.0, 0.5)((100, 100))
    assert normal.mean() == pytest.approx(3.0, abs=0.03)
    assert normal.std() == pytest.approx(0.5, rel=0.05)


def test_the_seed_of_the_process_fixes_all_that_follows() -> None:
    def draw() -> list[np.ndarray]:
        convkit.utils.set_random_seed(5)
        return [initializers.GlorotUniform()((3, 4)) for _ in range(3)]

    first, second = draw(), draw()
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], first[1]), "each variable has a stream of its own"
    convkit.utils.set_random_seed(6)
    assert not np.array_equal(first[0], initializers.GlorotUniform()((3, 4)))


def test_a_seed_of_its_own_gives_the_same_values_each_time() -> None:
    initializer = initializers.HeNormal(seed=3)
    np.testing.assert_array_equal(initializer((3, 4)), initializer((3, 4)))
    other = initializers.HeNormal(seed=4)
    assert not np.array_equal(initializer((3, 4)), other((3, 4)))


@pytest.mark.parametrize("name", ["glorot_uniform", "GlorotUniform", "zeros", "HeNormal"])
def test_names_in_both_spellings(name: str) -> None:
    made = initializers.get(name)
    again = initializers.get(initializers.serialize(made))
    assert type(again) is type(made)
    assert again.get_config() == made.get_config()


@pytest.mark.parametrize(
    "made",
    [
        initializers.Constant(3.0),
        initializers.RandomUniform(-1, 2, seed=3),
        initializers.RandomNormal(1, 2),
        initializers.GlorotNormal(seed=9),
    ],
)
def test_serialize_keeps_the_arguments(made: initializers.Initializer) -> None:
    again = initializers.get(initializers.serialize(made))
    assert again.get_config() == made.get_config()
    assert initializers.get(made) is made


@pytest.mark.parametrize("name", ["xavier", None, 3, {"class_name": "Nobody"}])
def test_unknown_names_list_the_known(name: object) -> None:
    with pytest.raises(ValueError, match=r"unknown initializer.*glorot_uniform.*zeros"):
        initializers.get(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("limits", [(-1e308, 1e308), (0.0, np.inf), (np.nan, 1.0)])
def test_uniform_numbers_between_no_finite_limits(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="RandomUniform: minval and maxval must be finite"):
        initializers.RandomUniform(*limits)
    made = initializers.RandomUniform()
    with pytest.raises(ValueError, match="must be finite"):
        made.maxval = np.inf
