"""The best network that two cores can train in a minute, for one of three data sets.

The regime of airbench94 with narrow networks; see regime.py. A few steps say how fast this machine
is, and so how many there will be in the time that is given; `--steps` repeats a training elsewhere.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where study.py is

import convkit
import regime
import study
from convkit.callbacks import LambdaCallback

RECIPES = {
    "mnist": regime.Recipe(widths=(32, 64, 128), flips=False, border="constant"),
    "fashion_mnist": regime.Recipe(widths=(32, 64, 128)),
    "cifar10": regime.Recipe(widths=(32, 64, 128)),
}
TRIED = 12  # steps, of which the later half is timed
RESERVE = 0.95  # of the time that is planned with: a machine is not equally fast all the time


def steps_within(seconds: float, model: convkit.Sequential, x: Any, y: Any, batch: int) -> int:
    """How many steps of the training fit into so many seconds, found by making a few.

    They are made with a copy of the model. All processes have the same number.
    """
    begun = time.perf_counter()
    tried = copy.deepcopy(model)
    regime.compile_for(tried, TRIED, batch)
    times: list[float] = []
    clock = LambdaCallback(on_train_batch_end=lambda *_, **__: times.append(time.perf_counter()))
    count = TRIED * batch
    x, y = np.resize(x, (count, *x.shape[1:])), np.resize(y, count)
    tried.fit(x, y, batch, callbacks=[clock], verbose=0)
    step = float(np.median(np.diff(times[TRIED // 2 :])))
    left = seconds - (time.perf_counter() - begun)
    steps = max(1, int(RESERVE * left / step))
    here = convkit.distribution.distribution()
    return steps if here is None else int(here.broadcast(steps))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dataset", choices=RECIPES, required=True)
    parser.add_argument(
        "--seconds", type=study.positive, default=60, help="to train for (%(default)s)"
    )
    parser.add_argument("--steps", type=study.positive, help="so many, however long they take")
    options = study.begin(__doc__, None, "minute-output", arguments, 512, parser)
    recipe = RECIPES[options.dataset]
    data = regime.images(importlib.import_module(f"convkit.datasets.{options.dataset}"))
    x, y, batch = data.x_train, data.y_train, options.batch_size
    model = regime.build(recipe, x, batch)
    steps = options.steps or steps_within(options.seconds, model, x, y, batch)
    regime.train(model, recipe, data, steps, options)


if __name__ == "__main__":
    main()
