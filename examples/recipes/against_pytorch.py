"""How long an epoch of cifar10_94.py takes, in convkit and in PyTorch, by turns on the same cores.

PyTorch's is the same network and regime, in both memory formats; the whole run is extrapolated from
the epochs that were timed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where study.py is

import regime
from cifar10_94 import RECIPE
from convkit import runtime
from convkit.bench.contenders.torch_airbench import trainer
from convkit.bench.contenders.torch_model import MEMORY_FORMATS
from convkit.datasets import cifar10

BATCH, STEPS = 1024, 484


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="epochs of each (%(default)s)")
    parser.add_argument("--steps", type=int, default=49, help="of an epoch (%(default)s)")
    options = parser.parse_args(arguments)
    x, y, *_ = regime.images(cifar10)

    model = regime.build(RECIPE, x, BATCH)
    regime.compile_for(model, STEPS, BATCH)
    normalization = model.get_layer("normalization")
    images = options.steps * BATCH
    sides: dict[str, Callable[[], object]] = {
        "convkit": lambda: model.fit(x[:images], y[:images], BATCH, verbose=0)
    }
    for name, memory in MEMORY_FORMATS.items():
        train = trainer(
            x,
            y,
            RECIPE.widths,
            model.get_layer("whitening").kernel.numpy(),
            mean=np.array(normalization.mean),
            stddev=np.sqrt(normalization.variance),
            batch_size=BATCH,
            steps=STEPS,
            threads=runtime.get_num_threads(),
            memory=memory,
        )
        train(1)
        sides[name] = partial(train, options.steps)
    model.fit(x[:BATCH], y[:BATCH], BATCH, verbose=0)

    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(options.rounds):
        for name, run in sides.items():
            begun = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begun)
            print(f"{name}: {times[name][-1]:.1f} s", flush=True)
    for name, found in times.items():
        ratio = statistics.median(a / b for a, b in zip(found, times["convkit"], strict=True))
        seconds = statistics.median(found)
        print(
            f"{name}: {options.steps} steps in {seconds:.1f} s, {ratio:.2f} times convkit's; all "
            f"{STEPS} would take {seconds / options.steps * STEPS:,.0f} s"
        )


if __name__ == "__main__":
    main()
