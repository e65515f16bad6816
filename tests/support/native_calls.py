"""The native functions and one valid call of each, as `convkit.ops` makes it.

The calls are recorded, so no list of native signatures can fall behind.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from calls import call, valid_calls
from convkit import _core, ops
from convkit.ops.transform_images import resample, resample_each

# Setters and getters, what calls Python, and a benchmark: they take no arrays of numbers to
# compute with.
OTHERS = {
    "Activation",
    "Calls",
    "Merge",
    "Reduction",
    "RowLoss",
    "ModelLock",
    "as_one_operation",
    "available_isas",
    "bound_processors",
    "conv2d_direct",
    "count_step",
    "isa",
    "multiply_add_peak",
    "num_threads",
    "on_ranks",
    "read_small_files",
    "select_isa",
    "set_conv2d_direct",
    "set_num_threads",
    "start_trace",
    "stop_trace",
    "trace_step",
    "weights_changed",
}


def native_functions() -> list[str]:
    return [n for n in dir(_core) if not n.startswith("_") and n not in OTHERS]


def record() -> dict[str, tuple[Any, ...]]:
    """Return native function name -> the arguments of one call that `convkit.ops` made."""
    recorded: dict[str, tuple[Any, ...]] = {}

    def spy(name: str, function: Any, *arguments: Any) -> Any:
        recorded.setdefault(name, arguments)
        return function(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        for name in native_functions():
            patch.setattr(_core, name, partial(spy, name, getattr(_core, name)))
        for name in valid_calls():
            # Global pooling is pooling by a window as large as the plane; the table's own pools,
            # with stride 1, leave no dimension free.
            if not name.startswith("global"):
                call(name)
        ops.conv2d_algorithm((1, 4, 4, 2), (3, 3, 2, 5))
        step = resample((4, 5), (3, 7), "bilinear", False)
        resample_each([np.ones((4, 5, 2), np.uint8)], [step], np.empty((1, 3, 7, 2), np.float32))
    return recorded


RECORDED = record()


def copied(arguments: tuple[Any, ...]) -> list[Any]:
    """Return the arguments with new arrays, so that no test spoils the recording."""
    return [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
