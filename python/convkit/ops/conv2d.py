"""Two-dimensional convolution: NHWC images, HWIO weights, any kernel, stride, dilation, groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt

from convkit import _core
from convkit.ops._convolution import check_gradients, geometry, is_direct
from convkit.ops._epilogue import Fused, epilogue
from convkit.ops._gate import Floats, as_floats, output, truth
from convkit.ops._window import IntPair, Padding


def conv2d_output_shape(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    *,
    strides: IntPair = (1, 1),
    padding: Padding = "valid",
    dilation: IntPair = (1, 1),
    groups: int = 1,
) -> tuple[int, int, int, int]:
    """The shape (N, OH, OW, OC) that :func:`conv2d_forward` gives."""
    return geometry(x_shape, w_shape, strides, padding, dilation, groups)[0]


def conv2d_algorithm(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    *,
    strides: IntPair = (1, 1),
    padding: Padding = "valid",
    dilation: IntPair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    direction: str = "forward",
) -> str:
    """The algorithm that this problem gets, such as "direct".

    Args:
        direction: "forward", "backward_input" or "backward_weights".
        algorithm: "direct" leaves Winograd's out.
    """
    _, window = geometry(x_shape, w_shape, strides, padding, dilation, groups)
    if not isinstance(direction, str) or not direction.isascii():
        raise TypeError(f"direction must be a string such as 'forward', but is {direction!r}")
    return _core.conv2d_algorithm(
        [int(v) for v in x_shape],
        [int(v) for v in w_shape],
        window.strides,
        window.pads,
        window.dilation,
        groups,
        is_direct(algorithm),
        direction,
    )


def conv2d_forward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None = None,
    *,
    strides: IntPair = (1, 1),
    padding: Padding = "valid",
    dilation: IntPair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    activation: Fused | None = None,
    out: Floats | None = None,
    z: Floats | None = None,
) -> Floats:
    """Convolution (cross-correlation, as in all deep-learning libraries), bias and activation.

    y[n, oh, ow, o] = b[o] + sum over kh, kw, c of
    x[n, oh * stride + kh * dilation - top, ow * stride + kw * dilation - left, c] w[kh, kw, c, o]

    Args:
        x: images, (N, H, W, C).
        w: weights, (KH, KW, C // groups, OC).
        b: biases, (OC,), or None.
        strides: an int or (rows, columns).
        padding: "valid", "same" (TensorFlow's rule) or ((top, bottom), (left, right)).
        dilation: an int or (rows, columns).
        groups: input and output channels are split into this many independent groups.
        algorithm: "auto", or "direct" for a direct sum in any case: see
            :func:`convkit.runtime.set_conv2d_algorithm`, which is the same for all convolutions.
        activation: None, or of every element of the result: its name, such as "relu" or "gelu", or
            that with the arguments that its own op takes: ``("elu", {"alpha": 0.5})``.
        out: float32 array of the result's shape to write into; must not overlap the inputs.
        z: another such array for what an activation other than ReLU is applied to, or None.

    Returns:
        float32 (N, OH, OW, OC). A direct sum of n = KH * KW * C // groups > 4096 products is made
        of blocks of 512, added up in pairs: its error is at most (1026 + log2(n / 1024)) * eps / 2
        times the sum of their magnitudes.

    Raises:
        ValueError: shapes disagree or the kernel does not fit the padded input.
        TypeError: an input does not hold real numbers, or ``out`` is not float32.
    """
    x = as_floats("x", x, 4)
    w = as_floats("w", w, 4)
    shape, window = geometry(x.shape, w.shape, strides, padding, dilation, groups)
    out = output("out", out, shape)
    z = None if z is None else output("z", z, shape)
    _core.conv2d_forward(
        x,
        w,
        None if b is None else as_floats("b", b, 1),
        window.strides,
        window.pads,
        window.dilation,
        groups,
        is_direct(algorithm),
        epilogue(activation),
        z,
        out,
    )
    return out


def conv2d_backward_input(
    dy: npt.ArrayLike,
    w: npt.ArrayLike,
    x_shape: Sequence[int],
    *,
    strides: IntPair = (1, 1),
    padding: Padding = "valid",
    dilation: IntPair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    out: Floats | None = None,
) -> Floats:
    """The gradient of a loss with respect to a convolution's input.

    Args:
        dy: gradient with respect to the output, (N, OH, OW, OC).
        w: weights, (KH, KW, C // groups, OC).
        x_shape: the input's shape, (N, H, W, C).
        out: float32 array of ``x_shape`` to write into.

    The other arguments are those of :func:`conv2d_forward`. Returns float32 (N, H, W, C).
    """
    dy = as_floats("dy", dy, 4)
    w = as_floats("w", w, 4)
    shape, window = geometry(x_shape, w.shape, strides, padding, dilation, groups)
    _check_gradient(dy, shape)
    out = output("out", out, tuple(x_shape))
    _core.conv2d_backward_input(
        dy,
        w,
        window.strides,
        window.pads,
        window.dilation,
        groups,
        is_direct(algorithm),
        out,
    )
    return out


def conv2d_backward_weights(
    x: npt.ArrayLike,
    dy: npt.ArrayLike,
    w_shape: Sequence[int],
    *,
    strides: IntPair = (1, 1),
    padding: Padding = "valid",
    dilation: IntPair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    out: Floats | None = None,
) -> Floats:
    """The gradient of a loss with respect to a convolution's weights.

    Args:
        x: the input, (N, H, W, C).
        dy: gradient with respect to the output, (N, OH, OW, OC).
        w_shape: the weights' shape, (KH, KW, C // groups, OC).
        out: float32 array of ``w_shape`` to write into.

    The other arguments are those of :func:`conv2d_forward`. Returns float32 of ``w_shape``; the sum
    over the batch is taken in an order that does not depend on the number of threads.

    A plane of n > 1024 positions is summed in blocks of 512 and these in pairs, with an error of at
    most (1026 + log2(n / 1024)) * eps / 2 times the sum of the products' magnitudes; the sums of up
    to ceil(N / 8) images are added to each other one by one, and eight of those in pairs. A
    depthwise kernel's gradient is summed by rows, in chains of OW, OH and ceil(N / 8) additions.
    """
    x = as_floats("x", x, 4)
    dy = as_floats("dy", dy, 4)
    shape, window = geometry(x.shape, w_shape, strides, padding, dilation, groups)
    _check_gradient(dy, shape)
    out = output("out", out, tuple(w_shape))
    _core.conv2d_backward_weights(
        x,
        dy,
        window.strides,
        window.pads,
        window.dilation,
        groups,
        is_direct(algorithm),
        out,
    )
    return out


def conv2d_backward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    dy: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    *,
    strides: IntPair = (1, 1),
    padding: Padding = "valid",
    dilation: IntPair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    activation: Fused | None = None,
    add_to_dx: bool = False,
    dx: Floats | None = None,
    dw: Floats | None = None,
    db: Floats | None = None,
) -> None:
    """All gradients of :func:`conv2d_forward`, written into those of dx, dw, db that are given.

    The same as the activation's and the bias's gradient, then :func:`conv2d_backward_weights` and
    :func:`conv2d_backward_input`, but some images at a time, while they are in a core's cache.

    Args:
        x, w: the forward pass's inputs, (N, H, W, C) and (KH, KW, C // groups, OC).
        dy: gradient with respect to what it returned, (N, OH, OW, OC).
        y: what it returned; only read where there is an activation. With "gelu", "silu",
            "hard_silu" or "mish" what it wrote to z.
        strides, padding, dilation, groups, algorithm, activation: the forward pass's.
        add_to_dx: whether the input's gradient is added to what dx holds; dx is not x then.
        dx, dw, db: float32 arrays shaped like x, w and (OC,), or None where not wanted; none may
            overlap the inputs, but dx may be x itself, whose place it then takes.

    Raises:
        ValueError: shapes disagree, or y is missing where there is an activation.
    """
    x = as_floats("x", x, 4)
    w = as_floats("w", w, 4)
    dy = as_floats("dy", dy, 4)
    shape, window = geometry(x.shape, w.shape, strides, padding, dilation, groups)
    _check_gradient(dy, shape)
    behind, source = epilogue(activation), None
    if behind is not None:
        if y is None:
            raise ValueError(
                f"y, what conv2d_forward returned, is needed to go back through {activation!r}"
            )
        source = as_floats("y", y, 4)
    check_gradients(x, w, dx, dw, db)
    _core.conv2d_backward(
        x,
        w,
        dy,
        source,
        behind,
        window.strides,
        window.pads,
        window.dilation,
        groups,
        is_direct(algorithm),
        truth("add_to_dx", add_to_dx),
        dx,
        dw,
        db,
    )


def _check_gradient(dy: Floats, shape: tuple[int, ...]) -> None:
    if dy.shape != shape:
        raise ValueError(
            f"dy must have the output's shape {shape} for these arguments, but its shape is "
            f"{dy.shape}"
        )
