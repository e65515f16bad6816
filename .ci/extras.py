"""Use what an extra brings: `python .ci/extras.py NAME`, where convkit[NAME] alone is installed.

Without a name, print the names: all extras that users install for what they do with convkit.
"""

from __future__ import annotations

import sys
from importlib import metadata

import convkit


def examples() -> None:
    convkit.plots.history({"loss": [1.0, 0.5]})
    convkit.plots.confusion_matrix([0, 1], [0, 1])
    assert convkit.datasets.digits.load_data()[0][0].shape == (1442, 8, 8)


USES = {"examples": examples}

if __name__ == "__main__":
    extras = set(metadata.metadata("convkit").get_all("Provides-Extra")) - {"dev", "docs", "test"}
    if len(sys.argv) == 1:
        print(*sorted(extras))
    elif sys.argv[1] in USES:
        USES[sys.argv[1]]()
    else:
        sys.exit(f"say in USES what the extra {sys.argv[1]} brings")
