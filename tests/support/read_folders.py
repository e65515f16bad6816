"""Reading images from folders: convkit beside Keras with PyTorch's data loader or tf.data.

    KERAS_BACKEND=torch python tests/support/read_folders.py --images 20000 --size 64 --rounds 3

Both read the same JPEG files in random order, as float32 batches of 32 of one size, alone and while
the same small model trains: by two threads here; there by two worker processes, PyTorch's way, and
the function by which Keras reads a file where it needs no TensorFlow, or, with
KERAS_BACKEND=tensorflow, by Keras's own data set of tf.data. Rounds alternate; the medians are
printed, in images a second, and in images a second of processor time, which other programs on the
machine disturb less.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

CLASSES, BATCH = 10, 32


def make_images(folder: Path, count: int, size: int) -> None:
    """JPEG files of about that size, in one folder a class."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(CLASSES):
        (folder / str(number)).mkdir()
    for i in range(count):
        height, width = rng.integers(size * 3 // 4, size * 5 // 4 + 1, 2)
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
        image = coarse.resize((int(width), int(height)), Image.Resampling.BICUBIC)
        image.save(folder / str(i % CLASSES) / f"{i}.jpg", quality=90)


def of_convkit(folder: Path, size: int) -> Any:
    """A data set of convkit."""
    import convkit

    return convkit.utils.image_dataset_from_directory(
        folder, image_size=(size, size), batch_size=BATCH, seed=1, verbose=False
    )


def of_keras(folder: Path, size: int, workers: int) -> Any:
    """A data loader of PyTorch that reads files by Keras's function, or a data set of tf.data."""
    import keras

    if keras.backend.backend() == "tensorflow":
        return keras.utils.image_dataset_from_directory(
            folder, image_size=(size, size), batch_size=BATCH, seed=1, verbose=False
        )
    import torch
    from keras.src.utils.image_dataset_utils import _load_image_grain

    paths = sorted(folder.rglob("*.jpg"))

    class Files(torch.utils.data.Dataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, index: int) -> Any:
            with open(paths[index], "rb") as file:
                content = io.BytesIO(file.read())
            image = _load_image_grain(content, (size, size), 3, "bilinear", "channels_last")
            return image, int(paths[index].parent.name)

    return torch.utils.data.DataLoader(Files(), BATCH, shuffle=True, num_workers=workers)


def model(library: Any, size: int) -> Any:
    """A small network of either library."""
    layers = library.layers
    made = library.Sequential(
        [
            library.Input((size, size, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.Conv2D(32, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    made.compile("adam", "sparse_categorical_crossentropy")
    return made


def seconds(function: Callable[[], Any]) -> tuple[float, float]:
    """How long a call takes, and the processor time of this process and those that it waits for."""

    def used() -> float:
        return sum(
            sum(resource.getrusage(who)[:2])
            for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )

    begun, before = time.perf_counter(), used()
    function()
    return time.perf_counter() - begun, used() - before


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    import convkit

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_images(folder, given.images, given.size)
        ours, theirs = of_convkit(folder, given.size), of_keras(folder, given.size, 2)
        own, other = model(convkit, given.size), model(keras, given.size)
        cases: dict[str, Callable[[], Any]] = {
            "convkit, alone": lambda: sum(len(images) for images, _ in ours),
            "Keras, alone": lambda: sum(len(images) for images, _ in theirs),
            "convkit, training": lambda: own.fit(ours, verbose=0),
            "Keras, training": lambda: other.fit(theirs, verbose=0),
        }
        times: dict[str, list[tuple[float, float]]] = {case: [] for case in cases}
        for _ in range(given.rounds):
            for case, run in cases.items():
                times[case].append(seconds(run))
    rates = {
        case: [given.images / median(taken) for taken in zip(*each, strict=True)]
        for case, each in times.items()
    }
    for case, (rate, per_core) in rates.items():
        print(f"{case:>20}: {rate:8,.0f} images/s, {per_core:8,.0f} a second of a processor")
    for kind in ("alone", "training"):
        one, two = rates[f"convkit, {kind}"], rates[f"Keras, {kind}"]
        print(f"ratio {kind}: {one[0] / two[0]:.2f}; of processor time {one[1] / two[1]:.2f}")


if __name__ == "__main__":
    main()
