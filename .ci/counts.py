"""Hold the README's counts against those that a whole test run printed: counts.py LOG.

A row that the run could not count, or counted with another version of a package, is only named.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def rows(text: str, heading: str) -> dict[str, str]:
    """The rows, what: figures, that follow a line with that heading."""
    found = re.search(rf"^.*{heading}.*\n\s*((?:\|.*\n)+)", text, re.MULTILINE)
    pairs = re.findall(r"^\| (.+) \| (.*\d.*) \|$", found[1] if found else "", re.MULTILINE)
    return dict(pairs)


def kind(what: str) -> str:
    """What is counted, whatever the version of the package."""
    return re.sub(r" [\d.]+( with pandas)?", "", what)


def main(log: str) -> int:
    printed = rows(Path(log).read_text(), "counts for the README")
    written = rows((ROOT / "README.md").read_text(), re.escape("| counted by the test run |"))
    wrong = 0
    for what in sorted(written.keys() | printed.keys()):
        here, there = printed.get(what), written.get(what)
        others = {kind(other) for other in (written if there is None else printed)}
        if here == there:
            verdict = "as in the README"
        elif here and there:
            verdict, wrong = f"WRONG: the README says {there}", wrong + 1
        elif kind(what) in others:
            verdict = "counted with another version of the package"
        elif here is None and "Keras" in what and importlib.util.find_spec("torch") is None:
            verdict = "not counted: PyTorch is not installed"
        else:
            verdict, wrong = f"WRONG: in the {'run' if here else 'README'} alone", wrong + 1
        print(f"{what}: {here or there} ({verdict})")
    if not written:
        print("the README has no counts")
    return min(1, wrong + (not written))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
