"""The methods that models of Keras 1 and 2 have, with their arguments."""

from __future__ import annotations

import os
from typing import Any

from ..layers import Input
from ..layers.graph import Tensor as Symbolic
from ..models import Model
from . import notes, own_steps
from .adapted import drop, rename
from .feeding import as_arrays, passes, steps_of
from .frozen import as_compiled, note
from .logs import Logs, hearing
from .losses import for_training
from .model_aliases import Aliases
from .optimizers import own_of
from .own_steps import OwnSteps, is_own
from .translations import (
    Status,
    are_metrics,
    by_class,
    drop_queues,
    first_size,
    flat,
    of_outputs,
    place,
    verbosity,
)

_COMPILATION: dict[str, Any] = {
    "run_eagerly": (None, False),
    "jit_compile": (None, True, False, "auto"),
    "steps_per_execution": (None, 1),
    "auto_scale_loss": (None, True),
    "target_tensors": None,
    "sample_weight_mode": None,
    "experimental_run_tf_function": (None, True, False),
    "class_mode": (None, "binary", "categorical"),
    "weighted_metrics": (None, []),
    "distribute": None,
    "cloning": (None, False),
}


class Older(Aliases, OwnSteps):
    """The methods and arguments of old, before those of convkit's models.

    Attributes:
        takes_any_size: whether `predict` takes images of other sizes than those of the inputs, as
            networks of `keras.applications` without an input shape do.
    """

    takes_any_size = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        rename(options, {"input": "inputs", "output": "outputs"})
        options = {
            name: flat(each) if name in ("inputs", "outputs") else each
            for name, each in options.items()
        }
        super().__init__(*(flat(each) for each in arguments), **options)

    # How it is trained.

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        *places: Any,
        metrics: Any = None,
        loss_weights: Any = None,
        **options: Any,
    ) -> None:
        """Say how to train; metrics come third by place, or loss_weights as in Keras 3."""
        for value in places:
            if are_metrics(value) and metrics is None:
                metrics = value
            elif value is not None:
                loss_weights = value
        drop(options, "compile", **_COMPILATION)
        if options:
            raise TypeError(f"compile: unknown arguments {sorted(options)}")
        if isinstance(metrics, list | tuple):
            metrics = [each for each in metrics if each is not None and each != []]
        metrics = of_outputs(metrics, self) if metrics else None
        super().compile(  # type: ignore[misc]
            own_of(optimizer, self), for_training(loss), loss_weights, metrics
        )
        note(self)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: Any = None,
        epochs: Any = None,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: Any = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: Any = None,
        validation_steps: Any = None,
        validation_batch_size: Any = None,
        validation_freq: Any = 1,
        **old: Any,
    ) -> Any:
        """Train; the history answers to the old and the new names of values."""
        epochs = old.pop("nb_epoch", epochs)
        drop_queues(old, "fit")
        if isinstance(class_weight, str):
            notes.ignored(f"fit(class_weight={class_weight!r})", "give a dictionary of weights")
            class_weight = None
        steps, val_steps = steps_of(steps_per_epoch), steps_of(validation_steps)
        for_callbacks = validation_data if isinstance(validation_data, tuple | list) else None
        x, y, validation_data = self._given(x, y, validation_data, steps, val_steps)
        options: dict[str, Any] = {
            "batch_size": None if batch_size is None else int(batch_size),
            "epochs": 1 if epochs is None else int(epochs),
            "verbose": verbosity(verbose),
            "callbacks": hearing(callbacks, for_callbacks),
            "validation_split": validation_split or 0.0,
            "validation_data": validation_data,
            "shuffle": bool(shuffle),
            "class_weight": None if class_weight is None else by_class(class_weight),
            "sample_weight": sample_weight,
            "initial_epoch": initial_epoch,
            "steps_per_epoch": steps,
            "validation_steps": val_steps,
            "validation_batch_size": validation_batch_size,
            "validation_freq": validation_freq,
        }
        if is_own(self, "train_step"):
            history = own_steps.fit(self, x, y, options)
        else:
            with as_compiled(self):
                history = super().fit(x, y, **options)  # type: ignore[misc]
        history.history = Logs(history.history)
        return history

    def _given(self, x: Any, y: Any, validation: Any, steps: Any, val_steps: Any) -> Any:
        """The data of a training, as convkit takes them."""
        x, y = as_arrays(x, self), None if y is None else as_arrays(y)
        if isinstance(validation, list | tuple) and not hasattr(validation, "as_numpy"):
            first, *rest = validation
            validation = (as_arrays(first, self), *(as_arrays(each) for each in rest))
        elif validation is not None:
            validation = passes(validation, val_steps, self)
        return passes(x, steps, self), y, validation

    def fit_generator(
        self,
        generator: Any,
        steps_per_epoch: Any = None,
        epochs: Any = 1,
        verbose: Any = 1,
        callbacks: Any = None,
        validation_data: Any = None,
        validation_steps: Any = None,
        validation_freq: Any = 1,
        class_weight: Any = None,
        max_queue_size: Any = 10,
        workers: Any = 1,
        use_multiprocessing: Any = False,
        shuffle: Any = True,
        initial_epoch: int = 0,
        **old: Any,
    ) -> Any:
        """Train with batches that a generator yields."""
        size = getattr(generator, "batch_size", None)
        if "samples_per_epoch" in old or (size is None and "nb_val_samples" in old):
            generator, size = first_size(generator, size)
            steps_per_epoch = -(-int(old.pop("samples_per_epoch")) // size)
        if "nb_val_samples" in old:
            val_size = getattr(validation_data, "batch_size", size)
            validation_steps = -(-int(old.pop("nb_val_samples")) // (val_size or 32))
        epochs = old.pop("nb_epoch", epochs)
        drop_queues(old, "fit_generator")
        return self.fit(
            generator,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            validation_steps=validation_steps,
            validation_freq=validation_freq,
            class_weight=class_weight,
            shuffle=shuffle,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
        )

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: Any = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: Any = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **old: Any,
    ) -> Any:
        """The mean loss and the metrics over some samples."""
        drop_queues(old, "evaluate")
        steps = steps_of(steps)
        x, y = passes(as_arrays(x, self), steps, self), None if y is None else as_arrays(y)
        shown, heard = verbosity(verbose), hearing(callbacks)
        if is_own(self, "test_step"):
            what = (x, y, sample_weight, batch_size, steps)
            return own_steps.evaluate(self, *what, shown, heard, return_dict)
        return super().evaluate(  # type: ignore[misc]
            x, y, batch_size, shown, sample_weight, steps, heard, return_dict=return_dict
        )

    def evaluate_generator(
        self,
        generator: Any,
        steps: Any = None,
        callbacks: Any = None,
        max_queue_size: Any = 10,
        workers: Any = 1,
        use_multiprocessing: Any = False,
        verbose: Any = 0,
        **old: Any,
    ) -> Any:
        """The mean loss and the metrics over batches that a generator yields."""
        if "val_samples" in old:
            generator, size = first_size(generator, getattr(generator, "batch_size", None))
            steps = -(-int(old.pop("val_samples")) // size)
        return self.evaluate(generator, steps=steps, callbacks=callbacks, verbose=verbose, **old)

    def predict(
        self,
        x: Any,
        batch_size: Any = None,
        verbose: Any = "auto",
        steps: Any = None,
        callbacks: Any = None,
        **old: Any,
    ) -> Any:
        """The outputs for some samples."""
        drop_queues(old, "predict")
        fitting = self._for_images(x) if self.takes_any_size else None
        steps = steps_of(steps)
        x = passes(as_arrays(x, self), steps, self)
        others = (batch_size, verbosity(verbose), steps, hearing(callbacks))
        if fitting is not None:
            return fitting.predict(x, *others)
        return super().predict(x, *others)  # type: ignore[misc]

    def _for_images(self, x: Any) -> Any:
        """A model of the same layers for the size of some images, None for that of its own."""
        sizes = tuple(x.shape[1:]) if hasattr(x, "shape") else getattr(x, "image_shape", None)
        if sizes is None or sizes == tuple(self.input_shape[1:]):  # type: ignore[attr-defined]
            return None
        image = Input(sizes)
        return Model(image, self(image))

    def predict_generator(
        self,
        generator: Any,
        steps: Any = None,
        callbacks: Any = None,
        max_queue_size: Any = 10,
        workers: Any = 1,
        use_multiprocessing: Any = False,
        verbose: Any = 0,
        **old: Any,
    ) -> Any:
        """The outputs for batches that a generator yields."""
        if "val_samples" in old:
            generator, size = first_size(generator, getattr(generator, "batch_size", None))
            steps = -(-int(old.pop("val_samples")) // size)
        return self.predict(generator, steps=steps, callbacks=callbacks, verbose=verbose, **old)

    predict_proba = predict

    def predict_classes(self, x: Any, batch_size: Any = None, verbose: Any = 0) -> Any:
        """The class of each sample: the largest output, or whether a single one is above 0.5."""
        outputs = self.predict(x, batch_size, verbose)
        if outputs.shape[-1] > 1:
            return outputs.argmax(axis=-1)
        return (outputs > 0.5).astype("int32")

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        reset_metrics: Any = True,
        return_dict: bool = False,
    ) -> Any:
        """Make one training step."""
        given = (as_arrays(x, self), as_arrays(y), sample_weight, class_weight)
        with as_compiled(self):
            return super().train_on_batch(*given, return_dict=return_dict)  # type: ignore[misc]

    def test_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        reset_metrics: Any = True,
        return_dict: bool = False,
    ) -> Any:
        """The loss and the metrics of one batch."""
        return super().test_on_batch(  # type: ignore[misc]
            as_arrays(x, self), as_arrays(y), sample_weight, return_dict=return_dict
        )

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for one batch."""
        return super().predict_on_batch(as_arrays(x, self))  # type: ignore[misc]

    def __call__(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The outputs: symbolic of symbolic tensors, numbers of numbers."""
        first = inputs[0] if isinstance(inputs, list | tuple) and len(inputs) else inputs
        if isinstance(first, Symbolic):
            if training is not None and not training:
                self._note_inference()
            return super().__call__(inputs)  # type: ignore[misc]
        from .eager import compute

        return compute(self, inputs, training)

    def _note_inference(self) -> None:
        """Note that a model within a model cannot be kept in inference while the outer one trains.

        Frozen, its BatchNormalizations keep their statistics, which is what scripts want of it.
        """
        if any(each.has_phases for each in self.layers):  # type: ignore[attr-defined]
            notes.ignored(
                f"{self.name}(..., training=False)",  # type: ignore[attr-defined]
                "a BatchNormalization keeps its statistics while its trainable is False",
            )

    # In files.

    def save(
        self,
        filepath: Any,
        overwrite: bool = True,
        include_optimizer: bool = True,
        save_format: Any = None,
        **options: Any,
    ) -> None:
        """Write everything that training can go on from into one file, whatever its name."""
        drop(
            options,
            "save",
            signatures=None,
            options=None,
            save_traces=(None, True, False),
            zipped=(None, True),
        )
        super().save(place(filepath), overwrite)  # type: ignore[misc]

    def save_weights(
        self, filepath: Any, overwrite: bool = True, save_format: Any = None, **options: Any
    ) -> None:
        """Write the weights alone into one file, whatever its name."""
        super().save_weights(place(filepath), overwrite)  # type: ignore[misc]

    def load_weights(
        self,
        filepath: Any,
        by_name: bool = False,
        skip_mismatch: bool = False,
        options: Any = None,
        **more: Any,
    ) -> Any:
        """Take the weights of a file."""
        if by_name or skip_mismatch:
            notes.ignored("load_weights(by_name=, skip_mismatch=)", "weights are taken in order")
        super().load_weights(os.fspath(filepath))  # type: ignore[misc]
        return Status()

    def to_yaml(self, **options: Any) -> str:
        """The architecture as JSON, which is YAML too."""
        made: str = self.to_json()  # type: ignore[attr-defined]
        return made
