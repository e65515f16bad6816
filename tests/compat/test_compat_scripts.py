"""What public scripts need of older Keras and of TensorFlow: one small script for each pattern.

Each says in its first line which patterns it has; all are run unchanged by `convkit.compat`.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from convkit.compat import notes
from convkit.compat.check import missing_names
from convkit.compat.run import run

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))
# Packages besides those of convkit's tests that a script is about.
NEEDED = {
    "architecture_as_json": (), "tensorboard_logs": ("tensorboardX",),
    "digits_of_frames": ("pandas",), "generator_of_frames": ("pandas",),
    "generator_predictions": ("pandas",), "estimators_of_models": ("sklearn",),
}  # fmt: skip


def test_there_are_scripts_for_sixty_patterns() -> None:
    assert len(SCRIPTS) >= 60
    for path in SCRIPTS:
        patterns = ast.get_docstring(ast.parse(path.read_text()))
        assert patterns, path.name


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_runs(path: Path, workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in NEEDED.get(path.stem, ()):
        pytest.importorskip(name)
    code = run(str(path))
    told = capfd.readouterr()
    assert code == 0, told.out[-2000:] + told.err[-4000:]
    assert not notes.missing_names(), "a script asks for what is not there"


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_asks_for_no_missing_name(path: Path) -> None:
    assert missing_names(str(path)) == []
