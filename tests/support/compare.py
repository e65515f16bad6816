"""How the tests compare arrays: error bounds and their derivation, exact bits, guarded buffers."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from convkit import Sequential, runtime

Array = NDArray[Any]

EPS = float(np.finfo(np.float32).eps)

# The bound of `assert_close` in units of eps * sqrt(terms) * rms.
#
# Add K products of independent numbers, mean zero and size s, in float32. The k-th partial sum has
# size s * sqrt(k), rounding it costs at most eps / 2 of that, and K independent roundings add in
# quadrature to (eps / 2) * s * K / sqrt(2) / sqrt(3) = 0.2 * eps * s * K. The sum itself has rms
# s * sqrt(K), so the error is 0.2 * eps * sqrt(K) in units of the rms, and its largest among 10**5
# outputs (4.5 standard deviations) about eps * sqrt(K). Eight allows for products that are not
# alike in size and for outputs whose window hangs mostly over padding.
DIRECT = 8.0
# Winograd's transforms multiply, divide and subtract numbers of equal size (Lavin and Gray, "Fast
# algorithms for convolutional neural networks", 2016; Barabasz et al., "Error analysis and
# improving the accuracy of Winograd convolution for deep neural networks", 2020). Measured, root
# mean squares against float64: two to three times the direct sum's errors with F(4x4, 3x3), five
# to ten times with F(5x5, 3x3); twenty in the weights' gradient of a plane of 5 x 5, whose direct
# sum is by images and so the more exact.
WINOGRAD = 80.0


def random_array(name: str, shape: Sequence[int]) -> Array:
    """Return normally distributed float32 numbers that depend only on `name` and `shape`."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    return generator.standard_normal(tuple(shape)).astype(np.float32)


def random_integers(name: str, shape: Sequence[int], limit: int = 3) -> Array:
    """Return whole float32 numbers in -limit .. limit; sums below 2**24 of them are exact."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    return generator.integers(-limit, limit + 1, tuple(shape)).astype(np.float32)


def float64(array: Array) -> Array:
    """Return the array in float64, for the reference to compute with."""
    return array.astype(np.float64)


def all_float64(*arrays: Array) -> tuple[Array, ...]:
    """Return several arrays in float64."""
    return tuple(float64(array) for array in arrays)


def rms(array: ArrayLike) -> float:
    """Return the root mean square of the finite numbers of `array`."""
    values = np.asarray(array, np.float64)
    values = values[np.isfinite(values)]
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0


def finite_numbers(actual: Array, expected: ArrayLike) -> tuple[Array, Array]:
    """Return both in float64, float32 `actual` first, where `expected` is finite.

    Asserts that NaN and infinities are at the same places.
    """
    wanted = np.asarray(expected, np.float64)
    assert isinstance(actual, np.ndarray)
    assert actual.dtype == np.float32
    assert actual.shape == wanted.shape
    finite = np.isfinite(wanted)
    np.testing.assert_array_equal(actual[~finite], wanted[~finite])
    return actual.astype(np.float64)[finite], wanted[finite]


def assert_close(
    actual: Array,
    expected: ArrayLike,
    *,
    terms: int = 1,
    factor: float = DIRECT,
    scale: float | None = None,
) -> None:
    """Assert that float32 `actual` is `expected` up to the rounding of sums of `terms` products.

    The largest difference may be factor * eps * sqrt(terms) * scale; scale is the rms of `expected`
    unless given. NaN and infinities must be at the same places.
    """
    got, wanted = finite_numbers(actual, expected)
    difference = np.abs(got - wanted)
    if not difference.size:
        return
    bound = factor * EPS * np.sqrt(terms) * (rms(wanted) if scale is None else scale)
    worst = float(np.max(difference))  # NaN where `actual` is not finite, which fails as it should
    assert worst <= bound, f"the largest error is {worst:.3e}, allowed is {bound:.3e}"


def assert_elementwise(
    actual: Array, expected: ArrayLike, *, ulps: float = 8.0, floor: float = 1.0
) -> None:
    """Assert |actual - expected| <= ulps * eps * max(|expected|, floor), element by element.

    `floor` is the size below which only the absolute error counts: an activation near zero is a
    difference of numbers near one. NaN and infinities must be at the same places.
    """
    got, wanted = finite_numbers(actual, expected)
    errors = np.abs(got - wanted) / (EPS * np.maximum(np.abs(wanted), floor))
    if errors.size:
        worst = int(np.argmax(errors))
        assert errors[worst] <= ulps, (
            f"{got[worst]!r} differs from {wanted[worst]!r} by {errors[worst]:.1f} units"
        )


def assert_same_bits(first: Any, second: Any) -> None:
    """Assert that two arrays, or two tuples of arrays, are the same bit for bit."""
    pairs = zip(
        first if isinstance(first, tuple) else (first,),
        second if isinstance(second, tuple) else (second,),
        strict=True,
    )
    for one, other in pairs:
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


def assert_same_weights(one: Sequential, two: Sequential) -> None:
    """Assert that two models have the same weights bit for bit, under the same paths."""
    assert [p.path for p in one.weights] == [p.path for p in two.weights]
    assert_same_bits(tuple(one.get_weights()), tuple(two.get_weights()))


def assert_same_training(one: Sequential, two: Sequential) -> None:
    """Assert that two models reported the same numbers and have weights of the same bits."""
    assert one.history is not None
    assert two.history is not None
    assert one.history.history == two.history.history
    assert_same_bits(tuple(one.get_weights()), tuple(two.get_weights()))


def assert_threads_agree(call: Callable[[], Any], counts: Iterable[int] = (1, 2, 3, 7)) -> None:
    """Assert that `call()` gives the same bits for every number of threads."""
    former = runtime.get_num_threads()
    try:
        results = []
        for count in counts:
            runtime.set_num_threads(count)
            results.append(call())
    finally:
        runtime.set_num_threads(former)
    for result in results[1:]:
        assert_same_bits(result, results[0])


@contextmanager
def direct_convolutions() -> Iterator[None]:
    """Compute every convolution as the direct sum, which is exact for whole numbers."""
    former = runtime.get_conv2d_algorithm()
    runtime.set_conv2d_algorithm("direct")
    try:
        yield
    finally:
        runtime.set_conv2d_algorithm(former)


class Guarded:
    """A C-contiguous array inside a larger buffer whose other elements must not change.

    The array starts one element past a round address: nothing promises a caller's `out` to be
    aligned to a vector.
    """

    _MARGIN = 65

    def __init__(self, shape: Sequence[int], dtype: DTypeLike = np.float32) -> None:
        size = int(np.prod(shape))
        self._buffer: Array = np.full(size + 2 * self._MARGIN, 77, dtype)
        self.array = self._buffer[self._MARGIN : self._MARGIN + size].reshape(tuple(shape))

    def check(self) -> None:
        """Assert that nothing outside the array was written."""
        assert (self._buffer[: self._MARGIN] == 77).all()
        assert (self._buffer[-self._MARGIN :] == 77).all()


def assert_out_is_used(call: Callable[..., Any], names: Sequence[str]) -> None:
    """Assert that `call(**{name: array})` fills and returns the given arrays, and writes no others.

    `names` are the keywords of the outputs in the order in which `call` returns them.
    """
    plain = call()
    results = plain if isinstance(plain, tuple) else (plain,)
    guards: Mapping[str, Guarded] = {
        name: Guarded(result.shape, result.dtype)
        for name, result in zip(names, results, strict=True)
    }
    returned = call(**{name: guard.array for name, guard in guards.items()})
    returned = returned if isinstance(returned, tuple) else (returned,)
    for guard, result, array in zip(guards.values(), results, returned, strict=True):
        assert array is guard.array
        assert_same_bits(array, result)
        guard.check()
