"""The modules of Keras and TensorFlow as a tree of names, built from a table of where they live.

There are many module paths and few modules: `keras.layers.core`, `tensorflow.python.keras.layers`
and `tensorflow.keras.layers` are one. `canonical` says which, and `table.SOURCES` from which Python
modules each takes its names. A module is made when it is first asked for, and so is a name.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from . import notes
from .advice import advice
from .guarded import is_guarded
from .table import OLD_PATHS, PREFIXES, SOURCES
from .unavailable import Unavailable

ROOTS = frozenset({*(path.partition(".")[0] for path in (*SOURCES, *OLD_PATHS, *PREFIXES))})

_made: dict[str, Namespace] = {}


class Namespace(ModuleType):
    """A module whose names come from one or more modules of convkit.

    Args:
        path: of the module, canonical: `keras.layers`.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, f"The names of `{path}`, on convkit.")
        self.__path__: list[str] = []
        self.__dict__["_sources"] = SOURCES[path]

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":  # of `from keras.layers import *`
            return self._public()
        if name.startswith("__") and name not in ("__version__",):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        found = self._find(name)
        if found is None:
            return self._refuse(name)
        self.__dict__[name] = found[0]
        return found[0]

    def __setattr__(self, name: str, value: Any) -> None:
        # An import of a submodule sets it, also where a function of that name is what users want.
        if isinstance(value, Unavailable):
            return
        if isinstance(value, Namespace) and self._find(name) is not None:
            return
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        names = {*self.__dict__}
        for source in self._sources:
            names.update(dir(import_module(source)))
        below = f"{self.__name__}."
        names.update(path[len(below) :].partition(".")[0] for path in SOURCES if below in path)
        return sorted(name for name in names if not name.startswith("_"))

    def _public(self) -> list[str]:
        """What a script that imports all names gets."""
        below = f"{self.__name__}."
        names = {path.removeprefix(below) for path in SOURCES if path.startswith(below)}
        for source in self._sources:
            module = import_module(source)
            names.update(getattr(module, "__all__", ()), _lazy(module))
        return sorted(name for name in names if "." not in name and hasattr(self, name))

    def _find(self, name: str) -> tuple[Any] | None:
        """What has that name here, in a tuple, or None."""
        below = space(f"{self.__name__}.{name}")
        for source in self._sources:
            module = import_module(source)
            if name not in getattr(module, "__all__", ()) and name not in _lazy(module):
                continue
            with suppress(AttributeError):  # of what convkit itself has not
                found = getattr(module, name)
                if below is None or not isinstance(found, ModuleType):
                    return (found,)
        return None if below is None else (below,)

    def _refuse(self, name: str) -> Unavailable:
        """An error, or, of `from module import name`, what is one where it is used.

        Where the script tries the import, and goes on without it, it is an error at once.
        """
        path = f"{self.__name__}.{name}"
        hint = advice(path)
        if not _is_import(3):
            notes.missing(path, hint)
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}{hint}")
        if not is_guarded(sys._getframe(2)):
            if hint:
                return Unavailable(path, hint)
            notes.missing(path)
        raise ImportError(f"cannot import name {name!r} from {self.__name__!r}{hint}", name=name)


def _lazy(module: ModuleType) -> Sequence[str]:
    """The names that a module makes when they are asked for."""
    found: Sequence[str] = getattr(module, "LAZY", ())
    return found


def _is_import(depth: int) -> bool:
    """Whether `from module import name` asks, which first asks whether the name is there."""
    from ..absent import is_import  # here: only for an error

    frame = sys._getframe(depth)
    return frame.f_code.co_name == "_handle_fromlist" or is_import(frame)


def canonical(path: str) -> str:
    """The one name of a module that has several."""
    for old, new in PREFIXES.items():
        if path == old or path.startswith(f"{old}."):
            return canonical(new + path[len(old) :])
    parent, _, last = path.rpartition(".")
    if path in OLD_PATHS:
        return canonical(OLD_PATHS[path])
    if parent:
        above = canonical(parent)
        whole = f"{above}.{last}"
        return whole if whole == path else canonical(whole)
    return path


def space(path: str) -> Namespace | None:
    """The module of that path, None if there is none."""
    path = canonical(path)
    if path not in SOURCES:
        return None
    if path not in _made:
        _made[path] = Namespace(path)
    return _made[path]


class Finder:
    """Finds the modules of the tree below a prefix, or as modules at the top for none.

    Args:
        prefix: before their names, such as `"convkit.compat."`.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of a module of the tree.

        Raises:
            ModuleNotFoundError: there is none such, and no advice what to take instead, or the
                script expects that there is none.
        """
        if not name.startswith(self._prefix):
            return None
        inner = name[len(self._prefix) :]
        if inner.partition(".")[0] not in ROOTS:
            return None
        found = space(inner)
        if found is None:
            path = canonical(inner)
            hint = advice(path)
            if not is_guarded(sys._getframe(1), of_module=True):
                if hint:
                    return ModuleSpec(name, Made(Unavailable(path, hint)), is_package=True)
                notes.missing(inner)
            raise ModuleNotFoundError(f"No module named {name!r}{hint}", name=name)
        return ModuleSpec(name, Made(found), is_package=True)


class Made(Loader):
    """Gives a module that is there already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do."""
