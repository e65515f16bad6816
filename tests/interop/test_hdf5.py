"""The process that reads HDF5 files: where it finds its modules, and what it needs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from convkit.core import child
from convkit.interop import hdf5

h5py = pytest.importorskip("h5py")

READ = """
import os, sys, tempfile
import convkit
from convkit.interop.hdf5 import contents
{}
with open({path!r}, "rb") as file, tempfile.TemporaryFile() as numbers:
    print(contents(file, os.path.getsize({path!r}), numbers)["group"]["a"]["shape"])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.ones((2, 3), np.float32)
    return tmp_path / "a.h5"


def read(path: Path, before: str, *flags: str, **variables: str) -> str:
    """What a program says that reads the file after something else."""
    code = READ.replace("{}", before).format(path=str(path))
    known = f"import sys; sys.path = {sys.path!r}\n"
    done = subprocess.run(
        [sys.executable, *flags, "-c", known + code],
        capture_output=True, text=True, env={**os.environ, **variables}, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", ["convkit", "numpy"])
def test_the_working_directory_comes_last(path: Path, name: str) -> None:
    (path.parent / f"{name}.py").write_text("raise SystemExit('not this one')")
    before = f"sys.path.insert(0, ''); os.chdir({str(path.parent)!r})"
    assert read(path, before) == "[2, 3]\n"


def test_modules_are_found_where_they_were(path: Path) -> None:
    assert "*sys.path[:]" in child.CODE
    root = os.path.dirname(os.path.dirname(os.path.dirname(hdf5.__file__)))
    assert read(path, f"sys.path.remove({root!r})", "-E") == "[2, 3]\n"


def test_what_modules_print_is_not_the_contents(path: Path) -> None:
    (path.parent / "sitecustomize.py").write_text("print('a long greeting')")
    folders = os.pathsep.join([str(path.parent), os.environ.get("PYTHONPATH", "")])
    found = read(path, "", PYTHONPATH=folders, PYTHONUNBUFFERED="1")
    assert found == "a long greeting\n[2, 3]\n"


@pytest.mark.parametrize("flag", ["-I", "-E"])
def test_variables_that_the_program_ignores_are_ignored(path: Path, flag: str) -> None:
    assert read(path, "", flag, PYTHONHOME="/nowhere") == "[2, 3]\n"


def test_no_room_to_write_is_no_damage(path: Path) -> None:
    with h5py.File(path, "a") as file:
        file["b"] = np.ones(50_000, np.float32)
    before = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    found = read(path, before)
    assert "ChildProcessError" in found
    assert "File too large" in found


def test_thousands_of_arrays_in_a_small_file(tmp_path: Path) -> None:
    path = tmp_path / "many.h5"
    with h5py.File(path, "w") as file:
        for i in range(4000):
            file[f"{i // 2}/vars/{i % 2}"] = np.float32([i])
    with open(path, "rb") as source, open(tmp_path / "numbers", "w+b") as numbers:
        root = hdf5.contents(source, path.stat().st_size, numbers)
        begin = numbers.tell()
        for i in (0, 1777, 3999):
            at = root["group"][str(i // 2)]["group"]["vars"]["group"][str(i % 2)]["at"]
            numbers.seek(begin + at)
            assert np.frombuffer(numbers.read(4), np.float32) == i
