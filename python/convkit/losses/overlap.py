"""Losses of the overlap of regions, as segmentation has them, and of noisy labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core.config import real
from ..core.parameters import Array
from .loss import Loss
from .targets import check_labels, values_like_output

_EPSILON = 1e-7


class Tversky(Loss):
    """1 - c / (c + alpha * a + beta * b): of what targets and predictions have in common.

    c is the sum of y_true * y_pred, a that of y_true * (1 - y_pred), b that of (1 - y_true) *
    y_pred (S. Salehi et al., "Tversky loss function for image segmentation", 2017).

    Args:
        alpha, beta: how much counts what only the targets, or only the predictions, have.
        reduction: as of `Loss`.
        name: by default `tversky`.
        axis: of the sums: (1, 2, 3) for a loss of each image, None for one of the whole batch.

    Targets: of the shape of the predictions, each in 0 .. 1. Samples can have weights only where
    they have losses of their own.
    """

    name = "tversky"

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__(name, reduction)
        self.alpha, self.beta = real(alpha, "alpha", self), real(beta, "beta", self)
        self.axis = _axes(axis, self.name)

    def prepare(self, targets: ArrayLike, output_shape: tuple[int, ...]) -> Array:
        """Return the targets as float32, in the shape of the predictions."""
        return values_like_output(targets, output_shape, self.name)

    def _sums(self, y_true: Array, y_pred: Array) -> tuple[Any, Any]:
        """The common part, and what it is divided by, with the axes that were summed over."""
        axis = self.axis if self.axis is None or isinstance(self.axis, int) else tuple(self.axis)

        def total(values: Array) -> Any:
            return values.sum(axis=axis, keepdims=True, dtype=np.float64)

        common, of_targets, of_output = total(y_true * y_pred), total(y_true), total(y_pred)
        rest = self.alpha * (of_targets - common) + self.beta * (of_output - common)
        return common, common + rest + _EPSILON

    def call(self, y_true: Array, y_pred: Array) -> Any:
        """The losses, of the axes that are left."""
        common, whole = self._sums(y_true, y_pred)
        ratio = common / whole
        left = [n for n, size in enumerate(ratio.shape) if n not in self._summed(ratio.ndim)]
        return 1.0 - ratio.reshape([ratio.shape[n] for n in left])

    def gradient(self, y_true: Array, y_pred: Array) -> Any:
        """The gradient of their sum."""
        common, whole = self._sums(y_true, y_pred)
        slope = y_true * (1.0 - self.alpha - self.beta) + self.beta  # of the whole
        return common / np.square(whole) * slope - y_true / whole

    def _summed(self, rank: int) -> set[int]:
        if self.axis is None:
            return set(range(rank))
        axes = [self.axis] if isinstance(self.axis, int) else self.axis
        return {axis % rank for axis in axes}


class Dice(Tversky):
    """1 - 2 c / (a + b): c the sum of y_true * y_pred, a that of y_true, b that of y_pred.

    The loss of the Sorensen-Dice coefficient (F. Milletari et al., "V-Net", 2016).

    Args:
        reduction: as of `Loss`.
        name: by default `dice`.
        axis: of the sums: (1, 2, 3) for a loss of each image, None for one of the whole batch.

    Targets: of the shape of the predictions, each in 0 .. 1. Samples can have weights only where
    they have losses of their own.
    """

    name = "dice"

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        axis: int | Sequence[int] | None = None,
    ) -> None:
        super().__init__(0.5, 0.5, reduction, name, axis)

    def _sums(self, y_true: Array, y_pred: Array) -> tuple[Any, Any]:
        common, whole = super()._sums(y_true, y_pred)
        return common, whole - _EPSILON / 2.0  # (a + b + epsilon) / 2


class CategoricalGeneralizedCrossEntropy(Loss):
    """(1 - p**q) / q for the probability p of the right class, which bears wrong labels.

    It lies between the cross-entropy (q near 0) and the absolute error (q near 1) (Z. Zhang and M.
    Sabuncu, "Generalized cross entropy loss for training deep neural networks with noisy labels",
    2018).

    Args:
        q: between 0 and 1.
        reduction: as of `Loss`.
        name: by default `categorical_generalized_cross_entropy`.

    Targets: integers (N, ...) or (N, ..., 1), each in 0 .. K-1. Predictions: (N, ..., K).
    """

    name = "categorical_generalized_cross_entropy"

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(name, reduction)
        self.q = real(q, "q", self)
        if not 0.0 < self.q < 1.0:
            raise ValueError(f"{self.name}: q must lie between 0 and 1, received {q!r}")

    def prepare(self, targets: ArrayLike, output_shape: tuple[int, ...]) -> Array:
        """Return the labels as int64 (N, ...), each in 0 .. K-1."""
        if not output_shape:
            raise ValueError(f"{self.name} needs predictions (N, ..., classes), received (N,)")
        return check_labels(targets, output_shape[-1], output_shape[:-1])

    def call(self, y_true: Array, y_pred: Array) -> Any:
        """The losses of the rows, (N, ...)."""
        right = np.take_along_axis(y_pred, y_true[..., None].astype(np.int64), axis=-1)[..., 0]
        return (1.0 - right.astype(np.float64) ** self.q) / self.q

    def gradient(self, y_true: Array, y_pred: Array) -> Any:
        """The gradient of their sum."""
        places = y_true[..., None].astype(np.int64)
        right = np.take_along_axis(y_pred, places, axis=-1).astype(np.float64)
        slopes = np.zeros(y_pred.shape)
        # At 0 the slope is infinite; a probability is not below what float32 tells from it.
        lowest = float(np.finfo(np.float32).tiny)
        np.put_along_axis(slopes, places, -(np.maximum(right, lowest) ** (self.q - 1.0)), axis=-1)
        return slopes


_MOST_AXES = 64  # of NumPy's arrays


def _axes(axis: Any, name: str) -> int | list[int] | None:
    """Axes as a configuration holds them; TypeError for what is neither an integer nor several."""
    if axis is None:
        return None
    several = list(axis) if isinstance(axis, list | tuple) else [axis]
    if several and all(type(each) is int for each in several):
        if not all(-_MOST_AXES <= each < _MOST_AXES for each in several):
            raise ValueError(f"{name}: there are no arrays with an axis {axis!r}")
        return several if isinstance(axis, list | tuple) else axis
    raise TypeError(f"{name}: axis must be None, an integer or several, received {axis!r}")
