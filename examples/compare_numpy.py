"""How much faster than NumPy? Each kernel and each model's training step, in ratios.

The other side is NumPy as someone writes it who wants speed ("numpy, tuned": im2col into kept
buffers and threaded BLAS) and, for the training step, also as textbooks have it ("numpy") and as
most code on the web does ("numpy, indexed": the im2col of Stanford's course CS231n); see
`convkit/bench/contenders`. Prints two tables and saves a bar chart of each. Takes a few minutes;
`--rounds 1` is rough, and faster.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from convkit.bench.chart import save_chart
from convkit.bench.kernels import kernel_cases
from convkit.bench.machine import machine
from convkit.bench.measure import Pace, measure_all
from convkit.bench.report import table
from convkit.bench.shapes import MODELS, layer_shapes
from convkit.bench.train import train_cases


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--batch-size", type=int, default=32, help="images in a step (%(default)s)")
    add("--rounds", type=int, default=5, help="alternating runs of each side (%(default)s)")
    add("--models", nargs="+", choices=list(MODELS), default=list(MODELS), help="(all)")
    add("--output", type=Path, default="compare-numpy-output", metavar="DIR", help="(%(default)s)")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)

    here = machine().lines()
    print("\n".join(here))
    shapes = layer_shapes([MODELS[name]() for name in options.models], options.batch_size)
    measurements = {
        "training_step": train_cases(options.models, batch_size=options.batch_size),
        "kernels": kernel_cases(shapes),
    }
    for name, cases in measurements.items():
        results = measure_all(cases, Pace(options.rounds))
        title = f"{name.replace('_', ' ').capitalize()} against NumPy, batch {options.batch_size}"
        print(f"\n{title}\n\n{table(results)}")
        path = options.output / f"{name}.png"
        print(f"\nsaved {save_chart(results, path, title=title, note=chr(10).join(here))}")


if __name__ == "__main__":
    main()
