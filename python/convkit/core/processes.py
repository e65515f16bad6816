"""The processes that train one model together, as the rest of the package knows them.

`convkit.distribution` sets them; without, there is one process, and nothing here costs anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from .parameters import Array, Parameter, ParameterStore


class Share(Protocol):
    """What one process has of a batch.

    Attributes:
        samples: of the whole batch.
        rows: of it that are this process's.
        exact: whether what is computed shall have the bits of one process.
    """

    samples: int
    rows: slice
    exact: bool

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function whose native operations are about the whole batch."""

    def gather(self, arrays: Sequence[Array]) -> list[Array]:
        """The whole batch's rows of some arrays, from those of all processes."""


class Reducer(Protocol):
    """What puts gradients together, where native operations do not."""

    def start(self, parameters: Sequence[Parameter], share: Share | None) -> None:
        """The gradients of these parameters are there; those of others may not be.

        `share` is what this process has of the batch, None where it has the whole.
        """

    def finish(self, share: Share | None) -> None:
        """Wait until all gradients are what the optimizer shall have."""


class Processes(Protocol):
    """All processes of a training, as one of them sees them.

    Attributes:
        rank: the number of this one.
        size: how many there are.
    """

    rank: int
    size: int

    def share(self, samples: int) -> Share | None:
        """What this process has of a batch; None where each computes the whole."""

    def reducer(self, store: ParameterStore) -> Reducer | None:
        """What puts the gradients of a model together; None where operations do."""

    def counts(self, own: int) -> list[int]:
        """A number of each process."""

    def gather(self, arrays: Sequence[Array], samples: int) -> list[Array]:
        """The rows of all processes, each of which has its share of so many samples."""

    def agree(self, what: str, **values: Any) -> None:
        """Wait for the others; ValueError where they are about to do something else."""

    def broadcast(self, value: Any) -> Any:
        """The first process's value."""

    def interrupted(self, error: BaseException) -> None:
        """This process leaves a pass that the others go on with."""

    def after_step(self, store: ParameterStore, steps: int) -> None:
        """Bring weights together where processes make several steps by themselves."""

    def settle(self, store: ParameterStore) -> None:
        """Give all processes the same weights, at the end of an epoch."""


_everywhere: Processes | None = None
_own = threading.local()  # of a thread: the processes that it stands for one of, its share


def current() -> Processes | None:
    """The processes that train together, or None."""
    own: Processes | None = getattr(_own, "processes", None)
    return _everywhere if own is None else own


def set_current(processes: Processes | None) -> None:
    """Have those processes train together from now on, or None."""
    global _everywhere
    _everywhere = processes


@contextmanager
def in_thread(processes: Processes) -> Iterator[None]:
    """Let the calling thread be one of them."""
    _own.processes = processes
    try:
        yield
    finally:
        _own.processes = None


@contextmanager
def sharing(share: Share) -> Iterator[None]:
    """Let what the calling thread computes be about a batch of which this process has a share."""
    former = current_share()
    _own.share = share
    try:
        yield
    finally:
        _own.share = former


def current_share() -> Share | None:
    """What this process has of the batch that the calling thread computes with; None for all."""
    share: Share | None = getattr(_own, "share", None)
    return share


def first_sample(rank: int, ranks: int, samples: int) -> int:
    """The first sample of a process's share of a batch: one rule, here and in `ops/ranks.h`."""
    return rank * samples // ranks


def is_first() -> bool:
    """Whether this process is the one that prints and writes files."""
    processes = current()
    return processes is None or processes.rank == 0


def agree(what: str, **values: Any) -> None:
    """Wait for the other processes, if there are any; ValueError where they do something else."""
    processes = current()
    if processes is not None:
        processes.agree(what, **values)


def same(value: Any) -> Any:
    """The first process's value."""
    processes = current()
    return value if processes is None else processes.broadcast(value)
