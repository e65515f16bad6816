"""Single arguments of models' methods, from what older Keras takes to what convkit does."""

from __future__ import annotations

import copy
import os
from typing import Any

# Arguments of queues, workers and compilation, which change no result.
_QUEUES = (
    "max_queue_size",
    "workers",
    "use_multiprocessing",
    "max_q_size",
    "nb_worker",
    "pickle_safe",
    "wait_time",
)


class Status:
    """What loading weights gives in TensorFlow: something that can be asked whether all is well."""

    def expect_partial(self) -> Status:
        """All is well."""
        return self

    assert_consumed = assert_existing_objects_matched = expect_partial


def flat(value: Any) -> Any:
    """Inputs or outputs without the lists in a list that Keras takes, too."""
    if isinstance(value, list | tuple) and any(isinstance(each, list) for each in value):
        return [each for one in value for each in (one if isinstance(one, list) else [one])]
    return value


def of_outputs(metrics: Any, model: Any) -> Any:
    """The metrics of each output: in Keras 2, a list without lists in it is of all outputs."""
    count = len(model.outputs) if model.built else 1
    is_flat = isinstance(metrics, list | tuple) and not any(
        isinstance(each, list | tuple) for each in metrics
    )
    if count > 1 and is_flat and len(metrics) != count:
        return [[copy.deepcopy(each) for each in metrics] for _ in range(count)]
    return metrics


def are_metrics(value: Any) -> bool:
    """Whether an argument is metrics, and not the weights of losses."""
    values = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(values, list | tuple):
        return False
    return not any(isinstance(each, int | float) for each in values)


def drop_queues(options: dict[str, Any], method: str) -> None:
    """Leave arguments of queues and workers out; TypeError for any others."""
    for name in _QUEUES:
        options.pop(name, None)
    if options:
        raise TypeError(f"{method}: unknown arguments {sorted(options)}")


def verbosity(verbose: Any) -> Any:
    """0, 1 or 2, or "auto"; Keras takes any other number for a line an epoch."""
    if isinstance(verbose, str):
        return "auto" if verbose == "auto" else 1
    number = int(verbose)
    return number if number in (0, 1) else 2


def by_class(weights: Any) -> dict[int, float]:
    """The weights of classes by their numbers; a list has them in order."""
    pairs = weights.items() if hasattr(weights, "items") else enumerate(weights)
    return {int(key): float(value) for key, value in pairs}


def place(filepath: Any) -> str:
    """The path of a file, whose folder is made if need be."""
    path: str = os.fspath(filepath).rstrip("/\\")
    if folder := os.path.dirname(path):
        os.makedirs(folder, exist_ok=True)
    return path


def first_size(generator: Any, size: Any) -> tuple[Any, int]:
    """A generator, and how many samples its batches have: the first one tells."""
    if size is not None:
        return generator, int(size)
    import itertools

    batches = iter(generator)
    first = next(batches)
    return itertools.chain([first], batches), len(first[0])
