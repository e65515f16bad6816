"""What a batch gave: of this process alone, or put together from all that share the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..core.parameters import Array
from ..core.processes import Share
from ..plan import Bound


class Head(Protocol):
    """An output with its right answers; see `convkit.plan.bound.BoundHead`."""

    @property
    def weight(self) -> float: ...
    @property
    def losses(self) -> Array: ...
    @property
    def targets(self) -> Array | None: ...
    @property
    def output(self) -> Array: ...


class Results(Protocol):
    """The outputs of a batch, and those that have a loss."""

    @property
    def outputs(self) -> Sequence[Array]: ...
    @property
    def heads(self) -> Sequence[Head]: ...


class _WholeHead:
    """A head of the whole batch; what nobody asks for is not sent."""

    def __init__(self, own: Head, share: Share) -> None:
        self._own, self._share, self.weight = own, share, own.weight
        self._gathered: dict[str, Array] = {}

    def _gather(self, name: str, own: Array) -> Array:
        if name not in self._gathered:
            self._gathered[name] = self._share.gather(own)
        return self._gathered[name]

    @property
    def losses(self) -> Array:
        return self._gather("losses", self._own.losses)

    @property
    def targets(self) -> Array | None:
        own = self._own.targets
        return None if own is None else self._gather("targets", own)

    @property
    def output(self) -> Array:
        return self._gather("output", self._own.output)


class _WholeResults:
    """The results of a whole batch, of which each process has a share."""

    def __init__(self, bound: Bound, share: Share) -> None:
        self._bound, self._share = bound, share
        self.heads = [_WholeHead(head, share) for head in bound.heads]

    @property
    def outputs(self) -> list[Array]:
        return [self._share.gather(output) for output in self._bound.outputs]


def whole_results(bound: Bound, share: Share | None) -> Results:
    """What a batch gave, whoever computed it."""
    return bound if share is None else _WholeResults(bound, share)
