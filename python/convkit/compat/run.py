"""Running a script or a notebook with its Keras and TensorFlow imports served by convkit."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import CodeType, ModuleType
from typing import Any

from . import notes
from .check import missing_names
from .notebook import Part, Shell, display, parts_of
from .serving import serving

FAILED = 1


def run(path: str, arguments: Sequence[str] = ()) -> int:
    """Run a script or a notebook, and say at the end what could not be given.

    Args:
        path: of the file.
        arguments: what the script finds in `sys.argv` behind its own name.

    Returns:
        0 if it ran to its end, 1 if it raised an error, else what it gave `sys.exit`.
    """
    _warn(path)
    notes.forget()  # what the names above were found by
    parts = parts_of(path)
    _draw_without_windows(path)
    main = ModuleType("__main__")
    main.__dict__.update(__file__=path, __builtins__=__builtins__)
    if path.endswith(".ipynb"):
        del main.__dict__["__file__"]
    shell = Shell()
    main.__dict__.update(display=display, get_ipython=lambda: shell)
    before = sys.argv, sys.path[:], sys.modules["__main__"]
    sys.argv = [path, *arguments]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    sys.modules["__main__"] = main
    try:
        with serving():
            code = _execute(parts, main)
    finally:
        sys.argv, sys.path[:], sys.modules["__main__"] = before
        _report(path)
    return code


def _execute(parts: list[Part], main: ModuleType) -> int:
    for name, text, may_fail in parts:
        try:
            code = _compiled(text, name)
            exec(code, main.__dict__)
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else 0 if stop.code is None else FAILED
        except BaseException as error:
            _show(error, text, name)
            if isinstance(error, KeyboardInterrupt):
                raise
            if not may_fail:
                return FAILED
            print(f"{name}: the error is in the notebook, too; going on", file=sys.stderr)
    return 0


def _compiled(text: str, name: str) -> CodeType:
    import linecache

    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return compile(text, name, "exec", dont_inherit=True)


def _show(error: BaseException, text: str, name: str) -> None:
    """Print an error as Python does, without what runs the script."""
    frames: Any = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    traceback.print_exception(type(error), error, frames)


def _draw_without_windows(path: str) -> None:
    """Let matplotlib draw into memory where there is no display, and do not warn of it."""
    if path.endswith(".ipynb") or (sys.platform == "linux" and not os.environ.get("DISPLAY")):
        os.environ.setdefault("MPLBACKEND", "Agg")
        warnings.filterwarnings("ignore", message=".*non-interactive.*", category=UserWarning)


def _warn(path: str) -> None:
    """Say before anything runs which names are missing: training may take long until one is met."""
    try:
        lines = missing_names(path)
    except SyntaxError:
        return  # which is told where the part would run
    if lines:
        print(
            f"convkit.compat: {os.path.basename(path)} asks for what is not here; it runs until "
            f"the first of these is needed:",
            file=sys.stderr,
        )
        for line in lines:
            print(f"  {line}", file=sys.stderr)
        print(file=sys.stderr)


def _report(path: str) -> None:
    lines = notes.report()
    if lines:
        print(f"\nconvkit.compat: of what {os.path.basename(path)} asked for", file=sys.stderr)
        for line in lines:
            print(f"  {line}", file=sys.stderr)
