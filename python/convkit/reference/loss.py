"""Losses with their gradients, and the count of right answers.

Every loss returns the per-sample losses (N,), each times its sample weight, and the gradient of
their mean: sum(losses) / N.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, expect_shape, floating, nonempty

_SMALLEST_PROBABILITY = 1e-7


def _targets(labels: ArrayLike, count: int, classes: int) -> Array:
    """Return labels as rows (N, K): integers (N,) or (N, 1) become one-hot, (N, K) stays."""
    array = np.asarray(labels)
    if array.dtype.kind in "iu" and array.shape in ((count,), (count, 1)):
        flat = array.reshape(-1)
        wrong = (flat < 0) | (flat >= classes)
        if wrong.any():
            raise ValueError(
                f"labels must lie in 0 .. {classes - 1}, received {flat[wrong][0]} "
                f"at position {int(wrong.argmax())}"
            )
        return np.asarray(flat[:, None] == np.arange(classes), np.float64)
    if array.dtype.kind not in "iufb":
        raise TypeError(f"labels must be numbers, received dtype {array.dtype}")
    if array.shape != (count, classes):
        raise ValueError(
            f"labels must be integers of shape ({count},) or one-hot of shape "
            f"({count}, {classes}), received {array.dtype} of shape {array.shape}"
        )
    return array.astype(np.float64)


def _weights(sample_weight: ArrayLike | None, count: int) -> Array:
    if sample_weight is None:
        return np.ones(count)
    weights = floating(sample_weight, "sample_weight", ndim=1)
    expect_shape(weights, (count,), "sample_weight")
    return weights


def softmax_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    probs: Array | None = None,
    dlogits: Array | None = None,
    losses: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Return (losses (N,), probs (N, K), dlogits (N, K)) of the softmax of `logits` (N, K).

    labels are integers (N,) or (N, 1), or rows (N, K) that each sum to 1. The loss is
    -sum(target * log(softmax(logits))), the gradient weight * (probs - target) / N.
    """
    logits = nonempty(floating(logits, "logits", ndim=2), "logits")
    count, classes = logits.shape
    target, weights = _targets(labels, count, classes), _weights(sample_weight, count)
    shifted = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    total = powers.sum(axis=1, keepdims=True)
    probabilities = powers / total
    log_probabilities = shifted - np.log(total)
    # 0 * inf must stay 0: a class without target does not matter, however unlikely it is.
    products = np.where(target == 0, 0, target * log_probabilities)
    per_sample = -weights * products.sum(axis=1)
    gradient = weights[:, None] * (probabilities - target) / count
    return (
        deliver(per_sample.astype(logits.dtype), losses, "losses"),
        deliver(probabilities, probs, "probs"),
        deliver(gradient.astype(logits.dtype), dlogits, "dlogits"),
    )


def cross_entropy(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    dprobs: Array | None = None,
    losses: Array | None = None,
) -> tuple[Array, Array]:
    """Return (losses (N,), dprobs (N, K)) for probabilities, as Keras's from_logits=False.

    q = probs / sum(probs), c = clip(q, 1e-7, 1 - 1e-7), loss = -sum(target * log(c)). The gradient
    goes through all three: what the clip cut off has none, and the division gives
    dprobs = (dq - sum(dq * q)) / sum(probs).
    """
    probs = nonempty(floating(probs, "probs", ndim=2), "probs")
    count, classes = probs.shape
    target, weights = _targets(labels, count, classes), _weights(sample_weight, count)
    total = probs.sum(axis=1, keepdims=True)
    q = probs / total
    clipped = np.clip(q, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    per_sample = -weights * (target * np.log(clipped)).sum(axis=1)
    dq = np.where(clipped == q, -target / clipped, 0) * weights[:, None] / count
    gradient = (dq - (dq * q).sum(axis=1, keepdims=True)) / total
    return (
        deliver(per_sample.astype(probs.dtype), losses, "losses"),
        deliver(gradient.astype(probs.dtype), dprobs, "dprobs"),
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
    y, target = _values(y, target)
    difference = y - target
    return _mean(y, np.square(difference), 2 * difference, sample_weight, dy, losses)


def mean_absolute_error(
    y: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    dy: Array | None = None,
    losses: Array | None = None,
) -> tuple[Array, Array]:
    """Return (losses (N,), dy): the mean of `|y - target|` over all axes but the first."""
    y, target = _values(y, target)
    difference = y - target
    return _mean(y, np.abs(difference), np.sign(difference), sample_weight, dy, losses)


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
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must lie in 0 .. 1, received {label_smoothing!r}")
    y, target = _values(y, target)
    t = target * (1 - label_smoothing) + label_smoothing / 2
    if from_logits:
        values = np.maximum(y, 0) - t * y + np.log1p(np.exp(-np.abs(y)))
        slopes = 0.5 * (1 + np.tanh(0.5 * y)) - t
    else:
        p = np.clip(y, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
        values = -t * np.log(p) - (1 - t) * np.log1p(-p)
        slopes = np.where(p == y, (p - t) / (p * (1 - p)), 0 * y)
    return _mean(y, values, slopes, sample_weight, dy, losses)


def _values(y: ArrayLike, target: ArrayLike) -> tuple[Array, Array]:
    y, target = nonempty(floating(y, "y"), "y"), floating(target, "target")
    if y.ndim == 0:
        raise ValueError("y must have at least 1 dimension, received a scalar")
    expect_shape(target, y.shape, "target")
    return y, target


def _mean(
    y: Array,
    values: Array,
    slopes: Array,
    sample_weight: ArrayLike | None,
    dy: Array | None,
    losses: Array | None,
) -> tuple[Array, Array]:
    """Return the weighted means of `values` by sample, and the gradient made of their slopes."""
    count = y.shape[0]
    weights = _weights(sample_weight, count)
    per_sample = weights * values.reshape(count, -1).mean(axis=1)
    gradient = weights.reshape((count,) + (1,) * (y.ndim - 1)) * slopes / y.size
    return (
        deliver(per_sample.astype(y.dtype), losses, "losses"),
        deliver(gradient.astype(y.dtype), dy, "dy"),
    )


def count_correct(y: ArrayLike, labels: ArrayLike) -> int:
    """Return in how many rows of y (N, K) the first maximum is at the label's class."""
    y = nonempty(floating(y, "y", ndim=2), "y")
    target = _targets(labels, *y.shape)
    return int((y.argmax(axis=1) == target.argmax(axis=1)).sum())
