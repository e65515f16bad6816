"""A model's plans, its parameters, and one batch after the other.

A training step is two calls: gather the batch into the plan's arrays, and let it go through the
plan's steps: forward, the losses with their gradients, backward into the flat gradient buffer,
where regularizers add theirs, and the optimizer's update. Everything else is once an epoch.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Protocol, TypeVar, cast

import numpy as np

from .. import regularizers
from ..callbacks import CallbackList, Logs
from ..core import processes
from ..core.parameters import Array, Parameter, ParameterStore
from ..core.warn import warn
from ..layers.graph import Graph
from ..layers.step_context import INFERENCE, StepContext
from ..ops._calls import ModelLock
from ..plan import Bound, Plan, lower
from .batches import Batches
from .data import Samples
from .objective import Objective
from .results import Results, whole_results
from .scores import Scores


def _load(bound: Bound, samples: Samples, indices: Array, context: StepContext) -> None:
    """Bring a batch to where the plan's steps find it."""
    bound.gather(samples.inputs, indices, context)
    if samples.targets:
        bound.take(samples.targets, samples.weights, indices)


def _share(samples: Samples, indices: Array) -> tuple[processes.Share | None, Samples, Array]:
    """What this process has of a batch, and the samples that it computes, with their indices."""
    everyone = processes.current()
    if everyone is None:
        return None, samples, indices
    share = everyone.share(samples.whole or len(indices))
    if samples.whole is None:
        return share, samples, indices if share is None else indices[share.rows]
    if share is None:  # each computes the whole batch, which is small
        samples = samples.gathered(everyone)
        indices = np.arange(len(samples))
    return share, samples, indices


def _on_share(
    share: processes.Share | None, function: Callable[..., None], *arguments: Any
) -> None:
    """Call a function that computes what this process has of a batch."""
    if share is None:
        function(*arguments)
    else:
        share.run(function, *arguments)


def _load_and_run(bound: Bound, samples: Samples, indices: Array, context: StepContext) -> None:
    _load(bound, samples, indices, context)
    bound(context)


class RunModel(Protocol):
    """A model, of which this much is asked.

    Attributes:
        name: for errors of its lock.
        graph: the layers and how they are connected; ValueError before the model is built.
    """

    name: str
    _engine: Engine

    @property
    def graph(self) -> Graph: ...


_Method = TypeVar("_Method", bound=Callable[..., Any])
_Result = TypeVar("_Result")


def trains(method: _Method) -> _Method:
    """A method that trains: in one thread at a time, RuntimeError for the others."""

    @wraps(method)
    def training(self: RunModel, *arguments: Any, **options: Any) -> Any:
        return self._engine.lock.train(method, self, *arguments, **options)

    return cast(_Method, training)


def changes_model(method: _Method) -> _Method:
    """A method that changes what a model is: as if it trained, and nobody predicts meanwhile."""

    @wraps(method)
    def changing(self: RunModel, *arguments: Any, **options: Any) -> Any:
        lock = self._engine.lock
        return lock.write(lock.train, method, self, *arguments, **options)

    return cast(_Method, changing)


class Engine:
    """Runs batches through a graph of layers.

    Several threads may use a model at once. A training step has it for itself; whatever else reads
    its weights waits for one step at most, and does not wait for others that read: each batch that
    is predicted or evaluated has a plan of its own, from those that are idle.

    Args:
        model: whose layers they are; it is not kept alive.

    Attributes:
        lock: held for a batch, for reading or for writing, and for a whole training.
        connected: the layers and how they are connected, once the model knows.
        objective: what `compile` was given.
        store: the flat buffers of the parameters, once they are needed.
        training_plan: that of the last training step.
    """

    def __init__(self, model: RunModel) -> None:
        self._model = weakref.ref(model)
        self.lock = ModelLock(model.name.encode(errors="replace").decode())
        self.connected: Graph | None = None
        self.objective = Objective()
        self.store: ParameterStore | None = None
        self.training_plan: Plan | None = None
        self._planned_ranges: tuple[slice, ...] | None = None
        self._idle: dict[str, list[Plan]] = {"test": [], "predict": []}  # plans ready for use
        self._processes: processes.Processes | None = None  # those of the training plan
        self._run = StepContext(training=True)

    @property
    def graph(self) -> Graph:
        """The layers and how they are connected; ValueError before the model is built."""
        graph = self.connected
        if graph is None:
            model = self._model()
            assert model is not None
            graph = model.graph
        return graph

    @property
    def steps(self) -> int:
        """Training steps over the model's life; random numbers depend on it."""
        return int(self._run.step[0])

    @steps.setter
    def steps(self, value: int) -> None:
        self._run.step[0] = value

    # Changes of what is run.

    def compile(self, objective: Objective) -> None:
        """Take another objective."""
        former = self.objective.optimizer
        if former is not None and former is not objective.optimizer:
            former.unbind(self.store)
        self.objective = objective
        self._forget_plans()

    def forget_layers(self) -> None:
        """The layers changed: everything that depends on them is made anew when needed."""
        if self.objective.optimizer is not None:
            self.objective.optimizer.unbind(self.store)
        self.connected = self.store = None
        self._forget_plans()

    def _forget_plans(self) -> None:
        """Plans are made anew when needed; those in use now serve their batch and are dropped."""
        self.training_plan, self._planned_ranges = None, None
        self._idle = {"test": [], "predict": []}

    def parameters(self) -> ParameterStore:
        """The flat buffers, with every parameter in its place."""
        if self.store is None:
            self.store = ParameterStore(unique_parameters(self.graph.layers, "weights"))
        elif not self.store.is_current:
            self.store.bind_storage()
        return self.store

    # Batches.

    def train_step(
        self, samples: Samples, indices: Array, scores: Scores, seed: int, epoch: int | None = None
    ) -> None:
        """Make a training step; count it and its batch. To be called while writing.

        Args:
            samples, indices: the batch.
            scores: of the epoch.
            seed: of the random numbers.
            epoch: its number, if the indices are those of all samples that are trained on.
        """
        optimizer = self.objective.optimizer
        assert optimizer is not None
        store = self.parameters()
        optimizer.begin(store)  # refuses a second model before anything is changed
        ranges = store.trainable_ranges()
        if ranges is not self._planned_ranges:
            # Which gradients are needed depends on which layers are frozen.
            self.training_plan = None
            self._planned_ranges = ranges
            if not ranges:
                warn("The model does not have any trainable weights.")
        others = processes.current()
        self._run.epoch, self._run.indices = epoch, None if epoch is None else indices
        share, samples, indices = _share(samples, indices)
        plan = self.training_plan
        is_other = self._processes is not others or plan is None or plan.optimizer is not optimizer
        if plan is None or is_other or not plan.serves(len(indices)):
            self.training_plan = None  # its memory goes first
            plan = self.training_plan = self._lower("train", len(indices))
            plan.reducer = None if others is None else others.reducer(store)
            self._processes = others
        bound = plan.bind(len(indices))
        self._run.seed[0] = seed
        self._run.share = share
        _on_share(share, _load_and_run, bound, samples, indices, self._run)
        optimizer.end()
        if others is not None:
            others.after_step(store, self.steps)
        whole = whole_results(bound, share, with_outputs=bool(scores.metrics))
        scores.add(whole, bound.penalty)

    def evaluate(self, batches: Batches, callbacks: CallbackList, scores: Scores) -> Logs:
        """The loss and the metrics by name; nothing if there is no batch left."""
        processes.agree("evaluate", batches=batches.length, batch_size=batches.batch_size)
        batches.restart()
        epoch = batches.epoch()
        if epoch is None:
            return {}
        callbacks.call("on_test_begin")
        penalty = None
        for batch, (samples, indices) in enumerate(epoch):
            callbacks.call("on_test_batch_begin", batch)
            if penalty is None:
                penalty = self.penalty()
            self.infer("test", samples, indices, partial(scores.add, penalty=penalty))
            callbacks.call("on_test_batch_end", batch, logs=scores.logs())
        logs = scores.logs()
        callbacks.call("on_test_end", logs=logs)
        return logs

    def predict(self, batches: Batches, callbacks: CallbackList) -> list[Array] | None:
        """The outputs; None if there is no batch."""
        processes.agree("predict", batches=batches.length, batch_size=batches.batch_size)
        epoch = batches.epoch()
        if epoch is None:
            return None
        parts: list[list[Array]] = []
        start, whole = 0, None
        callbacks.call("on_predict_begin")
        for batch, (samples, indices) in enumerate(epoch):
            callbacks.call("on_predict_batch_begin", batch)
            if batches.samples is not None and whole is None:
                outputs = self.graph.outputs
                whole = [np.empty((batches.samples, *each.sizes), np.float32) for each in outputs]
            if whole is None:
                parts.append(self.predict_batch(samples, indices))
            else:
                stop = start + len(indices)
                self.predict_batch(samples, indices, [out[start:stop] for out in whole])
                start = stop
            callbacks.call("on_predict_batch_end", batch)
        callbacks.call("on_predict_end")
        return [np.concatenate(each) for each in zip(*parts)] if whole is None else whole  # noqa: B905

    def predict_batch(
        self, samples: Samples, indices: Array, out: list[Array] | None = None
    ) -> list[Array]:
        """Copies of a batch's outputs, in `out` if it is given."""

        def copy(results: Results) -> list[Array]:
            if out is None:
                return [output.copy() for output in results.outputs]
            for own, output in zip(out, results.outputs, strict=True):
                np.copyto(own, output)
            return out

        return self.infer("predict", samples, indices, copy)

    def infer(
        self, purpose: str, samples: Samples, indices: Array, use: Callable[[Results], _Result]
    ) -> _Result:
        """Let a batch through the layers to "predict", and on through the loss to "test".

        What `use` makes of the results is returned; after it another batch may come in their place.
        """
        share, samples, indices = _share(samples, indices)
        idle = self._idle[purpose]
        try:
            plan = idle.pop()
        except IndexError:  # all are in use, by other threads
            plan = None
        if plan is None or not plan.serves(len(indices)):
            del plan  # its memory goes first
            plan = self._lower(purpose, len(indices))
        bound = plan.bind(len(indices))
        _load(bound, samples, indices, INFERENCE)
        self.lock.read(_on_share, share, bound, INFERENCE)
        with_outputs = purpose == "predict" or any(self.objective.metrics)
        result = use(whole_results(bound, share, with_outputs=with_outputs))
        idle.append(plan)
        return result

    def penalty(self) -> float:
        """The penalties on the parameters as they are."""
        regularized = regularizers.regularized(self.graph.all_layers())
        return self.lock.read(regularizers.penalty, regularized)

    def _lower(self, purpose: str, n: int) -> Plan:
        """A plan for batches of up to n samples."""
        training = purpose == "train"
        optimizer = self.objective.optimizer if training else None
        targets = None if purpose == "predict" else self.objective.targets()
        return lower(self.graph, n, training, loss=targets, optimizer=optimizer, gather=True)


def unique_parameters(layers: list[Any], kind: str) -> list[Parameter]:
    """Each once, though models that share layers may be layers of one model.

    `kind` is the attribute: "weights", "trainable_weights" or "non_trainable_weights".
    """
    found = (parameter for layer in layers for parameter in getattr(layer, kind))
    return list(dict.fromkeys(found))
