"""Switches of debugging and of AutoGraph, and checks of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..tensor import as_tensor

__all__ = [
    "assert_equal",
    "assert_near",
    "check_numerics",
    "disable_traceback_filtering",
    "do_not_convert",
    "enable_check_numerics",
    "experimental",
    "is_traceback_filtering_enabled",
    "set_log_device_placement",
    "set_verbosity",
]
experimental = None


def _nothing(*arguments: Any, **options: Any) -> None:
    """Nothing: there is no graph that it is about."""


set_log_device_placement = enable_check_numerics = disable_traceback_filtering = set_verbosity = (
    _nothing
)
is_traceback_filtering_enabled = _nothing


def do_not_convert(func: Any = None) -> Any:
    """The function."""
    return func if func is not None else lambda function: function


def check_numerics(tensor: Any, message: str, name: Any = None) -> Any:
    """The tensor; ValueError if one of its numbers is not finite."""
    if not np.isfinite(np.asarray(tensor)).all():
        raise ValueError(message)
    return as_tensor(tensor)


def assert_equal(x: Any, y: Any, message: Any = None, **options: Any) -> None:
    """ValueError unless the numbers are the same."""
    if not np.array_equal(x, y):
        raise ValueError(message or f"{x} and {y} are not equal")


def assert_near(x: Any, y: Any, rtol: float = 1e-6, atol: float = 1e-6, **options: Any) -> None:
    """ValueError unless the numbers are nearly the same."""
    if not np.allclose(x, y, rtol, atol):
        raise ValueError(f"{x} and {y} are not near each other")
