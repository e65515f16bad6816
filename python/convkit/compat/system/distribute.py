"""`tf.distribute`: strategies with one replica, this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = [
    "CentralStorageStrategy",
    "MirroredStrategy",
    "MultiWorkerMirroredStrategy",
    "OneDeviceStrategy",
    "ParameterServerStrategy",
    "ReduceOp",
    "Strategy",
    "TPUClusterResolver",
    "TPUStrategy",
    "get_strategy",
    "has_strategy",
]


class Strategy:
    """Everything on this machine's cores.

    Attributes:
        num_replicas_in_sync: 1.
    """

    num_replicas_in_sync = 1

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Whatever devices are named."""

    @contextmanager
    def scope(self) -> Iterator[Strategy]:
        """Models made within are models."""
        yield self

    def run(self, function: Callable[..., Any], args: Any = (), kwargs: Any = None) -> Any:
        """What a function gives."""
        return function(*args, **(kwargs or {}))

    def reduce(self, reduce_op: Any, value: Any, axis: Any = None) -> Any:
        """The value of the only replica."""
        return value

    def experimental_distribute_dataset(self, dataset: Any, options: Any = None) -> Any:
        """The data set."""
        return dataset

    distribute_datasets_from_function = experimental_distribute_dataset


class ReduceOp:
    """How the values of several replicas become one: there is one."""

    SUM, MEAN = "SUM", "MEAN"


CentralStorageStrategy = MirroredStrategy = MultiWorkerMirroredStrategy = Strategy
OneDeviceStrategy = ParameterServerStrategy = TPUStrategy = Strategy


def get_strategy() -> Strategy:
    """That of this machine."""
    return Strategy()


def has_strategy() -> bool:
    """False."""
    return False


class TPUClusterResolver:
    """Looks for TPUs; there are none, which scripts expect as a ValueError."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        raise ValueError("there is no TPU: everything runs on this machine's cores")

    connect = __init__
