"""The best network that two cores can train in a minute, for one of three data sets.

The regime of airbench94 with narrow networks; see regime.py. A few steps say how fast this machine
is, and so how many there will be in the time that is given; `--steps` repeats a training elsewhere.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where study.py is

import regime
import study
from convkit.callbacks import LambdaCallback
from convkit.utils import clear_session, set_random_seed

RECIPES = {
    "mnist": regime.Recipe(widths=(32, 64, 128), flips=False, border="constant"),
    "fashion_mnist": regime.Recipe(widths=(32, 64, 128)),
    "cifar10": regime.Recipe(widths=(32, 64, 128)),
}
TRIED = 12  # steps, of which the later half is timed
RESERVE = 0.95  # of the time that is planned with: a machine is not equally fast all the time


def steps_within(
    seconds: float, recipe: regime.Recipe, x: np.ndarray, y: np.ndarray, batch: int
) -> int:
    """How many steps of the training fit into so many seconds, found by making a few."""
    begun = time.perf_counter()
    model = regime.build(recipe, x, batch)
    regime.compile_for(model, TRIED, batch)
    times: list[float] = []
    clock = LambdaCallback(on_train_batch_end=lambda *_, **__: times.append(time.perf_counter()))
    count = TRIED * batch
    model.fit(
        np.resize(x, (count, *x.shape[1:])),
        np.resize(y, count),
        batch,
        callbacks=[clock],
        verbose=0,
    )
    step = float(np.median(np.diff(times[TRIED // 2 :])))
    left = seconds - (time.perf_counter() - begun)
    return max(1, int(RESERVE * left / step))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", choices=RECIPES, required=True)
    parser.add_argument(
        "--seconds", type=study.positive, default=60, help="to train for (%(default)s)"
    )
    parser.add_argument("--steps", type=study.positive, help="so many, however long they take")
    options = study.begin(__doc__, None, "minute-output", arguments, 512, parser)
    recipe = RECIPES[options.dataset]
    data_set = importlib.import_module(f"convkit.datasets.{options.dataset}")
    (x, y), _ = regime.images(data_set)
    steps = options.steps or steps_within(options.seconds, recipe, x, y, options.batch_size)
    clear_session()
    set_random_seed(options.seed)  # again: the weights do not depend on what was tried
    model = regime.build(recipe, x, options.batch_size)
    regime.run(recipe, model, data_set, steps, options)


if __name__ == "__main__":
    main()
