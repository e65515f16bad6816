"""Some hundred hostile inputs of each target each run, and what finds them is tried on known harm.

`hunt.py` runs any number of them, `fuzz.py` lets atheris choose.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import random
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fuzz
import hostile
import hunt

COUNT = int(os.environ.get("CONVKIT_HOSTILE_INPUTS", "300"))

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="limits and peaks of memory are those of Linux"
)


# The packages that a target needs, and the targets that take longer than the others.
NEEDS = {"onnx": "onnx", "keras_model": "h5py", "keras_weights": "h5py", "hdf5": "h5py"}
SLOW = ("models", "use_model", "ops", "keras_model", "keras_weights", "hdf5")


def need(name: str) -> None:
    """Skip the test where a package that a target needs is missing."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"needs the package {NEEDS[name]}")


@pytest.mark.parametrize("name", hostile.TARGETS)
def test_hostile_inputs(name: str) -> None:
    need(name)
    # What was asked for is done, or the child would hang.
    count = COUNT // 4 if name in SLOW else COUNT
    found = hunt.hunt(name, count)
    assert found.done == count
    assert not found.first, found.first


@pytest.mark.parametrize(
    "name", ["load_model", "load_weights", "keras_model", "keras_weights", "onnx", "classes"]
)
@pytest.mark.filterwarnings("ignore")
def test_mutations_get_past_the_first_checks(name: str) -> None:
    """They are of use only if many are refused late, for many reasons, and some not at all."""
    need(name)
    target, reasons = hostile.TARGETS[name], set()
    for index in range(150):
        try:
            target.take(target.input(0, index))
            reasons.add("nothing")
        except target.allowed as error:
            reasons.add(str(error)[-60:])
    assert "nothing" in reasons
    assert len(reasons) > 15


@pytest.mark.parametrize("name", fuzz.GUIDED)
@pytest.mark.parametrize("data", [b"", b"\0", b"\x08\x08"])
def test_whatever_the_fuzzer_holds_is_changed(name: str, data: bytes) -> None:
    """It gives its own finds back to be changed, such as an empty file."""
    need(name)
    for index in range(50):
        assert isinstance(hostile.TARGETS[name].mutate(random.Random(index), data), bytes)


def _harm(data: bytes) -> None:
    """What each byte of an input stands for."""
    kind = data[0]
    if kind == 1:
        ctypes.string_at(0)
    elif kind == 2:
        time.sleep(1000)
    elif kind == 3:
        np.ones(80 * 2**17)  # 80 MiB
    elif kind == 4:
        raise KeyError("Python's own words")
    elif kind == 5:
        raise ValueError
    elif kind == 6:
        np.ones(2**31)  # beyond the limit of the address space
    elif kind == 7:
        raise ValueError("as it should be")
    elif kind == 8:
        os._exit(3)


class _Planted(hostile.Target):
    def input(self, seed: int, index: int) -> bytes:
        return bytes([index % 10])


def planted() -> dict[str, hostile.Target]:
    return {"planted": _Planted("planted", lambda: [b""], lambda rng, data: data, _harm)}


def test_harm_is_found_and_blamed_on_its_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "planted.py"
    script.write_text("import hunt, test_hostile\nhunt.main(targets=test_hostile.planted())\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
    found = hunt.hunt("planted", 20, hang=8.0, script=[str(script)])
    assert found.done == 20
    first = {index: kind for kind, index in found.first.items()}
    assert set(first) == {1, 2, 3, 4, 5, 6, 8}
    for index, words in (
        (1, "it ends the process: SIGSEGV"),
        (2, "it hangs"),
        (3, "it took _ MiB for _ bytes"),
        (4, "KeyError"),
        (5, "a ValueError that says nothing"),
        (6, "MemoryError"),
        (8, "it died"),
    ):
        assert words in first[index]
    assert set(found.times.values()) == {2}


def test_an_input_can_be_had_again() -> None:
    for target in hostile.TARGETS.values():
        needed = NEEDS.get(target.name)
        if target.name != "onnx" and (needed is None or importlib.util.find_spec(needed)):
            assert target.input(5, 17) == target.input(5, 17)
            assert target.input(5, 17) != target.input(5, 18)


def test_the_corpus_is_without_fault() -> None:
    """Nothing can be said of a mutation of what is refused already, except of made-up content."""
    names = ["load_model", "load_weights"]
    if importlib.util.find_spec("h5py"):
        names += ["keras_model", "keras_weights"]
    for name in names:
        target = hostile.TARGETS[name]
        results = []
        for data in target.corpus():
            try:
                target.take(data)
                results.append(True)
            except ValueError:
                results.append(False)
        assert sum(results) >= len(results) - 1  # load_weights has the weights of another model


@pytest.mark.parametrize("with_atheris", [True, False])
def test_fuzzing_with_and_without_atheris(
    with_atheris: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if with_atheris:
        pytest.importorskip("atheris", reason="needs the package atheris")
    else:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
    assert fuzz.main(["idx", "--seconds", "2", "--keep", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert ("atheris is not installed" in printed) == (not with_atheris)
    assert ("inputs by atheris" in printed) == with_atheris
