"""Problems drawn at random of the ops of layers but the convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compare import DIRECT, EPS, Array, all_float64, float64
from convkit import ops, reference
from drawn import LARGEST, Draw, Outputs, Problem, exactly, near, nearly, relative

_OF_X = ("gelu", "leaky_relu", "silu", "hard_silu", "mish")
_ELEMENT_WISE = (
    *("relu", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign", "hard_sigmoid"),
    *("exponential", "softmax", "log_softmax", "dropout", *_OF_X),
)


def pools(draw: Draw) -> Problem:
    """Max and average pools of any window, forward and backward."""
    while True:
        shape = draw.shape()
        size = (2, 2) if draw.often(0.4) else (draw.number(1, 4), draw.number(1, 4))
        strides = size if draw.often(0.4) else (draw.number(1, 3), draw.number(1, 3))
        options: dict[str, Any] = {"strides": strides, "padding": draw.window(size)}
        try:
            pooled = reference.pool2d_output_shape(shape, size, **options)
            break
        except ValueError:  # the window does not fit
            continue
    x, dy = draw.whole(*shape), draw.whole(*pooled)
    maxima, positions = reference.max_pool2d_forward(x, size, **options)
    spread = reference.max_pool2d_backward(dy, positions, shape, size, **options)
    means = reference.average_pool2d_forward(float64(x), size, **options)
    shared = reference.average_pool2d_backward(float64(dy), shape, size, **options)

    def run(out: Outputs) -> Sequence[Array]:
        return (
            *ops.max_pool2d_forward(
                x, size, out=out(pooled), indices=out(pooled, np.uint8), **options
            ),
            ops.max_pool2d_backward(dy, positions, shape, size, out=out(shape), **options),
            ops.average_pool2d_forward(x, size, out=out(pooled), **options),
            ops.average_pool2d_backward(dy, shape, size, out=out(shape), **options),
        )

    def check(actual: Sequence[Array]) -> None:
        exactly(maxima, positions, spread)(actual[:3])
        near(actual[3], means, 2 * EPS * LARGEST, "means")
        near(actual[4], shared, 2 * EPS * LARGEST * size[0] * size[1], "gradient of the means")

    return Problem(f"pools {shape}, {size}, {options}", run, check)


def global_pools(draw: Draw) -> Problem:
    """Global max and average pools, forward and backward."""
    shape = draw.shape()
    rows = shape[0], shape[3]
    x, dy = draw.whole(*shape), draw.whole(*rows)
    maxima, positions = reference.global_max_pool2d_forward(x)
    spread = reference.global_max_pool2d_backward(dy, positions, shape)
    means = reference.global_average_pool2d_forward(float64(x))
    shared = reference.global_average_pool2d_backward(float64(dy), shape)

    def run(out: Outputs) -> Sequence[Array]:
        return (
            *ops.global_max_pool2d_forward(x, out=out(rows), indices=out(rows, np.int32)),
            ops.global_max_pool2d_backward(dy, positions, shape, out=out(shape)),
            ops.global_average_pool2d_forward(x, out=out(rows)),
            ops.global_average_pool2d_backward(dy, shape, out=out(shape)),
        )

    def check(actual: Sequence[Array]) -> None:
        exactly(maxima, positions, spread)(actual[:3])
        near(actual[3], means, 2 * EPS * LARGEST, "means")
        near(actual[4], shared, 2 * EPS * LARGEST, "gradient of the means")

    return Problem(f"global pools {shape}", run, check)


def dense(draw: Draw) -> Problem:
    """A dense layer in all directions, and the gradients of biases."""
    (n, c), oc = draw.rows(), draw.channels()
    c *= draw.number(1, 6) if draw.often(0.2) else 1
    x, w, b, dy = draw.whole(n, c), draw.whole(c, oc), draw.whole(oc), draw.whole(n, oc)
    y, activation = draw.whole(n, oc), draw.one_of((None, "relu"))
    exact = all_float64(x, w, dy)
    wanted = (
        reference.dense_forward(*exact[:2], b, activation=activation),
        reference.dense_backward_input(exact[2], exact[1]),
        reference.dense_backward_weights(exact[0], exact[2]),
        reference.bias_forward(exact[2], b, activation=activation),
        reference.bias_backward(exact[2]),
        *reference.bias_relu_backward(exact[2], float64(y)),
    )

    def run(out: Outputs) -> Sequence[Array]:
        return (
            ops.dense_forward(x, w, b, activation=activation, out=out((n, oc))),
            ops.dense_backward_input(dy, w, out=out((n, c))),
            ops.dense_backward_weights(x, dy, out=out((c, oc))),
            ops.bias_forward(dy, b, activation=activation, out=out((n, oc))),
            ops.bias_backward(dy, out=out((oc,))),
            *ops.bias_relu_backward(dy, y, out=out((n, oc)), db=out((oc,))),
        )

    return Problem(f"dense {n} x {c} x {oc}, {activation}", run, exactly(*wanted))


def batchnorm(draw: Draw) -> Problem:
    """Normalisation in training and inference, and its gradients."""
    shape = draw.shape() if draw.often(0.7) else draw.rows()
    c, rows = shape[-1], int(np.prod(shape[:-1]))
    x, dy, activation = draw.whole(*shape), draw.whole(*shape), draw.one_of((None, "relu"))
    gamma, beta = draw.among((0.5, 1, 2, -1), c), draw.whole(c)
    mean, variance = draw.whole(c), draw.whole(c, low=1)
    center, rstd = draw.whole(c, low=-1, high=1), draw.among((0.5, 1), c)
    moving = all_float64(mean, variance)
    trained = reference.batchnorm_forward(*all_float64(x, gamma, beta), *moving)
    inference = reference.batchnorm_inference(
        *all_float64(x, gamma, beta, mean, variance), activation=activation
    )
    once_more = reference.batchnorm_apply(
        *all_float64(x, gamma, beta, center, rstd), activation=activation
    )
    gradients = reference.batchnorm_backward(
        *all_float64(dy, x, gamma, beta, center, rstd), activation=activation
    )

    def run(out: Outputs) -> Sequence[Array]:
        own = out.copy(mean), out.copy(variance)
        arrays = {"out": out(shape), "mean": out((c,)), "rstd": out((c,))}
        scales = {"dgamma": out((c,)), "dbeta": out((c,))}
        return (
            *ops.batchnorm_forward(x, gamma, beta, *own, activation=activation, **arrays),
            *own,
            ops.batchnorm_inference(
                x, gamma, beta, mean, variance, activation=activation, out=out(shape)
            ),
            ops.batchnorm_apply(
                x, gamma, beta, center, rstd, activation=activation, out=out(shape)
            ),
            *ops.batchnorm_backward(
                dy, x, gamma, beta, center, rstd, activation=activation, out=out(shape), **scales
            ),
        )

    def check(actual: Sequence[Array]) -> None:
        y, own_mean, own_rstd, *others = actual
        near(own_mean, trained[1], 4 * EPS * LARGEST, "mean")
        near(own_rstd, trained[2], 4e-6 * trained[2], "rstd")
        slope = float64(own_rstd) * gamma
        values = (float64(x) - own_mean) * slope + beta
        values = values if activation is None else np.maximum(values, 0)
        near(y, values, 8 * EPS * (LARGEST + 2 * LARGEST * float(np.abs(slope).max())), "y")
        largest = LARGEST * (1 + 4 * LARGEST)
        inner = DIRECT * EPS * largest * rows
        checks = (
            (moving[0], 4 * EPS * LARGEST),
            (moving[1], 4e-6 * (1 + moving[1])),
            (inference, 8 * EPS * 4 * LARGEST * 3),
            (once_more, 8 * EPS * 4 * LARGEST * 3),
            (gradients[0], DIRECT * EPS * 2 * LARGEST * (2 + 16)),
            (gradients[1], inner),
            (gradients[2], inner),
        )
        nearly(*checks)(others)

    return Problem(f"batchnorm {shape}, {activation}", run, check)


def own_statistics(draw: Draw) -> Problem:
    """Layer and group normalisation, forward and backward."""
    shape = draw.shape() if draw.often(0.7) else draw.rows()
    c, rows, name = shape[-1], int(np.prod(shape[:-1])), draw.one_of(("layernorm", "groupnorm"))
    groups = draw.one_of([size for size in range(1, c + 1) if c % size == 0])
    options = {"groups": groups} if name == "groupnorm" else {}
    sizes = (shape[0], groups) if options else shape[:-1]
    x, dy, beta = draw.whole(*shape), draw.whole(*shape), draw.whole(c)
    gamma = draw.among((0.5, 1, 2, -1), c) if draw.often(0.7) else None
    center, rstd = draw.whole(*sizes, low=-1, high=1), draw.among((0.5, 1), *sizes)
    wide = None if gamma is None else float64(gamma)
    expected = getattr(reference, f"{name}_forward")(float64(x), wide, float64(beta), **options)
    gradients = {"dx": np.zeros(shape), "dgamma": np.zeros(c), "dbeta": np.zeros(c)}
    dy64, x64, *statistics = all_float64(dy, x, center, rstd)
    getattr(reference, f"{name}_backward")(dy64, x64, wide, *statistics, **gradients)

    def run(out: Outputs) -> Sequence[Array]:
        arrays = {"out": out(shape), "mean": out(sizes), "rstd": out(sizes)}
        own = {key: out(value.shape) for key, value in gradients.items()}
        getattr(ops, f"{name}_backward")(dy, x, gamma, center, rstd, **own)
        forward = getattr(ops, f"{name}_forward")(x, gamma, beta, **options, **arrays)
        return (*forward, *own.values())

    largest = LARGEST * (1 + 4 * LARGEST)
    sums = DIRECT * EPS * largest * rows
    check = nearly(
        (expected[0], 32 * EPS * (LARGEST + 4 * LARGEST * float(expected[2].max()))),
        (expected[1], 4 * EPS * LARGEST),
        (expected[2], 4e-6 * expected[2]),
        (gradients["dx"], 4 * DIRECT * EPS * 2 * LARGEST * (2 + 16)),
        (gradients["dgamma"], sums),
        (gradients["dbeta"], sums),
    )
    return Problem(f"{name} {shape}, {groups} groups, gamma {gamma is not None}", run, check)


def element_wise(draw: Draw) -> Problem:
    """Activations, softmax and dropout of any width."""
    shape = (draw.vector(),) if draw.often(0.5) else draw.rows()
    name = draw.one_of(_ELEMENT_WISE)
    x, dy = draw.normal(*shape) * 3, draw.normal(*shape)
    options: dict[str, Any] = {}
    if name == "dropout":
        rate = draw.one_of((0.0, 0.1, 0.5, 0.9))
        options = {
            "rate": rate,
            "seed": draw.number(0, 2**64 - 1),
            "step": draw.number(0, 2**40),
            "offset": draw.number(0, 2**40),
        }
        y = reference.dropout_forward(x, **options)

        def dropped(out: Outputs) -> Sequence[Array]:
            return (
                ops.dropout_forward(x, out=out(shape), **options),
                ops.dropout_backward(x, out=out(shape), **options),
            )

        return Problem(f"dropout {shape}, {options}", dropped, exactly(y, y))
    if name == "leaky_relu":
        options = {"negative_slope": draw.one_of((0.25, 0.01))}
    elif name == "elu":
        options = {"alpha": draw.one_of((1.0, 0.7))}
    elif name == "gelu":
        options = {"approximate": draw.often(0.5)}
    forward, backward = (getattr(reference, f"{name}_{way}") for way in ("forward", "backward"))
    y = forward(float64(x), **options)
    saved = x if name in _OF_X else y.astype(np.float32)
    dx = backward(*all_float64(dy, saved), **options)

    def run(out: Outputs) -> Sequence[Array]:
        return (
            getattr(ops, f"{name}_forward")(x, out=out(shape), **options),
            getattr(ops, f"{name}_backward")(dy, saved, out=out(shape), **options),
        )

    # What cancels: numbers up to 4 beside 1, in a row of softmax many; backward, times dy and x.
    floor = 4.0 * (np.sqrt(shape[-1]) if "softmax" in name else 1)
    sizes = float(np.abs(dy).max()) * max(floor, float(np.abs(x).max()))
    check = nearly(relative(y, floor=floor), relative(dx, floor=sizes))
    return Problem(f"{name} {shape}, {options}", run, check)


def prelus(draw: Draw) -> Problem:
    """PReLU of images or vectors, whose axes share slopes or do not; whole numbers, exactly."""
    shape = draw.shape() if draw.often(0.7) else (draw.number(1, 600), draw.vector())
    slopes = tuple(1 if draw.often(0.5) else size for size in shape[1:])
    x, dy, alpha = draw.whole(*shape), draw.whole(*shape), draw.whole(*slopes)
    wanted = (
        reference.prelu_forward(x, alpha),
        reference.prelu_backward_input(dy, x, alpha),
        reference.prelu_backward_alpha(*all_float64(dy, x), slopes),
    )

    def run(out: Outputs) -> Sequence[Array]:
        return (
            ops.prelu_forward(x, alpha, out=out(shape)),
            ops.prelu_backward_input(dy, x, alpha, out=out(shape)),
            ops.prelu_backward_alpha(dy, x, slopes, out=out(slopes)),
        )

    return Problem(f"prelu {shape}, slopes {slopes}", run, exactly(*wanted))


def frames(draw: Draw) -> Problem:
    """Zero padding, rescaling, normalization and the gathering of a batch."""
    shape = draw.shape()
    padding = tuple((draw.number(0, 3), draw.number(0, 3)) for _ in "hw")
    x, scale, offset = draw.whole(*shape), draw.among((0.5, 2, -1), shape[3]), draw.whole(shape[3])
    padded = reference.zero_padding2d_forward(x, padding)
    source = draw.indices(*shape, below=256, dtype=np.uint8) if draw.often(0.5) else x
    rows, factor = draw.indices(draw.number(1, 20), below=shape[0]), draw.one_of((1.0, 1 / 255))
    gathered = reference.gather(source, rows, scale=factor)
    wanted = (
        padded,
        reference.zero_padding2d_backward(padded, padding),
        reference.rescaling_forward(x, scale, offset),
        reference.rescaling_backward(x, scale),
        reference.normalization_forward(x, offset, scale),
        reference.normalization_backward(x, scale),
        gathered,
    )

    def run(out: Outputs) -> Sequence[Array]:
        return (
            ops.zero_padding2d_forward(x, padding, out=out(padded.shape)),
            ops.zero_padding2d_backward(padded, padding, out=out(shape)),
            ops.rescaling_forward(x, scale, offset, out=out(shape)),
            ops.rescaling_backward(x, scale, out=out(shape)),
            ops.normalization_forward(x, offset, scale, out=out(shape)),
            ops.normalization_backward(x, scale, out=out(shape)),
            ops.gather(source, rows, scale=factor, out=out(gathered.shape)),
        )

    text = f"padding {padding}, rescaling and gather of {source.dtype} {shape}"
    return Problem(text, run, exactly(*wanted))


def merges(draw: Draw) -> Problem:
    """Arrays of shapes that are broadcast together, element by element, and their gradients."""
    whole = draw.shape() if draw.often(0.7) else draw.rows()
    shapes = [
        tuple(1 if draw.often(0.3) else size for size in whole) for _ in range(draw.number(2, 4))
    ]
    shape = np.broadcast_shapes(*shapes)
    arrays, dy = [draw.whole(*each) for each in shapes], draw.whole(*shape)
    names, place = ("add", "multiply", "maximum", "minimum"), draw.number(0, len(shapes) - 1)
    others = [array for k, array in enumerate(arrays) if k != place]
    indices = reference.maximum(*arrays)[1]

    def all_results(module: Any, exact: Any, out: Any) -> Sequence[Array]:
        x, g = [exact(array) for array in arrays], exact(dy)
        found: list[Array] = []
        for name in names:
            extra = {"indices": out(shape, np.uint8)} if name in names[2:] else {}
            y = getattr(module, name)(*x, out=out(shape), **extra)
            found.extend(y if isinstance(y, tuple) else (y,))
        to = shapes[place]
        factors = [exact(array) for array in others]
        return (
            *found,
            module.subtract(*x[:2], out=out(np.broadcast_shapes(*shapes[:2]))),
            module.average(*x[:2], out=out(np.broadcast_shapes(*shapes[:2]))),
            module.add_backward(g, to, divisor=-1.0, out=out(to)),
            module.multiply_backward(g, to, *factors, out=out(to)),
            module.maximum_backward(g, indices, place, to, out=out(to)),
        )

    wanted = all_results(reference, float64, lambda shape, dtype=np.float64: np.empty(shape, dtype))
    text = f"merge {shapes}, gradient of {place}"
    return Problem(text, lambda out: all_results(ops, lambda a: a, out), exactly(*wanted))


def concatenations(draw: Draw) -> Problem:
    """Arrays side by side along any axis, and the parts that they were."""
    shape, axis = draw.shape(), draw.number(-4, 3)
    sizes = [draw.number(1, 2 * shape[axis]) for _ in range(draw.number(1, 4))]
    at = axis % 4
    arrays = [draw.whole(*shape[:at], size, *shape[at + 1 :]) for size in sizes]
    y = reference.concatenate(arrays, axis)

    def run(out: Outputs) -> Sequence[Array]:
        joined = ops.concatenate(arrays, axis, out=out(y.shape))
        parts = [
            ops.concatenate_backward(y, x.shape, sum(sizes[:k]), axis, out=out(x.shape))
            for k, x in enumerate(arrays)
        ]
        return (joined, *parts)

    return Problem(f"concatenation of {sizes} in {shape} along {axis}", run, exactly(y, *arrays))


def arrangements(draw: Draw) -> Problem:
    """Upsampling, axes in another order, and noise, forward and backward."""
    shape = draw.shape()
    size, kind = (draw.number(1, 4), draw.number(1, 4)), draw.one_of(("nearest", "bilinear"))
    larger = shape[0], shape[1] * size[0], shape[2] * size[1], shape[3]
    x, dy = draw.whole(*shape), draw.whole(*larger)
    order = draw.one_of(((0, 3, 1, 2), (0, 2, 1, 3), (3, 2, 1, 0), (1, 0, 3, 2)))
    options: dict[str, Any] = {"interpolation": kind}
    numbers = {"seed": draw.number(0, 2**64 - 1), "step": draw.number(0, 2**40)}
    rate = draw.one_of((0.0, 0.1, 0.5, 0.9))
    turned, dropped = x.transpose(order), reference.spatial_dropout2d_forward(x, rate, **numbers)
    noisy = reference.gaussian_noise_forward(float64(x), 0.5, **numbers)
    scaled = reference.gaussian_dropout_forward(float64(x), rate, **numbers)
    wanted = reference.upsampling2d_forward(float64(x), size, **options)
    summed = reference.upsampling2d_backward(float64(dy), size, **options)

    def run(out: Outputs) -> Sequence[Array]:
        return (
            ops.permute(x, order, out=out(turned.shape)),
            ops.spatial_dropout2d_forward(x, rate, out=out(shape), **numbers),
            ops.spatial_dropout2d_backward(x, rate, out=out(shape), **numbers),
            ops.gaussian_noise_backward(x, out=out(shape)),
            ops.gaussian_noise_forward(x, 0.5, out=out(shape), **numbers),
            ops.gaussian_dropout_forward(x, rate, out=out(shape), **numbers),
            ops.gaussian_dropout_backward(x, rate, out=out(shape), **numbers),
            ops.upsampling2d_forward(x, size, out=out(larger), **options),
            ops.upsampling2d_backward(dy, size, out=out(shape), **options),
        )

    def check(actual: Sequence[Array]) -> None:
        exactly(turned, dropped, dropped, x)(actual[:4])
        near(actual[4], noisy, 8 * EPS * LARGEST, "noise")
        for times in actual[5:7]:  # of numbers of a normal distribution, hardly above 6
            near(times, scaled, 8 * EPS * 6 * 3 * LARGEST, "noise that multiplies")
        near(actual[7], wanted, 4 * EPS * LARGEST, "upsampled")
        near(actual[8], summed, 8 * EPS * LARGEST * 4 * size[0] * size[1], "its gradient")

    return Problem(f"arrangements of {shape}, {size}, {kind}, {order}, {rate}", run, check)


def constraints(draw: Draw) -> Problem:
    """Parts of an array whose norms are brought within bounds."""
    shape = draw.shape() if draw.often(0.7) else draw.rows()
    axes = [axis for axis in range(len(shape)) if draw.often(0.5)] or [draw.number(0, 1)]
    w, low = draw.normal(*shape), draw.one_of((0.0, 1.0))
    bounds = {
        "min_norm": low,
        "max_norm": draw.one_of((1.0, 3.0)),
        "rate": draw.one_of((1.0, 0.25)),
    }
    wanted = float64(w)
    reference.constrain_norms(wanted, axes, **bounds)

    def run(out: Outputs) -> Sequence[Array]:
        own = out.copy(w)
        ops.constrain_norms(own, axes, **bounds)
        return (own,)

    text = f"norms of {shape} over {axes}, {bounds}"
    return Problem(text, run, nearly(relative(wanted)))


KINDS = (
    pools,
    pools,
    global_pools,
    dense,
    dense,
    batchnorm,
    own_statistics,
    element_wise,
    element_wise,
    frames,
    merges,
    merges,
    concatenations,
    arrangements,
    prelus,
    constraints,
)
