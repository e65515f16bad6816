"""Every op with arrays of every kind: right results, or an error that says what is wrong."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calls import (
    ANY_RANK,
    BORROWED,
    FREE_AXES,
    IN_PLACE,
    MAY_BE_EMPTY,
    OUTPUTS,
    call,
    valid_arguments,
    valid_calls,
)
from compare import EPS, WINOGRAD, Array, assert_same_bits, direct_convolutions
from convkit import ops, reference, runtime

WRONG = (ValueError, TypeError)


def float_arguments() -> Iterator[tuple[str, str]]:
    """Yield (op, argument) for every float32 array that an op takes."""
    for name, arguments in valid_calls().items():
        for key, value in arguments.items():
            if isinstance(value, np.ndarray) and value.dtype == np.float32:
                yield name, key


every_float_argument = pytest.mark.parametrize(("name", "key"), list(float_arguments()))


def results_of(name: str, **changes: Any) -> tuple[Array, ...]:
    """Return all that the op returns or changes in place, as a tuple of arrays."""
    arguments = {**valid_arguments(name), **changes}
    result = getattr(ops, name)(**arguments)
    results = result if isinstance(result, tuple) else (result,)
    changed = tuple(arguments[key] for key in IN_PLACE.get(name, ()))
    return (*(np.asarray(r) for r in results if r is not None), *changed)


def test_ops_and_reference_have_the_same_signatures() -> None:
    assert set(reference.__all__) <= set(dir(ops))
    for name in reference.__all__:
        ours = inspect.signature(getattr(ops, name)).parameters
        theirs = inspect.signature(getattr(reference, name)).parameters
        assert list(ours) == list(theirs), name
        for key in ours:
            assert ours[key].kind == theirs[key].kind, (name, key)
            assert ours[key].default == theirs[key].default, (name, key)


def test_every_op_is_in_the_table() -> None:
    shapes_only = {"conv2d_output_shape", "pool2d_output_shape"}
    assert set(valid_calls()) == set(reference.__all__) - shapes_only


@pytest.mark.parametrize("name", valid_calls())
def test_valid_calls_agree_with_the_reference(name: str) -> None:
    """The table's calls are right as they stand, so that what follows fails for its own reason."""
    arguments = valid_arguments(name)
    expected = getattr(reference, name)(**arguments)
    expected = expected if isinstance(expected, tuple) else (expected,)
    changed = tuple(arguments[key] for key in IN_PLACE.get(name, ()))
    wanted = (*(np.asarray(r) for r in expected if r is not None), *changed)
    for actual, value in zip(results_of(name), wanted, strict=True):
        np.testing.assert_allclose(actual, value, rtol=1e-5, atol=1e-5)


@every_float_argument
def test_another_rank(name: str, key: str) -> None:
    array = valid_arguments(name)[key]
    for wrong in (array[None], array[0], np.float32(1)):
        if key == "alpha" and name.startswith("categorical") and np.ndim(wrong) == 0:
            call(name, **{key: wrong})  # one number for all classes
        elif (name, key) not in ANY_RANK:
            with pytest.raises(WRONG):
                call(name, **{key: wrong})
        elif np.ndim(wrong) > 1:
            call(name, **{key: wrong})


@every_float_argument
def test_each_dimension_by_itself(name: str, key: str) -> None:
    array = valid_arguments(name)[key]
    for axis in range(array.ndim):
        longer = np.concatenate([array, array.take([0], axis)], axis)
        shorter = array.take(range(array.shape[axis] - 1), axis)
        for wrong in (longer, shorter):
            if axis not in FREE_AXES.get((name, key), ()):
                with pytest.raises(WRONG):
                    call(name, **{key: wrong})
            else:
                call(name, **{key: wrong})


@every_float_argument
def test_empty_dimensions(name: str, key: str) -> None:
    """Alone and together. An element-wise op may return an empty array; no other op may."""
    array = valid_arguments(name)[key]
    empties = [np.zeros((0,) * array.ndim, np.float32)]
    for axis in range(array.ndim):
        shape = list(array.shape)
        shape[axis] = 0
        empties.append(np.zeros(shape, np.float32))
    for empty in empties:
        if (name, key) in MAY_BE_EMPTY:
            try:
                result = call(name, **{key: empty})
            except WRONG:
                continue
            assert result is None or result.size == 0
        else:
            with pytest.raises(WRONG):
                call(name, **{key: empty})


@every_float_argument
@pytest.mark.parametrize(
    "make",
    [
        lambda array: array.astype(np.complex64),
        lambda array: array.astype(str),
        lambda array: [*array.tolist(), None],
        lambda array: "x",
        lambda array: object(),
        lambda array: {},
    ],
    ids=["complex", "text", "ragged", "string", "object", "dict"],
)
def test_things_that_are_not_numbers(name: str, key: str, make: Callable[[Array], Any]) -> None:
    with pytest.raises(WRONG):
        call(name, **{key: make(valid_arguments(name)[key])})


@pytest.mark.parametrize("name", [name for name, keys in OUTPUTS.items() if keys])
def test_outputs_that_do_not_fit(name: str) -> None:
    """Never a quiet copy: an `out` of another type, order or shape is refused."""
    for position, key in enumerate(OUTPUTS[name]):
        right = results_of(name)[position]
        wider = np.zeros((*right.shape[:-1], 2 * right.shape[-1]), right.dtype)
        read_only = np.zeros_like(right)
        read_only.flags.writeable = False
        wrong = [
            right.astype(np.float64),
            right.astype(np.int64),
            right[None],
            right.ravel()[:-1],
            wider,
            wider[..., ::2],
            np.zeros_like(right)[..., ::-1],
            right.tolist(),
            read_only,
            "out",
        ]
        if right.ndim > 1 and min(right.shape[0], right.shape[-1]) > 1:
            wrong.append(np.asfortranarray(right))
        for out in wrong:
            with pytest.raises(WRONG):
                call(name, **{key: out})


def variants(array: Array) -> dict[str, Any]:
    """Return arrays, and a list, of the same numbers in other types, orders and places."""
    spread = np.zeros(tuple(2 * size for size in array.shape), np.float32)
    spread[(slice(None, None, 2),) * array.ndim] = array
    backwards = (slice(None, None, -1),) * array.ndim
    odd = np.zeros(array.nbytes + 1, np.uint8)[1:].view(np.float32).reshape(array.shape)
    odd[...] = array
    read_only = array.copy()
    read_only.flags.writeable = False
    return {
        "float64": array.astype(np.float64),
        "float16": array.astype(np.float16),
        "int64": array.astype(np.int64),
        "int8": array.astype(np.int8),
        "big-endian": array.astype(">f4"),
        "Fortran": np.asfortranarray(array),
        "sliced": spread[(slice(None, None, 2),) * array.ndim],
        "negative strides": array[backwards].copy()[backwards],
        "unaligned": odd,
        "read-only": read_only,
        "list": array.tolist(),
    }


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (name, key)
        for name, key in float_arguments()
        if key not in (*IN_PLACE.get(name, ()), *BORROWED.get(name, ()))
    ],
)
@pytest.mark.usefixtures("isa", "one_thread")
def test_other_types_and_orders_give_the_same_bits(name: str, key: str) -> None:
    """The table holds whole numbers from 1 to 3, which every type can represent."""
    whole = valid_arguments(name)[key]
    expected = results_of(name)
    for kind, variant in variants(whole).items():
        before = np.array(variant)
        for actual, wanted in zip(results_of(name, **{key: variant}), expected, strict=True):
            assert actual.dtype == wanted.dtype, kind
            assert actual.tobytes() == wanted.tobytes(), kind
        np.testing.assert_array_equal(np.array(variant), before)


@pytest.mark.parametrize("name", sorted({*IN_PLACE, *BORROWED}))
def test_arrays_that_must_not_be_copied(name: str) -> None:
    """What changes in place, or is as large as a data set, is taken as it is or refused."""
    for key in (*IN_PLACE.get(name, ()), *BORROWED.get(name, ())):
        array = valid_arguments(name)[key]
        if array.size == 1:  # one number is in order, however it is sliced
            continue
        doubled = np.repeat(array, 2, axis=0)
        read_only = array.copy()
        read_only.flags.writeable = False
        for wrong in (array.astype(np.float64), doubled[::2], array[::-1], array.tolist()):
            with pytest.raises(WRONG):
                call(name, **{key: wrong})
        if name == "gather":
            call(name, **{key: read_only})  # a memory-mapped data set is read-only
        elif key in IN_PLACE[name]:
            with pytest.raises(WRONG):
                call(name, **{key: read_only})


def test_an_error_leaves_the_library_usable() -> None:
    for name in valid_calls():
        expected = results_of(name)
        for _ in range(3):
            with pytest.raises(WRONG):
                getattr(ops, name)(**{key: "x" for key in valid_arguments(name)})
        assert_same_bits(results_of(name), expected)


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Draw (x_shape, w_shape, options); some of them do not fit together."""

    def small(high: int) -> int:
        return draw(st.integers(1, high))

    groups = small(3)
    # From 16 channels on, other algorithms may be chosen.
    channels = draw(st.sampled_from([1, 2, 3, 4, 5, 6, 16, 17]))
    outputs = draw(st.sampled_from([*range(1, 10), 15, 16, 17, 18]))
    padding = draw(
        st.sampled_from(["same", "valid"])
        | st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2)
    )
    options = {
        "strides": (small(3), small(3)),
        "dilation": (small(3), small(3)),
        "groups": groups,
        "padding": padding,
    }
    x_shape = (small(3), small(10), small(10), channels * groups)
    return x_shape, (small(4), small(4), channels, outputs * groups), options


@given(
    problem=convolutions(), isa=st.sampled_from(runtime.available_isas()), seed=st.integers(0, 99)
)
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_random_convolutions(problem: Any, isa: str, seed: int) -> None:
    """Direct sums of whole numbers equal the reference exactly; or both refuse the shape."""
    x_shape, w_shape, options = problem
    generator = np.random.default_rng(seed)
    try:
        y_shape = reference.conv2d_output_shape(x_shape, w_shape, **options)
    except ValueError:
        with pytest.raises(ValueError, match=r"kernel|window"):
            ops.conv2d_output_shape(x_shape, w_shape, **options)
        return
    x, w, dy = (
        generator.integers(-3, 4, shape).astype(np.float32) for shape in (x_shape, w_shape, y_shape)
    )

    def all_directions(module: Any) -> tuple[Array, ...]:
        return (
            module.conv2d_forward(x, w, **options),
            module.conv2d_backward_input(dy, w, x_shape, **options),
            module.conv2d_backward_weights(x, dy, w_shape, **options),
        )

    expected = all_directions(reference)
    former = runtime.isa()
    runtime.set_isa(isa)
    try:
        chosen = all_directions(ops)
        with direct_convolutions():
            exact = all_directions(ops)
    finally:
        runtime.set_isa(former)
    for actual, wanted in zip(exact, expected, strict=True):
        np.testing.assert_array_equal(actual, wanted)
    for actual, wanted in zip(chosen, expected, strict=True):
        # At most 3 * 3 * 54 products or 3 * 10 * 10 of them, each up to 9: sums of size 100.
        np.testing.assert_allclose(actual, wanted, atol=WINOGRAD * EPS * np.sqrt(500) * 100)
