"""The machine room of a model: its plans, its parameters, and one batch after the other.

A training step is two calls: gather the batch into the plan's arrays, and let it go through the
plan's steps: forward, the loss with its gradient, backward into the flat gradient buffer, where
regularizers add theirs, and the optimizer's update over that buffer. Everything around it happens
before training or once an epoch.
"""

from __future__ import annotations

import copy
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from . import losses, metrics, optimizers, random, regularizers
from .batches import Batches
from .callbacks import CallbackList, History, Logs
from .data import Samples
from .layers.base import INFERENCE, Layer, Run
from .lowering import lower
from .parameters import Array, Parameter, ParameterStore
from .plan import Bound, Plan
from .warn import warn


class Scores:
    """The mean loss and the metrics over the batches seen so far."""

    def __init__(self, prototypes: Sequence[metrics.Metric]) -> None:
        self.loss = metrics.Mean(name="loss")
        self.metrics = [copy.deepcopy(metric) for metric in prototypes]
        for metric in self.metrics:
            metric.reset_state()

    def add(self, bound: Bound, penalty: float = 0.0) -> None:
        """Count in the batch that was just computed, and the penalties on the parameters.

        The losses have the samples' weights in them; the metrics count every sample alike. That is
        what Keras does.
        """
        count = len(bound.losses)
        self.loss.add(math.fsum(bound.losses.tolist()) + penalty * count, count)
        assert bound.targets is not None
        for metric in self.metrics:
            metric.update_state(bound.targets, bound.output)

    def logs(self, prefix: str = "") -> Logs:
        """The means by name, as plain floats."""
        return {prefix + each.name: float(each.result()) for each in (self.loss, *self.metrics)}


def _load(bound: Bound, samples: Samples, indices: Array) -> None:
    """Bring a batch to where the plan's steps find it."""
    samples.load(indices, bound.x)
    if samples.y is not None:
        bound.take(samples.y, samples.weights, indices)


class _Turn:
    """While it is entered, a model works for the thread that entered it.

    A class, for a generator takes ten microseconds more, which a small batch has not.
    """

    __slots__ = ("_before", "_engine", "_training")

    def __init__(self, engine: Engine, training: bool) -> None:
        self._engine, self._training = engine, training

    def __enter__(self) -> None:
        engine = self._engine
        if not engine._lock.acquire(blocking=False):
            if engine._training:
                raise RuntimeError(
                    f'model "{engine.name}" is being trained by another thread; wait for it, or '
                    f"use a model of its own in each thread"
                )
            engine._lock.acquire()
        self._before = engine._training
        engine._training = self._before or self._training

    def __exit__(self, *_: object) -> None:
        self._engine._training = self._before
        self._engine._lock.release()


class Engine(ABC):
    """Runs batches through the layers that a subclass gives it.

    Attributes:
        optimizer, loss, metrics: what `compile` was given, as objects.
        stop_training: a callback sets it to end `fit`.
        history: of the last `fit`.
        seed: of shuffling and dropout; None takes the seed of the process.
    """

    name: str

    def __init__(self) -> None:
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self.metrics: list[metrics.Metric] = []
        self.stop_training = False
        self.history: History | None = None
        self.seed: int | None = None
        self._steps = 0  # training steps over the model's life; random numbers depend on it
        self._run = Run(training=True)
        self._store: ParameterStore | None = None
        self._plans: dict[str, Plan] = {}
        self._planned_ranges: tuple[slice, ...] | None = None
        self._lock = threading.RLock()
        self._training = False

    @property
    @abstractmethod
    def layers(self) -> list[Layer]:
        """The layers in order."""

    @abstractmethod
    def _sizes(self, images: Array | None = None) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The shapes of an input and an output sample; builds the model from images if need be."""

    @property
    def weights(self) -> list[Parameter]:
        """All parameters, in the order of the layers."""
        return [parameter for layer in self.layers for parameter in layer.weights]

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The parameters that training changes by their gradients."""
        return [parameter for layer in self.layers for parameter in layer.trainable_weights]

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """The other parameters, such as the moving statistics of BatchNormalization."""
        return [parameter for layer in self.layers for parameter in layer.non_trainable_weights]

    def get_weights(self) -> list[Array]:
        """Copies of all parameters."""
        return [parameter.numpy() for parameter in self.weights]

    def _train_step(self, samples: Samples, indices: Array, scores: Scores, seed: int) -> None:
        assert self.optimizer is not None
        store = self._parameters()
        self.optimizer.begin(store)  # refuses a second model before anything is changed
        ranges = store.trainable_ranges()
        if ranges is not self._planned_ranges:
            # Which gradients are needed depends on which layers are frozen.
            self._plans.pop("train", None)
            self._planned_ranges = ranges
            if not ranges:
                warn("The model does not have any trainable weights.")
        bound = self._bound("train", len(indices))
        _load(bound, samples, indices)
        bound(self._run.at(seed, self._steps))
        self.optimizer.end()
        self._steps += 1
        scores.add(bound, bound.penalty)

    def _evaluate(self, batches: Batches, loop: CallbackList) -> Logs:
        """The loss and the metrics by name; nothing if there is no batch left."""
        batches.restart()
        epoch = batches.epoch()
        if epoch is None:
            return {}
        scores = Scores(self.metrics)
        loop.call("on_test_begin")
        penalty = None
        for batch, (samples, indices) in enumerate(epoch):
            loop.call("on_test_batch_begin", batch)
            bound = self._infer("test", samples, indices)
            if penalty is None:  # the weights stay as they are
                penalty = self._penalty()
            scores.add(bound, penalty)
            loop.call("on_test_batch_end", batch, logs=scores.logs())
        logs = scores.logs()
        loop.call("on_test_end", logs=logs)
        return logs

    def _predict(self, batches: Batches, loop: CallbackList) -> Array | None:
        """The outputs; None if there is no batch."""
        epoch = batches.epoch()
        if epoch is None:
            return None
        parts, start = [], 0
        whole: Array | None = None
        loop.call("on_predict_begin")
        for batch, (samples, indices) in enumerate(epoch):
            loop.call("on_predict_batch_begin", batch)
            bound = self._infer("predict", samples, indices)
            if batches.samples is None:
                parts.append(bound.output.copy())
            else:
                if whole is None:
                    whole = np.empty((batches.samples, *bound.output.shape[1:]), np.float32)
                whole[start : start + len(indices)] = bound.output
                start += len(indices)
            loop.call("on_predict_batch_end", batch)
        loop.call("on_predict_end")
        return np.concatenate(parts) if whole is None else whole

    def _infer(self, purpose: str, samples: Samples, indices: Array) -> Bound:
        """Let a batch through the layers to "predict", and on through the loss to "test"."""
        bound = self._bound(purpose, len(indices))
        _load(bound, samples, indices)
        bound(INFERENCE)
        return bound

    def _penalty(self) -> float:
        return regularizers.penalty(regularizers.regularized(self.layers))

    def _bound(self, purpose: str, n: int) -> Bound:
        """The steps for n samples; a plan that is too small is replaced by a larger one."""
        plan, training = self._plans.get(purpose), purpose == "train"
        optimizer = self.optimizer if training else None
        if plan is None or plan.batch_size < n or plan.optimizer is not optimizer:
            self._plans.pop(purpose, None)
            loss = None if purpose == "predict" else self.loss
            sizes = self._sizes()[0]
            plan = lower(self.layers, sizes, n, training, loss=loss, optimizer=optimizer)
            self._plans[purpose] = plan
        return plan.bind(n)

    def _parameters(self) -> ParameterStore:
        """The flat buffers, with every parameter in its place."""
        if self._store is None:
            self._store = ParameterStore(self.weights)
        elif not self._store.is_current:
            self._store.adopt()
        return self._store

    def _forget_layers(self) -> None:
        """The layers changed: everything that depends on them is made anew when needed."""
        if self.optimizer is not None:
            self.optimizer.unbind(self._store)
        self._store, self._plans, self._planned_ranges = None, {}, None

    def _seed(self) -> int:
        return random.seed() if self.seed is None else self.seed

    def _exclusive(self, training: bool = False) -> _Turn:
        """Keep other threads out: the buffers serve one pass at a time."""
        return _Turn(self, training)
