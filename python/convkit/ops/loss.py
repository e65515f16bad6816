"""Losses with their gradients, and accuracy.

Outputs are (N, ..., K), of which every row of K values has a loss: one a sample, or one for each of
its pixels. ``losses`` (N,) have as their mean what a reduction makes of the rows' losses times
their weights, and gradients are those of this mean. The reductions are "sum_over_batch_size" (the
sum divided by the number of rows; also called "mean"), "sum", and "mean_with_sample_weight"
(divided by the sum of the weights).
"""

from __future__ import annotations

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, as_labels, as_weights, int64, output, real, truth

_REDUCTIONS = {**_core.Reduction.__members__, "mean": _core.Reduction.sum_over_batch_size}


def softmax_cross_entropy(
    logits: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    label_smoothing: float = 0.0,
    ignore_class: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    reduction: str = "sum_over_batch_size",
    probs: Floats | None = None,
    dlogits: Floats | None = None,
    losses: Floats | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Softmax and cross-entropy in one, from logits: exact for logits of any size.

    Args:
        logits: (N, ..., K).
        labels: class numbers in [0, K), (N, ...) or (N, ..., 1), or one-hot labels (N, ..., K).
        label_smoothing: the share of each label, in 0 .. 1, that is spread over all classes.
        ignore_class: a class number, in [0, K) or not, whose rows do not count; None for none.
        sample_weight: (N,) or (N, ...), factors of the losses, or None for ones.
        reduction: of the rows' losses.
        probs, dlogits, losses: float32 arrays to write into; the first two may be the same one,
            which holds the gradient then.

    Returns:
        ``(losses, probs, dlogits)`` of shapes (N,), (N, ..., K) and (N, ..., K).

    Raises:
        ValueError: a label is not in [0, K), or shapes disagree.
    """
    logits = _rows("logits", logits)
    probs = output("probs", probs, logits.shape)
    dlogits = output("dlogits", dlogits, logits.shape)
    losses = output("losses", losses, logits.shape[:1])
    _core.softmax_cross_entropy(
        logits,
        as_labels(labels, logits.shape[:-1]),
        _smoothing(label_smoothing),
        _ignored(ignore_class),
        as_weights(sample_weight, logits.shape[:-1]),
        _reduction(reduction),
        probs,
        dlogits,
        losses,
    )
    return losses, probs, dlogits


def cross_entropy(
    probs: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    label_smoothing: float = 0.0,
    ignore_class: int | None = None,
    sample_weight: npt.ArrayLike | None = None,
    reduction: str = "sum_over_batch_size",
    dprobs: Floats | None = None,
    losses: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Cross-entropy from probabilities, as Keras computes it: divided by their sum, then clipped.

    Args:
        probs: (N, ..., K).
        labels, label_smoothing, ignore_class, sample_weight, reduction: as of
            `softmax_cross_entropy`.

    Returns:
        ``(losses, dprobs)`` of shapes (N,) and (N, ..., K). Probabilities outside [1e-7, 1 - 1e-7]
        count as its ends and get no gradient.
    """
    probs = _rows("probs", probs)
    dprobs = output("dprobs", dprobs, probs.shape)
    losses = output("losses", losses, probs.shape[:1])
    _core.cross_entropy(
        probs,
        as_labels(labels, probs.shape[:-1]),
        _smoothing(label_smoothing),
        _ignored(ignore_class),
        as_weights(sample_weight, probs.shape[:-1]),
        _reduction(reduction),
        dprobs,
        losses,
    )
    return losses, dprobs


def categorical_focal_cross_entropy(
    y: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    alpha: npt.ArrayLike = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    sample_weight: npt.ArrayLike | None = None,
    reduction: str = "sum_over_batch_size",
    probs: Floats | None = None,
    dy: Floats | None = None,
    losses: Floats | None = None,
) -> tuple[Floats, Floats]:
    """The cross-entropy of each class times alpha (1 - p)^gamma (T. Lin et al., 2017).

    Args:
        y: probabilities (N, ..., K), divided by their sum and clipped as of `cross_entropy`, or
            with ``from_logits`` the numbers whose softmax p is.
        labels, label_smoothing, sample_weight, reduction: as of `softmax_cross_entropy`.
        alpha: one number, or (K,).
        probs: where the softmax is written, with ``from_logits``.

    Returns:
        ``(losses, dy)`` of shapes (N,) and y's.
    """
    y = _rows("y", y)
    weights = as_floats("alpha", alpha)
    if weights.ndim > 1 or weights.size not in (1, y.shape[-1]):
        raise ValueError(f"alpha must be one number, or one for each of the {y.shape[-1]} classes")
    probs = output("probs", probs, y.shape) if truth("from_logits", from_logits) else None
    dy = output("dy", dy, y.shape)
    losses = output("losses", losses, y.shape[:1])
    _core.categorical_focal_cross_entropy(
        y,
        as_labels(labels, y.shape[:-1]),
        weights.reshape(-1),
        real("gamma", gamma),
        _smoothing(label_smoothing),
        as_weights(sample_weight, y.shape[:-1]),
        _reduction(reduction),
        probs,
        dy,
        losses,
    )
    return losses, dy


def row_loss(
    y: npt.ArrayLike,
    target: npt.ArrayLike,
    *,
    kind: str,
    delta: float = 1.0,
    label_smoothing: float = 0.0,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    balanced: bool = False,
    sample_weight: npt.ArrayLike | None = None,
    reduction: str = "sum_over_batch_size",
    dy: Floats | None = None,
    losses: Floats | None = None,
) -> tuple[Floats, Floats]:
    """A loss that compares rows of predictions with rows of targets.

    ============================== =============================================================
    kind                           loss of a row
    ============================== =============================================================
    squared_error                  mean of (y - t)^2
    absolute_error                 mean of `|y - t|`; its slope at 0 is 0
    absolute_percentage_error      mean of 100 `|y - t|` / max(`|t|`, 1e-7)
    squared_logarithmic_error      mean of (log(1 + y) - log(1 + t))^2, both at least 1e-7
    huber                          mean of (y - t)^2 / 2 up to delta, a straight line beyond
    log_cosh                       mean of log(cosh(y - t))
    hinge                          mean of max(1 - t y, 0); targets that are all 0 or 1 become
                                   -1 or 1
    squared_hinge                  mean of its square
    poisson                        mean of y - t log(y + 1e-7)
    binary_cross_entropy           mean of -t log(p) - (1 - t) log(1 - p)
    binary_focal_cross_entropy     mean of that times (t (1 - p) + (1 - t) p)^gamma
    kl_divergence                  sum of t log(t / y), both clipped to [1e-7, 1]
    cosine_similarity              less the cosine of the angle between y and t
    categorical_hinge              max(0, 1 + largest (1 - t) y - sum of t y)
    ============================== =============================================================

    Args:
        y: (N, ..., K); (N,) is (N, 1).
        target: of the same shape.
        kind: which one.
        delta: of the Huber loss.
        label_smoothing: of the binary ones: t is target (1 - s) + s / 2, s in 0 .. 1.
        alpha, gamma, balanced: of the focal one: ``balanced`` counts t alpha + (1 - t) (1 - alpha).
        from_logits: of the binary ones: p is the sigmoid of y; otherwise y clipped to
            [1e-7, 1 - 1e-7], without a gradient outside, as in Keras.
        sample_weight, reduction: as of `softmax_cross_entropy`.

    Returns:
        ``(losses, dy)`` of shapes (N,) and y's.
    """
    y, target = as_floats("y", y), as_floats("target", target)
    if y.ndim < 1 or y.size == 0:
        raise ValueError(f"y must have shape (N, ...), not empty, but is {y.shape}")
    if target.shape != y.shape:
        raise ValueError(f"target must have y's shape {y.shape}, but its shape is {target.shape}")
    if kind not in _core.RowLoss.__members__:
        raise ValueError(f"kind must be one of {[*_core.RowLoss.__members__]}, but is {kind!r}")
    dy = output("dy", dy, y.shape)
    losses = output("losses", losses, y.shape[:1])
    shape = y.shape if y.ndim > 1 else (*y.shape, 1)
    _core.row_loss(
        _core.RowLoss[kind],
        y.reshape(shape),
        target.reshape(shape),
        real("delta", delta),
        _smoothing(label_smoothing),
        real("alpha", alpha),
        real("gamma", gamma),
        truth("from_logits", from_logits),
        truth("balanced", balanced),
        as_weights(sample_weight, shape[:-1]),
        _reduction(reduction),
        dy.reshape(shape),
        losses,
    )
    return losses, dy


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
    return row_loss(
        y, target, kind="squared_error", sample_weight=sample_weight, dy=dy, losses=losses
    )


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
    return row_loss(
        y, target, kind="absolute_error", sample_weight=sample_weight, dy=dy, losses=losses
    )


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


def count_correct(y: npt.ArrayLike, labels: npt.ArrayLike) -> int:
    """How many rows of y (N, ..., K) have their first maximum at the label.

    Args:
        y: (N, ..., K).
        labels: as of `softmax_cross_entropy`.
    """
    y = _rows("y", y)
    return _core.count_correct(y, as_labels(labels, y.shape[:-1]))


def _rows(name: str, y: npt.ArrayLike) -> Floats:
    floats = as_floats(name, y)
    if floats.ndim < 2:
        raise ValueError(f"{name} must have shape (N, ..., K), but its shape is {floats.shape}")
    return floats


def _smoothing(value: float) -> float:
    smoothing = real("label_smoothing", value)
    if not 0.0 <= smoothing <= 1.0:
        raise ValueError(f"label_smoothing must lie in 0 .. 1, but is {smoothing!r}")
    return smoothing


def _ignored(value: int | None) -> int | None:
    return None if value is None else int64("ignore_class", value)


def _reduction(name: str) -> _core.Reduction:
    found = _REDUCTIONS.get(name) if isinstance(name, str) else None
    if found is None:
        raise ValueError(f"reduction must be one of {[*_REDUCTIONS]}, but is {name!r}")
    return found
