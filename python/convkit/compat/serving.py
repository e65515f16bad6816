"""Modules of Keras and TensorFlow, served by convkit to whoever imports them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from .tree import ROOTS, Finder

_finder = Finder()
_real: dict[str, ModuleType] = {}  # the modules of Keras itself, once they were needed


def _ours() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in ROOTS]


@contextmanager
def serving() -> Iterator[None]:
    """Within, `import keras`, `import tensorflow` and their kin give convkit's names."""
    before = {name: sys.modules.pop(name) for name in _ours()}
    sys.meta_path.insert(0, _finder)
    try:
        yield
    finally:
        sys.meta_path.remove(_finder)
        for name in _ours():
            del sys.modules[name]
        sys.modules.update(before)


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
