"""Losses: what training makes small.

A loss checks and prepares all targets once, before training (`prepare`), and then computes, batch
by batch, one loss a sample and the gradient of their mean, each by one call of an op.

The cross-entropies come in two forms. On probabilities they do what Keras does with
`from_logits=False`. But where the activation that belongs to them comes right before them, softmax
or sigmoid, the plan leaves it out and calls `compute_from_logits`, which is exact where
probabilities round to 0 or 1. From those no gradient comes back: behind a sigmoid, which is 1 in
float32 from a logit of 17 on, a wrong answer of that size would never be learnt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from . import ops
from .core.changes import Capturable, restructure
from .core.config import Configurable, as_number, checked_name, flag, same_name, unknown
from .core.parameters import Array
from .ops._gate import as_array, as_floats, as_weights

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "get",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # to type checkers, every name would be there

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):  # asked for by Python's own imports
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from convkit.absent import missing  # here: only for an error

        missing(__name__, name)


class Loss(Capturable, Configurable):
    """Base class of the losses.

    Attributes:
        name: the loss's short name.
        fused_activation: the activation that can be computed together with the loss where it comes
            right before it, or None.
        capturable: `compute` and `compute_from_logits` are native calls that depend on nothing but
            the arrays and the loss's attributes, so that a plan may capture them. Not inherited.
    """

    name = "loss"
    fused_activation: str | None = None

    def _set(self, name: str, value: Any) -> None:
        super()._set(name, value)
        restructure(self)

    def prepare(self, targets: ArrayLike, output_shape: tuple[int, ...]) -> Array:
        """Check all targets against the model's output (K,), and return them as the ops read them.

        Raises:
            ValueError: of another shape, or out of range. The message says what to do.
            TypeError: not numbers.
        """
        raise NotImplementedError

    def compute(
        self,
        y_pred: Array,
        targets: Array,
        *,
        losses: Array | None = None,
        dy: Array | None = None,
        sample_weight: Array | None = None,
    ) -> Array:
        """Write the losses (N,) and the gradient of their mean; return the losses."""
        raise NotImplementedError

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
        """As `compute` behind `fused_activation`, whose result is written into `probs`."""
        arrays = {"probs": probs, "dlogits": dlogits, "losses": losses}
        return ops.softmax_cross_entropy(logits, targets, sample_weight=sample_weight, **arrays)[0]

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """The mean loss of some predictions, as a float."""
        predicted = as_floats("y_pred", y_pred)
        if predicted.ndim == 0:
            raise ValueError(f"{self.name}: y_pred must have shape (N, ...), received ()")
        targets = self.prepare(y_true, predicted.shape[1:])
        if len(targets) != len(predicted):
            raise ValueError(
                f"{self.name}: y_true has {len(targets)} samples, y_pred has {len(predicted)}"
            )
        weights = as_weights(sample_weight, len(predicted))
        return float(np.mean(self.compute(predicted, targets, sample_weight=weights)))


class _OneOp(Loss):
    """What all losses here share: one op computes them and their gradient.

    Attributes:
        op: that op, which returns the losses first.
        gradient: what the op calls the gradient of the predictions.
        options: the op's arguments besides the arrays.
    """

    op: Callable[..., tuple[Array, ...]]
    gradient = "dy"
    _derived = ("fused_activation", "gradient", "op", "options")

    def __init__(self, *, name: str | None = None) -> None:
        self.name = checked_name(name, self)
        self.options: dict[str, Any] = {}

    def compute(
        self,
        y_pred: Array,
        targets: Array,
        *,
        losses: Array | None = None,
        dy: Array | None = None,
        sample_weight: Array | None = None,
    ) -> Array:
        """The loss of each sample."""
        arrays = {"sample_weight": sample_weight, "losses": losses, self.gradient: dy}
        return self.op(y_pred, targets, **arrays, **self.options)[0]


class _CrossEntropy(_OneOp):
    """What both cross-entropies share: of probabilities or of logits."""

    op: Callable[..., tuple[Array, ...]] = staticmethod(ops.cross_entropy)
    gradient = "dprobs"

    def __init__(self, from_logits: bool = False, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self.from_logits = flag(from_logits, "from_logits", self)
        self.fused_activation = None if self.from_logits else "softmax"
        if self.from_logits:
            self.op, self.gradient = ops.softmax_cross_entropy, "dlogits"


class SparseCategoricalCrossentropy(_CrossEntropy):
    """Cross-entropy with integer labels: -log of the probability of the right class.

    Args:
        from_logits: whether the model's output is before the softmax, not after it.
        name: by default `sparse_categorical_crossentropy`.

    Targets: integers (N,) or (N, 1), each in 0 .. K-1. Predictions: (N, K).
    """

    name = "sparse_categorical_crossentropy"
    capturable = True

    def prepare(self, targets: ArrayLike, output_shape: tuple[int, ...]) -> Array:
        """Return the labels as int64 of shape (N,), each in 0 .. K-1."""
        return check_labels(targets, _classes(output_shape, self.name))


class CategoricalCrossentropy(_CrossEntropy):
    """Cross-entropy with one-hot labels, or other probabilities of the classes.

    Args:
        from_logits: whether the model's output is before the softmax, not after it.
        label_smoothing: the share s of each target that is spread over all K classes: targets
            become target * (1 - s) + s / K (C. Szegedy et al., 2016). All targets are smoothed
            before `fit` or `evaluate` begins.
        name: by default `categorical_crossentropy`.

    Targets: (N, K), every row with sum 1. Predictions: (N, K).
    """

    name = "categorical_crossentropy"
    capturable = True

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, *, name: str | None = None
    ) -> None:
        super().__init__(from_logits, name=name)
        self.label_smoothing = _smoothing(label_smoothing, self.name)

    def prepare(self, targets: ArrayLike, output_shape: tuple[int, ...]) -> Array:
        """Return the rows, smoothed, as float32 (N, K)."""
        classes = _classes(output_shape, self.name)
        rows = _numbers(targets)
        if rows.ndim != 2 or rows.shape[1] != classes:
            raise ValueError(
                f"{self.name} expects one-hot labels of shape (N, {classes}), received "
                f"{rows.shape}; make them with convkit.utils.to_categorical(y, {classes}), or "
                f"use loss='sparse_categorical_crossentropy' for integer labels"
            )
        rows = np.ascontiguousarray(rows, np.float32)
        if self.label_smoothing:
            rows = rows * np.float32(1.0 - self.label_smoothing)
            rows += np.float32(self.label_smoothing / classes)
        return rows


class _ValueByValue(_OneOp):
    """What the losses share that compare every output with a target of its own."""

    def prepare(self, targets: ArrayLike, output_shape: tuple[int, ...]) -> Array:
        """Return the targets as float32, in the shape of the predictions."""
        values = _numbers(targets)
        if values.ndim == 1 and output_shape == (1,):
            values = values[:, None]
        if values.shape[1:] != output_shape or values.ndim == 0:
            expected = ", ".join(["N", *map(str, output_shape)])
            hint = ""
            if values.ndim == len(output_shape) == 1:
                hint = (
                    "; give the last layer one unit, or for integer labels take "
                    "loss='sparse_categorical_crossentropy'"
                )
            raise ValueError(
                f"{self.name} expects targets of shape ({expected}), that of the model's output, "
                f"received {values.shape}{hint}"
            )
        return np.ascontiguousarray(values, np.float32)


class MeanSquaredError(_ValueByValue):
    """The mean of (y_true - y_pred)**2 over all outputs of a sample.

    Args:
        name: by default `mean_squared_error`.

    Targets: of the shape of the predictions; (N,) is taken for (N, 1).
    """

    name = "mean_squared_error"
    capturable = True
    op = staticmethod(ops.mean_squared_error)


class MeanAbsoluteError(_ValueByValue):
    """The mean of `|y_true - y_pred|` over all outputs of a sample.

    Args:
        name: by default `mean_absolute_error`.

    Targets: of the shape of the predictions; (N,) is taken for (N, 1).
    """

    name = "mean_absolute_error"
    capturable = True
    op = staticmethod(ops.mean_absolute_error)


class BinaryCrossentropy(_ValueByValue):
    """Cross-entropy of yes-or-no questions, one for each output: cat or dog, or several tags.

    Args:
        from_logits: whether the model's output is before the sigmoid, not after it.
        label_smoothing: the share s by which targets move towards 1/2: target * (1 - s) + s / 2.
        name: by default `binary_crossentropy`.

    Targets: of the shape of the predictions, each in 0 .. 1; (N,) is taken for (N, 1).
    """

    name = "binary_crossentropy"
    capturable = True
    op = staticmethod(ops.binary_cross_entropy)

    def __init__(
        self, from_logits: bool = False, label_smoothing: float = 0.0, *, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.from_logits = flag(from_logits, "from_logits", self)
        self.fused_activation = None if self.from_logits else "sigmoid"
        self.label_smoothing = _smoothing(label_smoothing, self.name)
        self.options = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing}

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
        return ops.binary_cross_entropy(
            logits,
            targets,
            from_logits=True,
            label_smoothing=self.label_smoothing,
            sample_weight=sample_weight,
            dy=dlogits,
            losses=losses,
        )[0]


def check_labels(labels: ArrayLike, classes: int) -> Array:
    """Return integer labels as int64 (N,).

    Floats are taken if they are whole numbers. Raises ValueError naming the first label that is
    not in 0 .. classes-1, or a shape that is neither (N,) nor (N, 1).
    """
    array = _numbers(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        hint = (
            "use loss='categorical_crossentropy' for one-hot labels, or integer labels "
            "y.argmax(axis=1)"
            if array.ndim == 2
            else "give one integer a sample"
        )
        raise ValueError(
            f"labels must be integers of shape (N,) or (N, 1), received {array.shape}; {hint}"
        )
    if array.dtype.kind == "f":
        fractions = array != np.floor(array)
        if fractions.any():
            raise ValueError(
                f"labels must be whole numbers, received {array[fractions][0]} at position "
                f"{int(fractions.argmax())}"
            )
    wrong = (array < 0) | (array >= classes)
    if wrong.any():
        other = "number the classes from 0"
        if classes == 1:
            other = "take loss='binary_crossentropy' for two classes in one unit"
        raise ValueError(
            f"labels must lie in 0 .. {classes - 1}, because the model's output has {classes} "
            f"classes; received {array[wrong][0]} at position {int(wrong.argmax())}. Give the "
            f"last layer more units, or {other}"
        )
    return np.ascontiguousarray(array, np.int64)


def _numbers(values: ArrayLike) -> Array:
    array = as_array("targets", values)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"targets must be numbers, received dtype {array.dtype}; number the classes, for "
            f"example with numpy.unique(y, return_inverse=True)[1]"
        )
    return array


def _smoothing(value: float, name: str) -> float:
    number = as_number(value)
    if number is None or not 0.0 <= number <= 1.0:
        raise ValueError(f"{name}: label_smoothing must lie in 0 .. 1, received {value!r}")
    return number


def _classes(output_shape: tuple[int, ...], name: str) -> int:
    if len(output_shape) != 1:
        raise ValueError(
            f"{name} needs a model whose output is (N, classes), this one's is "
            f"{(None, *output_shape)}; end it with Flatten() and Dense(classes)"
        )
    return output_shape[0]


_BY_NAME: dict[str, Callable[[], Loss]] = {
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
    "bce": BinaryCrossentropy,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
}


def get(identifier: str | Loss) -> Loss:
    """The loss of that name, or the object itself; ValueError names the known ones."""
    if isinstance(identifier, Loss):
        return identifier
    if name := same_name(identifier, _BY_NAME):
        return _BY_NAME[name]()
    raise unknown("loss", identifier, _BY_NAME)
