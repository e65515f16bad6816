"""A model's plans, its parameters, and one batch after the other.

A training step is two calls: gather the batch into the plan's arrays, and let it go through the
plan's steps: forward, the losses with their gradients, backward into the flat gradient buffer,
where regularizers add theirs, and the optimizer's update. Everything else is once an epoch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, TypeVar, cast

import numpy as np

from .. import losses, metrics, optimizers, regularizers
from ..callbacks import CallbackList, History, Logs
from ..core import random
from ..core.config import flag
from ..core.parameters import Array, Parameter, ParameterStore
from ..core.warn import warn
from ..layers.graph import Graph, one_or_all
from ..layers.run import INFERENCE, Run
from ..ops._calls import ModelLock
from ..plan import Bound, Plan, Target, lower
from .arguments import checked_weight, per_output
from .batches import Batches
from .data import Samples
from .scores import Scores


def _load(bound: Bound, samples: Samples, indices: Array) -> None:
    """Bring a batch to where the plan's steps find it."""
    samples.load(indices, bound.inputs)
    if samples.targets:
        bound.take(samples.targets, samples.weights, indices)


_Method = TypeVar("_Method", bound=Callable[..., Any])
_Result = TypeVar("_Result")


def trains(method: _Method) -> _Method:
    """A method that trains: in one thread at a time, RuntimeError for the others."""

    @wraps(method)
    def training(self: Engine, *arguments: Any, **options: Any) -> Any:
        return self._lock.train(method, self, *arguments, **options)

    return cast(_Method, training)


def changes_model(method: _Method) -> _Method:
    """A method that changes what a model is: as if it trained, and nobody predicts meanwhile."""

    @wraps(method)
    def changing(self: Engine, *arguments: Any, **options: Any) -> Any:
        return self._lock.write(self._lock.train, method, self, *arguments, **options)

    return cast(_Method, changing)


class Engine(ABC):
    """Runs batches through the layers that a subclass gives it.

    Several threads may use a model at once. A training step has it for itself; whatever else reads
    its weights waits for one step at most, and does not wait for others that read: each batch that
    is predicted or evaluated has a plan of its own, from those that are idle.

    Args:
        name: of the model.

    Attributes:
        optimizer, loss, metrics: what `compile` was given, as objects. Setting one of them compiles
            the model with it and the two others.
        stop_training: a callback sets it to end `fit`.
        history: of the last `fit`.
        seed: of shuffling and dropout, in 0 .. 2**64-1; None takes the seed of the process.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._optimizer: optimizers.Optimizer | None = None
        self._losses: list[losses.Loss | None] = []  # one for each output, once it is compiled
        self._loss_weights: list[float] = []
        self._metrics: list[list[metrics.Metric]] = []
        self.stop_training = False
        self.history: History | None = None
        self._own_seed: int | None = None
        self._run = Run(training=True)
        self._store: ParameterStore | None = None
        self._graph: Graph | None = None
        self._structures: Any = None  # how inputs and outputs are given; None where both are one
        self._training_plan: Plan | None = None
        self._planned_ranges: tuple[slice, ...] | None = None
        self._idle: dict[str, list[Plan]] = {"test": [], "predict": []}  # plans ready for use
        self._lock = ModelLock(name.encode(errors="replace").decode())

    @property
    def name(self) -> str:
        """What the model is called. It can be set.

        Raises:
            ValueError: set to what is no string, or an empty one.
        """
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        if not isinstance(value, str) or not value:
            raise ValueError(f"a model's name must be a non-empty string, received {value!r}")
        self._name = value

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it sets it for every layer.

        A layer may be frozen or released by itself afterwards. (In Keras, a layer that is released
        while its model is frozen stays frozen.)
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = flag(value, "trainable", self)
        for layer in self.layers:
            layer.trainable = self._trainable

    @property
    def optimizer(self) -> optimizers.Optimizer | None:
        """What changes the weights."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, value: str | optimizers.Optimizer) -> None:
        self._compile(
            value, self._losses or None, self._metrics or None, self._loss_weights or None
        )

    @property
    def loss(self) -> Any:
        """What training makes small; with several outputs a list."""
        return one_or_all(self._losses) if self._losses else None

    @loss.setter
    def loss(self, value: Any) -> None:
        weights = self._loss_weights or None
        self._compile(self._optimizer or "adam", value, self._metrics or None, weights)

    @property
    def metrics(self) -> list[metrics.Metric]:
        """What is told besides the loss, of all outputs."""
        return [metric for own in self._metrics for metric in own]

    @metrics.setter
    def metrics(self, value: Any) -> None:
        weights = self._loss_weights or None
        self._compile(self._optimizer or "adam", self._losses or None, value, weights)

    @changes_model
    def _compile(
        self,
        optimizer: str | optimizers.Optimizer,
        loss: Any,
        wanted: Any,
        loss_weights: Any = None,
    ) -> None:
        names = self._target_names()
        chosen_optimizer = optimizers.get(optimizer)
        chosen = [
            None if each is None else losses.get(each)
            for each in per_output(loss, names, "loss", alike=True)
        ]
        weights = [
            1.0 if each is None else checked_weight(each)
            for each in per_output(loss_weights, names, "loss_weights")
        ]
        own = per_output(wanted, names, "metrics")
        found = [metrics.get_all(each, its) for each, its in zip(own, chosen, strict=True)]
        if chosen_optimizer is not self._optimizer and self._optimizer is not None:
            self._optimizer.unbind(self._store)
        self._optimizer, self._losses, self._metrics = chosen_optimizer, chosen, found
        self._loss_weights = weights
        self._forget_plans()

    @property
    def seed(self) -> int | None:
        """Of shuffling and dropout."""
        return self._own_seed

    @seed.setter
    def seed(self, value: int | None) -> None:
        self._own_seed = None if value is None else random.check_seed(value)

    @property
    @abstractmethod
    def layers(self) -> list[Any]:
        """The layers in order."""

    @property
    @abstractmethod
    def built(self) -> bool:
        """Whether the shapes are known and the parameters made."""

    @property
    @abstractmethod
    def graph(self) -> Graph:
        """The layers and how they are connected; ValueError before the model is built."""

    @property
    @abstractmethod
    def input_names(self) -> list[str]:
        """What the inputs are called."""

    @property
    @abstractmethod
    def output_names(self) -> list[str]:
        """What the outputs are called."""

    def _target_names(self) -> list[str]:
        """What the outputs are called, for what `compile` is given; a chain has one."""
        return self.output_names

    @abstractmethod
    def _structure(self, which: int) -> Any:
        """How inputs (0) and outputs (1) are given."""

    @abstractmethod
    def _build_for(self, images: Sequence[Array]) -> Graph:
        """The graph; a Sequential is built for the images if need be."""

    @property
    def _steps(self) -> int:
        """Training steps over the model's life; random numbers depend on it."""
        return int(self._run.step[0])

    @_steps.setter
    def _steps(self, value: int) -> None:
        self._run.step[0] = value

    @property
    def _training(self) -> bool:
        """Whether some thread trains."""
        return self._lock.is_training

    @property
    def weights(self) -> list[Parameter]:
        """All parameters, in the order of the layers."""
        return self._parameters_of("weights")

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The parameters that training changes by their gradients."""
        return self._parameters_of("trainable_weights")

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """The other parameters, such as the moving statistics of BatchNormalization."""
        return self._parameters_of("non_trainable_weights")

    def _parameters_of(self, kind: str) -> list[Parameter]:
        """Each once, though models that share layers may be layers of one model."""
        found = (parameter for layer in self.layers for parameter in getattr(layer, kind))
        return list(dict.fromkeys(found))

    def get_weights(self) -> list[Array]:
        """Copies of all parameters, of one moment between two training steps."""
        return self._lock.read(lambda: [parameter.numpy() for parameter in self.weights])

    def _new_scores(self) -> Scores:
        """The means of a pass that begins."""
        wanted = zip(self._target_names(), self._losses, self._metrics, strict=True)
        heads = [(name, own) for name, loss, own in wanted if loss is not None]
        return Scores(heads, len(self._losses) > 1)

    def _train_step(self, samples: Samples, indices: Array, scores: Scores, seed: int) -> None:
        """Make a training step; count it and its batch. To be called while writing."""
        optimizer = self._optimizer
        assert optimizer is not None
        store = self._parameters()
        optimizer.begin(store)  # refuses a second model before anything is changed
        ranges = store.trainable_ranges()
        if ranges is not self._planned_ranges:
            # Which gradients are needed depends on which layers are frozen.
            self._training_plan = None
            self._planned_ranges = ranges
            if not ranges:
                warn("The model does not have any trainable weights.")
        plan = self._training_plan
        if plan is None or plan.optimizer is not optimizer or not plan.serves(len(indices)):
            self._training_plan = None  # its memory goes first
            plan = self._training_plan = self._lower("train", len(indices))
        bound = plan.bind(len(indices))
        _load(bound, samples, indices)
        self._run.seed[0] = seed
        bound(self._run)
        optimizer.end()
        scores.add(bound, bound.penalty)

    def _evaluate(self, batches: Batches, loop: CallbackList) -> Logs:
        """The loss and the metrics by name; nothing if there is no batch left."""
        batches.restart()
        epoch = batches.epoch()
        if epoch is None:
            return {}
        scores = self._new_scores()
        loop.call("on_test_begin")
        penalty = None
        for batch, (samples, indices) in enumerate(epoch):
            loop.call("on_test_batch_begin", batch)
            if penalty is None:
                penalty = self._penalty()
            self._infer("test", samples, indices, partial(scores.add, penalty=penalty))
            loop.call("on_test_batch_end", batch, logs=scores.logs())
        logs = scores.logs()
        loop.call("on_test_end", logs=logs)
        return logs

    def _predict(self, batches: Batches, loop: CallbackList) -> list[Array] | None:
        """The outputs; None if there is no batch."""
        epoch = batches.epoch()
        if epoch is None:
            return None
        parts: list[list[Array]] = []
        start, whole = 0, None
        loop.call("on_predict_begin")
        for batch, (samples, indices) in enumerate(epoch):
            loop.call("on_predict_batch_begin", batch)
            if batches.samples is not None and whole is None:
                outputs = self.graph.outputs
                whole = [np.empty((batches.samples, *each.sizes), np.float32) for each in outputs]
            if whole is None:
                parts.append(self._predict_batch(samples, indices))
            else:
                stop = start + len(indices)
                self._predict_batch(samples, indices, [out[start:stop] for out in whole])
                start = stop
            loop.call("on_predict_batch_end", batch)
        loop.call("on_predict_end")
        return [np.concatenate(each) for each in zip(*parts)] if whole is None else whole  # noqa: B905

    def _predict_batch(
        self, samples: Samples, indices: Array, out: list[Array] | None = None
    ) -> list[Array]:
        """Copies of a batch's outputs, in `out` if it is given."""

        def copy(bound: Bound) -> list[Array]:
            if out is None:
                return [output.copy() for output in bound.outputs]
            for own, output in zip(out, bound.outputs, strict=True):
                np.copyto(own, output)
            return out

        return self._infer("predict", samples, indices, copy)

    def _infer(
        self, purpose: str, samples: Samples, indices: Array, use: Callable[[Bound], _Result]
    ) -> _Result:
        """Let a batch through the layers to "predict", and on through the loss to "test".

        What `use` makes of the results is returned; after it another batch may come in their place.
        """
        idle = self._idle[purpose]
        try:
            plan = idle.pop()
        except IndexError:  # all are in use, by other threads
            plan = None
        if plan is None or not plan.serves(len(indices)):
            del plan  # its memory goes first
            plan = self._lower(purpose, len(indices))
        bound = plan.bind(len(indices))
        _load(bound, samples, indices)
        self._lock.read(bound, INFERENCE)
        result = use(bound)
        idle.append(plan)
        return result

    def _penalty(self) -> float:
        """The penalties on the parameters as they are."""
        return self._lock.read(
            regularizers.penalty, regularizers.regularized(self.graph.all_layers())
        )

    def _lower(self, purpose: str, n: int) -> Plan:
        """A plan for batches of up to n samples."""
        training = purpose == "train"
        optimizer = self.optimizer if training else None
        targets = None if purpose == "predict" else self._targets()
        return lower(self.graph, n, training, loss=targets, optimizer=optimizer)

    def _targets(self) -> list[Target]:
        """The loss of each output, with its weight."""
        pairs = zip(self._losses, self._loss_weights, strict=True)
        return [Target(loss, weight) for loss, weight in pairs]

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
        self._graph = self._store = None
        self._forget_plans()

    def _forget_plans(self) -> None:
        """Plans are made anew when needed; those in use now serve their batch and are dropped."""
        self._training_plan, self._planned_ranges = None, None
        self._idle = {"test": [], "predict": []}

    def _seed(self) -> int:
        return random.seed() if self.seed is None else self.seed
