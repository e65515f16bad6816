"""Faults put into convkit's way: failing allocations and system calls, exceptions at any place.

After each of them the model works or says why not, nothing stays locked, no descriptor and no
temporary file is left, and the counters of model and optimizer agree. Allocations and system calls
fail in a child process, into which `fail.cpp` is preloaded: `python faults.py KIND ACTION`
is run there, and prints what is wrong as JSON.
"""

from __future__ import annotations

import ctypes
import dis
import errno
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

import convkit
from some_models import small_cnn, stripes

PACKAGE = str(Path(convkit.__file__).parent)
_PATIENCE = 5.0  # seconds after which something counts as locked


class Subject:
    """A model with data and a folder, and what is done with it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "model"
        self.x, self.y = stripes(8)
        self.renew()

    def renew(self) -> None:
        """A new model, trained a step, whose file is there."""
        self.model = small_cnn()
        self.model.fit(self.x, self.y, batch_size=4, verbose=0)
        self.model.predict_on_batch(self.x)
        self.model.save(self.path)
        self.old = self.path.read_bytes()
        self.files = set(os.listdir(self.folder))

    def actions(self) -> dict[str, Callable[[], Any]]:
        model, x, y = self.model, self.x, self.y
        return {
            "fit": lambda: model.fit(
                x, y, batch_size=4, verbose=0, validation_data=(x, y), epochs=1
            ),
            "train_on_batch": lambda: model.train_on_batch(x, y),
            "evaluate": lambda: model.evaluate(x, y, batch_size=4, verbose=0),
            "predict": lambda: model.predict(x, batch_size=4, verbose=0),
            "save": lambda: model.save(self.path),
            "load_model": lambda: convkit.models.load_model(self.path),
            "load_weights": lambda: model.load_weights(self.path),
            "new_plan": self._new_plan,
        }

    def _new_plan(self) -> None:
        """Training of a model that has no plan yet: memory for all arrays is made."""
        fresh = small_cnn()
        fresh.train_on_batch(self.x, self.y)
        fresh.predict_on_batch(self.x)

    def descriptors(self) -> int:
        """Those of the file's folder; other libraries' threads open and close what they like."""
        folder, found = os.path.dirname(os.path.realpath(self.path)), 0
        for each in os.listdir("/proc/self/fd"):
            with suppress(OSError):  # the one that lists them
                found += os.readlink(f"/proc/self/fd/{each}").startswith(folder)
        return found

    def problem(self, fds: int) -> str:
        """What is wrong after an action was interrupted, "" if nothing is."""
        model, answers = self.model, []

        def other() -> None:
            try:
                answers.append(model.predict_on_batch(self.x))
            except Exception as error:
                answers.append(error)

        thread = threading.Thread(target=other, daemon=True)
        thread.start()
        thread.join(_PATIENCE)
        if not answers:
            return "the model is locked for another thread"
        if not isinstance(answers[0], np.ndarray):
            return f"another thread cannot predict: {answers[0]!r}"
        if model.optimizer is None or model._engine.steps != model.optimizer.iterations:
            return (
                f"{model._engine.steps} steps, but {model.optimizer and model.optimizer.iterations}"
            )
        if self.descriptors() > fds:
            return "a file is left open"
        left = set(os.listdir(self.folder)) - self.files
        if left:
            for name in left:
                (self.folder / name).unlink()
            return f"left behind: {left}"
        try:
            convkit.models.load_model(self.path)
            model.train_on_batch(self.x, self.y)
            again = model.predict_on_batch(self.x)
        except Exception as error:
            return f"the model does not work any more: {error!r}"
        return "" if np.isfinite(again).all() else "the model predicts NaN"


# An exception at a place.

# Where CPython looks for signals: as a function begins, a loop goes on, and after a call.
_CHECKS = ("RESUME", "JUMP_BACKWARD")


def _signal_places(code: CodeType, known: dict[CodeType, set[int]]) -> set[int]:
    """The offsets in a function before which Ctrl-C can become a KeyboardInterrupt."""
    if code not in known:
        places, after_call = set(), False
        for each in dis.get_instructions(code):
            if after_call or each.opname in _CHECKS:
                places.add(each.offset)
            after_call = each.opname.startswith("CALL")
        known[code] = places
    return known[code]


def _ends_a_with(code: CodeType, known: dict[CodeType, set[int]]) -> set[int]:
    """The offsets at which a `with` calls __exit__, of which tracing makes a line once more.

    Between the end of the block and the call nothing is done that could fail or be interrupted.
    """
    if code not in known:
        steps = list(dis.get_instructions(code))
        nones = [each.opname == "LOAD_CONST" and each.argval is None for each in steps]
        known[code] = {
            each.offset for i, each in enumerate(steps) if all(nones[i : i + 3]) and nones[i:]
        }
    return known[code]


class Interruption:
    """Raises an exception at one place of convkit's Python code while an action runs.

    Args:
        where: "line" for every line, "signal" for every instruction before which CPython looks for
            signals.
        error: what is raised.
    """

    def __init__(self, where: str, error: type[BaseException]) -> None:
        self._event = "line" if where == "line" else "opcode"
        self._known: dict[CodeType, set[int]] = {}
        self._error = error
        self._seen, self._at = 0, 0
        self.place = ""

    def run(self, action: Callable[[], Any], at: int = 0) -> BaseException | None:
        """Run the action, and raise at place number `at`, counted from 1; 0 only counts."""
        self._seen, self._at, self.place = 0, at, ""
        sys.settrace(self._enter)
        try:
            action()
        except BaseException as error:
            sys.settrace(None)
            if not isinstance(error, self._error) and not isinstance(error, Exception):
                raise
            return error
        finally:
            sys.settrace(None)
        return None

    def count(self, action: Callable[[], Any]) -> int:
        self.run(action)
        return self._seen

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if self._event == "opcode":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == self._event and not self.place:
            code = frame.f_code
            if event == "line":
                counts = frame.f_lasti not in _ends_a_with(code, self._known)
            else:
                counts = frame.f_lasti in _signal_places(code, self._known)
            if counts:
                self._seen += 1
                if self._seen == self._at:
                    name = os.path.relpath(code.co_filename, PACKAGE)
                    self.place = f"{name}:{frame.f_lineno} in {code.co_name}"
                    raise self._error("put here by a test")
        return self._step


def sampled(count: int, most: int, seed: int) -> list[int]:
    """Places 1 to count, or so many of them; all with CONVKIT_EVERY_PLACE in the environment."""
    if count <= most or os.environ.get("CONVKIT_EVERY_PLACE"):
        return list(range(1, count + 1))
    return sorted(random.Random(seed).sample(range(1, count + 1), most))


def interruptions(
    folder: Path, name: str, where: str, error: type[BaseException], most: int
) -> Iterator[str]:
    """Interrupt an action at many places; yield what is wrong after each."""
    subject = Subject(folder)
    tracer = Interruption(where, error)
    subject.actions()[name]()
    count = tracer.count(subject.actions()[name])
    assert count > 10, "the action runs no code of convkit"
    for at in sampled(count, most, seed=count):
        fds = subject.descriptors()
        problem = _as_error(tracer.run(subject.actions()[name], at), error)
        if problem:
            yield f"{tracer.place}: {problem}"
        # The exception is gone by now, and what its traceback held.
        problem = subject.problem(fds)
        if problem:
            yield f"{tracer.place}: {problem}"
            subject.renew()


def _as_error(raised: BaseException | None, expected: type[BaseException]) -> str:
    """An exception of another kind than was put in must say what was in the way."""
    if raised is None or isinstance(raised, expected):
        return ""
    cause = raised.__cause__ or raised.__context__
    if isinstance(raised, (ValueError, RuntimeError)) and isinstance(cause, expected):
        return ""
    return f"became {raised!r}"


# Allocations and system calls that fail, in a child process.


def compiled(folder: Path) -> Path | None:
    """The library that is preloaded; None where there is no compiler or no glibc."""
    compiler = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    library, source = folder / "fail.so", Path(__file__).with_name("fail.cpp")
    command = [compiler, "-std=c++17", "-O1", "-shared", "-fPIC", str(source), "-o", str(library)]
    done = subprocess.run([*command, "-ldl"], capture_output=True, text=True)
    return library if done.returncode == 0 else None


def in_child(library: Path, kind: str, action: str, most: int) -> tuple[int, list[str]]:
    """How many faults a child process had, and what was wrong after them."""
    command = [sys.executable, __file__, kind, action, str(most)]
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    environment["PYTHONPATH"] = os.pathsep.join(each for each in sys.path if each)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    if done.returncode:
        return 0, [f"the process ended with {done.returncode}: {done.stdout}{done.stderr[-2000:]}"]
    faults, problems = json.loads(done.stdout.splitlines()[-1])
    return faults, problems


def _preloaded() -> ctypes.CDLL:
    library = ctypes.CDLL(os.environ["LD_PRELOAD"])
    library.failed_call.restype = ctypes.c_char_p
    library.fail_allocation.argtypes = [ctypes.c_char_p, ctypes.c_long]
    library.fail_call.argtypes = [ctypes.c_long, ctypes.c_int]
    library.fail_no_more.restype = ctypes.c_long
    return library


def allocations(subject: Subject, of: str, name: str, most: int) -> tuple[int, list[str]]:
    """Let each allocation that `of` makes in an action fail."""
    library, problems, faults = _preloaded(), [], 0
    subject.actions()[name]()
    assert library.fail_allocation(of.encode(), 0), f"{of} is not loaded"
    subject.actions()[name]()
    for at in sampled(library.fail_no_more(), most, seed=1):
        fds, action = subject.descriptors(), subject.actions()[name]
        print(f"allocation {at} of {of} in {name}", file=sys.stderr)
        library.fail_allocation(of.encode(), at)
        try:
            action()
        except MemoryError:
            pass
        except Exception as error:
            problems.append(f"allocation {at}: became {error!r}")
        finally:
            faults += library.fail_no_more() >= at
        problem = subject.problem(fds)
        if problem:
            problems.append(f"allocation {at}: {problem}")
            subject.renew()
    return faults, problems


def calls(subject: Subject, name: str, most: int) -> tuple[int, list[str]]:
    """Let each system call on files in an action fail; a save is all or nothing."""
    library, problems, faults = _preloaded(), [], 0
    subject.actions()[name]()
    library.fail_call(0, 0)
    subject.actions()[name]()
    count = library.fail_no_more()
    for code in (errno.ENOSPC, errno.EIO):
        for at in sampled(count, most, seed=1):
            subject.renew()
            subject.model.train_on_batch(subject.x, subject.y)  # what is saved is another model
            fds, action, raised = subject.descriptors(), subject.actions()[name], None
            library.fail_call(at, code)
            try:
                action()
            except Exception as error:
                raised = error
            finally:
                faults += library.fail_no_more() >= at
            call = library.failed_call().decode()
            problem = _after_call(subject, call, raised, name == "save") or subject.problem(fds)
            if problem:
                problems.append(f"call {at}, {call}, {errno.errorcode[code]}: {problem}")
    return faults, problems


def _after_call(subject: Subject, call: str, raised: Exception | None, saves: bool) -> str:
    if raised is not None and not isinstance(raised, OSError):
        return f"became {raised!r}"
    if not saves:
        return ""
    if raised is not None and call != "getrandom" and str(subject.folder) not in str(raised):
        return f"the message does not name the file: {raised}"
    same = subject.path.read_bytes() == subject.old
    if same != (raised is not None):
        return "it says that it saved, and did not" if same else f"saved, but says {raised}"
    return ""


def main() -> None:
    """In the child."""
    kind, name, most = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory(prefix="convkit-faults-") as folder:
        subject = Subject(Path(folder))
        if kind == "calls":
            result = calls(subject, name, most)
        else:
            result = allocations(subject, kind, name, most)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
