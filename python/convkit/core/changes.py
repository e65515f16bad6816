"""A count of the changes that a remembered native call may not outlive.

A training step makes the same native calls with the same arrays as the step before, so a plan
remembers them (`convkit.plan.BoundSteps`). What they depend on besides the arrays is the attributes
of those who made them and where parameters live: whoever changes one of those says so here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

count = 0
structure = object()  # another one whenever something changed that a plan was lowered for


def note() -> None:
    """Something changed: what was remembered before is not to be repeated."""
    global count
    count += 1


def restructure(owner: Repeatable) -> None:
    """Something changed that plans with `owner` were lowered for: they are to be lowered again."""
    global structure
    object.__setattr__(owner, "revision", owner.revision + 1)
    structure = object()
    note()


class Repeatable:
    """Base class of who makes native calls that a plan may remember.

    Attributes:
        repeats: whether what a plan runs are native calls that depend on nothing but their arrays,
            the object's attributes and what else is noted. Not inherited: a subclass may do more.
        read_anew: the attributes that a remembered call reads again, in an array.
        revision: how often `restructure` was called for it.
    """

    repeats: bool = False
    read_anew: ClassVar[frozenset[str]] = frozenset()
    revision = 0

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "repeats" not in vars(cls):
            cls.repeats = False

    if not TYPE_CHECKING:  # checkers would let any attribute be set

        def __setattr__(self, name: str, value: Any) -> None:
            if name not in self.read_anew:
                note()
            super().__setattr__(name, value)
