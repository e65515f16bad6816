"""The native functions, called directly with malformed arguments: the last line of defence.

`convkit.ops` checks first, but `_core` can be imported by anybody, so it must refuse by itself what
would read or write outside an array. The valid calls to spoil are those that `convkit.ops` makes:
they are recorded here, so no list of native signatures can fall behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

from compare import Array
from convkit import _core, runtime
from native_calls import RECORDED, copied, native_functions

WRONG = (ValueError, TypeError)

# (function, argument) -> axes along which another size is as good: no other array has it.
FREE_AXES: dict[tuple[str, int], tuple[int, ...]] = {
    ("bias_backward", 0): (0,),
    **{(name, 0): (0,) for name in ("clip_by_value", "sum_of_squares", "clip_by_norm")},
    ("constrain_norms", 0): (0,),
    ("count_correct", 0): (1,),
    ("gather", 0): (0,),
    ("transform_images", 0): (0, 1, 2),  # of an affine transform, whose outputs have their size
    ("uniform", 3): (0,),
    # A part may be larger, as long as it is inside, and so may the whole.
    **{(f"concatenate_{way}", place): (1,) for way in ("forward", "backward") for place in (0, 3)},
}

# (function, argument) -> axes along which one more or one less may leave the pooled shape as it is,
# because an odd last row or column of the convolution is in no window.
ROUNDED_AXES: dict[tuple[str, int], tuple[int, ...]] = {
    ("conv2d_max_pool2d_forward", 0): (1, 2),
    ("conv2d_max_pool2d_forward", 1): (0, 1),
}


# (function, argument) whose array has nothing to disagree with: any shape but () will do.
ALONE = {
    *((name, 0) for name in ("constrain_norms", "clip_by_value", "sum_of_squares", "clip_by_norm")),
    ("uniform", 3),
}

# Functions of one array, for which it may be of no elements.
MAY_BE_EMPTY = {"clip_by_value", "sum_of_squares", "clip_by_norm"}

every_function = pytest.mark.parametrize("name", native_functions())


def spoilt(name: str, position: int, value: Any) -> list[Any]:
    arguments = copied(RECORDED[name])
    arguments[position] = value
    return arguments


OTHER_TYPES = (np.float64, np.float16, np.complex64, np.int16, object)


def is_epilogue(argument: Any) -> bool:
    return type(argument) is tuple and isinstance(argument[0], _core.Activation)


def arguments_of_kind(kind: type) -> Iterator[tuple[str, int]]:
    for name, arguments in RECORDED.items():
        for position, argument in enumerate(arguments):
            if type(argument) is kind and not is_epilogue(argument):
                yield name, position


def test_every_native_function_was_recorded() -> None:
    assert set(RECORDED) == set(native_functions())


@every_function
def test_the_recorded_calls_are_valid(name: str) -> None:
    getattr(_core, name)(*copied(RECORDED[name]))


@every_function
def test_missing_and_unknown_arguments(name: str) -> None:
    function, arguments = getattr(_core, name), copied(RECORDED[name])
    for wrong in ([], arguments[:-1], [*arguments, 1], [None] * len(arguments)):
        with pytest.raises(TypeError):
            function(*wrong)
    with pytest.raises(TypeError):
        function(*arguments, colour="red")


def resized(array: Array) -> Iterator[tuple[int, Array]]:
    """Yield (axis, array with one more, one less, or no element along it)."""
    for axis in range(array.ndim):
        yield axis, np.concatenate([array, array.take([0], axis)], axis)
        yield axis, array.take(range(array.shape[axis] - 1), axis)
        yield axis, array.take([], axis)


@pytest.mark.parametrize(("name", "position"), list(arguments_of_kind(np.ndarray)))
def test_arrays_of_another_shape(name: str, position: int) -> None:
    array, function = RECORDED[name][position], getattr(_core, name)
    for axis, wrong in resized(array):
        assert wrong.flags.c_contiguous
        free = axis in FREE_AXES.get((name, position), ())
        if free and (wrong.size or name in MAY_BE_EMPTY):
            function(*spoilt(name, position, wrong))
        elif axis in ROUNDED_AXES.get((name, position), ()) and wrong.size:
            with suppress(*WRONG):
                function(*spoilt(name, position, wrong))
        else:
            with pytest.raises(WRONG):
                function(*spoilt(name, position, wrong))
    for wrong in (array[None], array[..., None], array[0].copy(), array.ravel()[:-1].copy()):
        if (name, position) in ALONE and wrong.ndim:
            function(*spoilt(name, position, wrong))
            continue
        with pytest.raises(WRONG):
            function(*spoilt(name, position, wrong))


@pytest.mark.parametrize(("name", "position"), list(arguments_of_kind(np.ndarray)))
def test_arrays_of_another_type_or_order(name: str, position: int) -> None:
    """The native side converts nothing: what it would have to copy, it refuses."""
    array, function = RECORDED[name][position], getattr(_core, name)
    doubled = np.repeat(array, 2, axis=-1)
    wrong: list[Any] = [
        *(array.astype(t) for t in OTHER_TYPES if array.dtype != t),
        array.astype(array.dtype.newbyteorder()) if array.itemsize > 1 else array.astype("U1"),
        doubled[..., ::2] if array.size > 1 else "x",  # one number has no order
        array[..., ::-1] if array.shape[-1] > 1 else "x",
        array.tolist(),
        array.tobytes(),
        "array",
        3,
    ]
    if array.ndim > 1 and not np.asfortranarray(array).flags.c_contiguous:
        wrong.append(np.asfortranarray(array))
    for value in wrong:
        with pytest.raises(WRONG):
            function(*spoilt(name, position, value))


@every_function
def test_outputs_that_are_read_only(name: str) -> None:
    """Whatever array a valid call changes must be refused when it is read-only."""
    outputs = []
    for position, argument in enumerate(RECORDED[name]):
        if isinstance(argument, np.ndarray) and argument.dtype == np.float32:
            # An output already holds its result: only after a nudge is it seen to change.
            arguments = spoilt(name, position, argument + np.float32(0.125))
            before = arguments[position].copy()
            getattr(_core, name)(*arguments)
            if not np.array_equal(arguments[position], before):
                outputs.append(position)
    assert outputs or name in {"count_correct", "conv2d_algorithm", "sum_of_squares"}
    for position in outputs:
        arguments = copied(RECORDED[name])
        arguments[position].flags.writeable = False
        with pytest.raises(WRONG):
            getattr(_core, name)(*arguments)
        np.testing.assert_array_equal(arguments[position], RECORDED[name][position])


@pytest.mark.parametrize(("name", "position"), list(arguments_of_kind(tuple)))
def test_tuples(name: str, position: int) -> None:
    """Strides, padding, dilation, windows and shapes: wrong lengths, signs, sizes and types."""
    value, function = RECORDED[name][position], getattr(_core, name)
    wrong: list[Any] = [(), value[:-1], (*value, 1), None, "12", 1, {}, [None] * len(value)]
    for place in range(len(value)):
        for number in (-1, -(2**31), -(2**63), 2**63, 2**64, 1.5, "1", None):
            wrong.append((*value[:place], number, *value[place + 1 :]))
        if min(value) > 0:
            wrong.append((*value[:place], 0, *value[place + 1 :]))
    for spoiler in wrong:
        with pytest.raises(WRONG):
            function(*spoilt(name, position, spoiler))


@every_function
def test_activations_behind_an_operation(name: str) -> None:
    """None, or a kind and three numbers."""
    for position, argument in enumerate(RECORDED[name]):
        if not is_epilogue(argument):
            continue
        kind, *numbers = argument
        wrong = [(), argument[:-1], (*argument, 1.0), list(argument), True, kind, "relu"]
        wrong += [(int(kind.value), *numbers), (kind, 1, 0.0, 0.0), (kind, None, 0.0, 0.0)]
        for spoiler in wrong:
            with pytest.raises(WRONG):
                getattr(_core, name)(*spoilt(name, position, spoiler))


@pytest.mark.parametrize(("name", "position"), list(arguments_of_kind(tuple)))
@pytest.mark.parametrize("number", [2**31 - 1, 2**31, 2**32 + 1, 2**62, 2**63 - 1])
def test_large_numbers_in_tuples(name: str, position: int, number: int) -> None:
    """Valid for a shape that is only asked about, and for a stride where one window remains."""
    value, function = RECORDED[name][position], getattr(_core, name)
    for place in range(len(value)):
        spoiler = (*value[:place], number, *value[place + 1 :])
        if name == "conv2d_algorithm":
            try:
                assert isinstance(function(*spoilt(name, position, spoiler)), str)
            except WRONG:
                continue
        else:
            with pytest.raises(WRONG):
                function(*spoilt(name, position, spoiler))


@pytest.mark.parametrize(("name", "position"), list(arguments_of_kind(int)))
def test_integers(name: str, position: int) -> None:
    function = getattr(_core, name)
    for number in (2**64, -(2**64), 1.5, "1", None, (1,), np.ones(2, np.int64)):
        with pytest.raises(WRONG):
            function(*spoilt(name, position, number))
    if name.startswith("conv2d"):
        for number in (0, -1, -(2**63), 3, 2**31, 2**63 - 1, 2**63):
            with pytest.raises(WRONG):
                function(*spoilt(name, position, number))


@pytest.mark.parametrize("step", [0, -1, -(2**63)])
def test_steps_count_from_one(step: int) -> None:
    arguments = RECORDED["adam_update"]
    (position,) = (i for i, a in enumerate(arguments) if getattr(a, "dtype", None) == np.int64)
    with pytest.raises(ValueError, match="step counts from 1"):
        _core.adam_update(*spoilt("adam_update", position, np.array([step])))


@pytest.mark.parametrize(("name", "position"), list(arguments_of_kind(float)))
def test_floats(name: str, position: int) -> None:
    function = getattr(_core, name)
    for number in ("1", None, (1.0,), np.ones(2), 1j):
        with pytest.raises(WRONG):
            function(*spoilt(name, position, number))


def test_activation_kinds() -> None:
    for name in ("activation_forward", "activation_backward"):
        for wrong in (0, 99, -1, "relu", None):
            with pytest.raises(TypeError):
                getattr(_core, name)(*spoilt(name, 0, wrong))
    # An enumeration can be made from any integer; a kind without a formula must do no harm.
    for number in (7, 99, 255, -1):
        try:
            kind = _core.Activation(number)  # type: ignore[call-arg]
        except WRONG:
            continue
        try:
            _core.activation_forward(*spoilt("activation_forward", 0, kind))
            _core.activation_backward(*spoilt("activation_backward", 0, kind))
        except WRONG:
            continue


def test_merged_arrays_are_checked_natively() -> None:
    add, largest = _core.Merge.add, _core.Merge.maximum
    x, out = np.ones((3, 4), np.float32), np.zeros((3, 4), np.float32)
    where = np.zeros((3, 4), np.uint8)
    several: list[Any] = [[], [x] * 65, [x, x[:, :3].copy()], [x, x.T], [x, x.astype(np.float64)],
                          [x, None], x, "xy", None, [x[None], x], [x[:1], x[:1]]]  # fmt: skip
    for wrong in several:
        with pytest.raises(WRONG):
            _core.merge(add, wrong, 1.0, None, out)
        if wrong is not several[-1]:
            with pytest.raises(WRONG):
                _core.merge_backward(wrong, 1.0, None, 0, out)
    small = where[:2].copy()
    for kind, indices in ((add, where), (largest, None), (largest, small), (largest, where * 1.0)):
        with pytest.raises(WRONG):
            _core.merge(kind, [x, x], 1.0, indices, out)
    for arrays, divisor, indices in (([x, x], 1.0, where), ([x], 2.0, where), ([x], 1.0, small)):
        with pytest.raises(WRONG):
            _core.merge_backward(arrays, divisor, indices, 0, out)
    for shape in ((4,), (1, 3, 4), (3, 3), (2, 4), (3, 5), ()):
        with pytest.raises(WRONG):
            _core.merge_backward([x], 1.0, None, 0, np.zeros(shape, np.float32))
    assert not out.any()


@pytest.mark.parametrize(("axis", "begin"), [(2, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, 2**62)])
def test_parts_are_checked_natively(axis: int, begin: int) -> None:
    whole, part = np.ones((3, 4), np.float32), np.ones((3, 4), np.float32)
    with pytest.raises(ValueError, match=r"axis|inside"):
        _core.concatenate_backward(whole, axis, begin, part)


def test_arrays_side_by_side_are_checked_natively() -> None:
    whole, part = np.zeros((3, 4), np.float32), np.ones((3, 2), np.float32)
    for arrays, axis in (([], 1), ([part], 1), ([part] * 3, 1), ([part] * 2, 0), ([part] * 2, 2),
                         ([part] * 2, -1), ([part, part[:2]], 1), ([part[0]] * 2, 1)):  # fmt: skip
        with pytest.raises(ValueError, match=r"axis|inside|at least|of out|shape|part"):
            _core.concatenate_forward(arrays, axis, whole)
    for spoiler in (part, (part, part), [part, None], [part, part.astype(np.float64)]):
        with pytest.raises(TypeError):
            _core.concatenate_forward(spoiler, 1, whole)
    assert not whole.any()


@pytest.mark.parametrize("direction", ["", "sideways", "FORWARD"])
def test_algorithm_directions(direction: str) -> None:
    arguments = [*copied(RECORDED["conv2d_algorithm"])[:-1], direction]
    with pytest.raises(ValueError, match="direction"):
        _core.conv2d_algorithm(*arguments)


def test_labels_and_indices_are_checked_natively() -> None:
    mean = _core.Reduction.sum_over_batch_size
    y = np.ones((3, 4), np.float32)
    three, rows = np.ones(3, np.float32), np.ones((3, 4), np.float32)
    for wrong in (-1, 4, -(2**63), 2**63 - 1):
        labels = np.array([0, wrong, 1])
        with pytest.raises(ValueError, match=str(wrong)):
            _core.softmax_cross_entropy(
                y, labels, 0.0, None, None, mean, rows.copy(), rows.copy(), three
            )
        with pytest.raises(ValueError, match=str(wrong)):
            _core.cross_entropy(y, labels, 0.0, None, None, mean, rows.copy(), three)
        with pytest.raises(ValueError, match=str(wrong)):
            _core.count_correct(y, labels)
        with pytest.raises(ValueError, match=str(wrong)):
            _core.gather(np.ones((4, 4), np.float32), labels, 1.0, rows.copy())


def test_pool_indices_are_checked_natively() -> None:
    dy, dx = np.ones((1, 2, 2, 3), np.float32), np.full((1, 4, 4, 3), 5, np.float32)
    for place in range(12):
        for wrong in (4, 5, 128, 255):
            indices = np.zeros(12, np.uint8)
            indices[place] = wrong
            with pytest.raises(ValueError, match="indices"):
                _core.max_pool2d_backward(
                    dy, indices.reshape(dy.shape), (2, 2), (2, 2), (0, 0, 0, 0), dx
                )
    # Padding on the left: position 0 of the first window is not a pixel.
    with pytest.raises(ValueError, match="indices"):
        _core.max_pool2d_backward(
            np.ones((1, 1, 2, 1), np.float32),
            np.zeros((1, 1, 2, 1), np.uint8),
            (1, 2),
            (1, 2),
            (0, 0, 1, 0),
            np.ones((1, 1, 3, 1), np.float32),
        )
    assert (dx == 5).all()


def test_pool_padding_beyond_the_window_is_refused() -> None:
    """A window of padding alone would have no maximum, and an average of nothing."""
    x = np.ones((1, 2, 2, 1), np.float32)
    y = np.ones((1, 5, 3, 1), np.float32)
    with pytest.raises(ValueError, match="padding"):
        _core.average_pool2d_forward(x, (2, 2), (1, 1), (2, 2, 1, 1), y)
    with pytest.raises(ValueError, match="padding"):
        _core.max_pool2d_forward(x, (2, 2), (1, 1), (2, 2, 1, 1), y, y.astype(np.uint8))


@pytest.mark.parametrize("count", [0, -1, -(2**31), 2**31, 2**63, 1.5, "2", None])
def test_thread_counts(count: Any) -> None:
    before = _core.num_threads()
    with pytest.raises(WRONG):
        _core.set_num_threads(count)
    with pytest.raises(WRONG):
        runtime.set_num_threads(count)
    assert _core.num_threads() == before


@pytest.mark.parametrize("name", ["", "sse9", "AVX2", "avx2 ", "\0", "x" * 10_000])
def test_instruction_set_names(name: str) -> None:
    before = _core.isa()
    with pytest.raises(ValueError, match=r"instruction set|ISA|isa"):
        _core.select_isa(name)
    with pytest.raises(ValueError, match=r"instruction set|ISA|isa"):
        runtime.set_isa(name)
    assert _core.isa() == before


def test_counters_count_both_or_none() -> None:
    step, iterations = np.array([2**53], np.uint64), np.array([7], np.int64)
    _core.count_step(step, iterations)
    assert (step[0], iterations[0]) == (2**53 + 1, 8)
    fixed = iterations.copy()
    fixed.flags.writeable = False
    for wrong in (fixed, np.zeros(2, np.int64), np.zeros(1, np.int32), 7, None):
        with pytest.raises(WRONG):
            _core.count_step(step, wrong)  # type: ignore[arg-type]
    assert step[0] == 2**53 + 1
