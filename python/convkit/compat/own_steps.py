"""Models with a `train_step` or a `test_step` of their own: what they call, and the loops around.

`fit` hands each batch to the model's `train_step(data)`, which computes a loss under a
`GradientTape`, makes a step, and returns what is to be told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np

from ..callbacks import History
from ..core import processes
from ..core.parameters import Parameter
from ..metrics import Mean, Metric
from ..training.arguments import callback_scope, pack_logs, should_validate
from ..training.data import unpack
from ..training.progress import EvaluationProgress, TrainingProgress
from . import notes
from .losses import any_targets
from .recorded import loss_of
from .tensor import as_tensor, is_recorded


class OwnSteps:
    """What a step of a model's own calls, as Keras has it."""

    def train_step(self, data: Any) -> Any:
        """Make a step with a batch; the loss and the metrics by name."""
        x, y, weights = unpack(data, "a batch")
        return self.train_on_batch(x, y, weights, return_dict=True)  # type: ignore[attr-defined]

    def test_step(self, data: Any) -> Any:
        """The loss and the metrics of a batch by name."""
        x, y, weights = unpack(data, "a batch")
        return self.test_on_batch(x, y, weights, return_dict=True)  # type: ignore[attr-defined]

    @property
    def metrics(self) -> list[Metric]:
        """Those that `compile` was given; in steps of its own also the loss and its attributes."""
        own = [each for several in self._engine.objective.metrics for each in several]  # type: ignore[attr-defined]
        if not (is_own(self, "train_step") or is_own(self, "test_step")):
            return own
        kept = [each for each in vars(self).values() if isinstance(each, Metric)]
        return list({id(each): each for each in [*kept, *own]}.values())

    @metrics.setter
    def metrics(self, value: Any) -> None:
        self._compile(metrics=value)  # type: ignore[attr-defined]

    @property
    def losses(self) -> list[Any]:
        """The penalties of the regularizers, one for each weight that has one."""
        return [
            _penalty(weight)
            for weight in self.trainable_weights  # type: ignore[attr-defined]
            if weight.regularizer is not None
        ]

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None,
        training: Any = True,
    ) -> Any:  # fmt: skip
        """The loss that `compile` was given, with the penalties, of a batch."""
        return self.compiled_loss(y, y_pred, sample_weight, self.losses)

    def compiled_loss(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, regularization_losses: Any = None
    ) -> Any:
        """The loss that `compile` was given, of a batch."""
        objective = self._engine.objective  # type: ignore[attr-defined]
        several = len(objective.losses) > 1
        total: Any = 0.0
        for i, loss in enumerate(objective.losses):
            if loss is not None:
                true, predicted = (y_true[i], y_pred[i]) if several else (y_true, y_pred)
                total += objective.loss_weights[i] * _mean_loss(
                    loss, true, predicted, sample_weight
                )
        for penalty in regularization_losses or ():
            total += penalty
        self._loss_tracker.update_state(float(total))
        return total

    @property
    def _loss_tracker(self) -> Mean:
        """The mean of the losses of an epoch, which is among the model's metrics."""
        if "_mean_loss" not in vars(self):
            object.__setattr__(self, "_mean_loss", Mean(name="loss"))
        found: Mean = vars(self)["_mean_loss"]
        return found

    @property
    def compiled_metrics(self) -> _Metrics:
        """The metrics that `compile` was given, as one."""
        return _Metrics(self._engine.objective.metrics)  # type: ignore[attr-defined]

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Count a batch in; what all metrics have found, by name."""
        self.compiled_metrics.update_state(y, y_pred, sample_weight)
        return self.get_metrics_result()

    def get_metrics_result(self) -> dict[str, Any]:
        """What all metrics have found, by name."""
        return {each.name: each.result() for each in self.metrics}

    def reset_metrics(self) -> None:
        """Let all metrics begin anew."""
        for each in {id(m): m for m in (*self.metrics, *vars(self).values())}.values():
            if isinstance(each, Metric):
                each.reset_state()


class _Metrics:
    """The metrics of a model's outputs as one."""

    def __init__(self, by_output: list[list[Metric]]) -> None:
        self._by_output = by_output

    @property
    def metrics(self) -> list[Metric]:
        """All of them."""
        return [each for several in self._by_output for each in several]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch in."""
        several = len(self._by_output) > 1
        for i, metrics in enumerate(self._by_output):
            for each in metrics:
                true, predicted = (y_true[i], y_pred[i]) if several else (y_true, y_pred)
                each.update_state(np.asarray(true), np.asarray(predicted), sample_weight)


def is_own(model: Any, step: str) -> bool:
    """Whether a model has a step of its own."""
    return getattr(type(model), step) is not getattr(OwnSteps, step) or step in vars(model)


def _penalty(weight: Parameter) -> Any:
    known: Any = weight.regularizer
    w = as_tensor(weight)
    return np.sum(np.abs(w)) * float(known.l1) + np.sum(np.square(w)) * float(known.l2)


def _mean_loss(loss: Any, y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
    if not is_recorded(y_pred):
        return loss(np.asarray(y_true), np.asarray(y_pred), sample_weight)
    rows = loss_of(any_targets(loss), y_true, y_pred)
    if sample_weight is not None:
        weights = np.asarray(sample_weight, np.float32)
        rows = rows * weights.reshape(
            weights.shape[: rows.ndim] + (1,) * (rows.ndim - weights.ndim)
        )
    return rows.mean()


# The loops.


class _Batches:
    """A model's data in batches, as its step takes them: x, (x, y) or (x, y, sample_weight).

    Args:
        x, y, weights: arrays, or batches in `x`.
        size: of the batches of arrays.
        shuffle: whether each pass over arrays has an order of its own.
        steps: the batches of an epoch; None for a pass.
    """

    source = None

    def __init__(self, x: Any, y: Any, weights: Any, size: Any, shuffle: bool, steps: Any) -> None:
        given = [each for each in (x, y, weights) if each is not None]
        first = x[0] if isinstance(x, list | tuple) else x
        self._arrays = given if hasattr(first, "shape") else None
        self.batch_size, self.samples = int(size or 32), None
        self._stream, self._shuffle, self._steps = x, shuffle, steps
        self._pass: Iterator[Any] | None = None
        if self._arrays is not None:
            self.samples = len(first)
            self.length: int | None = math.ceil(len(first) / self.batch_size)
        else:
            self.length = steps
            if steps is None and hasattr(x, "__len__"):
                self.length = len(x)

    def epoch(self) -> Iterator[Any]:
        """The batches of an epoch; asked for steps, the next one goes on where it ended."""
        if self._steps is None:
            yield from islice(self._begin(), self.length)
            return
        for _ in range(self._steps):
            item = None if self._pass is None else next(self._pass, None)
            if item is None:
                self._pass = self._begin()
                item = next(self._pass, None)
            if item is None:
                return
            yield item

    def _begin(self) -> Iterator[Any]:
        if self._arrays is None:
            yield from map(_as_tensors, self._stream)
            return
        assert self.samples is not None
        order = np.arange(self.samples)
        if self._shuffle:
            from . import random

            random.generator().shuffle(order)
            order = processes.same(order)
        for start in range(0, self.samples, self.batch_size):
            rows = order[start : start + self.batch_size]
            parts = [_as_tensors(_taken(each, rows)) for each in self._arrays]
            yield parts[0] if len(parts) == 1 else tuple(parts)


def _taken(arrays: Any, rows: Any) -> Any:
    if isinstance(arrays, list | tuple):
        return type(arrays)(_taken(each, rows) for each in arrays)
    return np.asarray(arrays)[rows]


def _as_tensors(item: Any) -> Any:
    """A batch, whose arrays are tensors; float64 as float32, as Keras has it."""
    if isinstance(item, list | tuple):
        return tuple(_as_tensors(each) for each in item)
    if isinstance(item, Mapping):
        return {key: _as_tensors(each) for key, each in item.items()}
    made = as_tensor(item)
    return as_tensor(made, np.float32) if made.dtype == np.float64 else made


def fit(model: Any, x: Any, y: Any, options: Mapping[str, Any]) -> History:
    """As `fit` of models: a history, of what the model's own `train_step` returns."""
    validation, weights = options["validation_data"], options["sample_weight"]
    if options["class_weight"]:
        weights = _of_classes(y, options["class_weight"])
    if options["validation_split"]:
        count = math.ceil(len(x) * (1 - options["validation_split"]))
        validation = tuple(each[count:] for each in (x, y, weights) if each is not None)
        x, y, weights = (None if each is None else each[:count] for each in (x, y, weights))
    size, steps = options["batch_size"], options["steps_per_epoch"]
    batches: Any = _Batches(x, y, weights, size, options["shuffle"], steps)
    validates, history = should_validate(options["validation_freq"]), History()
    if model.built and model.optimizer is not None:
        model._engine.parameters()  # where the optimizer remembers what belongs to the model
    everyone, last, logs = [*options["callbacks"], history], options["epochs"], {}
    with callback_scope(
        everyone, TrainingProgress, options["verbose"], model, batches, last
    ) as heard:
        model.history, model.stop_training = history, False
        heard.call("on_train_begin")
        for epoch in range(options["initial_epoch"], last):
            heard.call("on_epoch_begin", epoch)
            model.reset_metrics()
            for number, item in enumerate(batches.epoch()):
                heard.call("on_train_batch_begin", number)
                logs = _plain(model.train_step(item))
                heard.call("on_train_batch_end", number, logs=logs)
                if model.stop_training:
                    break
            if validation is not None and validates(epoch):
                found = _evaluated(model, validation, options)
                logs.update({f"val_{key}": value for key, value in found.items()})
            heard.call("on_epoch_end", epoch, logs=logs)
            if model.stop_training:
                break
        heard.call("on_train_end", logs=logs)
    return history


def _of_classes(y: Any, class_weight: Mapping[int, float]) -> Any:
    """The weight of each sample by its class; None, with a note, of data in batches."""
    if y is None:
        notes.ignored("fit(class_weight=)", "of batches in a train_step of one's own")
        return None
    labels = np.asarray(y)
    labels = labels.argmax(axis=-1) if labels.ndim > 1 and labels.shape[-1] > 1 else labels.ravel()
    return np.array([class_weight.get(int(each), 1.0) for each in labels], np.float32)


def _evaluated(model: Any, validation: Any, options: Mapping[str, Any]) -> Any:
    size = options["validation_batch_size"] or options["batch_size"]
    x, y, weights = unpack(validation, "validation_data")
    return model.evaluate(
        x, y, size, 0, weights, options["validation_steps"], return_dict=True
    )  # fmt: skip


def evaluate(
    model: Any, x: Any, y: Any, weights: Any, size: Any, steps: Any, verbose: Any, callbacks: Any,
    return_dict: bool,
) -> Any:  # fmt: skip
    """As `evaluate` of models, of what the model's own `test_step` returns."""
    batches: Any = _Batches(x, y, weights, size, False, steps)
    logs: dict[str, Any] = {}
    with callback_scope(callbacks, EvaluationProgress, verbose, model, batches) as heard:
        model.reset_metrics()
        heard.call("on_test_begin")
        for number, item in enumerate(batches.epoch()):
            heard.call("on_test_batch_begin", number)
            logs = _plain(model.test_step(item))
            heard.call("on_test_batch_end", number, logs=logs)
        heard.call("on_test_end", logs=logs)
    return pack_logs(logs, return_dict)


def _plain(logs: Any) -> dict[str, Any]:
    """What a step returned, as floats where they are numbers."""
    found = {}
    for name, value in (logs or {}).items():
        array = np.asarray(value)
        found[str(name)] = float(array.reshape(())) if array.size == 1 else array
    return found
