"""MNIST to 99.7 % with one small network, in a few minutes.

The regime of airbench94 for digits, which are not flipped; see regime.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where study.py is

import regime
import study
from convkit.datasets import mnist

RECIPE = regime.Recipe(widths=(32, 64, 128), flips=False, border="constant")


def main(arguments: Sequence[str] | None = None) -> None:
    options = study.begin(__doc__, 12, "mnist-997-output", arguments, batch_size=512)
    regime.run(RECIPE, mnist, options.epochs, options)


if __name__ == "__main__":
    main()
