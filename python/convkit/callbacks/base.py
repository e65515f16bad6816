"""Callbacks: what else happens while a model trains.

A callback sees only numbers and the model. It may read and write weights, set
`model.stop_training`, and change `logs`, which later callbacks and the history then see. Each can
give its state as a dictionary and take it back, so that training can be resumed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar, Protocol

from ..core import processes
from ..core.config import call_of
from ..core.parameters import Array, Parameter

Logs = dict[str, float]


class TrainedModel(Protocol):
    """What a callback may do with the model that trains; `convkit.Model` has it all, and more.

    Attributes:
        name: of the model.
        stop_training: set to True, it ends `fit` after this batch.
        history: of the fit that runs.
        seed: of shuffling and dropout, or None.
    """

    name: str
    stop_training: bool
    history: Any
    seed: int | None

    @property
    def optimizer(self) -> Any:
        """What changes the weights."""

    @property
    def loss(self) -> Any:
        """What training makes small."""

    @property
    def metrics(self) -> list[Any]:
        """What is told besides the loss."""

    @property
    def layers(self) -> list[Any]:
        """The layers in order."""

    @property
    def weights(self) -> list[Parameter]:
        """All parameters, in the order of the layers."""

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """The layer of that name, or at that place."""

    def get_weights(self) -> list[Array]:
        """Copies of all parameters."""

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Replace all parameters."""

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write everything that training can go on from into one file."""

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the weights alone into one file."""

    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Take the weights of a file."""

    def evaluate(self, *arguments: Any, **options: Any) -> Any:
        """Compute the mean loss and the metrics over some samples."""

    def predict(self, *arguments: Any, **options: Any) -> Any:
        """Compute the outputs for some samples."""

    def predict_on_batch(self, x: Any) -> Any:
        """Compute the outputs for one batch."""

    def summary(self, print_fn: Callable[[str], object] | None = None) -> None:
        """Print the layers, their output shapes and parameter counts, and the totals."""


class Callback:
    """Base class: every hook does nothing. Override those you need.

    Attributes:
        model: the model that trains.
        params: "epochs", "steps" (batches an epoch), "samples", "batch_size", "verbose"; with an
            iterable of batches, those that are not known beforehand are None.
        writes_files: whether it writes files or prints. Where several processes train one model
            together, such a callback is called in the first one alone, and others in all.

    `logs` holds the means so far in an epoch: `loss`, the metrics, and `val_...` at its end.
    """

    model: TrainedModel
    params: dict[str, Any]
    writes_files: ClassVar[bool] = False

    def __repr__(self) -> str:
        return call_of(self)

    def set_model(self, model: TrainedModel) -> None:
        """Called before everything else."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before everything else."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """`fit` begins."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """`fit` ends as it should; `logs` are those of the last epoch."""

    def on_train_interrupted(self, error: BaseException) -> None:
        """`fit` ends by an exception, such as KeyboardInterrupt; `on_train_end` is not called."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch begins; epochs count from 0."""

    def on_epoch_resumed(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch goes on that began before an interruption, by `BackupAndRestore`.

        The callback has the state that it had then, and `on_epoch_begin` is not called again.
        """

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """An epoch ends, validation included."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A training step begins; batches count from 0 in every epoch."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A training step ends."""
        self.on_batch_end(batch, logs=logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Keras's older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Keras's older name of `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """`evaluate`, or a validation, begins."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """`evaluate`, or a validation, ends."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of `evaluate` begins."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of `evaluate` ends."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """`predict` begins."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """`predict` ends."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of `predict` begins."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """A batch of `predict` ends."""

    def state_dict(self) -> dict[str, Any]:
        """What the callback must remember if training is to be resumed: numbers and arrays."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what `state_dict` returned."""


class CallbackList:
    """Several callbacks, called one after the other."""

    def __init__(
        self, callbacks: Sequence[Callback], model: TrainedModel, params: dict[str, Any]
    ) -> None:
        if not isinstance(callbacks, Iterable):
            raise TypeError(f"callbacks must be a list of callbacks, received {callbacks!r}")
        self.callbacks = list(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                name = callback.__name__ if isinstance(callback, type) else ""
                raise TypeError(
                    f"callbacks must be objects of convkit.callbacks.Callback, received "
                    f"{callback!r}{name and f'; write {name}(...)'}"
                )
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params)

    def call(self, hook: str, *moment: int, logs: Logs | None = None) -> None:
        """Call the hook of that name on all, with the epoch or batch, if it has one, and logs.

        Without logs an empty dictionary is passed, as Keras does, for hooks that demand some.
        """
        logs = {} if logs is None else logs
        is_first = processes.is_first()
        for callback in self.callbacks:
            if is_first or not callback.writes_files:
                getattr(callback, hook)(*moment, logs)

    def interrupted(self, error: BaseException) -> None:
        """Tell all of the exception; each is told even if one before it fails."""
        with ExitStack() as stack:
            for callback in reversed(self.callbacks):
                stack.callback(callback.on_train_interrupted, error)


def check_save_freq(save_freq: object) -> None:
    """ValueError unless it is "epoch" or a number of batches of at least 1."""
    if isinstance(save_freq, str) and save_freq == "epoch":
        return
    if not isinstance(save_freq, int) or isinstance(save_freq, bool) or save_freq < 1:
        raise ValueError(
            f"Unrecognized save_freq: {save_freq}. Expected save_freq are 'epoch' or integer "
            f"values of at least 1"
        )
