"""Every op with hostile values: an error that says so, never a crash or a wrong result.

The patterns are those of published vulnerabilities of larger libraries: gradients whose buffer is
sized by one argument and indexed by another (CVE-2021-29540), divisions by a caller's dimension
(CVE-2021-29526), pooling that trusts its indices (CVE-2021-29579), windows or strides of zero
(CVE-2021-41196, CVE-2025-2953), batch-norm vectors of another length (CVE-2021-29583) and products
of dimensions that overflow (CVE-2021-41197).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from calls import (
    OUTPUTS,
    call,
    valid_arguments,
    valid_calls,
)
from compare import Array
from convkit import ops, reference

WRONG = (ValueError, TypeError)
REFUSED = (ValueError, TypeError, MemoryError)


HOSTILE = (
    0,
    -1,
    -(2**31),
    -(2**63),
    2**63,
    2**64,
    1.5,
    None,
    "two",
    (1,),
    (1, 1, 1),
    (0, 1),
    (1, -1),
)


@pytest.mark.parametrize("value", HOSTILE, ids=str)
@pytest.mark.parametrize("key", ["strides", "dilation"])
@pytest.mark.parametrize(
    "name", ["conv2d_forward", "conv2d_backward_input", "conv2d_backward_weights"]
)
def test_convolutions_refuse_steps(name: str, key: str, value: Any) -> None:
    with pytest.raises(WRONG):
        call(name, **{key: value})


@pytest.mark.parametrize(
    "value",
    [2**63, -(2**63) - 1, 2**64, 10**400, -(10**400)],
    ids=lambda v: f"{'-' if v < 0 else ''}{v.bit_length()}-bits",
)
@pytest.mark.parametrize(
    ("name", "key"),
    [
        *((f"{n}_update", "step") for n in ("adam", "adamax", "nadam")),
        *((f"{n}_update", "learning_rate") for n in ("sgd", "adam", "rmsprop", "lion", "muon")),
    ],
)
def test_numbers_beyond_their_type(name: str, key: str, value: int) -> None:
    """They are refused as values are, not in Python's words; float64 holds those up to 1e308."""
    if key == "learning_rate" and abs(value) < 10**300:
        call(name, **{key: value})
        return
    with pytest.raises(ValueError, match=key):
        call(name, **{key: value})


@pytest.mark.parametrize("value", HOSTILE, ids=str)
@pytest.mark.parametrize("key", ["strides", "pool_size"])
@pytest.mark.parametrize("name", [n for n in valid_calls() if n.startswith(("max_p", "average_p"))])
def test_pools_refuse_steps_and_windows(name: str, key: str, value: Any) -> None:
    if key == "strides" and value is None:
        return  # the default: the window's size
    with pytest.raises(WRONG):
        call(name, **{key: value})


@pytest.mark.parametrize(
    "padding",
    [
        "SAME",
        "full",
        1,
        -1,
        None,
        (1, 1),
        ((1, 1),),
        ((1, 1), (1, 1), (1, 1)),
        ((1, 1), (1,)),
        ((0, -1), (0, 0)),
        ((-1, 0), (0, 0)),
        ((0, 0), (-(2**63), 0)),
        ((2**63, 0), (0, 0)),
        ((0.5, 0), (0, 0)),
        ((2**63 - 1, 2**63 - 1), (2**63 - 1, 2**63 - 1)),
        ((2**31 - 1, 2**31 - 1), (2**31 - 1, 2**31 - 1)),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", [n for n in valid_calls() if "padding" in valid_calls()[n]])
def test_wrong_padding(name: str, padding: Any) -> None:
    with pytest.raises(REFUSED):
        call(name, padding=padding)


@pytest.mark.parametrize("groups", [0, -1, 3, 2**31, 2**63 - 1, 2**63, 1.5, None, "1"], ids=str)
@pytest.mark.parametrize(
    "name", ["conv2d_forward", "conv2d_backward_input", "conv2d_backward_weights"]
)
def test_wrong_groups(name: str, groups: Any) -> None:
    with pytest.raises(WRONG):
        call(name, groups=groups)


@pytest.mark.parametrize("large", [2**31 - 1, 2**31, 2**62, 2**63 - 1])
@pytest.mark.usefixtures("isa")
def test_huge_strides_are_right_or_refused(large: int) -> None:
    """A stride beyond the plane leaves one window; adding it to anything could overflow."""
    x, w = np.ones((1, 5, 4, 2), np.float32), np.ones((3, 3, 2, 3), np.float32)
    for function, arguments in (
        ("conv2d_forward", (x, w)),
        ("max_pool2d_forward", (x, (3, 3))),
        ("average_pool2d_forward", (x, (3, 3))),
    ):
        for padding in ("valid", "same"):
            options: dict[str, Any] = {"strides": large, "padding": padding}
            expected = getattr(reference, function)(*arguments, **options)
            try:
                result = getattr(ops, function)(*arguments, **options)
            except WRONG:
                assert large > 2**31 - 1, "a stride that fits in 31 bits is a valid one"
                continue
            if isinstance(result, tuple):
                result, expected = result[0], expected[0]
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("large", [2**31 - 1, 2**62, 2**63 - 1])
def test_huge_windows_and_dilations_are_refused(large: int) -> None:
    x, w = np.ones((1, 5, 4, 2), np.float32), np.ones((3, 3, 2, 3), np.float32)
    with pytest.raises(WRONG):
        ops.conv2d_forward(x, w, dilation=large)
    for function in (ops.max_pool2d_forward, ops.average_pool2d_forward):
        with pytest.raises(WRONG):
            function(x, large)
        # Two such sizes make more positions than an index can name.
        with pytest.raises(WRONG):
            function(x, (large, large), padding="same")


def test_a_kernel_larger_than_its_padded_input_is_named() -> None:
    x, w = np.ones((1, 2, 9, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)
    for message_of in (
        lambda: ops.conv2d_forward(x, w),
        lambda: ops.conv2d_output_shape(x.shape, w.shape),
        lambda: ops.max_pool2d_forward(x, 3),
        lambda: ops.average_pool2d_forward(x, 3),
        lambda: ops.pool2d_output_shape(x.shape, 3),
    ):
        with pytest.raises(ValueError, match=r"3.*2|2.*3"):
            message_of()


@pytest.mark.parametrize(
    ("dtype", "index"),
    [
        *((np.uint8, index) for index in (4, 9, 255)),
        *((np.int8, index) for index in (-1, -128, 4)),
        *((np.int32, index) for index in (-1, 4, 256, 2**31 - 1, -(2**31))),
        *((np.int64, index) for index in (-1, 4, 2**32, -(2**63))),
    ],
)
def test_foreign_pool_indices(dtype: Any, index: int) -> None:
    """Past the end of a 2 x 2 window, at every place of the array, in any integer type."""
    for place in range(8):
        indices: Array = np.zeros(8, dtype)
        indices[place] = index
        with pytest.raises(WRONG):
            ops.max_pool2d_backward(
                np.ones((1, 2, 2, 2), np.float32), indices.reshape(1, 2, 2, 2), (1, 4, 4, 2)
            )


@pytest.mark.parametrize("index", [-1, 289, 256, 2**31 - 1, -(2**31)])
def test_foreign_indices_of_a_large_window(index: int) -> None:
    indices = np.full((1, 1, 1, 2), 3, np.int32)
    indices[..., 1] = index
    right_size = 17 * 17
    dy, shape = np.ones((1, 1, 1, 2), np.float32), (1, 17, 17, 2)
    if 0 <= index < right_size:
        dx = ops.max_pool2d_backward(dy, indices, shape, 17)
        assert dx.reshape(right_size, 2)[index, 1] == 1
    else:
        with pytest.raises(ValueError, match="indices"):
            ops.max_pool2d_backward(dy, indices, shape, 17)


def test_pool_indices_that_point_into_padding() -> None:
    dy, shape = np.ones((1, 3, 3, 1), np.float32), (1, 3, 3, 1)
    options: dict[str, Any] = {"strides": 1, "padding": "same"}
    for place in range(9):
        for index in range(9):
            indices: Array = np.full(9, 4, np.uint8)
            indices[place] = index
            row, column = place // 3 + index // 3 - 1, place % 3 + index % 3 - 1
            arguments = (dy, indices.reshape(1, 3, 3, 1), shape, 3)
            if 0 <= row < 3 and 0 <= column < 3:
                assert ops.max_pool2d_backward(*arguments, **options)[0, row, column, 0] >= 1
            else:
                with pytest.raises(ValueError, match="indices"):
                    ops.max_pool2d_backward(*arguments, **options)


@pytest.mark.parametrize("index", [-1, 6, 255, 2**31 - 1, -(2**31)])
def test_foreign_global_pool_indices(index: int) -> None:
    for place in range(4):
        indices = np.zeros(4, np.int32)
        indices[place] = index
        with pytest.raises(ValueError, match="indices"):
            ops.global_max_pool2d_backward(
                np.ones((2, 2), np.float32), indices.reshape(2, 2), (2, 2, 3, 2)
            )


@pytest.mark.parametrize("name", [n for n in valid_calls() if n.startswith("batchnorm")])
@pytest.mark.parametrize("length", [0, 1, 2, 4])
def test_batchnorm_vectors_of_another_length(name: str, length: int) -> None:
    for key, value in valid_arguments(name).items():
        if isinstance(value, np.ndarray) and value.ndim == 1:
            with pytest.raises(ValueError, match=key):
                call(name, **{key: np.ones(length, np.float32)})
    for key in OUTPUTS[name][1:]:
        with pytest.raises(WRONG):
            call(name, **{key: np.ones(length, np.float32)})


@pytest.mark.parametrize("size", [2**31 - 1, 2**32, 2**40, 2**62])
def test_shape_products_beyond_memory(size: int) -> None:
    """No product of dimensions may wrap around to something small enough to allocate."""
    one, kernel = np.ones((1, 1, 1, 1), np.float32), np.ones((1, 1, 1, 1), np.float32)
    huge = (1, size, size, 2**20)
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: ops.conv2d_backward_input(one, np.ones((1, 1, 2**20, 1)), huge, strides=size),
        lambda: ops.conv2d_backward_weights(one, one, (size, size, 1, size), padding="same"),
        lambda: ops.average_pool2d_backward(one, (1, size, size, 1), 1, strides=size),
        lambda: ops.max_pool2d_backward(
            one, np.zeros((1, 1, 1, 1), np.uint8), (1, size, size, 1), 1, strides=size
        ),
        lambda: ops.global_average_pool2d_backward(np.ones((1, 1)), (1, size, size, 1)),
        lambda: ops.global_max_pool2d_backward(
            np.ones((1, 1)), np.zeros((1, 1), np.int32), (1, size, size, 1)
        ),
        lambda: ops.conv2d_forward(one, kernel, padding=((size, size), (size, size))),
    )
    for attempt in attempts:
        with pytest.raises(REFUSED):
            attempt()
    # The functions that only compute shapes use Python's integers, which do not overflow.
    shape = (size, size, size, 1)
    assert ops.conv2d_output_shape(shape, (1, 1, 1, 1)) == shape
    assert ops.pool2d_output_shape(shape, 1) == shape


def test_a_view_larger_than_memory() -> None:
    """One number repeated to 2**58 elements: the copy must fail as an allocation, nothing else."""
    view = np.broadcast_to(np.float32(1), (2**20, 2**20, 2**18, 1))
    for function in (
        ops.max_pool2d_forward,
        ops.average_pool2d_forward,
        ops.global_average_pool2d_forward,
        ops.relu_forward,
        ops.softmax_forward,
        ops.bias_backward,
    ):
        with pytest.raises(REFUSED):
            function(view)
