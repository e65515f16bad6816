"""Contenders in processes of their own: asked in turn, checked, and ended with their case."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convkit.bench import measure, report
from convkit.bench.isolated import IsolatedStep, Recipe
from convkit.bench.machine import machine
from convkit.bench.measure import CONVKIT, Case, Pace, Remote, RemoteError
from convkit.bench.train import compiled, random_batches

with_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")

NO_WAITING = Pace(rounds=2, run_seconds=0.0, settle_seconds=0.0)


def recipe(function: str, *, labelled: bool = False, **options: object) -> Recipe:
    return Recipe(f"made_up_contenders:{function}", labelled, options)


@pytest.fixture
def isolated() -> Iterator[Callable[..., IsolatedStep]]:
    """Makes steps of the MNIST model in children, which are ended with the test."""
    made: list[IsolatedStep] = []

    def make(function: str, *, batch_size: int = 2, **options: Any) -> IsolatedStep:
        made.append(IsolatedStep(recipe(function, **options), compiled("mnist"), batch_size, 1))
        return made[-1]

    yield make
    for step in made:
        step.close()


def process_of(step: IsolatedStep) -> subprocess.Popen[bytes]:
    (process,) = step._process
    return process


def is_alive(pid: int) -> bool:
    """Whether a process runs that need not be this one's child."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends_soon(pid: int) -> bool:
    end = time.monotonic() + 20.0
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not is_alive(pid)


def test_a_step_in_a_child_computes_with_the_models_weights(
    isolated: Callable[..., IsolatedStep],
) -> None:
    model = compiled("mnist")
    step = isolated("right")
    assert isinstance(step, Remote)
    for x, _ in random_batches((28, 28, 1), 3, count=2):  # it prints, which does no harm
        np.testing.assert_array_equal(step(x), model.predict_on_batch(x))
    assert process_of(step).poll() is None


def test_a_child_walks_over_the_same_batches(isolated: Callable[..., IsolatedStep]) -> None:
    batches = random_batches((28, 28, 1), 2)
    images, both = isolated("summing"), isolated("summing", labelled=True)
    for x, labels in [*batches, batches[0]]:
        total = float(np.sum(x, dtype=np.float64))
        assert images() == pytest.approx(total, rel=1e-9)
        assert both() == pytest.approx(total + labels.sum(), rel=1e-9)


def test_a_child_counts_and_times_its_own_calls(isolated: Callable[..., IsolatedStep]) -> None:
    step = isolated("counting")
    assert step() == 1
    assert measure.run(step, 5) < 0.1
    assert step() == 7
    measure.settle(step, 0.0)
    assert step() == 9
    measure.settle(step, 0.3)
    assert step() > 20
    slow = isolated("sleeping", seconds=0.02)
    assert 0.02 <= measure.run(slow, 3) < 2.0


def test_a_child_gets_its_settings(isolated: Callable[..., IsolatedStep]) -> None:
    given = recipe("telling", word="hello")
    given = Recipe(given.entry, given.labelled, given.options, {"MADE_UP": "yes"})
    step = IsolatedStep(given, compiled("mnist"), 3, 5)
    *told, pid = step()
    assert told == [3, 5, "hello", "yes"]
    assert "MADE_UP" not in os.environ
    assert pid == process_of(step).pid != os.getpid()
    step.close()
    step.close()
    assert process_of(step).returncode == 0
    with pytest.raises(RemoteError, match="has been ended"):
        step()


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        ("failing", {}, "ValueError: this library has no convolutions"),
        ("dying", {"calls": 0}, "its process ended with status 3:\ncannot go on"),
        ("dying", {"calls": 0, "by": int(signal.SIGSEGV)}, "ended by SIGSEGV:\ncannot go on"),
        ("not_there", {}, "has no attribute 'not_there'"),
    ],
)
def test_who_fails_says_why(
    isolated: Callable[..., IsolatedStep], function: str, options: dict[str, Any], words: str
) -> None:
    step = isolated(function, **options)
    with pytest.raises(RemoteError, match=words):
        step()


def test_a_child_that_cannot_begin_says_why(
    isolated: Callable[..., IsolatedStep], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(RemoteError, match="encodings") as raised:
        isolated("right")()
    assert str(raised.value).startswith("its process ended with status 1:\n")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(RemoteError, match="its process cannot be started"):
        isolated("right")()


def test_children_take_turns_and_end_with_the_case(isolated: Callable[..., IsolatedStep]) -> None:
    log: list[str] = []

    class Logged:
        def __init__(self, step: IsolatedStep) -> None:
            self.step = step

        def __call__(self) -> object:
            log.append("call")
            return self.step()

        def settle(self, seconds: float) -> None:
            log.append("settle")
            self.step.settle(seconds)

        def run(self, repeats: int) -> float:
            log.append(f"run {repeats}")
            return self.step.run(repeats)

    step = isolated("sleeping", seconds=0.004)
    calls = {CONVKIT: lambda: log.append("ours"), "theirs": Logged(step)}
    result = measure.measure(Case("c", "predict", calls, close=step.close), Pace(2, 0.0, 0.0))
    turn = ["ours", "ours", "settle", "run 1"]
    assert log == ["ours", "ours", "call", "run 1", *turn, *turn]
    assert all(0.004 <= seconds < 1.0 for seconds in result.values["theirs"])
    assert result.absent == {}
    assert process_of(step).returncode == 0


def test_who_dies_is_left_out_and_named(isolated: Callable[..., IsolatedStep]) -> None:
    # Two calls to calibrate and two in the first round; it dies in the second one.
    step, late = isolated("dying", calls=4), isolated("dying", calls=0)
    calls = {CONVKIT: lambda: None, "late": late, "theirs": step, "others": lambda: None}
    result = measure.measure(Case("c", "predict", calls), NO_WAITING)
    assert {name: len(values) for name, values in result.values.items()} == {
        CONVKIT: 2,
        "others": 2,
    }
    assert list(result.absent) == ["late", "theirs"]
    assert "cannot go on" in result.absent["theirs"]
    assert "c without theirs: its process ended with status 3" in report.listing([result])
    (record,) = json.loads(report.as_json([result], machine()))["results"]
    assert record["absent"] == dict(result.absent)


@pytest.fixture
def raised_interrupts() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, which jobs in the background ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@with_proc
def test_an_interrupt_ends_children_in_the_midst_of_a_step(
    isolated: Callable[..., IsolatedStep],
    raised_interrupts: None,
) -> None:
    step = isolated("with_a_program")
    program = step()
    assert is_alive(program)
    # As at a terminal, while this process waits for the answer.
    timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        measure.measure(Case("c", "", {"theirs": step}, close=step.close), NO_WAITING)
    timer.join()
    assert process_of(step).returncode == -signal.SIGKILL
    assert ends_soon(program)


def test_a_step_that_is_forgotten_ends_its_child() -> None:
    step = IsolatedStep(recipe("right"), compiled("mnist"), 2, 1)
    step.settle(0.0)
    process, folder = process_of(step), step._folder
    assert folder.exists()
    del step
    assert process.returncode == 0
    assert not folder.exists()


@with_proc
def test_children_end_when_their_parent_is_killed() -> None:
    program = (
        "import os, signal\n"
        "from convkit.bench.isolated import IsolatedStep, Recipe\n"
        "from convkit.bench.train import compiled\n"
        "recipe = Recipe('made_up_contenders:telling', False, {'word': ''})\n"
        "print(IsolatedStep(recipe, compiled('mnist'), 2, 1)()[-1], flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path}\n{program}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert ends_soon(int(done.stdout))
