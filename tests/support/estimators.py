"""Builders and scorers for `ConvClassifier` that worker processes import from here."""

from __future__ import annotations

from typing import Any

import convkit
from convkit import layers, runtime


def tiny_cnn(image_shape: tuple[int, int, int], n_classes: int, filters: int = 8) -> Any:
    return convkit.Sequential(
        [
            convkit.Input(image_shape),
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(n_classes, activation="softmax"),
        ]
    )


def watched_cnn(image_shape: Any, n_classes: int) -> Any:
    """Notes how many threads convkit uses while the estimator is fitted."""
    model = tiny_cnn(image_shape, n_classes)
    model.threads_seen = runtime.get_num_threads()
    return model


def scores(estimator: Any, x: Any, y: Any) -> dict[str, float]:
    losses = estimator.history_["loss"]
    seen = estimator.model_.threads_seen
    return {"accuracy": estimator.score(x, y), "loss": losses[-1], "threads": seen}
