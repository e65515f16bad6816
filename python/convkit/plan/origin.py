"""What a plan was lowered from, and whether that changed."""

from __future__ import annotations

from collections.abc import Sequence

from ..core import changes


class Origin:
    """The layers, and the loss, that a plan is lowered from, as they are now."""

    __slots__ = ("_revisions", "_sources", "_structure")

    def __init__(self, sources: Sequence[changes.Repeatable] = ()) -> None:
        self._structure = changes.structure
        self._sources = sources
        self._revisions = [source.revision for source in sources]

    def is_unchanged(self) -> bool:
        """Whether lowering them again would give the same plan.

        Before most batches, nothing changed anywhere in the process, which is one comparison.
        """
        structure = changes.structure
        if self._structure is structure:
            return True
        if self._revisions != [source.revision for source in self._sources]:
            return False
        self._structure = structure
        return True
