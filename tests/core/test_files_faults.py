"""Every call to the system fails in turn, and every line is interrupted: no harm is done.

A save leaves the old file or the new one and nothing beside it, and no descriptor stays open.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import convkit
from convkit.callbacks import CSVLogger
from convkit.core import files
from convkit.models import Sequential, load_model
from some_models import few_weights

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    # A file that an interrupt kept from its `with` is closed when its last reference goes.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OLD, NEW = b"old" * 1_000, b"new" * 2_000


def descriptors(folder: Path) -> list[str]:
    """What is open of a folder. Other libraries' threads open and close what they like."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("open descriptors are listed in /proc")
    found = []
    for each in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one that lists them
            found.append(os.readlink(f"/proc/self/fd/{each}"))
    return sorted(path for path in found if path.startswith(str(folder)))


class Turn:
    """Lets the n-th of the counted moments fail."""

    def __init__(self, number: int, error: Callable[[], BaseException]) -> None:
        self.left = number
        self.error = error
        self.failed = ""

    def count(self, what: str) -> None:
        self.left -= 1
        if self.left == 0:
            self.failed = what
            raise self.error()  # a new one, which nothing keeps with all frames

    def counted(self, function: Any, what: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.count(what)
            return function(*arguments, **options)

        return call


class Faulty:
    """A file whose methods are counted."""

    def __init__(self, file: Any, turn: Turn) -> None:
        self._file, self._turn = file, turn

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._file, name)
        return self._turn.counted(found, name) if name in ("write", "flush", "read") else found

    def close(self) -> None:
        """As systems do it, which close and then tell what went wrong."""
        was_open = not self._file.closed
        self._file.close()
        if was_open:
            self._turn.count("close")

    def __enter__(self) -> Faulty:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


CALLS = (
    *("access", "fchmod", "fchown", "fsync", "fstat", "getxattr", "listxattr", "open", "pread"),
    *("pwrite", "replace", "scandir", "setxattr", "stat", "unlink"),
)


def fail_in_turn(turn: Turn, patch: pytest.MonkeyPatch) -> None:
    for name in CALLS:
        if hasattr(os, name):
            patch.setattr(os, name, turn.counted(getattr(os, name), name))
    patch.setattr(fcntl, "flock", turn.counted(fcntl.flock, "flock"))

    def faulty_open(*arguments: Any, **options: Any) -> Faulty:
        return Faulty(open(*arguments, **options), turn)

    patch.setattr(files, "open", faulty_open, raising=False)
    patch.setattr(os, "supports_effective_ids", {os.access})


def no_space() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def states(folder: Path, names: int) -> Iterator[Path]:
    """The file as it was, again and again: with one name, or with two."""
    path = folder / "m"
    while True:
        for each in folder.iterdir():
            each.unlink()
        path.write_bytes(OLD)
        os.chmod(path, 0o640)
        if names == 2:
            os.link(path, folder / "n")
        yield path


@pytest.mark.parametrize("names", [1, 2])
@pytest.mark.parametrize("error", [no_space, KeyboardInterrupt])
def test_every_call_of_a_save_fails_in_turn(
    error: Callable[[], BaseException], names: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = set()
    before = descriptors(tmp_path)
    for number, path in enumerate(states(tmp_path, names), 1):
        turn = Turn(number, error)
        raised: BaseException | None = None
        with monkeypatch.context() as patch:
            fail_in_turn(turn, patch)
            try:
                files.write_atomically(path, [NEW[:100], NEW[100:]])
            except (OSError, KeyboardInterrupt) as caught:
                raised = caught.with_traceback(None)
        if not turn.failed:
            break
        tried.add(turn.failed)
        with files.open_regular(path) as file:
            content = file.read()
        assert content in ((OLD, NEW) if raised else (NEW,)), turn.failed
        if isinstance(raised, OSError) and turn.failed not in ("access", "stat"):  # which name it
            assert raised.filename == str(path), turn.failed
        left = [each.name for each in tmp_path.iterdir() if each.name not in ("m", "n")]
        assert not left or turn.failed == "unlink", turn.failed
        assert descriptors(tmp_path) == before, turn.failed
        files.write_atomically(path, b"next")
        assert path.read_bytes() == b"next"
        assert path.stat().st_nlink == names
        assert path.stat().st_mode & 0o777 == 0o640
        assert sorted(os.listdir(tmp_path)) == ["m", "n"][:names]
    assert {"open", "write", "flush", "fsync", "close", "flock", "fstat", "stat"} <= tried
    assert ("pwrite" if names == 2 else "replace") in tried


# Interrupts.

OF_INTEREST = tuple(
    os.path.join(os.path.dirname(convkit.__file__), *parts)
    for parts in (
        ("core", "files.py"),
        ("storage", ""),
        ("callbacks", "csv_logger.py"),
        ("models", ""),
    )
)


def interrupted(use: Callable[[], Any], number: int) -> bool:
    """Run it with a KeyboardInterrupt before the n-th line; False if it has fewer."""
    turn = Turn(number, KeyboardInterrupt)

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if not frame.f_code.co_filename.startswith(OF_INTEREST):
            return None
        if event == "line":
            turn.count(f"{frame.f_code.co_name}:{frame.f_lineno}")
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        use()
    except (KeyboardInterrupt, ValueError):
        pass
    finally:
        sys.settrace(former)
    return bool(turn.failed)


def log(path: Path) -> None:
    """What `fit` does with the callback, which it also tells of an interrupt."""
    logger = CSVLogger(path, append=True)
    try:
        logger.on_train_begin()
        logger.on_epoch_end(0, {"loss": 1.0})
        logger.on_train_end()
    except KeyboardInterrupt as error:
        logger.on_train_interrupted(error)
        raise


def tiny(value: int) -> Sequential:
    model = Sequential([convkit.Input((2,)), convkit.layers.Dense(1, name="d")], name="s")
    model.compile("sgd", "mse")
    model.set_weights([np.full(w.shape, value, np.float32) for w in model.get_weights()])
    return model


@pytest.mark.parametrize("use", ["save", "save in place", "load_model", "load_weights", "log"])
def test_an_interrupt_at_any_line(use: str, tmp_path: Path) -> None:
    old, new = tiny(1), tiny(2)
    path = tmp_path / ("log" if use == "log" else "m")
    contents = set()
    for model in (old, new):
        model.save(tmp_path / "m")
        contents.add((tmp_path / "m").read_bytes())
    if use == "save in place":
        os.link(tmp_path / "m", tmp_path / "n")
    uses = {
        "save": lambda: new.save(path),
        "save in place": lambda: new.save(path),
        "load_model": lambda: load_model(path),
        "load_weights": lambda: old.load_weights(path),
        "log": lambda: log(path),
    }
    uses[use]()
    names = sorted(os.listdir(tmp_path))
    before = descriptors(tmp_path)
    number = 0
    while True:
        number += 1
        if use.startswith("save"):
            old.save(path)
        more = interrupted(uses[use], number)
        assert descriptors(tmp_path) == before, number
        if use != "log":
            with files.open_regular(path) as file:
                assert file.read() in contents, number
        if use != "save in place":  # whose copy an interrupt may leave, for the next save
            assert sorted(os.listdir(tmp_path)) == names, number
        if not more:
            break
    assert number > 20
    new.save(tmp_path / "m")
    assert sorted(os.listdir(tmp_path)) == names
    values = {float(v) for w in old.get_weights() for v in w.flat}
    assert values in ({1.0}, {2.0}), "loaded all or none"
    assert few_weights().weights, "the model is not locked"
