"""Modules of Keras and TensorFlow, served by convkit to whoever imports them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from .older_packages import older_packages
from .symbolic import operating
from .tree import ROOTS, Finder, Made

_finder = Finder()
_real: dict[str, ModuleType] = {}  # the modules of Keras itself, of which there is one each


class _Colab:
    """Finds `google.colab` where nobody else does."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The specification of one of its modules."""
        if name == "google":  # whose other parts are not installed either
            return ModuleSpec(name, Made(ModuleType(name)), is_package=True)
        if name.partition(".")[0] != "google" or name.split(".")[1] != "colab":
            return None
        own = f"{__package__}.{name.removeprefix('google.')}"
        if find_spec(own) is None:
            return None
        return ModuleSpec(name, Made(import_module(own)), is_package=True)


_colab = _Colab()


def _ours() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in ROOTS]


@contextmanager
def serving() -> Iterator[None]:
    """Within, `import keras`, `import tensorflow` and their kin give convkit's names."""
    before = {name: sys.modules.pop(name) for name in _ours()}
    if _finder not in sys.meta_path:
        _real.update(before)
    others = {name for name in sys.modules if name.partition(".")[0] == "google"}
    sys.meta_path.insert(0, _finder)
    sys.meta_path.append(_colab)
    try:
        with operating(), older_packages():
            yield
    finally:
        sys.meta_path.remove(_finder)
        sys.meta_path.remove(_colab)
        for name in _ours():
            del sys.modules[name]
        sys.modules.update(before if _finder in sys.meta_path else _real)
        _forget_colab(others)


def _forget_colab(others: set[str]) -> None:
    """Take away what of `google` was made here, and was not there before."""
    made = [name for name in sys.modules if name.startswith("google.colab") and name not in others]
    google = sys.modules.get("google")
    if google is not None and not getattr(google, "__path__", None):
        made.append("google")
    elif made and hasattr(google, "colab"):
        delattr(google, "colab")
    for name in made:
        del sys.modules[name]


@contextmanager
def aside() -> Iterator[None]:
    """Within, those imports give the real modules again, if they are installed."""
    if _finder not in sys.meta_path:
        yield
        return
    served = {name: sys.modules.pop(name) for name in _ours()}
    sys.meta_path.remove(_finder)
    sys.modules.update(_real)
    try:
        yield
    finally:
        _real.update({name: sys.modules.pop(name) for name in _ours()})
        sys.meta_path.insert(0, _finder)
        sys.modules.update(served)
