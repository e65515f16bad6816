"""Contenders in processes of their own.

There a library has its threads, its allocator and its settings to itself: one that spins or that
takes an environment variable as an order does so to nobody else. A child process belongs to one
side of one case. It starts when it is first asked, walks over its own copy of the same random
batches, waits for the next request between its turns, and ends with the case.

convkit stays in the process that asks, beside NumPy and eager PyTorch and Keras: its figures remain
those of earlier runs, and if sharing a process with their threads and allocators changes anything,
it is not to convkit's advantage. While it is timed the children sleep: they read from a pipe.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Any

from ..models import Model
from .measure import Call, RemoteError

_CHILD = """\
import sys
sys.path[:] = sys.argv[1:]
from convkit.bench.worker import main
main()
"""
_GRACE = 1.0  # seconds in which a child may end by itself
_MOST_WORDS = 1000  # characters of what a child said


@dataclass(frozen=True)
class Recipe:
    """How a child makes its step.

    Attributes:
        entry: "module:function"; called with a model, a batch size, a number of threads and
            `options`, it returns a `TrainStep` or a `PredictStep`. The module is imported in the
            child alone.
        labelled: whether the step takes labels, too.
        options: of the function.
        environment: variables that the child gets beside this process's own.
    """

    entry: str
    labelled: bool
    options: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """What a child is asked to make: the recipe's, of the model in a file."""

    recipe: Recipe
    path: str
    batch_size: int
    threads: int


class IsolatedStep:
    """A `TrainStep` or `PredictStep`, and a `measure.Remote`, that a child process makes.

    Called with arrays it makes its step on them, called without any on the next of the child's own
    random batches.

    Args:
        recipe: of the step.
        model: whose present weights it begins with.
        batch_size: N of the child's own batches.
        threads: of the library.

    Raises:
        RemoteError: by every method, when the child cannot start, fails or is gone; the message has
            what the child said.
    """

    def __init__(self, recipe: Recipe, model: Model, batch_size: int, threads: int) -> None:
        self._folder = Path(mkdtemp(prefix="convkit-bench-"))
        self._process: list[subprocess.Popen[bytes]] = []  # one, when it has begun
        # Also for who forgets to close, and at the end of the program.
        self._finalizer = weakref.finalize(self, _end, self._process, self._folder)
        path = self._folder / "model.safetensors"
        model.save(path)
        self._job = Job(recipe, str(path), batch_size, threads)

    def __call__(self, *arrays: Any) -> Any:
        """What the step returns."""
        return self._ask("step", *arrays)

    def settle(self, seconds: float) -> None:
        """Untimed steps, one at least, for so long."""
        self._ask("settle", seconds)

    def run(self, repeats: int) -> float:
        """Seconds per step over `repeats` steps, by the child's clock."""
        return float(self._ask("run", repeats))

    def close(self) -> None:
        """End the child, and wait for it; it may be closed already, or have never begun."""
        self._finalizer()

    def _ask(self, *request: object) -> Any:
        if not self._finalizer.alive:
            raise RemoteError("its process has been ended")
        if not self._process:
            try:
                self._process.append(self._started())
            except OSError as error:
                raise RemoteError(f"its process cannot be started: {error}") from error
            self._exchange(("start", self._job))
        return self._exchange(request)

    def _exchange(self, request: tuple[object, ...]) -> Any:
        (process,) = self._process
        requests, answers = _pipes(process)
        try:
            pickle.dump(request, requests)
            requests.flush()
            succeeded, answer = pickle.load(answers)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise RemoteError(self._obituary(process)) from error
        if not succeeded:
            raise RemoteError(_shortened(answer))
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        """Python with the same import path, in a session that Ctrl-C at a terminal spares.

        An interrupt is this process's to handle: it closes its children.
        """
        with (self._folder / "words").open("wb") as words:
            return subprocess.Popen(
                [sys.executable, "-c", _CHILD, *map(os.path.abspath, sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=words,
                cwd=self._folder,
                env={**os.environ, **self._job.recipe.environment},
                start_new_session=True,
            )

    def _obituary(self, process: subprocess.Popen[bytes]) -> str:
        """How the child ended, and the end of what it said."""
        try:
            status = process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            return "its process no longer answers"
        how = f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
        words = (self._folder / "words").read_text(errors="replace")
        said = _shortened(words.strip(), from_end=True)
        return f"its process ended {how}" + (f":\n{said}" if said else ", without a word")


def admitted(
    steps: Mapping[str, Callable[..., Any]],
    local: Callable[[Callable[..., Any]], Call],
    check: Callable[[IsolatedStep], None],
) -> tuple[dict[str, Call], dict[str, str], Callable[[], None]]:
    """The calls of a case, why some sides are not among them, and what ends the children.

    Args:
        steps: of every side.
        local: makes a call of a step that is made in this process.
        check: raises RemoteError for a step in a child that does not what convkit does.
    """
    calls: dict[str, Call] = {}
    absent: dict[str, str] = {}
    with ExitStack() as children:
        for side, step in steps.items():
            if not isinstance(step, IsolatedStep):
                calls[side] = local(step)
                continue
            children.callback(step.close)
            try:
                check(step)
                calls[side] = step
            except RemoteError as error:
                absent[side] = str(error)
                step.close()
        return calls, absent, children.pop_all().close


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _end(processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    """Let the child read the end of its requests, or kill it with all that it has started."""
    for process in processes:
        requests, answers = _pipes(process)
        with contextlib.suppress(OSError):
            requests.close()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        answers.close()
    shutil.rmtree(folder, ignore_errors=True)


def _shortened(text: str, from_end: bool = False) -> str:
    if len(text) <= _MOST_WORDS:
        return text
    return f"... {text[-_MOST_WORDS:]}" if from_end else f"{text[:_MOST_WORDS]} ..."
