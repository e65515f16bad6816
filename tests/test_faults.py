"""Exceptions at any place, and allocations and system calls that fail: see `faults.py`.

Places are sampled; with CONVKIT_EVERY_PLACE=1 in the environment all of them have their turn.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

import faults

pytestmark = [
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="open descriptors are counted in /proc"
    ),
    pytest.mark.usefixtures("one_thread"),
    # A file whose opening is interrupted is closed as it is dropped; those left open are counted.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

ACTIONS = ("fit", "train_on_batch", "evaluate", "predict", "save", "load_model", "load_weights")


def some(problems: list[str]) -> str:
    return f"{len(problems)} places: " + "\n".join(problems[:10])


@pytest.mark.parametrize("name", ACTIONS)
def test_keyboard_interrupts(name: str, tmp_path: Path) -> None:
    """Before each instruction at which CPython looks for signals."""
    problems = list(faults.interruptions(tmp_path, name, "signal", KeyboardInterrupt, 150))
    assert not problems, some(problems)


@pytest.mark.parametrize("name", ACTIONS)
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError], ids=lambda e: e.__name__)
def test_exceptions_at_lines(name: str, error: type[BaseException], tmp_path: Path) -> None:
    problems = list(faults.interruptions(tmp_path, name, "line", error, 60))
    assert not problems, some(problems)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = faults.compiled(tmp_path_factory.mktemp("fail"))
    if made is None:
        pytest.skip("needs a C++ compiler and glibc")
    return made


@pytest.mark.parametrize("of", ["convkit/_core", "_multiarray_umath"])
@pytest.mark.parametrize("name", ["train_on_batch", "evaluate", "predict", "new_plan", "fit"])
def test_failing_allocations(of: str, name: str, library: Path) -> None:
    """Of the native module, and of NumPy, which allocates the arrays."""
    count, problems = faults.in_child(library, of, name, 60)
    assert not problems, some(problems)
    if of == "convkit/_core" or name == "new_plan":
        assert count >= 4


@pytest.mark.parametrize("name", ["save", "load_model", "load_weights"])
def test_failing_system_calls(name: str, library: Path) -> None:
    count, problems = faults.in_child(library, "calls", name, 100)
    assert not problems, some(problems)
    assert count >= 4


def test_faults_are_seen(tmp_path: Path) -> None:
    """A lock that is not given back, a file left open or behind, counters apart."""
    subject = faults.Subject(tmp_path)
    fds = subject.descriptors()
    assert subject.problem(fds) == ""
    with (tmp_path / "model").open():
        assert subject.problem(fds) == "a file is left open"
    (tmp_path / "rest.tmp").write_text("")
    assert "rest.tmp" in subject.problem(fds)
    subject.model._engine.steps += 1
    assert "steps, but" in subject.problem(fds)
    subject.renew()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faults, "_PATIENCE", 0.2)
        patch.setattr(subject.model, "predict_on_batch", lambda x: threading.Event().wait(1.0))
        assert "locked" in subject.problem(fds)


def test_places_are_those_of_convkit_and_can_be_told(tmp_path: Path) -> None:
    subject = faults.Subject(tmp_path)
    for where in ("line", "signal"):
        tracer = faults.Interruption(where, KeyboardInterrupt)
        action = subject.actions()["predict"]
        action()  # what is done once only would not come again
        count = tracer.count(action)
        assert count > 100
        raised = tracer.run(action, count // 2)
        assert isinstance(raised, KeyboardInterrupt)
        assert ".py:" in tracer.place
        assert tracer.run(action, 1000 * count) is None  # a new plan has more
