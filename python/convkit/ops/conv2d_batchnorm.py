"""A convolution, the batch normalisation of its output, a sum, ReLU and a 2 x 2 max pool as one.

The statistics are taken, and the gradients loaded, some images at a time, while these are in a
core's cache; what lies between normalisation and pool is never kept.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convkit import _core
from convkit.ops._convolution import (
    as_pool_indices,
    check_gradients,
    geometry,
    is_direct,
    pool_indices,
    pooled_geometry,
)
from convkit.ops._epilogue import Fused, epilogue, is_apart
from convkit.ops._gate import Floats, as_floats, check_output, output, real, truth
from convkit.ops._window import IntPair, Padding

_FLOAT32 = np.dtype(np.float32)


def conv2d_batchnorm_forward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    moving_mean: Floats,
    moving_variance: Floats,
    *,
    strides: IntPair = (1, 1),
    padding: Padding = "valid",
    dilation: IntPair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    residual: npt.ArrayLike | None = None,
    activation: Fused | None = None,
    max_pool: bool = False,
    out: Floats | None = None,
    z: Floats | None = None,
    mean: Floats | None = None,
    rstd: Floats | None = None,
    indices: npt.NDArray[np.uint8] | None = None,
) -> tuple[Floats, Floats, Floats, Floats, npt.NDArray[np.uint8] | None]:
    """:func:`conv2d_forward`, then :func:`batchnorm_forward`, as in training.

    Args:
        x, w, b, strides, padding, dilation, groups, algorithm: as in :func:`conv2d_forward`.
        gamma, beta, moving_mean, moving_variance, momentum, epsilon, activation: as in
            :func:`batchnorm_forward`; the moving statistics are updated in place.
        residual: what is added to the normalised output before the activation, (N, OH, OW, OC), or
            None; not together with a pool.
        max_pool: whether :func:`max_pool2d_forward` with windows and steps of 2 x 2 follows.
        out, z, mean, rstd: float32 arrays to write into; ``out`` may be the residual.
        indices: uint8 array to write into, with a pool.

    Returns:
        ``(y, z, mean, rstd, indices)``: the result, (N, OH, OW, OC) or (N, OH // 2, OW // 2, OC);
        the convolution's output, (N, OH, OW, OC); the batch's statistics, (OC,); the position 0 to
        3 of each maximum in its window, or None without a pool.
    """
    x = as_floats("x", x, 4)
    w = as_floats("w", w, 4)
    whole, window = geometry(x.shape, w.shape, strides, padding, dilation, groups)
    shape = whole
    max_pool = truth("max_pool", max_pool)
    if max_pool:
        shape, _ = pooled_geometry(x.shape, w.shape, strides, padding, dilation, groups)
    vector = whole[3:]
    check_output("moving_mean", moving_mean, vector, _FLOAT32)
    check_output("moving_variance", moving_variance, vector, _FLOAT32)
    residual = _residual("residual", residual, max_pool)
    out = output("out", out, shape)
    z = output("z", z, whole)
    mean = output("mean", mean, vector)
    rstd = output("rstd", rstd, vector)
    indices = pool_indices(indices, shape) if max_pool else None
    _core.conv2d_batchnorm_forward(
        x,
        w,
        None if b is None else as_floats("b", b, 1),
        as_floats("gamma", gamma, 1),
        as_floats("beta", beta, 1),
        moving_mean,
        moving_variance,
        window.strides,
        window.pads,
        window.dilation,
        groups,
        is_direct(algorithm),
        real("momentum", momentum),
        real("epsilon", epsilon),
        residual,
        epilogue(activation),
        z,
        mean,
        rstd,
        out,
        indices,
    )
    return out, z, mean, rstd, indices


def conv2d_batchnorm_inference(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    moving_mean: npt.ArrayLike,
    moving_variance: npt.ArrayLike,
    *,
    strides: IntPair = (1, 1),
    padding: Padding = "valid",
    dilation: IntPair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    epsilon: float = 1e-3,
    residual: npt.ArrayLike | None = None,
    activation: Fused | None = None,
    max_pool: bool = False,
    out: Floats | None = None,
    indices: npt.NDArray[np.uint8] | None = None,
) -> Floats:
    """:func:`conv2d_forward`, then :func:`batchnorm_inference`, with the latter in the weights.

    w * a and b * a + beta - moving_mean * a, where a = gamma / sqrt(moving_variance + epsilon), are
    one convolution. The arguments are those of :func:`conv2d_batchnorm_forward`; ``indices`` is
    memory for the positions of a pool's maxima, which a kept array spares allocating.

    Returns:
        float32 (N, OH, OW, OC), or (N, OH // 2, OW // 2, OC) with a pool.
    """
    x = as_floats("x", x, 4)
    w = as_floats("w", w, 4)
    max_pool = truth("max_pool", max_pool)
    resolve = pooled_geometry if max_pool else geometry
    shape, window = resolve(x.shape, w.shape, strides, padding, dilation, groups)
    residual = _residual("residual", residual, max_pool)
    out = output("out", out, shape)
    _core.conv2d_batchnorm_inference(
        x,
        w,
        None if b is None else as_floats("b", b, 1),
        as_floats("gamma", gamma, 1),
        as_floats("beta", beta, 1),
        as_floats("moving_mean", moving_mean, 1),
        as_floats("moving_variance", moving_variance, 1),
        window.strides,
        window.pads,
        window.dilation,
        groups,
        is_direct(algorithm),
        real("epsilon", epsilon),
        residual,
        epilogue(activation),
        out,
        pool_indices(indices, shape) if max_pool else None,
    )
    return out


def conv2d_batchnorm_backward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    z: npt.ArrayLike,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    mean: npt.ArrayLike,
    rstd: npt.ArrayLike,
    dy: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    indices: npt.NDArray[np.uint8] | None = None,
    *,
    strides: IntPair = (1, 1),
    padding: Padding = "valid",
    dilation: IntPair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    activation: Fused | None = None,
    dresidual: Floats | None = None,
    add_to_dx: bool = False,
    dx: Floats | None = None,
    dw: Floats | None = None,
    db: Floats | None = None,
    dgamma: Floats | None = None,
    dbeta: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Gradients of :func:`conv2d_batchnorm_forward`; dx, dw and db are written where given.

    Args:
        x, w, gamma, beta: the forward pass's inputs.
        z, mean, rstd: what it returned.
        dy: gradient with respect to y, the result.
        y, indices: what it returned where there was a pool; None without. y alone where there were
            a residual and ReLU.
        strides, padding, dilation, groups, algorithm, activation: the forward pass's.
        dresidual: float32 array shaped like y, where there were a residual and ReLU, for the
            residual's gradient; may be dy. Without ReLU that gradient is dy. With an activation
            other than ReLU, behind no residual, for the gradient of what it was applied to.
        add_to_dx: whether the input's gradient is added to what dx holds; dx is not x then.
        dx, dw, db: float32 arrays shaped like x, w and (OC,), or None where not wanted; none may
            overlap the inputs, but dx may be x itself, whose place it then takes.
        dgamma, dbeta: float32 (OC,) to write into.

    Returns:
        ``(dgamma, dbeta)``.

    Raises:
        ValueError: an index is not in [0, 4), y is given without indices and dresidual, or one of
            them without y, or shapes disagree.
    """
    x = as_floats("x", x, 4)
    w = as_floats("w", w, 4)
    whole, window = geometry(x.shape, w.shape, strides, padding, dilation, groups)
    behind = epilogue(activation)
    if is_apart(behind):
        if y is not None or indices is not None:
            raise ValueError(f"activation {activation!r} goes with neither y nor indices")
        dresidual = output("dresidual", dresidual, whole)
    elif (y is None) != (indices is None and dresidual is None) or (
        dresidual is not None and (indices is not None or behind is None)
    ):
        raise ValueError(
            "y and indices come together, from a forward pass with a pool; or y and dresidual, "
            "from one with a residual and ReLU"
        )
    if dresidual is not None:
        output("dresidual", dresidual, whole)
    if indices is not None:
        indices = as_pool_indices(indices, "conv2d_batchnorm_forward")
    vector = whole[3:]
    check_gradients(x, w, dx, dw, db)
    dgamma = output("dgamma", dgamma, vector)
    dbeta = output("dbeta", dbeta, vector)
    _core.conv2d_batchnorm_backward(
        x,
        w,
        as_floats("z", z, 4),
        as_floats("gamma", gamma, 1),
        as_floats("beta", beta, 1),
        as_floats("mean", mean, 1),
        as_floats("rstd", rstd, 1),
        as_floats("dy", dy, 4),
        None if y is None else as_floats("y", y, 4),
        indices,
        window.strides,
        window.pads,
        window.dilation,
        groups,
        is_direct(algorithm),
        behind,
        dresidual,
        truth("add_to_dx", add_to_dx),
        dx,
        dw,
        db,
        dgamma,
        dbeta,
    )
    return dgamma, dbeta


def _residual(name: str, residual: npt.ArrayLike | None, max_pool: bool) -> Floats | None:
    if residual is None:
        return None
    if max_pool:
        raise ValueError(
            f"{name} and max_pool do not go together; pool the sum in a call of its own"
        )
    return as_floats(name, residual, 4)
