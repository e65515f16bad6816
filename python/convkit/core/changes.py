"""What captured native calls may not outlive.

A training step makes the same native calls with the same arrays as the step before, so a plan
captures them (`convkit.plan.BoundSteps`) and replays them. What they depend on besides the arrays
is the attributes of those who made them and where parameters live. Each of those counts its own
changes, its generation, and a plan replays its calls while no generation is another than when they
were captured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

# Another value with every change anywhere: while it stands still, no generations are compared.
count = 0
structure = object()  # another one whenever something changed that a plan was lowered for


class HasGeneration(Protocol):
    """Something that captured calls depend on.

    Attributes:
        generation: the number of its changes.
    """

    generation: int


def invalidate(owner: HasGeneration) -> None:
    """Something changed: what was captured before with `owner` is not to be replayed."""
    global count
    object.__setattr__(owner, "generation", owner.generation + 1)
    count += 1


def restructure(owner: Capturable) -> None:
    """Something changed that plans with `owner` were lowered for: they are to be lowered again."""
    global structure
    object.__setattr__(owner, "revision", owner.revision + 1)
    structure = object()
    invalidate(owner)


class Capturable:
    """Base class of who makes native calls that a plan may capture.

    Attributes:
        capturable: whether what a plan runs are native calls that depend on nothing but their
            arrays, the object's attributes and what else has a generation. Not inherited: a
            subclass may do more.
        read_at_replay: the attributes that a replayed call reads again, in an array.
        generation: how often an attribute was set, except those.
        revision: how often `restructure` was called for it.
    """

    capturable: bool = False
    read_at_replay: ClassVar[frozenset[str]] = frozenset()
    generation = 0
    revision = 0

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "capturable" not in vars(cls):
            cls.capturable = False

    if not TYPE_CHECKING:  # checkers would let any attribute be set

        def __setattr__(self, name: str, value: Any) -> None:
            if name not in self.read_at_replay:
                invalidate(self)
            super().__setattr__(name, value)
