"""What all losses share: targets, weights, and the reduction of a batch's losses to one number.

Every row of an output's last axis has a loss: one a sample, or one for each of its pixels. A loss
prepares all targets once, before training (`prepare`), and then gives, batch by batch, numbers for
the samples whose mean is the batch's loss, and the gradient of this mean (`compute`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from .. import ops
from ..core.changes import Capturable, restructure
from ..core.config import Configurable, checked_name
from ..core.parameters import Array
from ..core.processes import current_share
from ..ops._gate import as_floats, as_weights
from .targets import checked_reduction, like_output, values_like_output

_CONTRACT = (
    "convkit does not differentiate Python code: {}. A function returns (losses, gradient), a "
    "subclass of losses.Loss defines call(y_true, y_pred) and gradient(y_true, y_pred), where "
    "losses are (N, ...) or one number, and the gradient, of the shape of y_pred, is that of their "
    "sum"
)


_GRADIENTS = ("gradient", "compute", "_evaluate")  # one of them gives it


class Loss(Capturable, Configurable):
    """Base class of the losses.

    A loss of one's own defines `call` and, for nobody can derive it from Python code, `gradient`.

    Args:
        name: by default that of the class.
        reduction: what becomes of the rows' losses times their weights: "sum_over_batch_size" (or
            "mean") divides their sum by the number of rows, "sum" does not,
            "mean_with_sample_weight" divides it by the sum of the weights; None (or "none") leaves
            the losses as they are, which is for calling the loss, not for `compile`.

    Attributes:
        fused_activation: the activation that can be computed together with the loss where it comes
            right before it, or None.
        left_out_of_files: whether a model with it is saved as if it had not been compiled, instead
            of an error. Of the losses of scripts that `convkit.compat` runs.
        capturable: `compute` and `compute_from_logits` are native calls that depend on nothing but
            the arrays and the loss's attributes, so that a plan may capture them. Not inherited.

    Example:
        >>> class Quartic(convkit.losses.Loss):
        ...     def call(self, y_true, y_pred):
        ...         return ((y_pred - y_true) ** 4).mean(axis=-1)
        ...
        ...     def gradient(self, y_true, y_pred):
        ...         return 4 * (y_pred - y_true) ** 3 / y_pred.shape[-1]
    """

    name = "loss"
    reduction: str | None = "sum_over_batch_size"
    fused_activation: str | None = None
    left_out_of_files: ClassVar[bool] = False

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size"
    ) -> None:
        self.name = checked_name(name, self)
        self.reduction = checked_reduction(reduction, self.name)

    def _set(self, name: str, value: Any) -> None:
        super()._set(name, value)
        restructure(self)

    def call(self, y_true: Array, y_pred: Array) -> Any:
        """The losses, (N, ...) or one number, without weights and reduction.

        Args:
            y_true: what `prepare` made of the targets; by default float32.
            y_pred: (N, ...), float32. Both are the arrays of the next batch, too, and not to be
                changed.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no call(y_true, y_pred)")

    def gradient(self, y_true: Array, y_pred: Array) -> Any:
        """The derivatives of the sum of what `call` returns, of the shape of y_pred."""
        raise NotImplementedError(_CONTRACT.format(f"{type(self).__name__} defines no gradient"))

    def prepare(self, targets: ArrayLike, output_shape: tuple[int, ...]) -> Array:
        """Check all targets against the model's output, and return them as `compute` reads them.

        Args:
            targets: of all samples.
            output_shape: of one sample, such as (K,).

        Raises:
            ValueError: of another shape, or out of range. The message says what to do.
            TypeError: not numbers.
        """
        return np.ascontiguousarray(like_output(targets, output_shape), np.float32)

    def compute(
        self,
        y_pred: Array,
        targets: Array,
        *,
        losses: Array | None = None,
        dy: Array | None = None,
        sample_weight: Array | None = None,
    ) -> Array:
        """Write losses (N,), whose mean is the batch's, and the gradient of this mean.

        Args:
            y_pred: (N, ...).
            targets: what `prepare` returned.
            losses, dy: where to write; new ones by default.
            sample_weight: (N,), or of the shape of what `call` returns; or None.

        Returns:
            The losses.
        """
        losses = np.empty(len(y_pred), np.float32) if losses is None else losses
        dy = np.empty_like(y_pred) if dy is None else dy
        share = current_share()
        if share is None:
            return self._compute(y_pred, targets, losses, dy, sample_weight)
        # What the others have counts in the mean; and what `call` returns may depend on it.
        own = [y_pred, targets] if sample_weight is None else [y_pred, targets, sample_weight]
        whole, targets, *weights = share.gather(own)
        slopes = np.empty_like(whole)
        values = np.empty(len(whole), np.float32)
        self._compute(whole, targets, values, slopes, weights[0] if weights else None)
        losses[...], dy[...] = values[share.rows], slopes[share.rows]
        return losses

    def _compute(
        self, y_pred: Array, targets: Array, losses: Array, dy: Array, sample_weight: Array | None
    ) -> Array:
        """The same of a whole batch."""
        values, gradient = self._evaluate(targets, y_pred)
        per_sample, shares = self._reduce(np.asarray(values), len(y_pred), sample_weight)
        if callable(gradient):  # where values of several samples depend on one
            gradient, shares = gradient(shares), np.ones(())
        slopes = np.asarray(gradient)
        if slopes.shape != y_pred.shape:
            raise ValueError(
                f"{self.name}: the gradient must have the shape of y_pred, {y_pred.shape}, "
                f"received {slopes.shape}"
            )
        trailing = (1,) * (slopes.ndim - shares.ndim)
        np.multiply(slopes, shares.reshape(shares.shape + trailing), out=dy, casting="unsafe")
        losses[...] = per_sample
        return losses

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
        raise NotImplementedError(f"{type(self).__name__} is computed from probabilities alone")

    def _evaluate(self, y_true: Array, y_pred: Array) -> tuple[Any, Any]:
        """The losses, and the gradient of their sum, or a function of shares that gives it."""
        return self.call(y_true, y_pred), self.gradient(y_true, y_pred)

    def _reduce(
        self, values: Array, count: int, sample_weight: Array | None
    ) -> tuple[Array, Array]:
        """Losses (N,) whose mean is the reduction of some values, and each value's share in it."""
        by_sample = values.ndim > 0 and len(values) == count
        if sample_weight is None:
            weights = np.ones((1,) * values.ndim)
        elif by_sample and sample_weight.shape in (values.shape, (count,)):
            trailing = (1,) * (values.ndim - sample_weight.ndim)
            weights = sample_weight.astype(np.float64).reshape(sample_weight.shape + trailing)
        else:
            raise ValueError(
                f"{self.name}: sample_weight of shape {sample_weight.shape} does not fit losses of "
                f"shape {values.shape}, for {count} samples"
            )
        whole = np.broadcast_to(weights, values.shape)
        divisor = {"sum": 1.0, "mean_with_sample_weight": float(whole.sum())}.get(
            self.reduction or "", float(values.size)
        )
        if values.ndim == 0:
            divisor = 1.0
        shares = weights / divisor if divisor else np.zeros_like(weights)
        if not by_sample:
            return np.full(count, (values * shares).sum()), shares
        return (values * shares).reshape(count, -1).sum(axis=1) * count, shares

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Any:
        """The loss of some predictions: a float, or an array of losses with reduction None.

        Args:
            y_true: the targets.
            y_pred: (N, ...).
            sample_weight: (N,), or one for each row.
        """
        predicted = as_floats("y_pred", y_pred)
        if predicted.ndim == 0:
            raise ValueError(f"{self.name}: y_pred must have shape (N, ...), received ()")
        targets = self.prepare(y_true, predicted.shape[1:])
        if len(targets) != len(predicted):
            raise ValueError(
                f"{self.name}: y_true has {len(targets)} samples, y_pred has {len(predicted)}"
            )
        weights = as_weights(sample_weight, predicted.shape[:-1])
        if self.reduction in (None, "none"):
            values = np.asarray(self.call(targets, predicted))
            if weights is None:
                return values
            return values * weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim))
        return float(np.mean(self._losses(targets, predicted, weights), dtype=np.float64))

    def _losses(self, targets: Array, predicted: Array, weights: Array | None) -> Array:
        """Losses (N,) whose mean is the reduction."""
        if type(self).call is Loss.call:  # it defines compute alone
            return self.compute(predicted, targets, sample_weight=weights)
        values = np.asarray(self.call(targets, predicted), np.float64)
        return self._reduce(values, len(predicted), weights)[0]


class FunctionLoss(Loss):
    """A loss of the user's own, which a function computes.

    Args:
        function: takes (y_true, y_pred), float32 arrays, and returns the pair (losses, gradient) as
            `Loss.call` and `Loss.gradient` do.
        name: by default the function's.
        reduction: as of `Loss`.
    """

    def __init__(
        self,
        function: Callable[[Array, Array], Any],
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
    ) -> None:
        super().__init__(name or getattr(function, "__name__", type(function).__name__), reduction)
        self.function = function

    def call(self, y_true: Array, y_pred: Array) -> Any:
        """The losses that the function returns."""
        result = self.function(y_true, y_pred)
        return result[0] if _is_pair(result) else result

    def _evaluate(self, y_true: Array, y_pred: Array) -> tuple[Any, Any]:
        result = self.function(y_true, y_pred)
        if not _is_pair(result):
            raise TypeError(_CONTRACT.format(f"the loss {self.name!r} returned no gradient"))
        return result[0], result[1]


def _is_pair(result: Any) -> bool:
    return isinstance(result, tuple) and len(result) == 2


def check_trainable(loss: Loss) -> Loss:
    """Return a loss that `compile` was given.

    Raises:
        TypeError: it gives no gradient; the message says how to.
        ValueError: it does not reduce the losses of a batch to one number.
    """
    kind = type(loss)
    if all(getattr(kind, name) is getattr(Loss, name) for name in _GRADIENTS):
        raise TypeError(_CONTRACT.format(f"{kind.__name__} defines no gradient"))
    if loss.reduction in (None, "none"):
        raise ValueError(
            f"{loss.name}: compile needs one number a batch, and reduction={loss.reduction!r} "
            f"leaves its losses as they are; take 'sum_over_batch_size'"
        )
    return loss


class OpLoss(Loss):
    """What the losses share that one op computes, with their gradient.

    Attributes:
        op: that op, which returns the losses first.
        gradient_name: what the op calls the gradient of the predictions.
        options: the op's arguments besides the arrays and the reduction.
    """

    op: Callable[..., tuple[Array, ...]]
    gradient_name = "dy"
    _derived = ("fused_activation", "gradient_name", "op", "options")

    def __init__(
        self, name: str | None = None, reduction: str | None = "sum_over_batch_size"
    ) -> None:
        super().__init__(name, reduction)
        self.options: dict[str, Any] = {}

    def call(self, y_true: Array, y_pred: Array) -> Any:
        """The losses of the rows, (N, ...), without weights and reduction."""
        rows = y_pred.reshape(-1, y_pred.shape[-1])
        targets = y_true.reshape(-1) if y_true.dtype.kind in "iu" else y_true.reshape(rows.shape)
        # As many samples as rows; what is ignored would count in a mean.
        values = self.op(rows, targets, reduction="sum", **self.options)[0]
        return (values / np.float32(len(rows))).reshape(y_pred.shape[:-1])

    def gradient(self, y_true: Array, y_pred: Array) -> Any:
        """The gradient of the sum of the rows' losses."""
        return self.op(y_pred, y_true, reduction="sum", **self.options)[-1]

    def compute(
        self,
        y_pred: Array,
        targets: Array,
        *,
        losses: Array | None = None,
        dy: Array | None = None,
        sample_weight: Array | None = None,
    ) -> Array:
        """Losses (N,), whose mean is the batch's, and the gradient of this mean."""
        arrays = {"sample_weight": sample_weight, "losses": losses, self.gradient_name: dy}
        if self.gradient_name == "dlogits":
            arrays["probs"] = dy  # nobody reads them, so the gradient goes over them
        return self.op(y_pred, targets, reduction=self.reduction, **arrays, **self.options)[0]

    def _losses(self, targets: Array, predicted: Array, weights: Array | None) -> Array:
        return self.compute(predicted, targets, sample_weight=weights)


class RowLoss(OpLoss):
    """What the losses share that compare every output with a target of its own.

    Attributes:
        kind: what `convkit.ops.row_loss` calls the loss.
    """

    kind = ""
    op: Callable[..., tuple[Array, ...]] = staticmethod(ops.row_loss)

    def __init__(
        self, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ) -> None:
        super().__init__(name, reduction)
        self.options["kind"] = self.kind

    def prepare(self, targets: ArrayLike, output_shape: tuple[int, ...]) -> Array:
        """Return the targets as float32, in the shape of the predictions."""
        return values_like_output(targets, output_shape, self.name)
