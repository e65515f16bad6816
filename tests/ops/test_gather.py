"""Gathering rows of bytes or floats, and the refusal of rows that do not exist."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from compare import Array, assert_out_is_used, assert_same_bits, assert_threads_agree, random_array
from convkit import ops, reference

ROWS = (
    *((n,) for n in range(1, 34)),
    (),
    (28, 28, 1),
    (32, 32, 3),
    (5, 7),
    (3072,),
)


def make_source(kind: str, shape: tuple[int, ...]) -> Array:
    if kind == "float32":
        return random_array("source", shape)
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.usefixtures("isa", "one_thread")
def test_rows_are_exact(kind: str, rng: np.random.Generator) -> None:
    """One multiplication in float32 has one right answer."""
    for row in ROWS:
        source = make_source(kind, (50, *row))
        for count in (1, 2, 32, 77):
            indices = rng.integers(0, 50, count)
            for scale in (1.0, 1 / 255, -2.5):
                y = ops.gather(source, indices, scale=scale)
                assert_same_bits(y, reference.gather(source, indices, scale=scale))
                assert y.dtype == np.float32


@pytest.mark.usefixtures("isa")
def test_every_byte() -> None:
    source = np.arange(256, dtype=np.uint8).reshape(256, 1)
    y = ops.gather(source, np.arange(256), scale=1 / 255)
    np.testing.assert_array_equal(y[:, 0], np.arange(256, dtype=np.float32) * np.float32(1 / 255))


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.usefixtures("isa")
def test_out_is_used_and_its_surroundings_are_not(kind: str) -> None:
    for row in ROWS:
        source = make_source(kind, (9, *row))
        assert_out_is_used(
            lambda source=source, **k: ops.gather(source, np.array([8, 0, 3]), scale=0.5, **k),
            ["out"],
        )


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits(kind: str, rng: np.random.Generator) -> None:
    for row in ((), (1,), (784,), (32, 32, 3)):
        source, indices = make_source(kind, (300, *row)), rng.integers(0, 300, 257)
        assert_threads_agree(partial(ops.gather, source, indices, scale=1 / 255))


@pytest.mark.parametrize("wrong", [-1, 5, 6, 2**31, 2**32, -(2**63), 2**63 - 1])
def test_rows_that_do_not_exist(wrong: int) -> None:
    for position in range(4):
        indices = np.zeros(4, np.int64)
        indices[position] = wrong
        with pytest.raises(ValueError, match=str(wrong)):
            ops.gather(np.ones((5, 3), np.uint8), indices)


@pytest.mark.parametrize(
    "indices",
    [
        np.zeros((2, 2), np.int64),
        np.int64(0),
        np.zeros(2, np.float32),
        np.zeros(2, bool),
        ["0"],
        None,
    ],
    ids=repr,
)
def test_indices_of_another_shape_or_kind(indices: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        ops.gather(np.ones((5, 3), np.uint8), indices)


@pytest.mark.parametrize(
    "source",
    [
        np.ones((0, 3), np.uint8),
        np.uint8(3),
        np.ones((5, 3), np.complex64),
        np.ones((5, 3), "U1"),
        None,
    ],
    ids=repr,
)
def test_sources_of_another_kind(source: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        ops.gather(source, np.array([0]))


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((3, 3), np.float32),
        np.zeros((2, 4), np.float32),
        np.zeros(6, np.float32),
        np.zeros((2, 3), np.float64),
        np.zeros((2, 3), np.uint8),
        np.zeros((3, 2), np.float32).T,
        np.zeros((2, 6), np.float32)[:, ::2],
    ],
    ids=["rows", "columns", "rank", "float64", "uint8", "Fortran", "sliced"],
)
def test_out_that_does_not_fit(out: Array) -> None:
    with pytest.raises((ValueError, TypeError)):
        ops.gather(np.ones((5, 3), np.uint8), np.array([0, 1]), out=out)
