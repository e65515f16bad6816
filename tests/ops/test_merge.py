"""Arrays that become one, element by element, and their gradients, against the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from compare import (
    Array,
    Guarded,
    all_float64,
    assert_close,
    assert_out_is_used,
    assert_same_bits,
    assert_threads_agree,
    random_array,
    random_integers,
)
from convkit import ops, reference
from shapes import MERGES, Merge

SUMS = ("add", "multiply", "average", "subtract")
EXTREMES = ("maximum", "minimum")

every_merge = pytest.mark.parametrize("problem", MERGES, ids=str)
every_isa = pytest.mark.usefixtures("isa")


def arrays_of(problem: Merge) -> list[Array]:
    return [random_array(f"x{k}", shape) for k, shape in enumerate(problem.shapes)]


def few_values(problem: Merge) -> list[Array]:
    """So few that several arrays have the largest at many places."""
    return [random_integers(f"x{k}", shape, 2) for k, shape in enumerate(problem.shapes)]


def names(problem: Merge) -> tuple[str, ...]:
    return SUMS if len(problem.shapes) == 2 else SUMS[:-1]


@every_merge
@every_isa
def test_results_are_the_reference_s_to_the_bit(problem: Merge) -> None:
    """Every value is rounded as NumPy rounds it: one operation after the other, in float32."""
    arrays = arrays_of(problem)
    for name in names(problem):
        assert_same_bits(getattr(ops, name)(*arrays), getattr(reference, name)(*arrays))
    for name in EXTREMES:
        for given in (arrays, few_values(problem)):
            assert_same_bits(getattr(ops, name)(*given), getattr(reference, name)(*given))


def gradients(module: Any, problem: Merge, arrays: list[Array], dy: Array) -> list[Array]:
    """Of every array: of the mean, the product, and the largest."""
    found = []
    _, indices = module.maximum(*arrays)
    for k, shape in enumerate(problem.shapes):
        others = [array for j, array in enumerate(arrays) if j != k]
        found.append(module.add_backward(dy, shape, divisor=float(len(arrays))))
        found.append(module.multiply_backward(dy, shape, *others))
        found.append(module.maximum_backward(dy, indices, k, shape))
    return found


@every_merge
@every_isa
def test_gradients(problem: Merge) -> None:
    arrays, dy = few_values(problem), random_array("dy", problem.y_shape)
    terms = max(dy.size // int(np.prod(shape)) for shape in problem.shapes)
    exact = gradients(reference, problem, list(all_float64(*arrays)), dy.astype(np.float64))
    for actual, wanted in zip(gradients(ops, problem, arrays, dy), exact, strict=True):
        if terms == 1:
            assert_close(actual, wanted)
        else:
            assert_close(actual, wanted, terms=terms, scale=4.0)


@every_merge
@every_isa
def test_sums_of_whole_numbers_are_exact(problem: Merge) -> None:
    """No term is missing, and none is there twice."""
    arrays, dy = few_values(problem), random_integers("dy", problem.y_shape)
    arrays = [np.where(array == 0, 1, array).astype(np.float32) for array in arrays]
    expected = gradients(reference, problem, list(all_float64(*arrays)), dy.astype(np.float64))
    for i, actual in enumerate(gradients(ops, problem, arrays, dy)):
        wanted = expected[i]
        if i % 3 == 0:  # of the mean: thirds are not exact
            np.testing.assert_allclose(actual, wanted, rtol=1e-6)
        else:
            np.testing.assert_array_equal(actual, wanted)


@every_merge
def test_out_is_used_and_its_surroundings_are_not(problem: Merge) -> None:
    arrays, dy = arrays_of(problem), random_array("dy", problem.y_shape)
    for name in names(problem):
        assert_out_is_used(lambda name=name, **k: getattr(ops, name)(*arrays, **k), ["out"])
    for name in EXTREMES:
        call: Callable[..., Any] = getattr(ops, name)
        assert_out_is_used(lambda call=call, **k: call(*arrays, **k), ["out", "indices"])
    _, indices = ops.maximum(*arrays)
    for k, shape in enumerate(problem.shapes):
        others = [array for j, array in enumerate(arrays) if j != k]
        for call in (
            lambda shape=shape, **o: ops.add_backward(dy, shape, divisor=-1.0, **o),
            lambda shape=shape, z=others, **o: ops.multiply_backward(dy, shape, *z, **o),
            lambda shape=shape, k=k, **o: ops.maximum_backward(dy, indices, k, shape, **o),
        ):
            assert_out_is_used(call, ["out"])


@pytest.mark.parametrize("problem", [m for m in MERGES if m.name in ("plain", "tail-17", "seven")],
                         ids=str)  # fmt: skip
@every_isa
def test_out_may_be_one_of_the_arrays(problem: Merge) -> None:
    plain, dy = arrays_of(problem), random_array("dy", problem.y_shape)
    for place in range(len(plain)):
        for name in (*names(problem), *EXTREMES):
            arrays = [array.copy() for array in plain]
            expected = getattr(ops, name)(*plain)
            assert_same_bits(getattr(ops, name)(*arrays, out=arrays[place]), expected)
    for call in (
        lambda d, **o: ops.add_backward(d, d.shape, divisor=3.0, **o),
        lambda d, **o: ops.multiply_backward(d, d.shape, *plain[1:], **o),
        lambda d, **o: ops.maximum_backward(d, ops.maximum(*plain)[1], 1, d.shape, **o),
    ):
        expected, over = call(dy), dy.copy()
        assert_same_bits(call(over, out=over), expected)


def test_an_array_may_stand_several_times() -> None:
    x = random_array("x", (3, 33))
    assert_same_bits(ops.add(x, x), x + x)
    over = x.copy()
    assert_same_bits(ops.add(over, over, over, out=over), (x + x) + x)
    y, indices = ops.maximum(x, x)
    assert_same_bits(y, x)
    assert not indices.any()


@pytest.mark.parametrize("problem", [m for m in MERGES if m.name.startswith(("batch", "long"))],
                         ids=str)  # fmt: skip
@every_isa
def test_threads_give_the_same_bits(problem: Merge) -> None:
    arrays, dy = arrays_of(problem), random_array("dy", problem.y_shape)
    assert_threads_agree(
        lambda: (
            *(getattr(ops, name)(*arrays) for name in names(problem)),
            *ops.maximum(*arrays),
            *gradients(ops, problem, arrays, dy),
        )
    )


@every_isa
def test_special_numbers() -> None:
    """NaN and infinities come through, and the first NaN wins."""
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0], np.float32)
    x, z = (np.ascontiguousarray(a) for a in np.meshgrid(special, special))
    with np.errstate(all="ignore"):
        for name in SUMS:
            actual, wanted = getattr(ops, name)(x, z), getattr(reference, name)(x, z)
            np.testing.assert_array_equal(actual, wanted)
    for name in EXTREMES:
        y, indices = getattr(ops, name)(x, z)
        np.testing.assert_array_equal(y, getattr(np, name)(x, z))
        np.testing.assert_array_equal(indices, getattr(reference, name)(x, z)[1])


@every_isa
@pytest.mark.parametrize("c", [1, 3, 5, 9, 17])
def test_an_infinite_factor_of_a_row_is_multiplied_with_the_row_alone(c: int) -> None:
    dy = np.ones((1, 2, c), np.float32)
    factor = np.full((1, 2, 1), np.inf, np.float32)
    factor[0, 1] = 1.0
    dx = ops.multiply_backward(dy, (1, 1, 1), factor, np.ones((1, 1, c), np.float32))
    np.testing.assert_array_equal(dx, np.full((1, 1, 1), np.inf, np.float32))


@every_isa
def test_gradients_of_equal_numbers_go_to_the_first() -> None:
    """As TensorFlow has it, and max pooling: halves, as in PyTorch, would be another choice."""
    x = np.array([[1.0, 2.0, 3.0, 3.0]], np.float32)
    z = np.array([[1.0, 3.0, 2.0, 3.0]], np.float32)
    dy = np.array([[5.0, 6.0, 7.0, 8.0]], np.float32)
    for name, of_x in (("maximum", [5, 0, 7, 8]), ("minimum", [5, 6, 0, 8])):
        _, indices = getattr(ops, name)(x, z)
        first = ops.maximum_backward(dy, indices, 0, x.shape)
        np.testing.assert_array_equal(first[0], of_x)
        np.testing.assert_array_equal(ops.maximum_backward(dy, indices, 1, z.shape), dy - first)


def test_empty_arrays() -> None:
    none = np.zeros((0, 3), np.float32)
    assert ops.add(none, np.ones((1, 3))).shape == (0, 3)
    assert ops.maximum(none, none)[1].shape == (0, 3)
    assert ops.add_backward(none, (0, 3)).shape == (0, 3)
    with pytest.raises(ValueError, match="dy must not be empty"):
        ops.add_backward(none, (1, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, z: ops.add(x, z[:, :2]), r"\(2, 3\), \(2, 2\) cannot be broadcast together"),
        (lambda x, z: ops.multiply(x, z[:1], np.ones(4)), "axis -1 must have one size"),
        (lambda x, z: ops.add(*[x] * 65), "1 to 64 arrays, but are 65"),
        (lambda x, z: ops.add_backward(x, (3, 3)), r"cannot be broadcast together"),
        (lambda x, z: ops.add_backward(x, (1, 2, 3)), "must have the result's shape"),
        (lambda x, z: ops.add_backward(x, (2, 3), divisor=0), "divisor must be a finite number"),
        (lambda x, z: ops.multiply_backward(x, (1, 3), z[:1]), "must have the result's shape"),
        (lambda x, z: ops.add_backward(x, (2, -3)), "sizes of at least 0"),
        (lambda x, z: ops.maximum_backward(x, np.zeros((2, 3), np.uint8), 64, (2, 3)), "0 to 63"),
        (lambda x, z: ops.maximum_backward(x, np.zeros((3, 2), np.uint8), 0, (2, 3)), "dy's shape"),
    ],
)
def test_shapes_that_do_not_fit(call: Callable[..., Any], message: str) -> None:
    x, z = np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=message):
        call(x, z)


# Arrays side by side.

ROWS: tuple[tuple[int, tuple[tuple[int, ...], ...]], ...] = (
    (-1, ((2, 5, 3, 4), (2, 5, 3, 7))),
    (-1, ((3, 1), (3, 2), (3, 33), (3, 16))),
    (1, ((2, 5, 3, 4), (2, 1, 3, 4), (2, 2, 3, 4))),
    (2, ((2, 5, 3, 4), (2, 5, 6, 4))),
    (0, ((2, 5), (3, 5))),
    (-1, ((2, 5, 3, 4),)),
    (-1, ((2, 0), (2, 3))),
    (-1, ((32, 14, 14, 48), (32, 14, 14, 12), (32, 14, 14, 4))),
    (1, ((1, 150, 40, 8), (1, 20, 40, 8))),
)
every_row = pytest.mark.parametrize(("axis", "shapes"), ROWS, ids=str)


@every_row
@pytest.mark.usefixtures("threads")
def test_copies_are_exact(axis: int, shapes: tuple[tuple[int, ...], ...]) -> None:
    arrays = [random_array(f"x{k}", shape) for k, shape in enumerate(shapes)]
    y = ops.concatenate(arrays, axis)
    assert_same_bits(y, reference.concatenate(arrays, axis))
    begin = 0
    for array in arrays:
        part = ops.concatenate_backward(y, array.shape, begin, axis)
        assert_same_bits(part, reference.concatenate_backward(y, array.shape, begin, axis))
        assert_same_bits(part, array)
        begin += array.shape[axis]


@every_row
def test_out_of_copies_is_used(axis: int, shapes: tuple[tuple[int, ...], ...]) -> None:
    arrays = [random_array(f"x{k}", shape) for k, shape in enumerate(shapes)]
    assert_out_is_used(lambda **k: ops.concatenate(arrays, axis, **k), ["out"])
    y = ops.concatenate(arrays, axis)
    assert_out_is_used(lambda **k: ops.concatenate_backward(y, shapes[0], 0, axis, **k), ["out"])


def test_an_only_array_may_stay_where_it_is() -> None:
    guard = Guarded((3, 5))
    guard.array[...] = x = random_array("x", (3, 5))
    assert ops.concatenate([guard.array], out=guard.array) is guard.array
    guard.check()
    assert_same_bits(guard.array, x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: ops.concatenate([]), "at least one array"),
        (lambda x: ops.concatenate([x, x[:1]]), r"same shape but for axis -1.*arrays\[1\]"),
        (lambda x: ops.concatenate([x, x[0]]), "same shape but for axis"),
        (lambda x: ops.concatenate([x, x], 2), r"axis must be in -2 .. 1 here, but is 2"),
        (lambda x: ops.concatenate_backward(x, (2, 2), 2), "must hold an array"),
        (lambda x: ops.concatenate_backward(x, (2, 2), -1), "must hold an array"),
        (lambda x: ops.concatenate_backward(x, (1, 2), 0), "must hold an array"),
        (lambda x: ops.concatenate_backward(x, (2,), 0), "must hold an array"),
    ],
)
def test_parts_that_do_not_fit(call: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(np.ones((2, 3), np.float32))
