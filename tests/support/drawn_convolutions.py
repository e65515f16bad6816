"""Convolutions drawn at random, alone and with what can follow them: pool, normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compare import DIRECT, EPS, WINOGRAD, Array, all_float64, float64
from convkit import ops, reference
from drawn import LARGEST, Draw, Outputs, Problem, equal, near, text_of
from shapes import Conv

_DIRECTIONS = ("forward", "backward_input", "backward_weights")


def _by_winograd(shape: Conv) -> bool:
    """Whether any direction is computed by Winograd's filtering, which is not exact."""
    return any(
        ops.conv2d_algorithm(shape.x_shape, shape.w_shape, direction=each, **shape.options)
        == "winograd"
        for each in _DIRECTIONS
    )


class _Allowed:
    """The errors that the direct sum, which has none, or Winograd's filtering may make.

    `compare.WINOGRAD` is in units of eps * sqrt(terms) * the size of a sum of `terms` products.
    """

    def __init__(self, shape: Conv, winograd: bool) -> None:
        self.winograd = winograd
        product = 4.0  # rms of a product of whole numbers in -3 .. 3, each of rms 2
        self.forward, self.dx, self.dw = (
            WINOGRAD * EPS * product * terms if winograd else 0.0
            for terms in (
                shape.forward_terms,
                shape.backward_input_terms,
                shape.backward_weights_terms,
            )
        )


def _same(actual: Array, wanted: Array, bound: float, what: str) -> None:
    if bound:
        near(actual, wanted, bound, what)
    else:
        equal(actual, wanted, what)


def _of_window(whole: Array, indices: Array) -> Array:
    """The numbers that the positions within windows of 2 x 2 point to."""
    n, oh, ow, oc = indices.shape
    windows = whole[:, : 2 * oh, : 2 * ow].reshape(n, oh, 2, ow, 2, oc).transpose(0, 1, 3, 5, 2, 4)
    chosen: Array = np.take_along_axis(
        windows.reshape(n, oh, ow, oc, 4), indices[..., None].astype(np.int64), -1
    )
    return chosen[..., 0]


def convolution(draw: Draw) -> Problem:
    """All directions, each by itself and both gradients together."""
    shape, direct = draw.convolution(), draw.often(0.3)
    allowed = _Allowed(shape, not direct and _by_winograd(shape))
    x, w, dy = draw.whole(*shape.x_shape), draw.whole(*shape.w_shape), draw.whole(*shape.y_shape)
    b = draw.whole(shape.w_shape[3]) if draw.often(0.7) else None
    activation = draw.one_of((None, "relu"))
    y = draw.whole(*shape.y_shape)  # as ReLU's output its sign is all that counts
    over, without, adds = draw.often(0.3), draw.often(0.2), draw.often(0.3)
    before = draw.whole(*shape.x_shape) if adds else np.zeros(shape.x_shape, np.float32)
    options, exact = shape.options, all_float64(x, w, dy)
    forward = reference.conv2d_forward(*exact[:2], b, activation=activation, **options)
    dx = reference.conv2d_backward_input(exact[2], exact[1], x.shape, **options)
    dw = reference.conv2d_backward_weights(exact[0], exact[2], w.shape, **options)
    masked = exact[2] * (y > 0) if activation else exact[2]
    together = (
        before + reference.conv2d_backward_input(masked, exact[1], x.shape, **options),
        reference.conv2d_backward_weights(exact[0], masked, w.shape, **options),
        masked.sum(axis=(0, 1, 2)),
    )

    def run(out: Outputs) -> Sequence[Array]:
        results = [
            ops.conv2d_forward(x, w, b, activation=activation, out=out(dy.shape), **options),
            ops.conv2d_backward_input(dy, w, x.shape, out=out(x.shape), **options),
            ops.conv2d_backward_weights(x, dy, w.shape, out=out(w.shape), **options),
        ]
        own = out.copy(x)
        place = out.copy(before) if adds else own if over else out(x.shape)
        both = {"dx": None if without else place, "dw": out(w.shape), "db": out(w.shape[3:])}
        ops.conv2d_backward(own, w, dy, y, activation=activation, add_to_dx=adds, **both, **options)
        return [*results, *(array for array in both.values() if array is not None)]

    def check(actual: Sequence[Array]) -> None:
        for got, wanted, bound, what in zip(
            actual[:3],
            (forward, dx, dw),
            (allowed.forward, allowed.dx, allowed.dw),
            ("y", "dx", "dw"),
            strict=True,
        ):
            _same(got, wanted, bound, what)
        bounds = allowed.dx, allowed.dw, 0.0
        first = 1 if without else 0
        for got, wanted, bound, what in zip(
            actual[3:], together[first:], bounds[first:], ("dx", "dw", "db")[first:], strict=True
        ):
            _same(got, wanted, bound, f"{what} of conv2d_backward")

    text = f"convolution {text_of(shape)}, {activation}, adds {adds}"
    return Problem(text, run, check, direct)


def _poolable(draw: Draw) -> Conv:
    while True:
        shape = draw.convolution()
        if min(shape.y_shape[1:3]) >= 2:
            return shape


def _pooled_shape(shape: Conv) -> tuple[int, int, int, int]:
    n, oh, ow, oc = shape.y_shape
    return n, oh // 2, ow // 2, oc


def convolution_and_pool(draw: Draw) -> Problem:
    """Convolution, bias, ReLU and a 2 x 2 max pool, forward and backward."""
    shape, direct = _poolable(draw), draw.often(0.3)
    allowed = _Allowed(shape, not direct and _by_winograd(shape))
    pooled, activation = _pooled_shape(shape), draw.one_of((None, "relu"))
    x, w, b = draw.whole(*shape.x_shape), draw.whole(*shape.w_shape), draw.whole(shape.w_shape[3])
    dy, y = draw.whole(*pooled), draw.whole(*pooled)
    indices = draw.indices(*pooled, below=4, dtype=np.uint8)
    options, exact = shape.options, all_float64(x, w)
    whole = reference.conv2d_forward(*exact, b, activation=activation, **options)
    maxima, positions = reference.max_pool2d_forward(whole, (2, 2))
    masked = float64(dy) * (y > 0) if activation else float64(dy)
    spread = reference.max_pool2d_backward(masked, indices, whole.shape, (2, 2))
    wanted = (
        reference.conv2d_backward_input(spread, exact[1], x.shape, **options),
        reference.conv2d_backward_weights(exact[0], spread, w.shape, **options),
        masked.sum(axis=(0, 1, 2)),
    )

    def run(out: Outputs) -> Sequence[Array]:
        results = ops.conv2d_max_pool2d_forward(
            x, w, b, activation=activation, out=out(pooled), indices=out(pooled, np.uint8),
            **options,
        )  # fmt: skip
        gradients = out(x.shape), out(w.shape), out(w.shape[3:])
        ops.conv2d_max_pool2d_backward(
            x, w, y, indices, dy, activation=activation,
            **dict(zip(("dx", "dw", "db"), gradients, strict=True)), **options,
        )  # fmt: skip
        return (*results, *gradients)

    def check(actual: Sequence[Array]) -> None:
        _same(actual[0], maxima, allowed.forward, "y")
        if allowed.winograd:  # numbers that are equal are not, after its roundings
            near(_of_window(whole, actual[1]), maxima, 2 * allowed.forward, "what is pointed to")
        else:
            equal(actual[1], positions, "indices")
        bounds = allowed.dx, allowed.dw, 0.0
        for got, other, bound, what in zip(
            actual[2:], wanted, bounds, ("dx", "dw", "db"), strict=True
        ):
            _same(got, other, bound, what)

    return Problem(f"convolution and pool {text_of(shape)}, {activation}", run, check, direct)


def _normalised(draw: Draw) -> Conv:
    while True:
        shape = _poolable(draw)
        if shape.backward_weights_terms >= 12:
            return shape


def convolution_and_batchnorm(draw: Draw) -> Problem:
    """Convolution, normalisation, sum, ReLU and pool, forward in training and in inference."""
    shape, direct = _normalised(draw), draw.often(0.3)
    allowed = _Allowed(shape, not direct and _by_winograd(shape))
    activation, max_pool = draw.one_of((None, "relu")), draw.often(0.5)
    oc = shape.w_shape[3]
    x, w, b = draw.whole(*shape.x_shape), draw.whole(*shape.w_shape), draw.whole(oc)
    gamma, beta = draw.among((0.5, 1, 2, -1), oc), draw.whole(oc)
    mean, variance = draw.whole(oc), draw.whole(oc, low=1)
    last = _pooled_shape(shape) if max_pool else shape.y_shape
    added = None if max_pool or draw.often(0.5) else draw.whole(*shape.y_shape)
    options: dict[str, Any] = {"activation": activation, "max_pool": max_pool, "residual": added}
    options.update(shape.options)
    z = reference.conv2d_forward(*all_float64(x, w, b), **shape.options)
    inference = reference.conv2d_batchnorm_inference(
        *all_float64(x, w, b, gamma, beta, mean, variance), **options
    )

    def run(out: Outputs) -> Sequence[Array]:
        indices = out(last, np.uint8) if max_pool else None
        moving = out.copy(mean), out.copy(variance)
        arrays = {"out": out(last), "z": out(z.shape), "mean": out((oc,)), "rstd": out((oc,))}
        results = ops.conv2d_batchnorm_forward(
            x, w, b, gamma, beta, *moving, indices=indices, **arrays, **options
        )
        y = ops.conv2d_batchnorm_inference(
            x, w, b, gamma, beta, mean, variance, out=out(last), **options
        )
        return (y, *moving, *(array for array in results if array is not None))

    def check(actual: Sequence[Array]) -> None:
        y, moving_mean, moving_variance, trained, own, own_mean, rstd, *indices = actual
        _same(own, z, allowed.forward, "z")
        kept = all_float64(mean, variance)
        means, scales = reference.batchnorm_forward(float64(own), *all_float64(gamma, beta), *kept)[
            1:
        ]
        largest = float(np.abs(own).max()) + LARGEST
        near(own_mean, means, 8 * EPS * largest, "mean")
        near(rstd, scales, 4e-6 * scales, "rstd")
        near(moving_mean, kept[0], 8 * EPS * largest, "moving mean")
        near(moving_variance, kept[1], 1e-5 * (1 + np.abs(kept[1])), "moving variance")
        slope = float64(rstd) * gamma
        values = (float64(own) - own_mean) * slope + beta + (0 if added is None else added)
        values = values if activation is None else np.maximum(values, 0)
        bound = 8 * EPS * (LARGEST + float(np.abs(slope).max()) * 2 * largest)
        if max_pool:
            near(_of_window(values, indices[0]), float64(trained), bound, "what is pointed to")
            values = reference.max_pool2d_forward(values, (2, 2))[0]
        near(trained, values, bound, "y")
        # The moving statistics are in the weights, each of which is rounded once more.
        folded = float(np.abs(gamma / np.sqrt(variance + 1e-3)).max())
        terms = shape.forward_terms
        factor = WINOGRAD if allowed.winograd else DIRECT
        bound = factor * EPS * (folded * (4 * terms + largest) + 2 * LARGEST)
        near(y, inference, bound, "y of inference")

    text = f"convolution and batchnorm {text_of(shape)}, {activation}, pool {max_pool}, "
    text += f"residual {added is not None}"
    return Problem(text, run, check, direct)


def convolution_and_batchnorm_backward(draw: Draw) -> Problem:
    """Backward through pool, ReLU, normalisation and convolution.

    Statistics are halves and whole numbers, so that rounding does not decide where ReLU is open.
    """
    shape, direct = _normalised(draw), draw.often(0.3)
    winograd = not direct and _by_winograd(shape)
    activation, max_pool = draw.one_of((None, "relu")), draw.often(0.5)
    oc, last = shape.w_shape[3], _pooled_shape(shape) if max_pool else shape.y_shape
    x, w, z = draw.whole(*shape.x_shape), draw.whole(*shape.w_shape), draw.whole(*shape.y_shape)
    gamma, beta = draw.among((0.5, 1, 2, -1), oc), draw.whole(oc)
    mean, rstd = draw.whole(oc, low=-1, high=1), draw.among((0.5, 1), oc)
    dy, y = draw.whole(*last), draw.whole(*last)
    indices = draw.indices(*last, below=4, dtype=np.uint8) if max_pool else None
    pooled = (y, indices) if max_pool else (None, None)
    given = x, w, z, gamma, beta, mean, rstd, dy
    options: dict[str, Any] = {"activation": activation, **shape.options}
    shapes = {"dx": x.shape, "dw": w.shape, "db": (oc,)}
    first = {key: np.zeros(value) for key, value in shapes.items()}
    last_two = reference.conv2d_batchnorm_backward(
        *all_float64(*given), *((float64(y), indices) if max_pool else pooled), **first, **options
    )
    wanted = (*first.values(), *last_two)
    # |dz| <= |gamma rstd| (|dy| + the mean of |dy| + |xhat| times the mean of |dy xhat|).
    standard = np.abs((float64(z) - mean) * rstd).max()
    largest = float(np.abs(gamma * rstd).max() * LARGEST * (2 + standard**2))
    factor = EPS * (WINOGRAD if winograd else DIRECT)
    positions = shape.backward_weights_terms
    bounds = (
        factor * largest * LARGEST * shape.backward_input_terms,
        factor * largest * LARGEST * positions,
        DIRECT * EPS * largest * positions,
        DIRECT * EPS * LARGEST * standard * positions,
        DIRECT * EPS * LARGEST * positions,
    )

    def run(out: Outputs) -> Sequence[Array]:
        gradients = {key: out(value) for key, value in shapes.items()}
        scales = out((oc,)), out((oc,))
        ops.conv2d_batchnorm_backward(
            *given, *pooled, dgamma=scales[0], dbeta=scales[1], **gradients, **options
        )
        return (*gradients.values(), *scales)

    def check(actual: Sequence[Array]) -> None:
        for got, other, bound, what in zip(
            actual, wanted, bounds, (*shapes, "dgamma", "dbeta"), strict=True
        ):
            near(got, other, bound, what)

    text = f"convolution and batchnorm backward {text_of(shape)}, {activation}, pool {max_pool}"
    return Problem(text, run, check, direct)


KINDS = (
    convolution,
    convolution,
    convolution,
    convolution_and_pool,
    convolution_and_pool,
    convolution_and_batchnorm,
    convolution_and_batchnorm_backward,
)
