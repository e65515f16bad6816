"""The recipes on made-up images and with narrow networks, perhaps in processes that MPI starts.

    mpiexec -n 2 python short_recipes.py FOLDER --distribute

trains each of `RUNS` by its own `main`, with the line that distributes it in front, and writes what
came out to FOLDER/RANK.json; what the recipes themselves write is in FOLDER/RANK/.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import convkit
from convkit import datasets

Array = np.ndarray[Any, np.dtype[Any]]

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
FOLDERS = (EXAMPLES, EXAMPLES / "recipes")
COUNT, BATCH = 120, 24
RUNS = {
    "cifar10_94": "--epochs 4",
    "mnist_997": "--epochs 4",
    "fashion_mnist_95": "--epochs 4",
    "minute": "--dataset cifar10 --steps 17",
}
TIMED = "minute --dataset mnist --seconds 2"


def bars(count: int) -> tuple[Array, Array]:
    """Images whose bright bar tells the label."""
    generator = np.random.default_rng(count)
    y = generator.integers(0, 10, (count, 1)).astype(np.uint8)
    x = generator.integers(0, 90, (count, 32, 32, 3)).astype(np.uint8)
    for image, label in zip(x, y.ravel(), strict=True):
        image[2 * label + 4 : 2 * label + 8, :20] += 140
    return x, y


def gray(count: int) -> tuple[Array, Array]:
    """Likewise, without colours, as MNIST is."""
    x, y = bars(count)
    return np.ascontiguousarray(x[:, 2:30, 2:30, 0]), y.ravel()


def shorten(replace: Callable[[Any, str, Any], None]) -> None:
    """Give the recipes made-up images and narrow networks, by `setattr` or what undoes it."""
    replace(datasets.cifar10, "load_data", lambda: (bars(COUNT), bars(30)))
    for data_set in (datasets.mnist, datasets.fashion_mnist):
        replace(data_set, "load_data", lambda: (gray(COUNT), gray(30)))
    made = convkit.zoo.airbench

    def narrow(widths: Any, *given: Any, **more: Any) -> convkit.Sequential:
        assert len(widths) == 3
        return made((8, 16, 16), *given, **more)

    replace(convkit.zoo, "airbench", narrow)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--distribute", action="store_true")
    given = parser.parse_args()
    sys.path[:0] = map(str, FOLDERS)
    shorten(setattr)
    study = importlib.import_module("study")
    report = study.report
    rank, found = 0, {}

    def noted(model: convkit.Sequential, history: Any, x: Any, y: Any, p: Any, *more: Any) -> None:
        values = (*model.get_weights(), p)
        found[name] = {
            "bits": hashlib.sha256(b"".join(each.tobytes() for each in values)).hexdigest(),
            "history": history.history,
            "steps": model.optimizer.iterations,
        }
        report(model, history, x, y, p, *more)

    study.report = noted
    if given.distribute:
        convkit.distribution.set_distribution(convkit.distribution.DataParallel(reduction="exact"))
        rank = convkit.distribution.distribution().rank  # type: ignore[union-attr]
    runs = [*RUNS.items(), ("minute", TIMED.removeprefix("minute "))]
    for script, options in runs:
        name = TIMED if "--seconds" in options else script
        output = given.folder / str(rank) / str(len(found))
        arguments = f"{options} --batch-size {BATCH} --seed 7 --output {output}"
        importlib.import_module(script).main(arguments.split())
    (given.folder / f"{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
