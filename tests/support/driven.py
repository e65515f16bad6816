"""A stand-in for a model, with which callbacks of ours and of Keras's are driven alike."""

from __future__ import annotations

from typing import Any

import numpy as np


class Driven:
    """What a callback sees of a model, of Keras's or ours; it writes down what it is asked for."""

    stop_training = False

    def __init__(self, optimizer: Any = None) -> None:
        self.optimizer = optimizer
        self.asked: list[Any] = []
        self.epoch = 0

    def save(self, path: str, overwrite: bool) -> None:
        self.asked.append(("save", path, overwrite))

    def save_weights(self, path: str, overwrite: bool) -> None:
        self.asked.append(("save_weights", path, overwrite))

    def get_weights(self) -> Any:
        return [np.full(1, self.epoch)]

    def set_weights(self, weights: Any) -> None:
        self.asked.append(("set_weights", float(weights[0][0])))


def drive(
    callback: Any, model: Driven, logs: list[dict[str, float]], batches: int = 0
) -> list[Any]:
    """Call the hooks as `fit` does; return what the model saw, epoch by epoch."""
    seen: list[Any] = []
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, given in enumerate(logs):
        model.epoch = epoch
        callback.on_epoch_begin(epoch)
        for batch in range(batches):
            callback.on_train_batch_begin(batch)
            callback.on_train_batch_end(batch, dict(given))
        own = dict(given)
        callback.on_epoch_end(epoch, own)
        rate = None if model.optimizer is None else float(model.optimizer.learning_rate)
        seen.append((own, rate))
        if model.stop_training:
            break
    callback.on_train_end()
    seen.append(model.asked)
    return seen


def series(seed: int, epochs: int = 30) -> list[dict[str, float]]:
    """Losses that fall, rise and stay; float32 numbers, so that Keras rounds nothing away."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([-0.25, -0.125, 0.0, 0.0, 0.125, 0.25], epochs)
    values = 10.0 + np.cumsum(steps)
    return [{"loss": float(v) + 1.0, "val_loss": float(v)} for v in values]
