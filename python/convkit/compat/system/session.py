"""Sessions and graphs of TensorFlow 1: everything is computed at once, and there are none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

__all__ = [
    "ConfigProto",
    "GPUOptions",
    "Graph",
    "GraphOptions",
    "InteractiveSession",
    "OptimizerOptions",
    "Session",
    "control_dependencies",
    "device",
    "disable_eager_execution",
    "disable_v2_behavior",
    "enable_eager_execution",
    "enable_v2_behavior",
    "executing_eagerly",
    "get_default_graph",
    "get_default_session",
    "get_session",
    "global_variables_initializer",
    "init_scope",
    "initialize_all_variables",
    "local_variables_initializer",
    "name_scope",
    "no_op",
    "reset_default_graph",
    "set_session",
    "tables_initializer",
    "variable_scope",
]


class ConfigProto:
    """Settings of sessions, which change nothing; any may be read and set."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.__dict__.update(options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = self.__dict__[name] = ConfigProto()
        return made

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self

    def __enter__(self) -> ConfigProto:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is left to do."""


GPUOptions = GraphOptions = OptimizerOptions = Graph = ConfigProto


class Session:
    """What runs a graph; there is none, and what it is given is computed already."""

    def __init__(self, target: Any = "", graph: Any = None, config: Any = None) -> None:
        self.graph = graph or ConfigProto()

    def run(self, fetches: Any, feed_dict: Any = None, **options: Any) -> Any:
        """The numbers of tensors that are computed already."""
        if isinstance(fetches, list | tuple):
            return [self.run(each) for each in fetches]
        if isinstance(fetches, dict):
            return {key: self.run(each) for key, each in fetches.items()}
        return fetches if fetches is None or isinstance(fetches, str) else np.asarray(fetches)[()]

    def as_default(self) -> Session:
        """The session."""
        return self

    def close(self) -> None:
        """Nothing need be closed."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is left to do."""


InteractiveSession = Session


def get_session(*arguments: Any) -> Session:
    """A session."""
    return Session()


get_default_session = get_session


def set_session(session: Any) -> None:
    """Nothing: there is no graph to run."""


def get_default_graph() -> ConfigProto:
    """A graph, of nothing."""
    return ConfigProto()


def _nothing(*arguments: Any, **options: Any) -> None:
    """Nothing: everything is computed at once."""


disable_eager_execution = enable_eager_execution = reset_default_graph = _nothing
disable_v2_behavior = enable_v2_behavior = global_variables_initializer = _nothing
initialize_all_variables = local_variables_initializer = tables_initializer = no_op = _nothing


def executing_eagerly() -> bool:
    """True."""
    return True


@contextmanager
def device(device_name: Any) -> Iterator[None]:
    """Everything runs on the CPU, whatever device is named."""
    yield


@contextmanager
def name_scope(name: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
    """Names stay what they are."""
    yield name


variable_scope = control_dependencies = name_scope


@contextmanager
def init_scope() -> Iterator[None]:
    """Everything is computed at once."""
    yield
