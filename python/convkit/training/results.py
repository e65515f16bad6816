"""What a batch gave: of this process alone, or put together from all that share the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

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


class _WholeHead(NamedTuple):
    """A head of the whole batch; without metrics nobody needs its output."""

    weight: float
    losses: Array
    targets: Array | None = None
    output: Array | None = None


class _WholeResults(NamedTuple):
    """The results of a whole batch, of which each process has a share."""

    outputs: Sequence[Array]
    heads: Sequence[_WholeHead]


def whole_results(bound: Bound, share: Share | None, *, with_outputs: bool = True) -> Any:
    """What a batch gave, whoever computed it: `Results`.

    Args:
        bound: what this process has computed.
        share: of the batch, or None for all of it.
        with_outputs: whether the outputs, and the right answers of those that have a loss, are
            needed besides the losses.
    """
    if share is None:
        return bound
    if not bound.heads:
        return _WholeResults(share.gather(bound.outputs), ())
    arrays: list[Array] = []
    for head in bound.heads:
        arrays.append(head.losses)
        if with_outputs and head.targets is not None:
            arrays += [head.targets, head.output]
    whole = iter(share.gather(arrays))
    heads = []
    for head in bound.heads:
        losses = next(whole)
        has_outputs = with_outputs and head.targets is not None
        own = (next(whole), next(whole)) if has_outputs else ()
        heads.append(_WholeHead(head.weight, losses, *own))
    return _WholeResults((), heads)
