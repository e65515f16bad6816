"""Fashion-MNIST to nearly 95 % in a few minutes.

The regime of airbench94 for clothes; see regime.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where study.py is

import regime
import study
from convkit.datasets import fashion_mnist

RECIPE = regime.Recipe(widths=(64, 128, 256))


def main(arguments: Sequence[str] | None = None) -> None:
    options = study.begin(__doc__, 12, "fashion-mnist-95-output", arguments, batch_size=512)
    regime.run(RECIPE, fashion_mnist, options.epochs, options)


if __name__ == "__main__":
    main()
