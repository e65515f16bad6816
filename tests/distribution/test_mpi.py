"""Processes that MPI starts: one's bits, faults that end all of them, and resumed trainings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from convkit import runtime
from convkit.bench import ranks as benchmark

SCRIPT = Path(__file__).parents[1] / "support" / "train_on_ranks.py"
NETWORKS = ["mnist", "fashion", "cifar10", "resnet20"]


def mpiexec() -> str:
    """The command beside this Python, or the one of the system."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed")
    try:
        return benchmark.mpiexec()
    except ValueError as error:
        pytest.skip(str(error))


def start(ranks: int, *arguments: str, isa: str = "") -> subprocess.Popen[str]:
    """The script in so many processes; the first one with an instruction set of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    script = [sys.executable, str(SCRIPT), *arguments]
    command = [mpiexec(), "-n", str(ranks), *script]
    if isa:
        first = ["-n", "1", "-env", "CONVKIT_ISA", isa, *script]
        command = [mpiexec(), *first, ":", "-n", str(ranks - 1), *script]
    return subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def run(ranks: int, *arguments: str, isa: str = "") -> list[dict[str, Any]]:
    """What each process has told in the end."""
    process = start(ranks, *arguments, isa=isa)
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return sorted((json.loads(line) for line in out.splitlines()), key=lambda told: told["rank"])


def alone(*arguments: str, isa: str = "") -> dict[str, Any]:
    """What one ordinary process tells."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "CONVKIT_ISA": isa}
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("network", NETWORKS)
def test_processes_have_the_bits_of_one(network: str) -> None:
    expected = alone(network)
    for ranks in (1, 2, 4):
        everyone = run(ranks, network, "--reduction", "exact")
        assert [told["rank"] for told in everyone] == list(range(ranks))
        for told in everyone:
            for what in ("weights", "history", "scores"):
                assert told[what] == expected[what], f"{what} of {ranks} processes"


@pytest.mark.parametrize("network", ["cifar10", "resnet20"])
def test_processes_may_have_different_numbers_of_threads(network: str) -> None:
    expected = alone(network, "--steps", "8")
    for told in run(2, network, "--steps", "8", "--reduction", "exact", "--threads", "1", "7"):
        assert told["weights"] == expected["weights"]


def test_processes_take_an_instruction_set_that_all_have() -> None:
    isa = runtime.available_isas()[-1]
    expected = alone("mnist", "--steps", "4", isa=isa)
    for told in run(2, "mnist", "--steps", "4", "--reduction", "exact", isa=isa):
        assert told["weights"] == expected["weights"]


def test_a_fast_reduction_gives_all_the_same_weights() -> None:
    everyone = run(3, "cifar10", "--steps", "10", "--reduction", "fast")
    assert all(told["weights"] == everyone[0]["weights"] for told in everyone)
    assert everyone[0]["history"] == everyone[2]["history"]


def test_processes_without_a_seed_draw_the_same() -> None:
    first, second = run(2, "mnist", "--steps", "3", "--reduction", "exact", "--unseeded")
    for what in ("weights", "history", "scores"):
        assert first[what] == second[what]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("raise", "RuntimeError: something is wrong in process 1"),
        ("kill", "signal 9"),
        ("exit", "process 1 ends in the midst of a pass"),
    ],
)
def test_a_fault_of_one_ends_all(what: str, message: str) -> None:
    begun = time.monotonic()
    process = start(
        2, "mnist", "--steps", "4000", "--reduction", "exact", "--fault", what, "1", "5"
    )
    out, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert message in out + err
    assert time.monotonic() - begun < 30  # imports included


def test_a_process_that_has_ended_is_missed() -> None:
    code = (
        "import numpy, convkit\n"
        "here = convkit.distribution.DataParallel()\n"
        "convkit.distribution.set_distribution(here)\n"
        "model = convkit.Sequential([convkit.Input((4,)), convkit.layers.Dense(2)])\n"
        "if here.rank == 0: model.predict(numpy.zeros((8, 4)), verbose=0)\n"
    )
    command = [mpiexec(), "-n", "2", sys.executable, "-c", code]
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "and process 1 at the end of the script" in done.stderr


def test_a_killed_training_goes_on(tmp_path: Path) -> None:
    given = ["mnist", "--steps", "12", "--epochs", "2"]
    expected = alone(*given)
    shared = [*given, "--reduction", "exact", "--backup", str(tmp_path / "backup")]
    for ranks, rank, step in ((2, 1, 7), (4, 0, 14), (2, 0, 20)):
        process = start(ranks, *shared, "--fault", "kill", str(rank), str(step))
        process.communicate(timeout=60)
        assert process.returncode != 0
    no_fault = ["--fault", "kill", "9", "0"]
    for told in run(4, *shared, *no_fault):
        assert (told["weights"], told["history"]) == (expected["weights"], expected["history"])


def test_without_mpi4py_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['mpi4py'] = None\n"
        "import convkit\n"
        "convkit.distribution.DataParallel()"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=False)
    assert done.returncode != 0
    assert "ImportError: this needs the package mpi4py" in done.stderr
    assert 'pip install "convkit[mpi]"' in done.stderr
