"""The names of a module beyond what it defines: those that others have, and those that are absent.

Not every program uses every layer, loss or metric, so a package says where they are and imports
a module when one of its names is first asked for (PEP 562). To type checkers, and to whoever reads
the package, the same imports stand under `if TYPE_CHECKING`; a test holds the two together. Of a
name that Keras has and convkit has not, the error says what to do instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def attach(
    name: str,
    public: Sequence[str],
    owners: Mapping[str, Sequence[str]] | None = None,
    submodules: Sequence[str] = (),
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A module's `__getattr__` and `__dir__`.

    Args:
        name: of the module, its `__name__`.
        public: its `__all__`.
        owners: the modules of its package that are imported when they are first used, and the names
            that each has.
        submodules: more of them, asked for by their own names.
    """
    homes = {each: owner for owner, names in (owners or {}).items() for each in names}
    modules = {*(owners or ()), *submodules}

    def __getattr__(attribute: str) -> Any:
        module = sys.modules[name]
        found: Any
        if attribute in homes:
            found = getattr(import_module(f".{homes[attribute]}", module.__package__), attribute)
        elif attribute in modules:
            found = import_module(f".{attribute}", module.__package__)
        elif attribute.startswith("__"):  # asked for by Python's own imports
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}")
        else:
            from ..absent import missing  # here: only for an error

            missing(name, attribute)
        setattr(module, attribute, found)
        return found

    def __dir__() -> list[str]:
        return list(public)

    return __getattr__, __dir__


def classes(module: Any, base: type) -> dict[str, type[Any]]:
    """The public classes of a module that are of a kind, but the base class, by their names.

    A class that has two names is there twice.
    """
    found = {name: getattr(module, name) for name in module.__all__}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, type) and issubclass(value, base) and value is not base
    }
