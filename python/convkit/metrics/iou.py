"""How well regions match: the size of what two have in common, over that of both together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.config import as_number, flag, real
from ..core.parameters import Array
from ..losses.functions import check_axis
from .confusion import _index
from .metric import Metric

_EPSILON = 1e-7  # as Keras adds it to what is divided by


class IoU(Metric):
    """The mean, over some classes, of intersection over union: tp / (tp + fp + fn).

    Args:
        num_classes: how many there are.
        target_class_ids: those that count.
        name: by default `io_u`.
        ignore_class: a label, in 0 .. num_classes-1 or not, that does not count; None for none.
        sparse_y_true: whether targets are integers, not one-hot.
        sparse_y_pred: whether predictions are classes, not probabilities or logits of classes.
        axis: where the classes are, in what is not sparse.

    Weights count as they are; Keras cuts them to integers.
    """

    name = "io_u"
    gathered = ("total_cm",)

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        *,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(name)
        self.num_classes = _index(num_classes, "num_classes", 1, self.name)
        several = isinstance(target_class_ids, Sequence | range | np.ndarray)
        numbers = [as_number(each) for each in target_class_ids] if several else []
        self.target_class_ids = [int(n) for n in numbers if n is not None and 0 <= n < 2**31]
        inside = all(each < self.num_classes for each in self.target_class_ids)
        if not inside or not numbers or len(self.target_class_ids) != len(numbers):
            raise ValueError(
                f"{self.name}: target_class_ids must lie in 0 .. {self.num_classes - 1}, received "
                f"{target_class_ids!r}"
            )
        self.ignore_class, self.axis = ignore_class, axis
        self.sparse_y_true = flag(sparse_y_true, "sparse_y_true", self)
        self.sparse_y_pred = flag(sparse_y_pred, "sparse_y_pred", self)

    def gather(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        """Count in the arrays of a batch that is not empty."""
        true = y_true if self.sparse_y_true else self._classes(y_true, "y_true")
        found = y_pred if self.sparse_y_pred else self._classes(y_pred, "y_pred")
        if true.size != found.size:
            raise ValueError(
                f"metric {self.name}: y_true has {true.size} labels, y_pred has {found.size}; "
                f"where predictions are probabilities of classes, take sparse_y_pred=False, and "
                f"for one-hot labels sparse_y_true=False"
            )
        factors: Any = 1.0
        if weights is not None:
            trailing = (1,) * (true.ndim - weights.ndim)
            factors = np.broadcast_to(weights.reshape(weights.shape + trailing), true.shape)
        self._count(true.reshape(-1).astype(np.int64), found.reshape(-1).astype(np.int64), factors)

    def _classes(self, values: Array, what: str) -> Array:
        check_axis(values, self.axis, f"metric {self.name}: {what}")
        found: Array = values.argmax(axis=self.axis)
        return found

    def _count(self, true: Array, found: Array, factors: Any) -> None:
        count = self.num_classes
        counts = (true >= 0) & (true < count) & (found >= 0) & (found < count)
        if self.ignore_class is not None:
            counts &= true != self.ignore_class
        weights = np.where(counts, np.asarray(factors).reshape(-1), 0.0)
        places = np.where(counts, true * count + found, 0)
        matrix = np.bincount(places, weights, count * count).reshape(count, count)
        self._add(total_cm=matrix)

    def result(self) -> float:
        """The mean so far, of the classes that occurred; 0.0 before the first sample."""
        matrix = np.broadcast_to(self.__dict__["total_cm"], (self.num_classes,) * 2)
        right = np.diagonal(matrix)[self.target_class_ids]
        both = (matrix.sum(axis=0) + matrix.sum(axis=1))[self.target_class_ids] - right
        occurred = both > 1e-9
        ratios = np.where(occurred, right / (both + _EPSILON), 0.0)
        return float(ratios.sum() / (occurred.sum() + _EPSILON))


class BinaryIoU(IoU):
    """The mean of intersection over union of no and yes, of predictions by a threshold.

    Args:
        target_class_ids: those that count, of 0 and 1.
        threshold: a prediction of at least it is a yes.
        name: by default `binary_io_u`.
    """

    name = "binary_io_u"

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
    ) -> None:
        super().__init__(2, target_class_ids, name)
        self.threshold = real(threshold, "threshold", self)

    def gather(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        """Count in the arrays of a batch that is not empty."""
        super().gather(y_true, y_pred >= np.float32(self.threshold), weights)


class MeanIoU(IoU):
    """The mean of intersection over union of all classes.

    Args:
        num_classes, ignore_class, sparse_y_true, sparse_y_pred, axis: as of `IoU`.
        name: by default `mean_io_u`.
    """

    name = "mean_io_u"

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        *,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        ids = range(_index(num_classes, "num_classes", 1, type(self).name))
        super().__init__(
            num_classes,
            ids,
            name,
            ignore_class=ignore_class,
            sparse_y_true=sparse_y_true,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )


class OneHotIoU(IoU):
    """`IoU` of one-hot targets and probabilities of classes.

    Args:
        num_classes, target_class_ids, ignore_class, sparse_y_pred, axis: as of `IoU`.
        name: by default `one_hot_io_u`.
    """

    name = "one_hot_io_u"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        *,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            target_class_ids,
            name,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` of one-hot targets and probabilities of classes.

    Args:
        num_classes, ignore_class, sparse_y_pred, axis: as of `IoU`.
        name: by default `one_hot_mean_io_u`.
    """

    name = "one_hot_mean_io_u"

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        *,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            name,
            ignore_class=ignore_class,
            sparse_y_true=False,
            sparse_y_pred=sparse_y_pred,
            axis=axis,
        )
