"""What a user does with a model: compile, fit, evaluate, predict, with Keras's arguments.

Arguments and data are checked here, once; `convkit.engine` then runs batch after batch.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from . import data, losses, optimizers, random
from . import metrics as metrics_module
from .callbacks import Callback, CallbackList, History, Logs
from .data import Samples
from .engine import Engine, Scores
from .parameters import Array
from .plan import lower
from .progress import EvaluationProgress, PredictionProgress, TrainingProgress, check_verbose

if TYPE_CHECKING:
    from .models import Sequential

Validation = tuple[ArrayLike, ArrayLike]
DEFAULT_BATCH_SIZE = 32


class Trainer(Engine):
    """What a user does with a model that has layers: compile, fit, evaluate, predict."""

    def compile(
        self,
        optimizer: str | optimizers.Optimizer = "adam",
        loss: str | losses.Loss | None = None,
        *,
        metrics: Any = None,
    ) -> None:
        """Say how to train.

        Args:
            optimizer: a name or an object of `convkit.optimizers`.
            loss: a name or an object of `convkit.losses`; without one the model cannot train.
            metrics: names or objects of `convkit.metrics`; "accuracy" is the one that fits the
                loss.

        Raises:
            ValueError: an unknown name; the message lists the known ones.
        """
        chosen_optimizer = optimizers.get(optimizer)
        chosen_loss = None if loss is None else losses.get(loss)
        chosen_metrics = metrics_module.get_all(metrics, chosen_loss)
        if chosen_optimizer is not self.optimizer and self.optimizer is not None:
            self.optimizer.unbind(self._store)
        self.optimizer, self.loss, self.metrics = chosen_optimizer, chosen_loss, chosen_metrics
        self._plans = {}

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: str | int = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Validation | None = None,
        shuffle: bool = True,
        *,
        initial_epoch: int = 0,
        validation_batch_size: int | None = None,
    ) -> History:
        """Train for a number of epochs.

        Args:
            x: images (n, ...); float32 and uint8 are used as they are, others become float32.
            y: one target a sample, as the loss wants them.
            batch_size: samples a step, 32 by default; the last batch may be smaller.
            epochs: the number of the last epoch, counted from `initial_epoch`.
            verbose: 0 silent, 1 or "auto" a progress bar (lines without a terminal), 2 lines.
            callbacks: objects of `convkit.callbacks`.
            validation_split: the share of the samples, taken from the end before shuffling, that
                is not trained on but evaluated after each epoch.
            validation_data: (x, y) to evaluate instead.
            shuffle: whether each epoch has an order of its own.
            initial_epoch: the number of the first epoch.
            validation_batch_size: by default `batch_size`.

        Returns:
            The history: `.history` is a dictionary of lists, `.epoch` the epochs' numbers.

        Raises:
            ValueError: something is wrong with the arguments, or `compile` was not called.
            TypeError: the data are not numbers.
            RuntimeError: another thread is training this model.
        """
        with self._exclusive(training=True):
            self._require_loss("fit")
            size = _batch_size(batch_size)
            training = self._samples(x, y, "fit")
            validation: Samples | None = None
            if validation_data is not None:
                pair = data.pair(validation_data, "validation_data")
                validation = self._samples(*pair, "validation_data")
            elif validation_split:
                training, validation = data.split_validation(training, validation_split)
            first, last = _epochs(initial_epoch, epochs)
            history = History()
            everyone: list[Callback] = [*_listed(callbacks), history]
            if shown := check_verbose(verbose):
                everyone.append(TrainingProgress(shown))
            params = self._params(training, size, shown, epochs=last)
            loop = CallbackList(everyone, self._self(), params)
            val_size = size if validation_batch_size is None else _batch_size(validation_batch_size)
            self.history, self.stop_training = history, False
            try:
                self._epoch_loop(
                    range(first, last), training, size, validation, val_size, shuffle, loop
                )
            except BaseException as error:
                loop.interrupted(error)
                raise
            return history

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike | None = None,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        *,
        callbacks: Callback | Sequence[Callback] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Compute the mean loss and the metrics over some samples.

        Returns:
            The loss, or [loss, metric, ...] if there are metrics; with `return_dict` a dictionary.

        Raises:
            ValueError, TypeError, RuntimeError: as `fit`.
        """
        with self._exclusive():
            self._require_loss("evaluate")
            size = _batch_size(batch_size)
            samples = self._samples(x, y, "evaluate")
            everyone = _listed(callbacks)
            if shown := check_verbose(verbose):
                everyone.append(EvaluationProgress(shown))
            loop = CallbackList(everyone, self._self(), self._params(samples, size, shown))
            try:
                return _flat(self._evaluate(samples, size, loop), return_dict)
            except BaseException as error:
                loop.interrupted(error)
                raise

    def predict(
        self,
        x: ArrayLike,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        *,
        callbacks: Callback | Sequence[Callback] | None = None,
    ) -> Array:
        """Compute the outputs for some samples, float32 (n, ...).

        Raises:
            ValueError, TypeError, RuntimeError: as `fit`; but the model need not be compiled.
        """
        with self._exclusive():
            size = _batch_size(batch_size)
            samples = self._samples(x)
            everyone = _listed(callbacks)
            if shown := check_verbose(verbose):
                everyone.append(PredictionProgress(shown))
            loop = CallbackList(everyone, self._self(), self._params(samples, size, shown))
            try:
                return self._predict(samples, size, loop)
            except BaseException as error:
                loop.interrupted(error)
                raise

    def train_on_batch(self, x: ArrayLike, y: ArrayLike, *, return_dict: bool = False) -> Any:
        """Make one training step; return this batch's loss and metrics as `evaluate` does."""
        with self._exclusive(training=True):
            self._require_loss("train_on_batch")
            samples, scores = self._samples(x, y, "train_on_batch"), Scores(self.metrics)
            self._train_step(samples, np.arange(len(samples)), scores, self._seed())
            return _flat(scores.logs(), return_dict)

    def test_on_batch(self, x: ArrayLike, y: ArrayLike, *, return_dict: bool = False) -> Any:
        """Compute the loss and the metrics of one batch, as `evaluate` returns them."""
        with self._exclusive():
            self._require_loss("test_on_batch")
            samples = self._samples(x, y, "test_on_batch")
            silent = CallbackList([], self._self(), {})
            return _flat(self._evaluate(samples, len(samples), silent), return_dict)

    def predict_on_batch(self, x: ArrayLike) -> Array:
        """Compute the outputs for one batch, float32 (n, ...)."""
        with self._exclusive():
            samples = self._samples(x)
            return self._predict(samples, len(samples), CallbackList([], self._self(), {}))

    def plan(self, batch_size: int = DEFAULT_BATCH_SIZE, training: bool | None = None) -> str:
        """A table of the steps that run, what was fused, and the memory they take.

        Args:
            batch_size: of the batches.
            training: by default whether the model is compiled.
        """
        if training is None:
            training = self.loss is not None
        if training:
            self._require_loss("plan(training=True)")
        loss = self.loss if training else None
        return str(
            lower(self.layers, self._sizes()[0], _batch_size(batch_size), training, loss=loss)
        )

    # What it takes.

    def _epoch_loop(
        self,
        epochs: range,
        training: Samples,
        batch_size: int,
        validation: Samples | None,
        validation_batch_size: int,
        shuffle: bool,
        loop: CallbackList,
    ) -> None:
        seed = self._seed()
        logs: Logs = {}
        loop.call("on_train_begin")
        for epoch in epochs:
            loop.call("on_epoch_begin", epoch)
            order = random.permutation(len(training), seed, epoch, self._steps) if shuffle else None
            scores = Scores(self.metrics)
            for batch, indices in enumerate(training.batches(batch_size, order)):
                loop.call("on_train_batch_begin", batch)
                self._train_step(training, indices, scores, seed)
                loop.call("on_train_batch_end", batch, scores.logs())
                if self.stop_training:
                    break
            logs = scores.logs()
            if validation is not None:
                validated = self._evaluate(validation, validation_batch_size, loop)
                logs.update({f"val_{key}": value for key, value in validated.items()})
            loop.call("on_epoch_end", epoch, logs)
            if self.stop_training:
                break
        loop.call("on_train_end", logs)

    def _samples(self, x: ArrayLike, y: ArrayLike | None = None, what: str = "") -> Samples:
        images = data.as_images(x)
        sizes, output_sizes = self._sizes(images)
        if what and y is None:
            raise ValueError(f"{what} needs y, the targets")
        return data.samples(images, y, sizes, self.loss, output_sizes)

    def _require_loss(self, what: str) -> None:
        if self.optimizer is None:
            raise ValueError(
                f'model "{self.name}": call compile(optimizer, loss) before {what}, for example '
                f"compile('adam', 'sparse_categorical_crossentropy', metrics=['accuracy'])"
            )
        if self.loss is None:
            raise ValueError(f'model "{self.name}": {what} needs a loss; give one to compile')

    def _params(
        self, samples: Samples, batch_size: int, verbose: int, epochs: int = 1
    ) -> dict[str, Any]:
        return {
            "verbose": verbose,
            "epochs": epochs,
            "steps": -(-len(samples) // batch_size),
            "samples": len(samples),
            "batch_size": batch_size,
        }

    def _self(self) -> Sequential:
        return cast("Sequential", self)


def _batch_size(value: int | None) -> int:
    if value is None:
        return DEFAULT_BATCH_SIZE
    return _integer(value, "batch_size", 1)


def _epochs(initial_epoch: int, epochs: int) -> tuple[int, int]:
    return _integer(initial_epoch, "initial_epoch", 0), _integer(epochs, "epochs", 1)


def _integer(value: int, what: str, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{what} must be an integer, received {value!r}") from None
    if isinstance(value, bool) or number < least:
        raise ValueError(f"{what} must be an integer of at least {least}, received {value!r}")
    return number


def _listed(callbacks: Callback | Sequence[Callback] | None) -> list[Callback]:
    if callbacks is None:
        return []
    return [callbacks] if isinstance(callbacks, Callback) else list(callbacks)


def _flat(logs: Logs, return_dict: bool) -> Any:
    """A dictionary, a list with the loss first, or the loss alone: what Keras returns."""
    if return_dict:
        return logs
    values = list(logs.values())
    return values if len(values) > 1 else values[0]
