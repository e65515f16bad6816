"""The recipes in two processes, by one line more: one process's bits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import short_recipes
from convkit.bench import ranks as benchmark

pytest.importorskip("mpi4py", reason="mpi4py is not installed")
pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

FILES = 8  # metrics.json and seven pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process has written, in `alone`, and two, in `shared`; and what they printed."""
    try:
        starter = [benchmark.mpiexec(), "-n", "2"]
    except ValueError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("recipes")
    script = [sys.executable, "-W", "ignore", short_recipes.__file__]
    for name, command in (
        ("alone", [*script, str(folder / "alone")]),
        ("shared", [*starter, *script, str(folder / "shared"), "--distribute"]),
    ):
        done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        (folder / f"{name}.txt").write_text(done.stdout)
    return folder


def told(folder: Path, rank: int, name: str) -> Any:
    return json.loads((folder / f"{rank}.json").read_text())[name]


@pytest.mark.parametrize("name", short_recipes.RUNS)
def test_two_processes_have_the_bits_of_one(name: str, folder: Path) -> None:
    expected = told(folder / "alone", 0, name)
    assert expected["steps"] >= 17  # past the epochs in which the whitening's bias learns
    for rank in (0, 1):
        assert told(folder / "shared", rank, name) == expected


def test_processes_agree_on_what_fits_into_a_minute(folder: Path) -> None:
    first, second = (told(folder / "shared", rank, short_recipes.TIMED) for rank in (0, 1))
    assert first == second
    assert first["steps"] > 0


def test_the_first_process_alone_prints_and_writes(folder: Path) -> None:
    printed = {name: (folder / f"{name}.txt").read_text() for name in ("alone", "shared")}
    count = len(short_recipes.RUNS) + 1
    for line in ("operations by the direct method", "test accuracy", "pictures and metrics"):
        assert [text.count(line) for text in printed.values()] == [count, count]
    for place in range(count):
        written = [len(list((folder / "shared" / rank / str(place)).iterdir())) for rank in "01"]
        assert written == [FILES, 0]
