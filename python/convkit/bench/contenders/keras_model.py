"""The same models in Keras, for those who have it, on the backend they have.

Imported only where Keras takes part, after `peers.missing` has found a backend.
"""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import numpy as np

from ...interop import to_keras
from ...models import Model
from ..shapes import Array, Labels, PredictStep, TrainStep


def train_steps(model: Model, threads: int) -> dict[str, TrainStep]:
    """A training step of the model, from its present weights, by `train_on_batch`.

    `threads` sets the backend's number of threads for the whole process, where it can be told.
    """
    network = _prepared(model, threads)

    def step(x: Array, labels: Labels) -> float:
        return float(np.ravel(np.asarray(network.train_on_batch(x, labels)))[0])

    return {_label(): step}


def train_step(model: Model, batch_size: int, threads: int) -> TrainStep:
    """The same without a name, for a process of its own whose KERAS_BACKEND says which."""
    (step,) = train_steps(model, threads).values()
    return step


def predict_steps(model: Model, threads: int) -> dict[str, PredictStep]:
    """The probabilities of a batch by `predict_on_batch`, likewise."""
    network = _prepared(model, threads)
    return {_label(): lambda x: np.asarray(network.predict_on_batch(x))}


def _prepared(model: Model, threads: int) -> Any:
    _set_threads(threads)
    network = to_keras(model)
    network.compile("adam", "sparse_categorical_crossentropy")
    return network


def _label() -> str:
    return f"keras {keras.backend.backend()}"


def _set_threads(threads: int) -> None:
    """Tell the backend; JAX cannot be told once it runs, but by `peers` before it does."""
    backend = keras.backend.backend()
    if backend == "torch":
        import torch

        torch.set_num_threads(threads)
    elif backend == "tensorflow":
        import tensorflow

        # It refuses once it has begun, for an earlier model with the same number.
        with contextlib.suppress(RuntimeError):
            tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
