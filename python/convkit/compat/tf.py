"""What `tensorflow` itself has besides functions of arrays: versions, sessions, decorators."""

from __future__ import annotations

from typing import Any

import numpy as np

from .activations import sigmoid, tanh
from .data import TensorSpec
from .files import read_file
from .random import normal, shuffle, truncated_normal, uniform
from .random import set_seed as set_random_seed
from .system import session
from .system.logging import get_logger
from .system.session import *  # noqa: F403 - its public names are those of `tf`
from .tensor import as_tensor

__version__ = "2.9.3"  # which is the later one, too, where scripts compare texts
VERSION = __version__
GIT_VERSION, COMPILER_VERSION = "unknown", "unknown"
random_normal, random_shuffle, random_uniform = normal, shuffle, uniform

__all__ = [
    *session.__all__,
    "COMPILER_VERSION",
    "GIT_VERSION",
    "TensorSpec",
    "VERSION",
    "__version__",
    "Assert",
    "autodiff",
    "cond",
    "function",
    "get_logger",
    "group",
    "map_fn",
    "numpy_function",
    "print",
    "py_func",
    "py_function",
    "random_normal",
    "random_shuffle",
    "random_uniform",
    "read_file",
    "set_random_seed",
    "sigmoid",
    "tanh",
    "truncated_normal",
    "vectorized_map",
    "while_loop",
]
autodiff = None


def function(func: Any = None, *arguments: Any, **options: Any) -> Any:
    """The function itself: everything is computed at once."""
    return func if func is not None else lambda inner: inner


def print(
    *inputs: Any,
    output_stream: Any = None,
    summarize: Any = None,
    sep: str = " ",
    end: str = "\n",
    name: Any = None,
) -> None:
    """Print tensors as numbers."""
    import builtins

    builtins.print(
        *(each.numpy() if hasattr(each, "numpy") else each for each in inputs), sep=sep, end=end
    )


def cond(pred: Any, true_fn: Any = None, false_fn: Any = None, name: Any = None) -> Any:
    """What one of two functions gives."""
    return true_fn() if bool(np.asarray(pred)) else false_fn()


def while_loop(cond: Any, body: Any, loop_vars: Any, **options: Any) -> Any:
    """The variables after a function was applied to them while a condition holds."""
    values = loop_vars
    while bool(np.asarray(cond(*values))):
        values = body(*values)
    return values


def map_fn(fn: Any, elems: Any, dtype: Any = None, **options: Any) -> Any:
    """What a function gives for each part along the first axis, as one tensor."""
    if isinstance(elems, list | tuple):
        made = [fn(tuple(each)) for each in zip(*elems, strict=True)]
    else:
        made = [fn(each) for each in as_tensor(elems)]
    if made and isinstance(made[0], list | tuple):
        return type(made[0])(as_tensor(np.stack(each)) for each in zip(*made, strict=True))
    return as_tensor(np.stack([np.asarray(each) for each in made]))


vectorized_map = map_fn


def py_function(func: Any = None, inp: Any = (), Tout: Any = None, name: Any = None) -> Any:
    """What a Python function of tensors gives."""
    made = func(*inp)
    return [as_tensor(each) for each in made] if isinstance(made, list | tuple) else as_tensor(made)


def numpy_function(func: Any = None, inp: Any = (), Tout: Any = None, **options: Any) -> Any:
    """What a Python function of arrays gives."""
    return py_function(func, [np.asarray(each)[()] for each in inp])


py_func = numpy_function


def Assert(condition: Any, data: Any = (), **options: Any) -> None:
    """ValueError unless a condition holds."""
    if not bool(np.asarray(condition)):
        raise ValueError(f"assertion failed: {data}")


def group(*inputs: Any, **options: Any) -> None:
    """Nothing: everything is computed at once."""
