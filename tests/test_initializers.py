"""Initial values: Keras's limits and deviations, and streams that a seed fixes."""

from __future__ import annotations

import math

import numpy as np
import pytest

import convkit
from convkit import initializers
from convkit.initializers.base import compute_fans

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
    assert compute_fans(shape) == fans


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


@pytest.mark.parametrize("shape", [(3, 3, 4, 7), (3, 3, 5, 5), (1, 2, 6, 4)])
def test_dirac_passes_its_channels_on(shape: tuple[int, ...]) -> None:
    height, width, channels, filters = shape
    convkit.utils.set_random_seed(1)
    rest = initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
    kernel = initializers.Dirac(rest)(shape)
    wanted = np.zeros(shape, np.float32)
    for each in range(min(channels, filters)):
        wanted[height // 2, width // 2, each, each] = 1.0
    convkit.utils.set_random_seed(1)
    wanted[..., channels:] = rest(shape)[..., channels:]
    np.testing.assert_array_equal(kernel, wanted)
    x = np.random.default_rng(0).normal(size=(2, 6, 7, channels)).astype(np.float32)
    layer = convkit.layers.Conv2D(filters, shape[:2], padding="same", kernel_initializer="dirac")
    y = layer(x)
    if (height, width) == (3, 3):
        np.testing.assert_allclose(y[..., :channels], x[..., :filters], atol=2e-6)
    with pytest.raises(ValueError, match=r"shape \(KH, KW, C, OC\), received \(3, 4\)"):
        initializers.Dirac()((3, 4))
    again = initializers.get(initializers.serialize(initializers.Dirac(rest)))
    assert again.get_config() == initializers.Dirac(rest).get_config()


@pytest.mark.parametrize(("size", "channels"), [(2, 3), ((3, 2), 1), (3, 3), (1, 1)])
def test_whitening_makes_patches_uncorrelated(size: object, channels: int) -> None:
    height, width = (size, size) if isinstance(size, int) else size  # type: ignore[misc]
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(300, 9, 8, channels))
    images = np.cumsum(np.cumsum(noise, axis=1), axis=2).astype(np.float32) / 10  # smooth ones
    kernel = initializers.whitening_kernel(images, size, 5e-4)  # type: ignore[arg-type]
    count = height * width * channels
    assert kernel.shape == (height, width, channels, 2 * count)
    assert kernel.dtype == np.float32
    filters = kernel.reshape(count, 2 * count).astype(np.float64)
    np.testing.assert_array_equal(filters[:, count:], -filters[:, :count])
    # Against LAPACK, and what each filter gives: eigenvalue / (eigenvalue + epsilon) on average.
    rows = [
        images[:, i : 10 - height + i, j : 9 - width + j].reshape(-1, channels)
        for i in range(height)
        for j in range(width)
    ]
    patches = np.concatenate(rows, axis=1).astype(np.float64)
    values, vectors = np.linalg.eigh(patches.T @ patches / len(patches))
    values, vectors = values[::-1], vectors[:, ::-1]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(count)])
    wanted = vectors / np.sqrt(values + 5e-4)
    np.testing.assert_allclose(
        filters[:, :count], wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max()
    )
    moments = (patches @ filters[:, :count]).T @ (patches @ filters[:, :count]) / len(patches)
    np.testing.assert_allclose(moments, np.diag(values / (values + 5e-4)), atol=1e-5)


def test_whitening_of_pixels_and_of_flat_images() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 1)).astype(np.uint8)
    np.testing.assert_array_equal(
        initializers.whitening_kernel(pixels), initializers.whitening_kernel(pixels.astype(float))
    )
    flat = initializers.whitening_kernel(np.ones((2, 3, 3, 1)), 2, 0.25)
    assert np.isfinite(flat).all()
    np.testing.assert_allclose(flat[..., 0], 0.5 / np.sqrt(4.25), rtol=1e-6)
    for images, size, epsilon in (
        (pixels[0], 2, 0.1),
        (pixels, 5, 0.1),
        (pixels, (2, 2, 2), 0.1),
        (pixels, 2, 0.0),
        (pixels, 2, math.nan),
        (pixels[:0], 2, 0.1),
        (np.array(["a"]), 2, 0.1),
    ):
        with pytest.raises(ValueError, match=r"images must be|kernel_size|epsilon must be"):
            initializers.whitening_kernel(images, size, epsilon)
