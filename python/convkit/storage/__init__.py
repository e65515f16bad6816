"""Models in files: what is written, how it is checked, and how a model is made of it again.

A saved model is two things: a document, which JSON can hold, and float32 arrays by name. The
document has the architecture, what `compile` was given, and the counters that random numbers and
schedules depend on; the arrays are the weights and the optimizer's slots. `document` goes from a
model to both and back, `registry` knows the classes that a document may name, and `file` puts both
into one safetensors file. Pickling and copying a model use the same two things without a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy

if TYPE_CHECKING:
    from .document import (
        Arrays,
        assign_weights,
        describe,
        describe_training,
        describe_weights,
        refuse_unknown,
        restore,
        restore_training,
    )
    from .file import reading, write
    from .header import parse
    from .registry import revive
    from .state import pack, unpack

__all__ = [
    "Arrays",
    "assign_weights",
    "describe",
    "describe_training",
    "describe_weights",
    "pack",
    "parse",
    "reading",
    "refuse_unknown",
    "restore",
    "restore_training",
    "revive",
    "unpack",
    "write",
]

_OWNERS = {
    "document": (
        "Arrays",
        "assign_weights",
        "describe",
        "describe_training",
        "describe_weights",
        "refuse_unknown",
        "restore",
        "restore_training",
    ),
    "file": ("reading", "write"),
    "header": ("parse",),
    "registry": ("revive",),
    "state": ("pack", "unpack"),
}

if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__, _OWNERS)
