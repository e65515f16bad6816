"""The cross-entropies, of classes and of yes-or-no questions, with and without focus.

On probabilities they do what Keras does with `from_logits=False`. But where the activation that
belongs to them comes right before them, softmax or sigmoid, the plan leaves it out and calls
`compute_from_logits`, which is exact where probabilities round to 0 or 1. From those no gradient
comes back: behind a sigmoid, which is 1 in float32 from a logit of 17 on, a wrong answer of that
size would never be learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import ops
from ..core.config import as_number, flag
from ..core.parameters import Array
from .loss import OpLoss, RowLoss
from .targets import as_numbers, check_labels, checked_axis, checked_smoothing, shape_of_samples


class _OfClasses(OpLoss):
    """What the losses share whose outputs are the probabilities, or the logits, of classes."""

    def __init__(self, from_logits: bool, reduction: str | None, axis: int, name: str | None):
        super().__init__(name, reduction)
        self.axis = checked_axis(axis, self.name)
        self.from_logits = flag(from_logits, "from_logits", self)
        self.fused_activation = None if self.from_logits else "softmax"


class _CrossEntropy(_OfClasses):
    """What both cross-entropies share: of probabilities or of logits."""

    op: Callable[..., tuple[Array, ...]] = staticmethod(ops.cross_entropy)
    gradient_name = "dprobs"

    def __init__(self, from_logits: bool, reduction: str | None, axis: int, name: str | None):
        super().__init__(from_logits, reduction, axis, name)
        if self.from_logits:
            self.op, self.gradient_name = ops.softmax_cross_entropy, "dlogits"

    def compute_from_logits(
        self,
        logits: Array,
        targets: Array,
        *,
        probs: Array | None = None,
        losses: Array | None = None,
        dlogits: Array | None = None,
        sample_weight: Array | None = None,
    ) -> Array:
        """As `compute` behind a softmax, whose result is written into `probs`."""
        return ops.softmax_cross_entropy(
            logits,
            targets,
            sample_weight=sample_weight,
            reduction=self.reduction or "sum",
            probs=probs,
            dlogits=dlogits,
            losses=losses,
            **self.options,
        )[0]


class SparseCategoricalCrossentropy(_CrossEntropy):
    """Cross-entropy with integer labels: -log of the probability of the right class.

    Args:
        from_logits: whether the model's output is before the softmax, not after it.
        ignore_class: a label, in 0 .. K-1 or not, that does not count, such as -1 or 255 for what
            nobody has labelled; None for none.
        reduction: as of `Loss`.
        axis: -1, where the classes are.
        name: by default `sparse_categorical_crossentropy`.
        label_smoothing: the share s of each target that is spread over all K classes.

    Targets: integers (N, ...) or (N, ..., 1), each in 0 .. K-1. Predictions: (N, ..., K).
    """

    name = "sparse_categorical_crossentropy"
    capturable = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(from_logits, reduction, axis, name)
        self.ignore_class = None
        if ignore_class is not None:
            number = as_number(ignore_class)
            if number is None or not abs(number) < 2**53 or number != int(number):
                raise ValueError(
                    f"{self.name}: ignore_class must be an integer or None, received "
                    f"{ignore_class!r}"
                )
            self.ignore_class = int(number)
        self.label_smoothing = checked_smoothing(label_smoothing, self.name)
        self.options = {
            "ignore_class": self.ignore_class,
            "label_smoothing": self.label_smoothing,
        }

    def prepare(self, targets: ArrayLike, output_shape: tuple[int, ...]) -> Array:
        """Return the labels as int64 (N, ...), each in 0 .. K-1; uint8 of positions stays uint8."""
        classes = _classes(output_shape, self.name)
        return check_labels(targets, classes, output_shape[:-1], self.ignore_class)


class CategoricalCrossentropy(_CrossEntropy):
    """Cross-entropy with one-hot labels, or other probabilities of the classes.

    Args:
        from_logits: whether the model's output is before the softmax, not after it.
        label_smoothing: the share s of each target that is spread over all K classes: targets
            become target * (1 - s) + s / K (C. Szegedy et al., 2016).
        axis: -1, where the classes are.
        reduction: as of `Loss`.
        name: by default `categorical_crossentropy`.

    Targets: (N, ..., K), every row with sum 1. Predictions: (N, ..., K).
    """

    name = "categorical_crossentropy"
    capturable = True

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, reduction, axis, name)
        self.label_smoothing = checked_smoothing(label_smoothing, self.name)
        self.options = {"label_smoothing": self.label_smoothing}

    def prepare(self, targets: ArrayLike, output_shape: tuple[int, ...]) -> Array:
        """Return the rows as float32 (N, ..., K)."""
        return _one_hot(targets, output_shape, self.name)


class CategoricalFocalCrossentropy(_OfClasses):
    """Cross-entropy that counts least what is right already, for classes of unequal sizes.

    The cross-entropy of each class times alpha * (1 - p)**gamma (T. Lin et al., "Focal loss for
    dense object detection", 2017).

    Args:
        alpha: one number, or one for each class.
        gamma: at least 0; 0 is the cross-entropy times alpha.
        from_logits: whether the model's output is before the softmax, not after it.
        label_smoothing: as of `CategoricalCrossentropy`.
        axis: -1, where the classes are.
        reduction: as of `Loss`.
        name: by default `categorical_focal_crossentropy`.

    Targets: (N, ..., K), every row with sum 1. Predictions: (N, ..., K).
    """

    name = "categorical_focal_crossentropy"
    capturable = True
    op = staticmethod(ops.categorical_focal_cross_entropy)

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, reduction, axis, name)
        self.alpha, self.gamma = alpha, _focus(gamma, "gamma", self.name)
        several = not np.isscalar(alpha) and hasattr(alpha, "__len__")
        weights = [_focus(each, "alpha", self.name) for each in (alpha if several else [alpha])]  # type: ignore[union-attr]
        self.label_smoothing = checked_smoothing(label_smoothing, self.name)
        self.options: dict[str, Any] = {
            "alpha": np.array(weights, np.float32),
            "gamma": self.gamma,
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
        }

    def prepare(self, targets: ArrayLike, output_shape: tuple[int, ...]) -> Array:
        """Return the rows as float32 (N, ..., K)."""
        return _one_hot(targets, output_shape, self.name)

    def compute_from_logits(
        self,
        logits: Array,
        targets: Array,
        *,
        probs: Array | None = None,
        losses: Array | None = None,
        dlogits: Array | None = None,
        sample_weight: Array | None = None,
    ) -> Array:
        """As `compute` behind a softmax, whose result is written into `probs`."""
        return ops.categorical_focal_cross_entropy(
            logits,
            targets,
            sample_weight=sample_weight,
            reduction=self.reduction or "sum",
            probs=probs,
            dy=dlogits,
            losses=losses,
            **{**self.options, "from_logits": True},
        )[0]


class _OfQuestions(RowLoss):
    """What the losses share whose outputs are the answers to yes-or-no questions."""

    def __init__(
        self,
        from_logits: bool,
        label_smoothing: float,
        axis: int,
        reduction: str | None,
        name: str | None,
    ) -> None:
        super().__init__(reduction, name)
        self.axis = checked_axis(axis, self.name)
        self.from_logits = flag(from_logits, "from_logits", self)
        self.fused_activation = None if self.from_logits else "sigmoid"
        self.label_smoothing = checked_smoothing(label_smoothing, self.name)
        self.options.update(from_logits=self.from_logits, label_smoothing=self.label_smoothing)

    def prepare(self, targets: ArrayLike, output_shape: tuple[int, ...]) -> Array:
        """Return the targets as float32, in the shape of the predictions, each in 0 .. 1."""
        values = super().prepare(targets, output_shape)
        wrong = ~((values >= 0.0) & (values <= 1.0))
        if wrong.any():
            raise ValueError(
                f"{self.name} expects targets in 0 .. 1, received {values[wrong][0]}; use "
                f"loss='sparse_categorical_crossentropy' for more than two classes"
            )
        return values

    def compute_from_logits(
        self,
        logits: Array,
        targets: Array,
        *,
        probs: Array | None = None,
        losses: Array | None = None,
        dlogits: Array | None = None,
        sample_weight: Array | None = None,
    ) -> Array:
        """As `compute` behind a sigmoid, whose result is written into `probs`."""
        ops.sigmoid_forward(logits, out=probs)
        return ops.row_loss(
            logits,
            targets,
            sample_weight=sample_weight,
            reduction=self.reduction or "sum",
            dy=dlogits,
            losses=losses,
            **{**self.options, "from_logits": True},
        )[0]


class BinaryCrossentropy(_OfQuestions):
    """Cross-entropy of yes-or-no questions, one for each output: cat or dog, or several tags.

    Args:
        from_logits: whether the model's output is before the sigmoid, not after it.
        label_smoothing: the share s by which targets move towards 1/2: target * (1 - s) + s / 2.
        axis: -1, along which the mean of a row is taken.
        reduction: as of `Loss`.
        name: by default `binary_crossentropy`.

    Targets: of the shape of the predictions, each in 0 .. 1; (N,) is taken for (N, 1).
    """

    name = "binary_crossentropy"
    kind = "binary_cross_entropy"
    capturable = True

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name)


class BinaryFocalCrossentropy(_OfQuestions):
    """Binary cross-entropy that counts least what is right already.

    The cross-entropy times m**gamma, for m = 1 - p where the target is 1, and p where it is 0 (T.
    Lin et al., "Focal loss for dense object detection", 2017).

    Args:
        apply_class_balancing: whether targets of 1 count alpha times, and those of 0 (1 - alpha)
            times.
        alpha: between 0 and 1.
        gamma: at least 0; 0 is the cross-entropy.
        from_logits, label_smoothing, axis: as of `BinaryCrossentropy`.
        reduction: as of `Loss`.
        name: by default `binary_focal_crossentropy`.

    Targets: of the shape of the predictions, each in 0 .. 1; (N,) is taken for (N, 1).
    """

    name = "binary_focal_crossentropy"
    kind = "binary_focal_cross_entropy"
    capturable = True

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name)
        self.apply_class_balancing = flag(apply_class_balancing, "apply_class_balancing", self)
        self.alpha, self.gamma = (
            _focus(alpha, "alpha", self.name),
            _focus(gamma, "gamma", self.name),
        )
        self.options.update(balanced=self.apply_class_balancing, alpha=self.alpha, gamma=self.gamma)


def _focus(value: Any, what: str, name: str) -> float:
    number = as_number(value)
    if number is None or not 0.0 <= number < np.inf:
        raise ValueError(
            f"{name}: {what} must be a finite number of at least 0, received {value!r}"
        )
    return number


def _one_hot(targets: ArrayLike, output_shape: tuple[int, ...], name: str) -> Array:
    classes = _classes(output_shape, name)
    rows = as_numbers(targets)
    if rows.ndim == 0 or rows.shape[1:] != output_shape:
        raise ValueError(
            f"{name} expects one-hot labels of shape {shape_of_samples(output_shape)}, received "
            f"{rows.shape}; make them with convkit.utils.to_categorical(y, {classes}), or "
            f"use loss='sparse_categorical_crossentropy' for integer labels"
        )
    return np.ascontiguousarray(rows, np.float32)


def _classes(output_shape: tuple[int, ...], name: str) -> int:
    if not output_shape:
        raise ValueError(f"{name} needs predictions (N, ..., classes), received (N,)")
    return output_shape[-1]
