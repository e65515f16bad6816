"""Samples cut into batches as generators and data loaders do, and a model that takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import convkit
from convkit import layers

SIZES = (6, 6, 1)
N = 30


def model(built: bool = True, seed: int = 0) -> convkit.Sequential:
    convkit.utils.set_random_seed(seed)
    body = [
        layers.Conv2D(4, 3, activation="relu"),
        layers.Flatten(),
        layers.Dropout(0.2),
        layers.Dense(3, activation="softmax"),
    ]
    made = convkit.Sequential([convkit.Input(SIZES), *body] if built else body)
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def samples(n: int = N) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, *SIZES)).astype(np.float32)
    return x, rng.integers(0, 3, n), rng.uniform(0, 2, n).astype(np.float32)


def cut(*arrays: np.ndarray, sizes: Any = (8, 8, 8, 6)) -> Iterator[tuple[np.ndarray, ...]]:
    """A generator of batches of those sizes."""
    start = 0
    for size in sizes:
        yield tuple(array[start : start + size] for array in arrays)
        start += size


class Loader:
    """What a data loader is: every iter() begins a new pass."""

    def __init__(self, *arrays: np.ndarray, sizes: Any = (8, 8, 8, 6)) -> None:
        self.arrays, self.sizes, self.passes = arrays, sizes, 0

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        self.passes += 1
        return cut(*self.arrays, sizes=self.sizes)

    def __len__(self) -> int:
        return len(self.sizes)
