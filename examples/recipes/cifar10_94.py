"""CIFAR-10 to 94 % in ten epochs: a small chain of convolutions, and a carefully chosen regime.

This is airbench94 of K. Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU" (2024), in
Keras's words: 0.35e15 operations; see regime.py, which has all of it but the numbers here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where study.py is

import regime
import study
from convkit.datasets import cifar10

RECIPE = regime.Recipe(widths=(64, 256, 256))


def main(arguments: Sequence[str] | None = None) -> None:
    options = study.begin(__doc__, 10, "cifar10-94-output", arguments, batch_size=1024)
    # The last tenth of an epoch is left out: by default 9.9 epochs.
    regime.run(RECIPE, cifar10, options.epochs - 0.1, options)


if __name__ == "__main__":
    main()
