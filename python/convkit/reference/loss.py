"""Losses with their gradients, and the count of right answers.

Outputs are (N, ..., K), of which every row of K values has a loss. Every function returns losses
(N,), whose mean is what the reduction makes of the rows' losses times their weights, and the
gradient of this mean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, expect_shape, floating, nonempty

_LOW, _HIGH = 1e-7, 1 - 1e-7  # what probabilities are clipped to
_REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight")


def softmax_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    label_smoothing: float = 0.0,
    ignore_class: int | None = None,
    sample_weight: ArrayLike | None = None,
    reduction: str = "sum_over_batch_size",
    probs: Array | None = None,
    dlogits: Array | None = None,
    losses: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Return (losses (N,), probs (N, ..., K), dlogits (N, ..., K)) of the softmax of `logits`.

    labels are integers (N, ...) or (N, ..., 1), or rows (N, ..., K) that each sum to 1. The loss of
    a row is -sum(t * log(softmax(logits))), its gradient sum(t) * probs - t, for
    t = target * (1 - s) + s / K. Rows with the label `ignore_class` do not count.
    """
    logits = _rows(logits, "logits")
    target, counts = _targets(labels, logits.shape, label_smoothing, ignore_class)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    powers = np.exp(shifted)
    total = powers.sum(axis=-1, keepdims=True)
    probabilities = powers / total
    # 0 * inf must stay 0: a class without target does not matter, however unlikely it is.
    products = np.where(target == 0, 0, target * (shifted - np.log(total)))
    slopes = target.sum(axis=-1, keepdims=True) * probabilities - target
    per_sample, gradient = _reduced(
        -products.sum(axis=-1), slopes, counts, sample_weight, reduction
    )
    return (
        deliver(per_sample.astype(logits.dtype), losses, "losses"),
        deliver(probabilities, probs, "probs"),
        deliver(gradient.astype(logits.dtype), dlogits, "dlogits"),
    )


def cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    label_smoothing: float = 0.0,
    ignore_class: int | None = None,
    sample_weight: ArrayLike | None = None,
    reduction: str = "sum_over_batch_size",
    dprobs: Array | None = None,
    losses: Array | None = None,
) -> tuple[Array, Array]:
    """Return (losses (N,), dprobs (N, ..., K)) for probabilities, as Keras's from_logits=False.

    q = probs / sum(probs), c = clip(q, 1e-7, 1 - 1e-7), loss = -sum(t * log(c)). The gradient goes
    through all three: what the clip cut off has none, and the division gives
    dprobs = (dq - sum(dq * q)) / sum(probs).
    """
    probs = _rows(probs, "probs")
    target, counts = _targets(labels, probs.shape, label_smoothing, ignore_class)
    total = probs.sum(axis=-1, keepdims=True)
    q = probs / total
    clipped = np.clip(q, _LOW, _HIGH)
    values = -(target * np.log(clipped)).sum(axis=-1)
    dq = np.where(clipped == q, -target / clipped, 0)
    slopes = (dq - (dq * q).sum(axis=-1, keepdims=True)) / total
    per_sample, gradient = _reduced(values, slopes, counts, sample_weight, reduction)
    return (
        deliver(per_sample.astype(probs.dtype), losses, "losses"),
        deliver(gradient.astype(probs.dtype), dprobs, "dprobs"),
    )


def categorical_focal_cross_entropy(
    y: ArrayLike,
    labels: ArrayLike,
    *,
    alpha: ArrayLike = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    sample_weight: ArrayLike | None = None,
    reduction: str = "sum_over_batch_size",
    probs: Array | None = None,
    dy: Array | None = None,
    losses: Array | None = None,
) -> tuple[Array, Array]:
    """Return (losses (N,), dy): the sum of -t * alpha * (1 - c)**gamma * log(c) over a row.

    c is y / sum(y) clipped to [1e-7, 1 - 1e-7], or the softmax of y, which goes to `probs`.
    """
    y = _rows(y, "y")
    target, counts = _targets(labels, y.shape, label_smoothing, None)
    if from_logits:
        q = np.exp(y - y.max(axis=-1, keepdims=True))
        total = q.sum(axis=-1, keepdims=True)
        q = q / total
        c, log_c = q, y - y.max(axis=-1, keepdims=True) - np.log(total)
        deliver(q, probs, "probs")
    else:
        total = y.sum(axis=-1, keepdims=True)
        q = y / total
        c = np.clip(q, _LOW, _HIGH)
        log_c = np.log(c)
    weights = target * np.asarray(alpha, np.float64)
    values = np.where(target == 0, 0, -weights * (1 - c) ** gamma * log_c).sum(axis=-1)
    dfocus = gamma * (1 - c) ** (gamma - 1) * c * log_c if gamma else np.zeros_like(c)
    dfocus = np.where(c == 1, 0, dfocus)
    dq = np.where(c == q, weights * (dfocus - (1 - c) ** gamma), 0)  # times q
    mass = dq.sum(axis=-1, keepdims=True)
    slopes = (
        dq - q * mass if from_logits else np.divide(dq, y, where=dq != 0, out=0 * y) - mass / total
    )
    per_sample, gradient = _reduced(values, slopes, counts, sample_weight, reduction)
    return (
        deliver(per_sample.astype(y.dtype), losses, "losses"),
        deliver(gradient.astype(y.dtype), dy, "dy"),
    )


def _squared_error(y: Array, t: Array) -> tuple[Array, Array]:
    return np.square(y - t), 2 * (y - t)


def _absolute_error(y: Array, t: Array) -> tuple[Array, Array]:
    return np.abs(y - t), np.sign(y - t)


def _absolute_percentage_error(y: Array, t: Array) -> tuple[Array, Array]:
    scale = 100 / np.maximum(np.abs(t), _LOW)
    return scale * np.abs(y - t), scale * np.sign(y - t)


def _squared_logarithmic_error(y: Array, t: Array) -> tuple[Array, Array]:
    c = np.maximum(y, _LOW)
    difference = np.log1p(c) - np.log1p(np.maximum(t, _LOW))
    return np.square(difference), np.where(y >= _LOW, 2 * difference / (1 + c), 0)


def _huber(y: Array, t: Array, delta: float) -> tuple[Array, Array]:
    size = np.abs(y - t)
    values = np.where(size <= delta, np.square(size) / 2, delta * (size - delta / 2))
    return values, np.clip(y - t, -delta, delta)


def _log_cosh(y: Array, t: Array) -> tuple[Array, Array]:
    size = np.abs(y - t)
    return size + np.log1p(np.exp(-2 * size)) - np.log(2), np.tanh(y - t)


def _hinge(y: Array, t: Array) -> tuple[Array, Array]:
    t = 2 * t - 1 if np.isin(t, (0, 1)).all() else t
    return np.maximum(1 - t * y, 0), np.where(t * y < 1, -t, 0)


def _squared_hinge(y: Array, t: Array) -> tuple[Array, Array]:
    values, slopes = _hinge(y, t)
    return np.square(values), 2 * values * slopes


def _poisson(y: Array, t: Array) -> tuple[Array, Array]:
    return y - t * np.log(y + _LOW), 1 - t / (y + _LOW)


def _binary_cross_entropy(y: Array, t: Array, from_logits: bool) -> tuple[Array, Array]:
    if from_logits:
        values = np.maximum(y, 0) - t * y + np.log1p(np.exp(-np.abs(y)))
        return values, 0.5 * (1 + np.tanh(0.5 * y)) - t
    p = np.clip(y, _LOW, _HIGH)
    values = -t * np.log(p) - (1 - t) * np.log1p(-p)
    return values, np.where(p == y, (p - t) / (p * (1 - p)), 0 * y)


def _binary_focal_cross_entropy(
    y: Array, t: Array, from_logits: bool, gamma: float, weights: Array
) -> tuple[Array, Array]:
    values, slopes = _binary_cross_entropy(y, t, from_logits)
    p = 0.5 * (1 + np.tanh(0.5 * y)) if from_logits else y
    miss = t * (1 - p) + (1 - t) * p
    dmiss = (1 - 2 * t) * (p * (1 - p) if from_logits else 1)
    dfocus = gamma * miss ** (gamma - 1) if gamma else 0 * miss
    gradient = np.where(miss == 0, 0, dfocus * dmiss * values) + miss**gamma * slopes
    return weights * miss**gamma * values, weights * gradient


def _kl_divergence(y: Array, t: Array) -> tuple[Array, Array]:
    c, t = np.clip(y, _LOW, 1), np.clip(t, _LOW, 1)
    return (t * np.log(t / c)).sum(axis=-1), np.where(c == y, -t / c, 0)


def _cosine_similarity(y: Array, t: Array) -> tuple[Array, Array]:
    norm = np.sqrt(np.square(y).sum(axis=-1, keepdims=True))
    size = np.maximum(norm, _LOW)
    t = t / np.maximum(np.sqrt(np.square(t).sum(axis=-1, keepdims=True)), _LOW)
    cosine = (y / size * t).sum(axis=-1, keepdims=True)
    along = np.where(norm >= _LOW, cosine * y / size, 0)
    return -cosine[..., 0], (along - t) / size


def _categorical_hinge(y: Array, t: Array) -> tuple[Array, Array]:
    wrong = (1 - t) * y
    values = np.maximum(1 + wrong.max(axis=-1) - (t * y).sum(axis=-1), 0)
    worst = np.arange(y.shape[-1]) == wrong.argmax(axis=-1)[..., None]
    return values, np.where(values[..., None] > 0, worst * (1 - t) - t, 0)


def _losses(
    delta: float, smoothing: float, alpha: float, gamma: float, from_logits: bool, balanced: bool
) -> dict[str, Callable[[Array, Array], tuple[Array, Array]]]:
    """The losses by name: of rows, or where the shape is y's the mean over rows; and the slopes."""

    def entropy(y: Array, t: Array) -> tuple[Array, Array]:
        return _binary_cross_entropy(y, t * (1 - smoothing) + smoothing / 2, from_logits)

    def focal(y: Array, t: Array) -> tuple[Array, Array]:
        t = t * (1 - smoothing) + smoothing / 2
        weights = t * alpha + (1 - t) * (1 - alpha) if balanced else np.ones_like(t)
        return _binary_focal_cross_entropy(y, t, from_logits, gamma, weights)

    return {
        "squared_error": _squared_error,
        "absolute_error": _absolute_error,
        "absolute_percentage_error": _absolute_percentage_error,
        "squared_logarithmic_error": _squared_logarithmic_error,
        "huber": lambda y, t: _huber(y, t, delta),
        "log_cosh": _log_cosh,
        "hinge": _hinge,
        "squared_hinge": _squared_hinge,
        "poisson": _poisson,
        "binary_cross_entropy": entropy,
        "binary_focal_cross_entropy": focal,
        "kl_divergence": _kl_divergence,
        "cosine_similarity": _cosine_similarity,
        "categorical_hinge": _categorical_hinge,
    }


def row_loss(
    y: ArrayLike,
    target: ArrayLike,
    *,
    kind: str,
    delta: float = 1.0,
    label_smoothing: float = 0.0,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    balanced: bool = False,
    sample_weight: ArrayLike | None = None,
    reduction: str = "sum_over_batch_size",
    dy: Array | None = None,
    losses: Array | None = None,
) -> tuple[Array, Array]:
    """Return (losses (N,), dy) of the loss `kind`, which compares rows of y and target.

    `convkit.ops.row_loss` lists the kinds and their formulas.
    """
    y, target = nonempty(floating(y, "y"), "y"), floating(target, "target")
    if y.ndim == 0:
        raise ValueError("y must have at least 1 dimension, received a scalar")
    expect_shape(target, y.shape, "target")
    _check_smoothing(label_smoothing)
    known = _losses(delta, label_smoothing, alpha, gamma, from_logits, balanced)
    if kind not in known:
        raise ValueError(f"kind must be one of {[*known]}, received {kind!r}")
    shape = y.shape if y.ndim > 1 else (*y.shape, 1)
    values, slopes = known[kind](y.reshape(shape), target.reshape(shape))
    if values.ndim == len(shape):
        values, slopes = values.mean(axis=-1), slopes / shape[-1]
    counts = np.ones(shape[:-1], bool)
    per_sample, gradient = _reduced(values, slopes, counts, sample_weight, reduction)
    return (
        deliver(per_sample.astype(y.dtype), losses, "losses"),
        deliver(gradient.reshape(y.shape).astype(y.dtype), dy, "dy"),
    )


def mean_squared_error(
    y: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    dy: Array | None = None,
    losses: Array | None = None,
) -> tuple[Array, Array]:
    """Return (losses (N,), dy): the mean of (y - target)**2 over all axes but the first."""
    return row_loss(
        y, target, kind="squared_error", sample_weight=sample_weight, dy=dy, losses=losses
    )


def mean_absolute_error(
    y: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    dy: Array | None = None,
    losses: Array | None = None,
) -> tuple[Array, Array]:
    """Return (losses (N,), dy): the mean of `|y - target|` over all axes but the first."""
    return row_loss(
        y, target, kind="absolute_error", sample_weight=sample_weight, dy=dy, losses=losses
    )


def binary_cross_entropy(
    y: ArrayLike,
    target: ArrayLike,
    *,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    sample_weight: ArrayLike | None = None,
    dy: Array | None = None,
    losses: Array | None = None,
) -> tuple[Array, Array]:
    """Return (losses (N,), dy): the mean of -t log(p) - (1 - t) log(1 - p) over all axes but one.

    p is y clipped to [1e-7, 1 - 1e-7], where the clip cuts the gradient off, or the sigmoid of y;
    t = target * (1 - label_smoothing) + label_smoothing / 2.
    """
    return row_loss(
        y,
        target,
        kind="binary_cross_entropy",
        from_logits=from_logits,
        label_smoothing=label_smoothing,
        sample_weight=sample_weight,
        dy=dy,
        losses=losses,
    )


def count_correct(y: ArrayLike, labels: ArrayLike) -> int:
    """Return in how many rows of y (N, ..., K) the first maximum is at the label's class."""
    y = _rows(y, "y")
    target, _ = _targets(labels, y.shape, 0.0, None)
    return int((y.argmax(axis=-1) == target.argmax(axis=-1)).sum())


def _rows(y: ArrayLike, name: str) -> Array:
    rows = nonempty(floating(y, name), name)
    if rows.ndim < 2:
        raise ValueError(f"{name} must have shape (N, ..., K), received {rows.shape}")
    return rows


def _check_smoothing(smoothing: float) -> None:
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing must lie in 0 .. 1, received {smoothing!r}")


def _targets(
    labels: ArrayLike, shape: tuple[int, ...], smoothing: float, ignored: int | None
) -> tuple[Array, Array]:
    """Return labels as rows (N, ..., K), smoothed, and which rows (N, ...) count."""
    _check_smoothing(smoothing)
    array, rows, classes = np.asarray(labels), shape[:-1], shape[-1]
    counts = np.ones(rows, bool)
    if array.dtype.kind in "biu" and array.shape in (rows, (*rows, 1)):
        numbers = array.reshape(rows)
        if ignored is not None:
            counts = numbers != ignored
        wrong = counts & ((numbers < 0) | (numbers >= classes))
        if wrong.any():
            raise ValueError(
                f"labels must lie in 0 .. {classes - 1}, received {numbers[wrong][0]} "
                f"at position {int(wrong.argmax())}"
            )
        array = numbers[..., None] == np.arange(classes)
    if array.dtype.kind not in "iufb":
        raise TypeError(f"labels must be numbers, received dtype {array.dtype}")
    if array.shape != shape:
        raise ValueError(
            f"labels must be integers of shape {rows} or one-hot of shape {shape}, received "
            f"{array.dtype} of shape {array.shape}"
        )
    return array.astype(np.float64) * (1 - smoothing) + smoothing / classes, counts


def _reduced(
    values: Array, slopes: Array, counts: Array, sample_weight: ArrayLike | None, reduction: str
) -> tuple[Array, Array]:
    """Return losses (N,) whose mean is the reduction of the rows' values, and its gradient."""
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction must be one of {[*_REDUCTIONS]}, received {reduction!r}")
    weights = np.ones(len(values))
    if sample_weight is not None:
        weights = floating(sample_weight, "sample_weight")
        if weights.shape != values.shape:
            expect_shape(weights, values.shape[:1], "sample_weight")
    if weights.ndim < values.ndim:
        weights = weights.reshape(-1, *[1] * (values.ndim - 1))
    weights = np.where(counts, weights, 0)
    divisor = {"sum": 1, "mean_with_sample_weight": weights.sum()}.get(reduction, counts.sum())
    share = weights / divisor if divisor else np.zeros_like(weights)
    weighted = np.where(counts, values, 0) * share
    per_sample = weighted.reshape(len(values), -1).sum(axis=1) * len(values)
    return per_sample, np.where(counts[..., None], slopes, 0) * share[..., None]
