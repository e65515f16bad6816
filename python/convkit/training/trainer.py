"""What a user does with a model: compile, fit, evaluate, predict, with Keras's arguments.

Arguments and data are checked here, once; `convkit.training.engine` then runs batch after batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike

from .. import optimizers
from ..callbacks import BackupAndRestore, Callback, History, Logs
from ..core import processes, random
from ..core.advice import with_advice
from ..core.config import as_number, flag
from ..core.parameters import Array
from ..layers.structure import Structure
from ..metrics import Metric
from ..plan import fusion, lower
from .arguments import as_list, callback_scope, integer, optional, pack_logs, should_validate
from .batches import DEFAULT_BATCH_SIZE, ArrayBatches, Batches, no_batch
from .data import Data
from .data_adapter import DataAdapter, TakesData, check_ends
from .engine import Engine, changes_model, trains
from .fit_loop import Backup, FitLoop, FittedModel
from .objective import Objective
from .progress import EvaluationProgress, PredictionProgress, TrainingProgress
from .scores import Scores


class Trainer(TakesData, FittedModel):
    """What a user does with a model that has layers: compile, fit, evaluate, predict.

    It asks the model for its graph, makes batches of data with a `DataAdapter`, and has an `Engine`
    run them.

    Attributes:
        optimizer, loss, metrics: what `compile` was given, as objects. Setting one of them compiles
            the model with it and the two others.
        stop_training: a callback sets it to end `fit`.
        history: of the last `fit`.
        seed: of shuffling and dropout, in 0 .. 2**64-1; None takes the seed of the process.
    """

    _structures: tuple[Structure, Structure] | None  # of inputs and outputs; None of a chain

    def _begin_training(self) -> None:
        """Be a model that was not compiled."""
        self._engine = Engine(self)
        self.stop_training = False
        self.history: History | None = None
        self._seed: int | None = None

    def _target_names(self) -> list[str]:
        """What the outputs are called, for what `compile` is given; a chain has one."""
        return self.output_names

    def _ends(self) -> list[tuple[str | None, int | None]]:
        """The activation that each output ends with, and the size of its last axis."""
        if not self.built:  # the first batch of an iterable will build the chain
            return [(fusion.end_of_chain(self.layers) or None, None)]
        return [(fusion.end_of(tensor), tensor.shape[-1]) for tensor in self.graph.outputs]

    # How it is trained.

    @with_advice
    def compile(
        self,
        optimizer: str | optimizers.Optimizer = "adam",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
    ) -> None:
        """Say how to train.

        With several outputs, `loss`, `metrics` and `loss_weights` are lists in the outputs' order,
        or dictionaries by their names; one loss alone is that of all outputs.

        Args:
            optimizer: a name or an object of `convkit.optimizers`.
            loss: a name or an object of `convkit.losses`; without one the model cannot train.
            loss_weights: the factors of the losses in their sum, which training makes small.
            metrics: names or objects of `convkit.metrics`; "accuracy" is the one that fits the
                loss.

        Raises:
            ValueError: an unknown name; the message lists the known ones.
        """
        self._compile(optimizer=optimizer, loss=loss, metrics=metrics, loss_weights=loss_weights)

    @changes_model
    def _compile(self, **changes: Any) -> None:
        names = self._target_names()
        self._engine.compile(self._engine.objective.replace(names, **changes))

    @property
    def _steps(self) -> int:
        return self._engine.steps

    @_steps.setter
    def _steps(self, value: int) -> None:
        self._engine.steps = value

    @property
    def optimizer(self) -> optimizers.Optimizer | None:
        """What changes the weights."""
        return self._engine.objective.optimizer

    @optimizer.setter
    def optimizer(self, value: str | optimizers.Optimizer) -> None:
        self._compile(optimizer=value)

    @property
    def loss(self) -> Any:
        """What training makes small; with several outputs a list."""
        return self._engine.objective.loss

    @loss.setter
    def loss(self, value: Any) -> None:
        self._compile(loss=value)

    @property
    def metrics(self) -> list[Metric]:
        """What is told besides the loss, of all outputs."""
        return [metric for own in self._engine.objective.metrics for metric in own]

    @metrics.setter
    def metrics(self, value: Any) -> None:
        self._compile(metrics=value)

    @property
    def metrics_names(self) -> list[str]:
        """The names of what `evaluate` returns, in its order."""
        return self._scores().names() if self._engine.objective.losses else ["loss"]

    @property
    def seed(self) -> int | None:
        """Of shuffling and dropout."""
        return self._seed

    @seed.setter
    def seed(self, value: int | None) -> None:
        self._seed = None if value is None else random.check_seed(value)

    def _seed_in_use(self) -> int:
        seed: int = processes.same(random.seed() if self._seed is None else self._seed)
        return seed

    def _adapter(self) -> DataAdapter:
        engine = self._engine
        return DataAdapter(self, engine.connected, engine.objective.losses)

    def _scores(self) -> Scores:
        """The means of a pass that begins."""
        return self._engine.objective.scores(self._target_names())

    @with_advice
    @trains
    def fit(
        self,
        x: Data,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Data | None = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: ArrayLike | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train for a number of epochs.

        The loss of a batch is the sum of its samples' losses times their weights, divided by the
        number of samples (not by the sum of the weights), plus the penalties of the regularizers.
        Metrics count every sample alike. All as in Keras. Warns where a cross-entropy is not given
        what it expects (softmax forgotten, or twice), and where the loss becomes NaN or infinite.

        Args:
            x: images (n, ...): an array of NumPy or of another library, or a list of arrays or PIL
                images; float32 and uint8 are used as they are, others become float32. Or an
                iterable of batches, of any sizes, each (x, y) or (x, y, sample_weight): a
                generator, a data loader. `batch_size` and `shuffle` do not count then. One with
                a length gives so many batches a pass, and its `on_epoch_begin` and
                `on_epoch_end` are called, if it has them.
            y: one target a sample, as the loss wants them; not with an iterable.
            batch_size: samples a step, 32 by default; the last batch may be smaller.
            epochs: the number of the last epoch, counted from `initial_epoch`.
            verbose: 0 silent, 1 or "auto" a progress bar (lines without a terminal), 2 lines.
            callbacks: objects of `convkit.callbacks`.
            validation_split: the share of the samples, taken from the end before shuffling, that
                is not trained on but evaluated after each epoch; not with an iterable.
            validation_data: (x, y) or (x, y, sample_weight) to evaluate instead, or an iterable of
                batches.
            shuffle: whether each epoch has an order of its own.
            class_weight: the weight of each class, such as {0: 1.0, 1: 5.0}; of those not named 1.
            sample_weight: the weight of each sample, (n,); not together with `class_weight`.
            initial_epoch: the number of the first epoch.
            steps_per_epoch: batches an epoch; the next epoch goes on with the data where it ended.
                Where a pass over the data ends earlier, so does the epoch, with a warning; training
                ends when an iterator has nothing left. A later call of `fit` begins a new pass.
            validation_steps: batches of each validation, from the beginning of `validation_data`
                (but an iterator goes on where it was).
            validation_batch_size: by default `batch_size`.
            validation_freq: validate after every so many epochs, or after those listed, which
                count from 1.

        Returns:
            The history: `.history` is a dictionary of lists, `.epoch` the epochs' numbers.

        Raises:
            ValueError: something is wrong with the arguments, or `compile` was not called.
            TypeError: the data are not numbers.
            RuntimeError: another thread is training this model.
        """
        self._engine.objective.require_loss("fit", self.name)
        adapter = self._adapter()
        size, val_size = optional(batch_size, "batch_size"), validation_batch_size
        val_size = size if val_size is None else integer(val_size, "validation_batch_size")
        val_steps = optional(validation_steps, "validation_steps")
        source: Any = x
        validation: Batches | None = None
        if validation_data is not None:
            validation = adapter.validation(validation_data, val_size, val_steps)
        elif validation_split is not None and as_number(validation_split) != 0.0:
            source, held_out = adapter.split(x, y, sample_weight, validation_split)
            validation = ArrayBatches(held_out, val_size, val_steps)
        steps, given = optional(steps_per_epoch, "steps_per_epoch"), as_list(callbacks)
        backups = [each for each in given if isinstance(each, BackupAndRestore)]
        found = Backup.find([each.path for each in backups])
        seed = self._seed_in_use() if found is None else found.seed
        order = partial(_shuffled, seed) if flag(shuffle, "shuffle", "fit") else None
        what = (source, y, sample_weight, size, steps)
        training = adapter.batches("fit", *what, class_weight=class_weight, order=order, seed=seed)
        first, last = integer(initial_epoch, "initial_epoch", 0), integer(epochs, "epochs")
        validates = should_validate(validation_freq)
        check_ends(self._engine.objective.losses, self._ends())
        history = History()
        # Backups come last: what they save is what the others have made of a step or an epoch.
        others = [each for each in given if not isinstance(each, BackupAndRestore)]
        all_of_them = [*others, history, *backups]
        with callback_scope(
            all_of_them, TrainingProgress, verbose, self, training, last
        ) as callback_list:
            self.history, self.stop_training = history, False
            loop = FitLoop(
                self, range(first, last), training, validation, validates, seed, callback_list
            )
            for each in backups:
                each.save_by(loop.save)
            if found is not None:
                loop.restore(found)
            loop.run()
        return history

    # What comes without return_dict depends on the metrics, which no type can say: it is Any.
    @overload
    def evaluate(
        self,
        x: Data,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: ArrayLike | None = None,
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        *,
        return_dict: Literal[True],
    ) -> Logs: ...

    @overload
    def evaluate(
        self,
        x: Data,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: ArrayLike | None = None,
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        return_dict: bool = False,
    ) -> Any: ...

    @with_advice
    def evaluate(
        self,
        x: Data,
        y: Any = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        sample_weight: ArrayLike | None = None,
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Compute the mean loss and the metrics over some samples.

        Args:
            x, y, batch_size, verbose, sample_weight, callbacks: as of `fit`.
            steps: batches to evaluate; by default all.
            return_dict: whether to return a dictionary.

        Returns:
            The loss, or [loss, metric, ...] if there are metrics; with `return_dict` a dictionary.

        Raises:
            ValueError, TypeError, RuntimeError: as `fit`.
        """
        self._engine.objective.require_loss("evaluate", self.name)
        size, steps = optional(batch_size, "batch_size"), optional(steps, "steps")
        batches = self._adapter().batches("evaluate", x, y, sample_weight, size, steps)
        with callback_scope(callbacks, EvaluationProgress, verbose, self, batches) as callback_list:
            logs = self._engine.evaluate(batches, callback_list, self._scores())
        if not logs:
            raise no_batch("evaluate")
        return pack_logs(logs, return_dict)

    @with_advice
    def predict(
        self,
        x: Data,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
    ) -> Any:
        """Compute the outputs for some samples, float32 (n, ...); several as the model gives them.

        Args:
            x, batch_size, verbose, callbacks: as of `fit`; batches may be x, (x,), (x, y) or
                (x, y, sample_weight), of which only x counts.
            steps: batches to predict; by default all.

        Raises:
            ValueError, TypeError, RuntimeError: as `fit`; but the model need not be compiled.
        """
        size, steps = optional(batch_size, "batch_size"), optional(steps, "steps")
        batches = self._adapter().batches("", x, None, None, size, steps)
        with callback_scope(callbacks, PredictionProgress, verbose, self, batches) as callback_list:
            outputs = self._engine.predict(batches, callback_list)
        if outputs is None:
            raise no_batch("predict")
        return self._packed(outputs)

    @trains
    def train_on_batch(
        self,
        x: Data,
        y: Any,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Make one training step; return this batch's loss and metrics as `evaluate` does."""
        self._engine.objective.require_loss("train_on_batch", self.name)
        adapter, engine, scores = self._adapter(), self._engine, self._scores()
        samples = adapter.samples(x, y, sample_weight, "train_on_batch")
        samples = adapter.weighted(samples, class_weight)
        indices = np.arange(len(samples))
        engine.lock.write(engine.train_step, samples, indices, scores, self._seed_in_use())
        return pack_logs(scores.logs(), return_dict)

    def test_on_batch(
        self,
        x: Data,
        y: Any,
        sample_weight: ArrayLike | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Compute the loss and the metrics of one batch, as `evaluate` returns them."""
        self._engine.objective.require_loss("test_on_batch", self.name)
        engine, scores = self._engine, self._scores()
        samples = self._adapter().samples(x, y, sample_weight, "test_on_batch")
        use = partial(scores.add, penalty=engine.penalty())
        engine.infer("test", samples, np.arange(len(samples)), use)
        return pack_logs(scores.logs(), return_dict)

    def predict_on_batch(self, x: Data) -> Any:
        """Compute the outputs for one batch, float32 (n, ...), as `predict` returns them."""
        samples = self._adapter().samples(x)
        return self._packed(self._engine.predict_batch(samples, np.arange(len(samples))))

    def _packed(self, outputs: list[Array]) -> Any:
        """The only output, or several as the model gives them."""
        structures = self._structures
        return outputs[0] if structures is None else structures[1].pack(outputs)

    def plan(self, batch_size: int = DEFAULT_BATCH_SIZE, training: bool | None = None) -> str:
        """A table of the steps that run, what was fused, and the memory they take.

        Args:
            batch_size: of the batches.
            training: by default whether the model is compiled.
        """
        if training is None:
            training = self._engine.objective.has_loss
        if flag(training, "training", "plan"):
            self._engine.objective.require_loss("plan(training=True)", self.name)
        objective = self._engine.objective if training else Objective()
        targets = objective.targets() if training else None
        size, graph = integer(batch_size, "batch_size"), self.graph
        if size >= 2**31:
            raise ValueError(f"batch_size must be below 2**31, received {batch_size!r}")
        optimizer = objective.optimizer
        return str(lower(graph, size, training, loss=targets, optimizer=optimizer, gather=True))


def _shuffled(seed: int, count: int, epoch: int, step: int) -> Array:
    """The order of so many samples in the pass that begins with an epoch, before a step."""
    return random.permutation(count, seed, epoch, step)
