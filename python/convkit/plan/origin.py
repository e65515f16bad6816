"""What a plan was lowered from, and whether that changed."""

from __future__ import annotations

from collections.abc import Sequence

from ..core import changes
from ..core.parameters import Parameter


class Origin:
    """The layers, losses and parameters that a plan is lowered from, and the optimizer.

    Args:
        sources: layers and losses, whose revisions say whether lowering them again would give
            another plan.
        parameters: of the layers.
        optimizer: if the plan has one.
    """

    __slots__ = ("_owners", "_parameters", "_revisions", "_sources", "_structure")

    def __init__(
        self,
        sources: Sequence[changes.Capturable] = (),
        parameters: Sequence[Parameter] = (),
        optimizer: changes.Capturable | None = None,
    ) -> None:
        self._structure = changes.structure
        self._sources, self._parameters = sources, parameters
        self._owners: list[changes.HasGeneration] = [*sources, *parameters]
        if optimizer is not None:
            self._owners.append(optimizer)
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

    def owns_weights(self) -> bool:
        """Whether nobody else has the parameters' arrays, to write into them unseen."""
        return not any(parameter.is_handed_out for parameter in self._parameters)

    def generations(self) -> list[int]:
        """How often each of those was changed that captured calls of the plan depend on."""
        found = [owner.generation for owner in self._owners]
        found += [p.constraint.generation for p in self._parameters if p.constraint is not None]
        return found
