"""A process for what another library makes of a file, since the file may kill it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import IO, NoReturn

CODE = """\
import sys
from importlib import import_module
module, function, *sys.path[:] = sys.argv[1:]
getattr(import_module(module), function)()
"""
LONGEST_REASON = 2000  # characters of what a child says when it dies
_NONE: Mapping[str, str] = {}


def can_start() -> bool:
    """Whether an interpreter is known that can be started again."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def run(
    module: str, function: str, given: IO[bytes], output: IO[bytes], more: Mapping[str, str] = _NONE
) -> int:
    """Let another process of this interpreter, with its modules, call a function.

    Args:
        module, function: the function, which takes nothing.
        given, output: its standard input and output, files of the operating system.
        more: variables of the environment, beside those that there are.

    Returns:
        0, or minus the number of the signal that it died of.

    Raises:
        ChildProcessError: it ended otherwise.
    """
    with tempfile.TemporaryFile() as words:
        done = subprocess.run(
            [sys.executable, *_flags(), "-c", CODE, module, function, *_path()],
            stdin=given,
            stdout=output,
            stderr=words,
            env={**os.environ, **more},
            check=False,
        )
        words.seek(0)
        said = words.read()[-LONGEST_REASON:].decode(errors="replace").strip()
    if done.returncode > 0:
        # With a number, so that it is not taken for damage of the file.
        raise ChildProcessError(errno.ECHILD, f"{module}.{function} failed in a child: {said}")
    return done.returncode


def end(output: IO[bytes]) -> NoReturn:
    """End this process, which has written what it was asked for, without cleaning up."""
    output.flush()
    os._exit(0)


def _flags() -> list[str]:
    """The options of this interpreter that say whose modules and settings it takes."""
    flags = {"-I": sys.flags.isolated, "-E": sys.flags.ignore_environment, "-S": sys.flags.no_site}
    return [flag for flag, given in flags.items() if given]


def _path() -> list[str]:
    """Where the child looks for modules: first where those are that are loaded here.

    The working directory and other relative folders come last. They may have become others since,
    such as that of a data set with a module of the same name.
    """
    known = [os.fspath(each) for each in sys.path if isinstance(each, str | os.PathLike)]
    loaded = [os.path.dirname(sys.modules[name].__path__[0]) for name in ("convkit", "numpy")]
    return sorted([*known, *map(os.path.abspath, loaded)], key=lambda each: not os.path.isabs(each))
