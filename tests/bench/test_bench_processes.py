"""The benchmark's own processes, and sizes on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from convkit.bench import child
from convkit.bench.measure import CONVKIT
from convkit.bench.processes import installed_bytes, memory_cases, run_child, startup_cases


def test_peak_memory_grows_with_the_batch() -> None:
    small, large = (run_child("memory", CONVKIT, batch, threads=1) for batch in ("2", "128"))
    assert 1e7 < small < 1e9
    # The first two convolutions alone write 2 * 128 * 28 * 28 * 32 floats.
    assert large - small > 20e6


def test_a_child_does_not_count_its_parent() -> None:
    ballast = b"x" * 400_000_000
    peak = run_child("memory", CONVKIT, "2", threads=1)
    assert peak < len(ballast)


def test_memory_cases_name_the_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    (case,) = memory_cases(batch_size=4, contenders=["torch", "keras"])
    assert list(case.calls) == [CONVKIT, "torch nchw", "torch channels_last", "keras"]
    assert set(case.calls) == set(child.SIDES)
    assert (case.facts.unit, case.facts.reports) == ("B", True)


def test_keras_is_named_with_its_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    (memory,) = memory_cases(contenders=["keras"])
    imports, sizes = startup_cases(contenders=["numpy", "keras"])
    assert list(memory.calls) == [CONVKIT, "keras jax"]
    assert list(imports.calls) == [CONVKIT, "numpy", "keras jax"]
    assert list(sizes.calls) == [CONVKIT, "numpy", "keras"]  # without its backend


def test_import_time_includes_dependencies() -> None:
    imports, sizes = startup_cases(contenders=["numpy"])
    seconds = {name: float(str(call())) for name, call in imports.calls.items()}
    assert 0.001 < seconds["numpy"] < 60
    assert 0.001 < seconds[CONVKIT] < 60
    # A module that is there already takes no time: the clock runs around the import alone.
    assert run_child("import", "sys") < seconds["numpy"]
    assert float(str(sizes.calls["numpy"]())) > 1e6


def test_a_child_that_fails_says_why() -> None:
    with pytest.raises(RuntimeError, match="No module named 'no_such_module'"):
        run_child("import", "no_such_module")


def test_installed_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, size in [
        ("measured/__init__.py", 5),
        ("measured/deeper/data.bin", 700),
        ("measured/__pycache__/__init__.cpython-311.pyc", 9000),
        ("measured.libs/lib.so", 30_000),
        ("measured_not/__init__.py", 100_000),
    ]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    monkeypatch.syspath_prepend(tmp_path)
    assert installed_bytes("measured") == 30_705
    (tmp_path / "single_file.py").touch()
    for name in ("single_file", "no_such_module"):
        with pytest.raises(ValueError, match="not an installed package"):
            installed_bytes(name)
