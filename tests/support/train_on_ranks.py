"""A training that MPI starts in several processes; prints what it ended with as JSON.

    mpiexec -n 2 python train_on_ranks.py resnet20 --steps 50 --reduction exact

Without `--reduction` it is an ordinary script of one process.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from typing import Any

import numpy as np

import convkit
from convkit.core import random
from convkit.layers import RandomErasing, RandomFlip, RandomTranslation, Rescaling

CLASSES = 10


def augmented() -> convkit.Sequential:
    """CIFAR-10's network, with batch normalisation and dropout, behind augmented images."""
    before = [
        convkit.Input((32, 32, 3)),
        RandomFlip("horizontal"),
        RandomTranslation(0.1, 0.1),
        RandomErasing(),
        Rescaling(1 / 255),
    ]
    return convkit.Sequential([*before, *convkit.zoo.cifar10_cnn().layers])


NETWORKS = {
    "mnist": convkit.zoo.mnist_cnn,
    "fashion": convkit.zoo.fashion_mnist_cnn,
    "cifar10": augmented,
    "resnet20": convkit.zoo.resnet20,
}


class Fault(convkit.callbacks.Callback):
    """Does something wrong in one process, after a step."""

    def __init__(self, what: str, rank: int, step: int) -> None:
        self.what, self.rank, self.step = what, rank, step

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Do it."""
        here = convkit.distribution.distribution()
        if here is None or here.rank != self.rank or self.model.optimizer.iterations != self.step:
            return
        if self.what == "raise":
            raise RuntimeError(f"something is wrong in process {self.rank}")
        if self.what == "exit":
            sys.exit(3)
        os.kill(os.getpid(), 9)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--reduction")
    parser.add_argument("--backup")
    parser.add_argument("--unseeded", action="store_true")
    parser.add_argument("--threads", type=int, nargs="+", help="of each process")
    parser.add_argument("--fault", nargs=3, metavar=("WHAT", "RANK", "STEP"))
    given = parser.parse_args()
    if not given.unseeded:
        random.set_seed(3)
        NETWORKS["mnist"]()  # what a script has made before draws numbers, too
    if given.reduction:
        distribution = convkit.distribution.DataParallel(reduction=given.reduction)
        convkit.distribution.set_distribution(distribution)
    if given.threads and (here := convkit.distribution.distribution()) is not None:
        convkit.runtime.set_num_threads(given.threads[here.rank])
    model = NETWORKS[given.network]()
    rng = np.random.default_rng(1)
    count = given.steps * given.batch - given.batch // 2  # the last batch is half a one
    x = rng.integers(0, 256, (count, *model.input_shape[1:]), dtype=np.uint8)
    y = rng.integers(0, CLASSES, count)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    callbacks: list[convkit.callbacks.Callback] = []
    if given.fault:
        what, rank, step = given.fault
        callbacks.append(Fault(what, int(rank), int(step)))
    if given.backup:
        callbacks.append(convkit.callbacks.BackupAndRestore(given.backup, save_freq=3))
    history = model.fit(x, y, given.batch, epochs=given.epochs, verbose=0, callbacks=callbacks)
    shuffled = convkit.data.Dataset.from_tensor_slices((x[:100], y[:100])).shuffle(100).batch(32)
    scores = model.evaluate(shuffled, verbose=0)
    weights = hashlib.sha256(b"".join(each.tobytes() for each in model.get_weights()))
    here = convkit.distribution.distribution()
    told = {
        "rank": 0 if here is None else here.rank,
        "threads": convkit.runtime.get_num_threads(),
        "weights": weights.hexdigest(),
        "history": history.history,
        "scores": scores,
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
