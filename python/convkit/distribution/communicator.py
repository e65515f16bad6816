"""How processes reach each other: what training needs of MPI, and no more."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from ..core.packages import package
from ..core.parameters import Array


class Request(Protocol):
    """Something that goes on while other things are done."""

    def Test(self) -> bool:  # mpi4py's name
        """Whether it has ended; lets it go on."""

    def Wait(self) -> Any:
        """Wait until it has ended."""


class Communicator(Protocol):
    """Processes that are numbered from 0. Every one of them makes the same calls.

    Attributes:
        rank: the number of this one.
        size: how many there are.
    """

    rank: int
    size: int

    def exchange(self, values: Array, partner: int, out: Array) -> None:
        """Send an array to another process, which sends one of the same size."""

    def gather(self, values: Array, offsets: Sequence[int]) -> None:
        """Fill in the bytes [offsets[r], offsets[r + 1]) of every process r."""

    def start_sum(self, values: Array) -> Request:
        """Begin to put the sums over all processes in the place of float32 values."""

    def broadcast(self, value: Any) -> Any:
        """The object of the first process."""

    def start_gather(self, own: Array, out: Array) -> Request:
        """Begin to put the bytes of every process into the rows of `out`."""

    def abort(self, code: int) -> None:
        """End all processes at once."""

    def has_ended(self) -> bool:
        """Whether no process can be reached any more."""

    def neighbours(self, value: Any) -> list[Any]:
        """The objects of the processes on the same machine."""


class MPICommunicator:
    """The processes of a communicator of mpi4py.

    Args:
        comm: the communicator; None takes all processes that MPI has started.

    Raises:
        ImportError: mpi4py is not there, or finds no MPI; the message says what to install.
    """

    def __init__(self, comm: Any = None) -> None:
        try:
            self._mpi = package("mpi4py.MPI")
        except RuntimeError as error:  # mpi4py is there, and finds no library of MPI
            raise ImportError(
                f"there is no MPI on this machine, or not where mpi4py looks for it; load your "
                f"cluster's module, or pip install mpich: {error}"
            ) from error
        # Communicators of its own, so that no message meets one of the user's.
        self._comm = (self._mpi.COMM_WORLD if comm is None else comm).Dup()
        self._calls = self._comm.Dup()
        self.rank, self.size = self._comm.Get_rank(), self._comm.Get_size()

    def exchange(self, values: Array, partner: int, out: Array) -> None:
        """As `Communicator` says."""
        self._comm.Sendrecv(values, partner, recvbuf=out, source=partner)

    def gather(self, values: Array, offsets: Sequence[int]) -> None:
        """As `Communicator` says."""
        counts = [stop - start for start, stop in pairwise(offsets)]
        data = values.reshape(-1).view(np.uint8)
        self._comm.Allgatherv(
            self._mpi.IN_PLACE, [data, counts, list(offsets[:-1]), self._mpi.BYTE]
        )

    def start_sum(self, values: Array) -> Request:
        """As `Communicator` says."""
        request: Request = self._comm.Iallreduce(self._mpi.IN_PLACE, values)
        return request

    def broadcast(self, value: Any) -> Any:
        """As `Communicator` says."""
        return self._comm.bcast(value, root=0)

    def start_gather(self, own: Array, out: Array) -> Request:
        """As `Communicator` says."""
        request: Request = self._calls.Iallgather(own, out)
        return request

    def abort(self, code: int) -> None:
        """As `Communicator` says."""
        sys.stderr.flush()
        sys.stdout.flush()
        self._comm.Abort(code)

    def has_ended(self) -> bool:
        """As `Communicator` says."""
        return bool(self._mpi.Is_finalized())

    def neighbours(self, value: Any) -> list[Any]:
        """As `Communicator` says."""
        local = self._comm.Split_type(self._mpi.COMM_TYPE_SHARED)
        found: list[Any] = local.allgather(value)
        local.Free()
        return found
