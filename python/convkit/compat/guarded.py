"""Imports that a script tries and can do without: there, what is missing is an error at once."""

from __future__ import annotations

import ast
import importlib
import linecache
from types import FrameType

_CATCH_IMPORTS = {"BaseException", "Exception", "ImportError"}


def catches_imports(node: ast.Try, *, of_module: bool = False) -> bool:
    """Whether a handler of `try` takes the ImportError of a missing name, or of a module."""
    wanted = _CATCH_IMPORTS | ({"ModuleNotFoundError"} if of_module else set())
    for handler in node.handlers:
        if handler.type is None:
            return True
        if any(isinstance(n, ast.Name) and n.id in wanted for n in ast.walk(handler.type)):
            return True
    return False


def is_guarded(frame: FrameType | None, *, of_module: bool = False) -> bool:
    """Whether the import that a frame is at, or waits for, stands in such a `try`.

    Args:
        frame: of the script, or of the import system that it called.
        of_module: whether a whole module is missing.
    """
    while frame is not None and _imports(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return False
    try:
        tree = ast.parse("".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals)))
    except SyntaxError:
        return False
    line = frame.f_lineno
    return any(
        isinstance(node, ast.Try)
        and any(each.lineno <= line <= (each.end_lineno or 0) for each in node.body)
        and catches_imports(node, of_module=of_module)
        for node in ast.walk(tree)
    )


def _imports(name: str) -> bool:
    """Whether a file is one of Python's import system."""
    return name.startswith("<frozen importlib") or name == importlib.__file__
