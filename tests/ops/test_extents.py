"""Extreme geometry on tiny arrays, and memory in proportion to inputs and outputs.

Everything here runs in a child process: a wrong offset ends it with a signal, and its address space
or its largest resident set is what is measured.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convkit import ops, runtime

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the child's memory is read in Linux's /proc"
)

LARGEST = 2**31 - 1
REFUSED = (ValueError, MemoryError)


def _in_child(statement: str, timeout: float = 300.0) -> str:
    """Run a statement of this module in a child; return what it printed."""
    program = f"import test_extents; test_extents.{statement}"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path]),
    }
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        check=False,
    )
    assert run.returncode == 0, f"{statement} ended with {run.returncode}: {run.stderr[-2000:]}"
    return run.stdout


def _status(name: str) -> int:
    """A line of the process's status, such as VmRSS, in bytes."""
    with open("/proc/self/status", encoding="ascii") as file:
        lines = dict(line.split(":", 1) for line in file)
    return 1024 * int(lines[name].split()[0])


def _limit_memory(more: int) -> None:
    import resource

    ops.conv2d_forward(np.ones((8, 32, 32, 16), np.float32), np.ones((3, 3, 16, 16), np.float32))
    limit = _status("VmSize") + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


class Sizes:
    """Random sizes, most of them small, some of them extreme."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def small(self, low: int = 1, high: int = 4) -> int:
        return int(self.rng.integers(low, high + 1))

    def any(self, low: int = 1) -> int:
        kind = self.rng.integers(4)
        if kind == 0:
            return int(self.rng.choice([LARGEST, LARGEST - 1, 2**30, 2**26, 2**16, 1431655765]))
        if kind == 1:
            return min(LARGEST, int(2 ** self.rng.uniform(0, 31)))
        return self.small(low)

    def pair(self, low: int = 1) -> tuple[int, int]:
        return self.any(low), self.any(low)

    def pads(self) -> Any:
        if self.rng.integers(3) == 0:
            return str(self.rng.choice(["same", "valid"]))
        return self.pair(0), self.pair(0)

    def integers(self, *shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return self.rng.integers(-3, 4, shape).astype(np.float32)


def _positions(
    shape: tuple[int, ...], kernel: tuple[int, int], window: Any
) -> list[tuple[tuple[int, int], tuple[int, int], tuple[int, int]]]:
    """(output, tap, input) positions of a convolution whose input position is inside the image."""
    found = []
    for (oh, ow), (kh, kw) in itertools.product(np.ndindex(*window.size), np.ndindex(*kernel)):
        h = oh * window.strides[0] + kh * window.dilation[0] - window.pads[0]
        w = ow * window.strides[1] + kw * window.dilation[1] - window.pads[2]
        if 0 <= h < shape[1] and 0 <= w < shape[2]:
            found.append(((oh, ow), (kh, kw), (h, w)))
    return found


def _check_convolution(sizes: Sizes) -> None:
    """One problem, forward and backward, against sums over Python's integers."""
    from convkit.ops._window import resolve

    depthwise = bool(sizes.rng.integers(2))
    c, multiplier = sizes.small(), sizes.small(1, 2)
    groups, oc = (c, c * multiplier) if depthwise else (1, sizes.small())
    shape = (sizes.small(1, 2), sizes.small(), sizes.small(), c)
    x = sizes.integers(*shape)
    w = sizes.integers(sizes.small(), sizes.small(), c // groups, oc)
    options: dict[str, Any] = {
        "strides": sizes.pair(),
        "padding": sizes.pads(),
        "dilation": sizes.pair(),
    }
    y = ops.conv2d_forward(x, w, groups=groups, **options)
    dy = np.ones_like(y)
    dx = ops.conv2d_backward_input(dy, w, shape, groups=groups, **options)
    dw = ops.conv2d_backward_weights(x, dy, w.shape, groups=groups, **options)
    if y[0, ..., 0].size > 64:
        return
    window = resolve(shape[1:3], w.shape[:2], **options)
    wanted = [np.zeros_like(y), np.zeros_like(x), np.zeros_like(w)]
    for (oh, ow), (kh, kw), (h, v) in _positions(shape, w.shape[:2], window):
        for o in range(oc):
            g = o // (oc // groups) * (c // groups)
            part = slice(g, g + c // groups)
            wanted[0][:, oh, ow, o] += x[:, h, v, part] @ w[kh, kw, :, o]
            wanted[1][:, h, v, part] += w[kh, kw, :, o]
            wanted[2][kh, kw, :, o] += x[:, h, v, part].sum(axis=0)
    for actual, expected in zip((y, dx, dw), wanted, strict=True):
        np.testing.assert_array_equal(actual, expected, err_msg=f"{shape} {w.shape} {options}")


def _check_pools(sizes: Sizes) -> None:
    shape = (sizes.small(1, 2), sizes.small(), sizes.small(), sizes.small())
    x = sizes.integers(*shape)
    arguments = (sizes.pair(),)
    options = {"strides": sizes.pair(), "padding": sizes.pads()}
    y, indices = ops.max_pool2d_forward(x, *arguments, **options)
    ops.max_pool2d_backward(y, indices, shape, *arguments, **options)
    mean = ops.average_pool2d_forward(x, *arguments, **options)
    dx = ops.average_pool2d_backward(np.ones_like(mean), shape, *arguments, **options)
    np.testing.assert_allclose(dx.sum(dtype=np.float64), mean.size, rtol=1e-5)
    assert (y >= mean - 1e-5).all()


def _check_fused(sizes: Sizes) -> None:
    c, oc = sizes.small(), sizes.small()
    x = sizes.integers(sizes.small(1, 2), sizes.small(), sizes.small(), c)
    w, b = sizes.integers(sizes.small(), sizes.small(), c, oc), sizes.integers(oc)
    options: dict[str, Any] = {
        "strides": sizes.pair(),
        "padding": sizes.pads(),
        "dilation": sizes.pair(),
    }
    y, indices = ops.conv2d_max_pool2d_forward(x, w, b, **options)
    whole = ops.conv2d_forward(x, w, b, **options)
    np.testing.assert_array_equal(y, ops.max_pool2d_forward(whole, 2)[0])
    gradients = {"dx": np.empty_like(x), "dw": np.empty_like(w), "db": np.empty_like(b)}
    ops.conv2d_max_pool2d_backward(x, w, y, indices, np.ones_like(y), **options, **gradients)


def _check_padding(sizes: Sizes) -> None:
    x = sizes.integers(sizes.small(), sizes.small(), sizes.small(), sizes.small())
    padding = (sizes.pair(0), sizes.pair(0))
    y = ops.zero_padding2d_forward(x, padding)
    np.testing.assert_array_equal(ops.zero_padding2d_backward(y, padding), x)


def _check_arrangements(sizes: Sizes) -> None:
    x = sizes.integers(sizes.small(), sizes.small(), sizes.small(), sizes.small())
    factors = sizes.pair()
    for interpolation in ("nearest", "bilinear"):
        y = ops.upsampling2d_forward(x, factors, interpolation=interpolation)
        dx = ops.upsampling2d_backward(np.ones_like(y), factors, interpolation=interpolation)
        np.testing.assert_allclose(dx.sum(dtype=np.float64), y.size, rtol=1e-5)
    np.testing.assert_array_equal(ops.permute(x, (2, 0, 3, 1)), x.transpose(2, 0, 3, 1))


def _check_shapes_alone(sizes: Sizes) -> None:
    """No arrays: sizes of images and kernels may be extreme, too."""
    many = [sizes.any() for _ in range(4)]
    kernel = (sizes.any(), sizes.any(), many[3], sizes.any())
    options: dict[str, Any] = {
        "strides": sizes.pair(),
        "padding": sizes.pads(),
        "dilation": sizes.pair(),
    }
    ops.conv2d_output_shape(many, kernel, **options)
    for direction in ("forward", "backward_input", "backward_weights"):
        ops.conv2d_algorithm(many, kernel, direction=direction, **options)


CHECKS: dict[str, Callable[[Sizes], None]] = {
    "convolution": _check_convolution,
    "pools": _check_pools,
    "fused": _check_fused,
    "padding": _check_padding,
    "arrangements": _check_arrangements,
    "shapes": _check_shapes_alone,
}


def hostile(name: str, seed: int, count: int) -> None:
    """Random problems in this process, whose memory is limited."""
    runtime.set_num_threads(2)
    _limit_memory(256 << 20)
    done = 0
    for i in range(count):
        try:
            CHECKS[name](Sizes(1000 * seed + i))
            done += 1
        except REFUSED:
            pass
    print(done)


@pytest.mark.parametrize("name", CHECKS)
def test_extreme_geometry_is_computed_or_refused(name: str) -> None:
    done = int(_in_child(f"hostile({name!r}, seed=1, count=400)"))
    assert done > 5, "hardly any problem was computed"


def test_a_padded_copy_whose_size_wraps_around_is_not_made() -> None:
    # n * H * W * C of a copy with all its padding is 2**64 here.
    x, w = np.ones((2, 2, 1, 1), np.float32), np.ones((4, 32, 1, 1), np.float32)
    _in_child("wrapping()")
    assert x.size < w.size


def wrapping() -> None:
    """In the child of the test above."""
    _limit_memory(1 << 30)
    x, w = np.ones((2, 2, 1, 1), np.float32), np.ones((4, 32, 1, 1), np.float32)
    padding = ((LARGEST, LARGEST), (0, LARGEST))
    options: dict[str, Any] = {"padding": padding, "dilation": (1431655765, 1), "strides": (1, 32)}
    try:
        ops.conv2d_forward(x, w, **options)
    except REFUSED:
        return
    raise AssertionError("an output of more than 2**57 numbers was computed")


@pytest.mark.parametrize("size", [2**40, 2**62, 2**63, 2**64])
def test_shapes_beyond_any_memory_are_named(size: int) -> None:
    with pytest.raises(
        (ValueError, OverflowError, TypeError), match=r"2\^|size|incompatible|large"
    ):
        ops.conv2d_algorithm((size, size, 3, 16), (3, 3, 16, 16))


def _ones(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.ones(shape, np.float32)


def _forward(x: Any, w: Any, **options: Any) -> tuple[list[Any], Callable[[], Any]]:
    x, w = _ones(*x), _ones(*w)
    return [x, w], lambda: ops.conv2d_forward(x, w, **options)


def _gradient(x: Any, w: Any, of: str, **options: Any) -> tuple[list[Any], Callable[[], Any]]:
    dy = _ones(*ops.conv2d_output_shape(x, w, **options))
    if of == "input":
        w = _ones(*w)
        return [dy, w], lambda: ops.conv2d_backward_input(dy, w, x, **options)
    x = _ones(*x)
    return [dy, x], lambda: ops.conv2d_backward_weights(x, dy, w, **options)


# Name: the inputs and the call.
HUNGRY: dict[str, Callable[[], tuple[list[Any], Callable[[], Any]]]] = {
    "dilation": lambda: _forward((1, 4, 4, 1), (2, 2, 1, 1), padding="same", dilation=(2**26, 1)),
    "large kernel": lambda: _forward((1, 2049, 2049, 1), (2048, 2048, 1, 1)),
    "one output": lambda: _forward((1, 1, 1, 4 << 20), (1, 1, 4 << 20, 1)),
    "pieces of large weights": lambda: _gradient((8, 1, 1, 4096), (1, 1, 4096, 4096), "weights"),
    "phases of a large stride": lambda: _gradient(
        (1, 1024, 1024, 2), (1, 1, 1, 2), "input", strides=(2000, 2000), groups=2
    ),
    "repeated channels": lambda: _forward(
        (1, 512, 512, 2), (3, 3, 1, 256), strides=(64, 64), groups=2
    ),
    "one input": lambda: (
        (arrays := [_ones(1, 4 << 20), _ones(1, 4 << 20)]),
        lambda: ops.dense_backward_input(*arrays),
    ),
    "scales of one position": lambda: (
        (arrays := [_ones(1, (4 << 20) + 1), _ones((4 << 20) + 1)]),
        lambda: ops.rescaling_forward(*arrays, arrays[1]),
    ),
}


def hungry(name: str) -> None:
    """Print the bytes that a call took beside its inputs, and those of inputs and outputs."""
    runtime.set_num_threads(2)
    ops.conv2d_forward(_ones(8, 32, 32, 16), _ones(3, 3, 16, 16))
    inputs, call = HUNGRY[name]()
    before = _status("VmRSS")
    result = call()
    print(_status("VmHWM") - before, sum(a.nbytes for a in inputs) + result.nbytes)


@pytest.mark.parametrize("name", HUNGRY)
def test_memory_is_in_proportion_to_inputs_and_outputs(name: str) -> None:
    taken, arrays = (int(word) for word in _in_child(f"hungry({name!r})").split())
    bound = 5 * arrays + (64 << 20)
    assert taken <= bound, f"{taken >> 20} MiB were taken for {arrays >> 20} MiB"


@pytest.mark.parametrize(
    ("x", "w", "options", "algorithm"),
    [
        ((1, 28, 28, 1), (3, 3, 1, 32), {"padding": "same"}, "direct rows"),
        ((1, 4, 4, 1), (2, 2, 1, 1), {"padding": "same", "dilation": (2**26, 1)}, "direct"),
        ((1, 64, 64, 1), (2, 2, 1, 1), {"padding": "same", "dilation": (8, 1)}, "direct rows"),
        ((1, 512, 512, 2), (3, 3, 1, 256), {"strides": 64, "groups": 2}, "direct"),
        ((1, 512, 512, 2), (3, 3, 1, 256), {"groups": 2}, "depthwise"),
    ],
)
def test_algorithms_that_need_too_much_memory_are_not_chosen(
    x: Any, w: Any, options: dict[str, Any], algorithm: str
) -> None:
    assert ops.conv2d_algorithm(x, w, **options) == algorithm


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize(("c", "oc"), [(3, 1), (1, 3), (70000, 5), (3, 70001)])
def test_weights_whose_rows_are_not_padded_give_the_same_sums(c: int, oc: int) -> None:
    # 4 MiB of rows that are filled up are the limit.
    rng = np.random.default_rng(3)
    x, w = (rng.integers(-2, 3, shape).astype(np.float32) for shape in ((3, c), (c, oc)))
    dy = rng.integers(-2, 3, (3, oc)).astype(np.float32)
    np.testing.assert_array_equal(ops.dense_forward(x, w), x.astype(float) @ w)
    np.testing.assert_array_equal(ops.dense_backward_input(dy, w), dy.astype(float) @ w.T)
