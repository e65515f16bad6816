"""Losses with their gradients, and accuracy.

Gradients are those of the mean over the batch of the per-sample losses times their weights.
"""

from __future__ import annotations

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, as_labels, as_weights, output, real, truth


def softmax_cross_entropy(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    sample_weight: npt.ArrayLike | None = None,
    probs: Floats | None = None,
    dlogits: Floats | None = None,
    losses: Floats | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Softmax and cross-entropy in one, from logits: exact for logits of any size.

    Args:
        logits: (N, K).
        labels: class numbers in [0, K), (N,) or (N, 1), or one-hot labels (N, K).
        sample_weight: (N,) factors of the losses, or None for ones.
        probs, dlogits, losses: float32 arrays to write into.

    Returns:
        ``(losses, probs, dlogits)`` of shapes (N,), (N, K) and (N, K).

    Raises:
        ValueError: a label is not in [0, K), or shapes disagree.
    """
    logits = as_floats("logits", logits, 2)
    n = logits.shape[0]
    probs = output("probs", probs, logits.shape)
    dlogits = output("dlogits", dlogits, logits.shape)
    losses = output("losses", losses, (n,))
    targets = as_labels(labels, n)
    weights = as_weights(sample_weight, n)
    _core.softmax_cross_entropy(logits, targets, weights, probs, dlogits, losses)
    return losses, probs, dlogits


def cross_entropy(
    probs: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    sample_weight: npt.ArrayLike | None = None,
    dprobs: Floats | None = None,
    losses: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Cross-entropy from probabilities, as Keras computes it: divided by their sum, then clipped.

    Args:
        probs: (N, K).
        labels: class numbers in [0, K), (N,) or (N, 1), or one-hot labels (N, K).
        sample_weight: (N,) factors of the losses, or None for ones.

    Returns:
        ``(losses, dprobs)`` of shapes (N,) and (N, K). Probabilities outside [1e-7, 1 - 1e-7]
        count as its ends and get no gradient.
    """
    probs = as_floats("probs", probs, 2)
    n = probs.shape[0]
    dprobs = output("dprobs", dprobs, probs.shape)
    losses = output("losses", losses, (n,))
    _core.cross_entropy(probs, as_labels(labels, n), as_weights(sample_weight, n), dprobs, losses)
    return losses, dprobs


def mean_squared_error(
    y: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    sample_weight: npt.ArrayLike | None = None,
    dy: Floats | None = None,
    losses: Floats | None = None,
) -> tuple[Floats, Floats]:
    """The mean of (y - target)^2 over each sample's values.

    Args:
        y, target: arrays of the same shape, (N, ...).

    Returns:
        ``(losses, dy)`` of shapes (N,) and y's.
    """
    y, target, weights, dy, losses = _values(y, target, sample_weight, dy, losses)
    _core.mean_squared_error(_rows(y), _rows(target), weights, _rows(dy), losses)
    return losses, dy


def mean_absolute_error(
    y: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    sample_weight: npt.ArrayLike | None = None,
    dy: Floats | None = None,
    losses: Floats | None = None,
) -> tuple[Floats, Floats]:
    """The mean of `|y - target|` over each sample's values; its slope at 0 is 0.

    Args:
        y, target: arrays of the same shape, (N, ...).

    Returns:
        ``(losses, dy)`` of shapes (N,) and y's.
    """
    y, target, weights, dy, losses = _values(y, target, sample_weight, dy, losses)
    _core.mean_absolute_error(_rows(y), _rows(target), weights, _rows(dy), losses)
    return losses, dy


def binary_cross_entropy(
    y: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    sample_weight: npt.ArrayLike | None = None,
    dy: Floats | None = None,
    losses: Floats | None = None,
) -> tuple[Floats, Floats]:
    """The mean of -t log(p) - (1 - t) log(1 - p) over each sample's values.

    Args:
        y: probabilities p, (N, ...), or with ``from_logits`` the numbers whose sigmoid p is.
        target: of the same shape, each in 0 .. 1; t is target (1 - s) + s / 2.
        label_smoothing: s, in 0 .. 1.

    Returns:
        ``(losses, dy)`` of shapes (N,) and y's. Probabilities outside [1e-7, 1 - 1e-7] count as
        its ends and get no gradient, as in Keras.
    """
    label_smoothing = real("label_smoothing", label_smoothing)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing must lie in 0 .. 1, but is {label_smoothing!r}")
    y, target, weights, dy, losses = _values(y, target, sample_weight, dy, losses)
    _core.binary_cross_entropy(
        _rows(y),
        _rows(target),
        truth("from_logits", from_logits),
        label_smoothing,
        weights,
        _rows(dy),
        losses,
    )
    return losses, dy


def _values(
    y: npt.ArrayLike,
    target: npt.ArrayLike,
    sample_weight: npt.ArrayLike | None,
    dy: Floats | None,
    losses: Floats | None,
) -> tuple[Floats, Floats, Floats | None, Floats, Floats]:
    """The arrays of a loss that compares value with value, checked."""
    y = as_floats("y", y)
    target = as_floats("target", target)
    if y.ndim < 1 or y.size == 0:
        raise ValueError(f"y must have shape (N, ...), not empty, but is {y.shape}")
    if target.shape != y.shape:
        raise ValueError(f"target must have y's shape {y.shape}, but its shape is {target.shape}")
    n = y.shape[0]
    dy = output("dy", dy, y.shape)
    losses = output("losses", losses, (n,))
    return y, target, as_weights(sample_weight, n), dy, losses


def _rows(array: Floats) -> Floats:
    """The array as (N, K)."""
    return array.reshape(len(array), -1)


def count_correct(y: npt.ArrayLike, labels: npt.ArrayLike) -> int:
    """How many rows of y (N, K) have their first maximum at the label."""
    y = as_floats("y", y, 2)
    return _core.count_correct(y, as_labels(labels, y.shape[0]))
