"""Sums over many values: their error against float64 stays under the bound that is stated.

In one chain of additions the error grows with the number of terms. Blocks that are added up in
pairs keep it under (block + log2(n / block)) * eps / 2 times the sum of the magnitudes, and the
inputs here are those that tell both apart: a constant, whose roundings all go one way, a large
mean, and magnitudes in turn.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from compare import EPS, Array, assert_threads_agree, float64
from convkit import ops

CHAIN = 1024  # terms of the longest chain in a sum of blocks
POOL = 32  # values of a large window that are added one by one

pytestmark = pytest.mark.usefixtures("isa")


def _values(kind: str, *shape: int) -> Array:
    rng = np.random.default_rng(7)
    if kind == "constant":
        return np.full(shape, 0.1, np.float32)
    if kind == "large mean":
        return (100.0 + rng.standard_normal(shape)).astype(np.float32)
    signs = np.where(np.arange(math.prod(shape)) % 2, 1e3, 1e-3).reshape(shape)
    return (signs * rng.uniform(0.5, 1.0, shape)).astype(np.float32)


KINDS = ("constant", "large mean", "magnitudes in turn")


def _assert_sum(
    actual: Array, exact: Array, magnitudes: Any, terms: int, chain: int = CHAIN
) -> None:
    """|actual - exact| <= (chain + log2(terms / chain) + 2) * eps / 2 * magnitudes.

    The 2: the products are rounded where there is no fused multiply-add, and the result is.
    """
    steps = min(chain, terms) + max(math.log2(terms / chain), 0.0) + 2.0
    bound = steps * EPS / 2 * np.asarray(magnitudes)
    error = np.abs(actual.astype(np.float64) - exact)
    assert (error <= bound).all(), f"{error.max():.3e} is more than {np.min(bound):.3e}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("plane", [(224, 224), (512, 512), (5, 100_000), (33, 32)])
def test_global_average_pool(plane: tuple[int, int], kind: str) -> None:
    x = _values(kind, 1, *plane, 3)
    mean = ops.global_average_pool2d_forward(x)
    x64, terms = float64(x), math.prod(plane)
    _assert_sum(mean, x64.mean(axis=(1, 2)), np.abs(x64).mean(axis=(1, 2)), terms, POOL)
    if kind == "constant":
        np.testing.assert_allclose(mean, 0.1, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_average_pool_with_large_windows(kind: str) -> None:
    x = _values(kind, 1, 50, 60, 3)
    mean = ops.average_pool2d_forward(x, (40, 50), strides=(10, 10))
    view = np.lib.stride_tricks.sliding_window_view(float64(x), (40, 50), axis=(1, 2))
    exact = view[:, ::10, ::10].mean(axis=(-1, -2))
    _assert_sum(mean, exact, np.abs(view[:, ::10, ::10]).mean(axis=(-1, -2)), 2000, POOL)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kind", KINDS)
def test_average_pool_gradient_of_overlapping_windows(kind: str, padding: str) -> None:
    shape = (1, 70, 50, 3)
    plane = ops.pool2d_output_shape(shape, (31, 33), strides=1, padding=padding)
    dy = _values(kind, *plane)
    dx = ops.average_pool2d_backward(dy, shape, (31, 33), strides=1, padding=padding)
    top, left = ((31 - 1) // 2, (33 - 1) // 2) if padding == "same" else (0, 0)
    exact = np.zeros((1, 70 + 31, 50 + 33, 3))
    for oh, ow in np.ndindex(*plane[1:3]):
        rows = slice(max(oh - top, 0), min(oh - top + 31, 70))
        columns = slice(max(ow - left, 0), min(ow - left + 33, 50))
        size = (rows.stop - rows.start) * (columns.stop - columns.start)
        exact[:, rows, columns] += float64(dy[:, oh, ow])[:, None, None] / size
    exact = exact[:, :70, :50]
    _assert_sum(dx, exact, exact, 31 * 33, POOL)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_weight_gradient_over_a_large_plane(kernel: int, kind: str) -> None:
    c = 16 if kernel == 3 else 3  # Winograd's algorithm for a kernel of 3
    x, dy = _values(kind, 1, 300, 700, c), _values("constant", 1, 300, 700, c)
    dw = ops.conv2d_backward_weights(x, dy, (kernel, kernel, c, c), padding="same")
    half, planes = kernel // 2, float64(dy[0]).reshape(-1, c)
    padded = np.pad(float64(x[0]), ((half, half), (half, half), (0, 0)))
    # Winograd's transforms make of a tile's values others, up to some times as large.
    chain = CHAIN
    for kh, kw in np.ndindex(kernel, kernel):
        columns = padded[kh : kh + 300, kw : kw + 700].reshape(-1, c)
        exact = columns.T @ planes
        _assert_sum(dw[kh, kw], exact, np.abs(columns).T @ np.abs(planes), 210_000, chain)


@pytest.mark.parametrize("kind", KINDS)
def test_weight_gradient_over_many_images(kind: str) -> None:
    # Winograd's algorithm, in pieces of the batch: each image's sums are added to those before.
    n, c = 600, 16
    x, dy = _values(kind, n, 32, 32, c), np.ones((n, 32, 32, c), np.float32)
    dw = ops.conv2d_backward_weights(x, dy, (3, 3, c, c), padding="same")
    exact = float64(x).sum(axis=(0, 1, 2))
    np.testing.assert_allclose(dw[1, 1], np.repeat(exact[:, None], c, 1), rtol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_depthwise_weight_gradient_over_a_large_plane(kind: str) -> None:
    # By rows and by images: chains of OW, OH and N / 8 terms.
    n, oh, ow, c = 16, 600, 40, 3
    x, dy = _values(kind, n, oh, ow, c), _values("constant", n, oh, ow, c)
    dw = ops.conv2d_backward_weights(x, dy, (1, 1, 1, c), groups=c)
    products = float64(x) * float64(dy)
    exact = products.sum(axis=(0, 1, 2))
    magnitudes = np.abs(products).sum(axis=(0, 1, 2))
    _assert_sum(dw[0, 0, 0], exact, magnitudes, n * oh * ow, ow + oh + n // 8)


@pytest.mark.parametrize("kind", KINDS)
def test_dense_layers(kind: str) -> None:
    many = 300_000
    x, w = _values(kind, 2, many), _values("constant", many, 3)
    y = ops.dense_forward(x, w)
    _assert_sum(y, float64(x) @ float64(w), np.abs(float64(x)) @ float64(w), many)
    wide = _values(kind, 2, many)
    dx = ops.dense_backward_input(wide, np.ascontiguousarray(w.T))
    _assert_sum(dx, float64(wide) @ float64(w), np.abs(float64(wide)) @ float64(w), many)
    tall, gradients = _values(kind, many, 2), _values("constant", many, 3)
    dw = ops.dense_backward_weights(tall, gradients)
    exact = float64(tall).T @ float64(gradients)
    _assert_sum(dw, exact, np.abs(float64(tall)).T @ float64(gradients), many)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(80, 80, 2, 3), (3, 3, 3000, 2), (70, 70, 1, 2)])
def test_convolution_with_many_terms(shape: tuple[int, ...], kind: str) -> None:
    w, x = _values("constant", *shape), _values(kind, 1, *(v + 2 for v in shape[:2]), shape[2])
    y = ops.conv2d_forward(x, w)
    view = np.lib.stride_tricks.sliding_window_view(float64(x), shape[:2], axis=(1, 2))
    exact = np.einsum("nijchw,hwco->nijo", view, float64(w))
    magnitudes = np.einsum("nijchw,hwco->nijo", np.abs(view), float64(w))
    _assert_sum(y, exact, magnitudes, math.prod(shape[:3]))


@pytest.mark.parametrize("kind", KINDS)
def test_bias_gradients(kind: str) -> None:
    dy = _values(kind, 300_000, 5)
    exact, magnitudes = float64(dy).sum(axis=0), np.abs(float64(dy)).sum(axis=0)
    _assert_sum(ops.bias_backward(dy), exact, magnitudes, len(dy), 512)
    _, db = ops.bias_relu_backward(dy, np.ones_like(dy))
    _assert_sum(db, exact, magnitudes, len(dy), 512)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("shape", "x_shape"),
    [
        ((2, 500, 300, 5), (2, 1, 1, 5)),
        ((2, 64, 64, 70), (2, 1, 1, 70)),
        ((1, 300_000), (1, 1)),
        ((1, 700, 300, 3), (1, 700, 1, 1)),
        ((1, 300, 3, 700), (1, 1, 3, 1)),
    ],
)
def test_gradients_of_what_was_broadcast(
    shape: tuple[int, ...], x_shape: tuple[int, ...], kind: str
) -> None:
    dy, z = _values(kind, *shape), _values("constant", *shape)
    terms = math.prod(shape) // math.prod(x_shape)
    axes = tuple(axis for axis, size in enumerate(x_shape) if size == 1)
    for actual, exact in (
        (ops.add_backward(dy, x_shape), float64(dy)),
        (ops.multiply_backward(dy, x_shape, z), float64(dy) * float64(z)),
    ):
        magnitudes = np.abs(exact).sum(axes, keepdims=True)
        _assert_sum(actual, exact.sum(axes, keepdims=True), magnitudes, terms, 512)


@pytest.mark.parametrize("classes", [10, 30_001, 3_000_000])
def test_softmax_over_many_classes(classes: int) -> None:
    x = np.full((1, classes), 0.3, np.float32)
    x[0, 0] = 1.0
    y = ops.softmax_forward(x)
    total = np.exp(float64(x) - 1.0).sum()
    steps = min(classes, 512) + math.log2(classes) + 8  # 8: the exponential's own error
    np.testing.assert_allclose(y, np.exp(float64(x) - 1.0) / total, rtol=steps * EPS / 2)
    dy = _values("large mean", 1, classes)
    exact = float64(y) * (float64(dy) - (float64(dy) * float64(y)).sum())
    magnitudes = float64(y) * (np.abs(float64(dy)) + (float64(dy) * float64(y)).sum())
    _assert_sum(ops.softmax_backward(dy, y), exact, magnitudes, classes, 520)
    losses = ops.softmax_cross_entropy(x, np.zeros(1, np.int64))[0]
    np.testing.assert_allclose(losses, math.log(total), atol=steps * EPS)


def _normalised(x: Array, dy: Array) -> tuple[dict[str, Array], dict[str, Array]]:
    """What the op gives, and the same in float64 from the same inputs."""
    c = x.shape[-1]
    one, zero = np.ones(c, np.float32), np.zeros(c, np.float32)
    moving_mean, moving_variance = zero.copy(), zero.copy()
    _, mean, rstd = ops.batchnorm_forward(
        x, one, zero, moving_mean, moving_variance, momentum=0.0, epsilon=1e-3
    )
    dx, dgamma, dbeta = ops.batchnorm_backward(dy, x, one, zero, mean, rstd)
    x64, dy64 = float64(x), float64(dy)
    variance = x64.var(axis=0)
    xhat = (x64 - x64.mean(axis=0)) / np.sqrt(variance + 1e-3)
    gradient = dy64 - dy64.mean(axis=0) - xhat * (dy64 * xhat).mean(axis=0)
    got = {"mean": moving_mean, "variance": moving_variance, "dx": dx, "dgamma": dgamma}
    wanted = {"mean": x64.mean(axis=0), "variance": variance, "dgamma": (dy64 * xhat).sum(axis=0)}
    wanted["dx"] = gradient / np.sqrt(variance + 1e-3)
    got["dbeta"], wanted["dbeta"] = dbeta, dy64.sum(axis=0)
    return got, wanted


def test_batch_statistics_and_gradients_at_a_large_mean() -> None:
    rng = np.random.default_rng(2)
    rows, c, centre = 262_144, 3, 1e4
    x = (centre + rng.standard_normal((rows, c))).astype(np.float32)
    dy = (1.0 + rng.standard_normal((rows, c))).astype(np.float32)
    got, wanted = _normalised(x, dy)
    np.testing.assert_allclose(got["mean"], wanted["mean"], rtol=EPS)
    np.testing.assert_allclose(got["variance"], wanted["variance"], rtol=2e-5)
    np.testing.assert_allclose(got["dbeta"], wanted["dbeta"], rtol=2e-5)
    # The mean is a float32: it is off by up to half a unit of 1e4, in standard deviations.
    shift = EPS / 2 * centre * 2
    np.testing.assert_allclose(got["dgamma"], wanted["dgamma"], atol=2 * shift * rows)
    np.testing.assert_allclose(got["dx"], wanted["dx"], atol=8 * shift)


def test_gradients_behind_a_wide_pool() -> None:
    """Batch normalisation's sums where one row of windows is long."""
    rng = np.random.default_rng(5)
    x, w = rng.standard_normal((1, 2, 8192, 1)).astype(np.float32), np.ones((1, 1, 1, 2))
    vector = np.ones(2, np.float32)
    moving = (np.zeros(2, np.float32), np.ones(2, np.float32))
    y, z, mean, rstd, indices = ops.conv2d_batchnorm_forward(
        x, w, None, vector, vector, *moving, max_pool=True
    )
    dy = np.full_like(y, 0.1)
    dgamma, dbeta = np.empty(2, np.float32), np.empty(2, np.float32)
    ops.conv2d_batchnorm_backward(
        x, w, z, vector, vector, mean, rstd, dy, y, indices,
        dx=None, dw=None, db=None, dgamma=dgamma, dbeta=dbeta,
    )  # fmt: skip
    np.testing.assert_allclose(dbeta, float64(dy).sum(axis=(0, 1, 2)), rtol=1e-5)


def test_threads_agree_on_long_sums() -> None:
    x, dy = _values("large mean", 2, 100, 90, 16), _values("constant", 2, 100, 90, 16)
    flat, w = _values("large mean", 3, 9000), _values("constant", 9000, 40)

    def all_of_them() -> tuple[Array, ...]:
        return (
            ops.conv2d_backward_weights(x, dy, (3, 3, 16, 16), padding="same"),
            ops.conv2d_backward_weights(x, dy, (1, 1, 16, 16)),
            ops.global_average_pool2d_forward(x),
            ops.dense_forward(flat, w),
            ops.softmax_forward(flat),
        )

    assert_threads_agree(all_of_them)
