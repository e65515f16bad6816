"""Clipping, accumulation and moving averages against the reference."""

from __future__ import annotations

import numpy as np
import pytest

from compare import Array, Guarded, assert_elementwise, assert_threads_agree, float64, random_array
from convkit import ops, reference

SHAPES = (*((n,) for n in range(1, 35)), (3, 3, 5, 7), (70_001,))


@pytest.mark.usefixtures("isa", "threads")
def test_clip_by_value() -> None:
    for shape in SHAPES:
        g = random_array("g", shape)
        wanted = g.copy()
        ops.clip_by_value(g, limit=0.5)
        reference.clip_by_value(wanted, limit=0.5)
        np.testing.assert_array_equal(g, wanted)
    g = np.array([np.nan, np.inf, -np.inf, 0.25], np.float32)
    ops.clip_by_value(g, limit=0.5)
    np.testing.assert_array_equal(g, [np.nan, 0.5, -0.5, 0.25])


@pytest.mark.usefixtures("isa", "threads")
def test_clip_by_norm() -> None:
    for shape in SHAPES:
        g, other, squares, wanted_squares = (
            *(random_array("g", shape), random_array("h", shape)),
            *(np.full(1, 7.0), np.full(1, 7.0)),
        )
        for add, each in ((False, g), (True, other)):
            ops.sum_of_squares(each, squares, add=add)
            reference.sum_of_squares(each, wanted_squares, add=add)
        # Runs of 64 vectors are added in float32.
        np.testing.assert_allclose(squares, wanted_squares, rtol=2e-6)
        norm = float(np.sqrt(squares[0]))
        kept, wanted = g.copy(), float64(g)
        ops.clip_by_norm(kept, squares, max_norm=norm * 1.001)
        np.testing.assert_array_equal(kept, g)
        ops.clip_by_norm(g, squares, max_norm=norm / 3)
        reference.clip_by_norm(wanted, squares, max_norm=norm / 3)
        assert_elementwise(g, wanted, ulps=2)
    for wrong in (np.inf, np.nan):
        g = np.ones(5, np.float32)
        ops.clip_by_norm(g, np.full(1, wrong), max_norm=1.0)
        assert np.isnan(g).all()


@pytest.mark.usefixtures("isa", "threads")
def test_accumulate() -> None:
    for shape in SHAPES:
        total, g = random_array("total", shape), random_array("g", shape)
        wanted = float64(total)
        ops.accumulate(total, g, factor=1 / 3)
        reference.accumulate(wanted, g, factor=1 / 3)
        assert_elementwise(total, wanted, floor=0.5, ulps=4)


@pytest.mark.usefixtures("isa", "threads")
def test_moving_average() -> None:
    for shape in SHAPES:
        average, w = random_array("average", shape), random_array("w", shape)
        wanted, wanted_w = float64(average), float64(w)
        for step in (1, 2, 3, 4):
            w += np.float32(step)
            wanted_w += step
            options = {"momentum": 0.9, "step": step, "overwrite_every": 3}
            ops.moving_average(average, w, **options)  # type: ignore[arg-type]
            reference.moving_average(wanted, wanted_w, **options)  # type: ignore[arg-type]
            if step == 1:
                np.testing.assert_array_equal(average, w)
            if step == 3:
                np.testing.assert_array_equal(average, w)
        assert_elementwise(average, wanted, floor=1.0, ulps=16)
        assert_elementwise(w, wanted_w, floor=1.0, ulps=16)
    with pytest.raises(ValueError, match="step counts from 1"):
        ops.moving_average(average, w, step=0)


@pytest.mark.usefixtures("isa", "threads")
def test_lookahead() -> None:
    for shape in SHAPES:
        slow, w = random_array("slow", shape), random_array("w", shape)
        wanted, wanted_w = float64(slow), float64(w)
        for step in (1, 2, 3, 4):
            w += np.float32(step)
            wanted_w += step
            before = slow.copy()
            ops.lookahead(slow, w, step_size=0.3, step=step, sync_period=2)
            reference.lookahead(wanted, wanted_w, step_size=0.3, step=step, sync_period=2)
            if step % 2:
                np.testing.assert_array_equal(slow, before)
                assert not np.array_equal(slow, w)
            else:
                np.testing.assert_array_equal(slow, w)
        assert_elementwise(slow, wanted, floor=1.0, ulps=16)
        assert_elementwise(w, wanted_w, floor=1.0, ulps=16)
        # What does not change is not rounded either.
        ops.lookahead(slow, w, step_size=0.3, step=6, sync_period=2)
        ops.lookahead(before, before.copy(), step_size=0.0, step=6, sync_period=2)
        np.testing.assert_array_equal(slow, w)
    kept = slow.copy()
    ops.lookahead(slow, w, step_size=0.3, step=8, sync_period=2)
    np.testing.assert_array_equal(slow, kept)
    with pytest.raises(ValueError, match="sync_period"):
        ops.lookahead(slow, w, step=1, sync_period=0)


@pytest.mark.usefixtures("isa")
def test_nothing_outside_the_arrays_is_written_and_threads_agree() -> None:
    for shape in SHAPES:
        guards = [Guarded(shape) for _ in range(2)]
        one, two = (guard.array for guard in guards)
        one[...], two[...] = 1.0, 2.0
        ops.clip_by_value(one, limit=0.5)
        ops.clip_by_norm(one, np.full(1, 100.0), max_norm=1.0)
        ops.accumulate(one, two)
        ops.moving_average(one, two, step=2, overwrite_every=2)
        ops.lookahead(one, two, step=2, sync_period=2)
        for guard in guards:
            guard.check()

    def everything() -> tuple[Array, ...]:
        g, w, squares = random_array("g", (70_001,)), random_array("w", (70_001,)), np.empty(1)
        ops.sum_of_squares(g, squares)
        ops.clip_by_norm(g, squares, max_norm=1.0)
        ops.accumulate(w, g, factor=0.3)
        ops.moving_average(g, w, step=2)
        ops.lookahead(w, g, step=2, sync_period=2)
        return g, w, squares

    assert_threads_agree(everything)
