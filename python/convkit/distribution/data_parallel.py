"""DataParallel: every process has a part of each batch."""

from __future__ import annotations

import atexit
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import numpy as np

from .. import runtime
from ..core.config import as_number
from ..core.parameters import Array, ParameterStore
from ..core.processes import Reducer, first_sample, sharing
from ..core.warn import warn
from ..ops._calls import on_ranks
from .communicator import Communicator, MPICommunicator
from .reducer import AveragedWeights, SummedGradients

# Sums over a batch have so many pieces or a multiple, of which a process has some as a whole.
_PIECES = 8
_LONGEST_CALL = 1024  # bytes of what the processes tell each other that they are about to do
_PATIENCE = 30.0  # seconds until a process says that it waits


class DataParallel:
    """Have several processes train one model together: each takes a part of every batch.

    Start the same script in all of them, `mpiexec -n 4 python train.py`, with one line more:

        convkit.distribution.set_distribution(convkit.distribution.DataParallel())

    `fit`, `evaluate` and `predict` stay as they are, and every process calls them. A batch size is
    that of the whole batch. All processes draw the same order of the samples and take their parts
    of each batch, begin with the first one's weights, make every step together, and have the same
    weights, history and results in the end. What is printed, and what callbacks write, comes from
    the first process alone; `distribution().rank` is 0 there.

    A process takes as many threads as it has cores, divided by the processes that have the same
    cores, unless OMP_NUM_THREADS says how many; and where sums are exact, the best instruction set
    that all machines have. A process that raises an exception ends all.

    Args:
        comm: a communicator of mpi4py; None takes all processes that MPI has started.
        reduction: "exact" gives 1, 2, 4 or 8 processes the bits of one: operations put their sums
            over the batch together in the order of one process, and batch normalisation takes the
            statistics of the whole batch. "fast" adds up gradients while the backward pass goes on,
            and normalises each process's part by itself, as PyTorch does; any number of processes.
        sync_every: with "fast", steps that each process makes by itself before the weights are
            averaged, for slow networks (T. Lin et al., "Don't use large mini-batches, use local
            SGD", 2018). 1 adds up the gradients of every step.

    Attributes:
        rank: the number of this process.
        size: how many there are.

    Raises:
        ImportError: mpi4py or an MPI is missing; the message says what to install.
        ValueError: an unknown reduction, or "exact" with other than 1, 2, 4 or 8 processes.
    """

    def __init__(self, comm: Any = None, reduction: str = "exact", sync_every: int = 1) -> None:
        if reduction not in ("exact", "fast"):
            raise ValueError(f"reduction must be 'exact' or 'fast', received {reduction!r}")
        steps = as_number(sync_every)
        if steps is None or steps != int(steps) or steps < 1:
            raise ValueError(
                f"sync_every must be an integer of at least 1, received {sync_every!r}"
            )
        if steps > 1 and reduction == "exact":
            raise ValueError("sync_every averages weights, which needs reduction='fast'")
        is_own = hasattr(comm, "start_sum")
        self._comm: Communicator = comm if is_own else MPICommunicator(comm)
        self.rank, self.size = self._comm.rank, self._comm.size
        self.reduction, self.sync_every = reduction, int(steps)
        if reduction == "exact" and _PIECES % self.size:
            raise ValueError(
                f"reduction='exact' needs 1, 2, 4 or 8 processes, and there are {self.size}; use "
                f"another number, or reduction='fast'"
            )
        self._exchange = _Exchange(self._comm)
        self._leaves = False  # the others alone, in the midst of a pass

    def __repr__(self) -> str:
        return f"<DataParallel {self.rank} of {self.size}, reduction={self.reduction!r}>"

    # What training asks; see `convkit.core.processes`.

    def share(self, samples: int) -> BatchShare | None:
        """What this process has of a batch; None where each computes the whole, which is small."""
        least = max(self.size, _PIECES) if self.reduction == "exact" else self.size
        if self.size == 1 or samples < least:
            return None
        return BatchShare(self, samples)

    def reducer(self, store: ParameterStore) -> Reducer | None:
        """What puts the gradients of a model together; None where operations do."""
        if self.size == 1 or self.reduction == "exact":
            return None
        kind = SummedGradients if self.sync_every == 1 else AveragedWeights
        return kind(self._comm, store)

    def agree(self, what: str, **values: Any) -> None:
        """Wait for the other processes; ValueError where they are about to do something else."""
        details = ", ".join(f"{name}={value!r}" for name, value in values.items())
        own = np.zeros(_LONGEST_CALL, np.uint8)
        call = f"{what}({details})" if values else what
        text = call.encode()[:_LONGEST_CALL]
        own[: len(text)] = np.frombuffer(text, np.uint8)
        everyone = np.zeros((self.size, _LONGEST_CALL), np.uint8)
        self._wait(self._comm.start_gather(own, everyone), text.decode(errors="replace"))
        calls = [bytes(row).rstrip(b"\0").decode(errors="replace") for row in everyone]
        if other := next((i for i, call in enumerate(calls) if call != calls[0]), 0):
            raise ValueError(
                f"all processes must do the same, but process 0 is at {calls[0]}, and process "
                f"{other} at {calls[other]}"
            )

    def counts(self, own: int) -> list[int]:
        """A number of each process."""
        numbers = np.zeros(self.size, np.int64)
        numbers[self.rank] = own
        self._comm.gather(numbers, [8 * rank for rank in range(self.size + 1)])
        return [int(number) for number in numbers]

    def broadcast(self, value: Any) -> Any:
        """The first process's value."""
        return self._comm.broadcast(value)

    def interrupted(self, error: BaseException) -> None:
        """Remember that this process leaves a pass that the others go on with."""
        self._leaves = isinstance(error, SystemExit)

    def after_step(self, store: ParameterStore, steps: int) -> None:
        """Average the weights after every so many steps that processes made by themselves."""
        if self.sync_every > 1 and steps % self.sync_every == 0:
            self._average(store)

    def settle(self, store: ParameterStore) -> None:
        """Give all processes the same weights."""
        if self.sync_every > 1:
            self._average(store)

    # How.

    def _average(self, store: ParameterStore) -> None:
        for values in (store.values, store.state):
            if values.size:
                self._comm.start_sum(values).Wait()
                values /= self.size

    def gather(self, arrays: Sequence[Array], samples: int) -> list[Array]:
        """The rows of all processes, each of which has its share of so many; by one message."""
        places = [self.first(rank, samples) for rank in range(self.size + 1)]
        own = [np.ascontiguousarray(array) for array in arrays]
        mine = places[self.rank + 1] - places[self.rank]
        sizes = [array.nbytes // mine for array in own]  # bytes of a sample
        message = np.empty(samples * sum(sizes), np.uint8)
        offsets = [place * sum(sizes) for place in places]
        parts = [array.reshape(-1).view(np.uint8) for array in own]
        message[offsets[self.rank] : offsets[self.rank + 1]] = np.concatenate(parts)
        self._comm.gather(message, offsets)
        found, before = [], 0
        for array, size in zip(own, sizes, strict=True):
            whole = np.empty((samples, *array.shape[1:]), array.dtype)
            data = whole.reshape(-1).view(np.uint8)
            for start, stop, offset in zip(places, places[1:], offsets, strict=False):
                begin = offset + (stop - start) * before
                data[start * size : stop * size] = message[begin : begin + (stop - start) * size]
            found.append(whole)
            before += size
        return found

    def first(self, rank: int, samples: int) -> int:
        """The first sample of a process's share, of so many in the batch."""
        return first_sample(rank, self.size, samples)

    def _wait(self, request: Any, call: str) -> None:
        begun, pause, said = time.monotonic(), 0.0, False
        while not request.Test():
            time.sleep(pause)  # others may need the core to get here
            waited = time.monotonic() - begun
            pause = min(0.01, waited / 10)
            if waited > _PATIENCE and not said:
                said = True
                warn(
                    f"process {self.rank} has waited for {waited:.0f} s at {call}: every process "
                    f"must call the same methods of its models"
                )

    def take_over(self) -> None:
        """Be what this process trains with: choose its threads, and let its errors end all."""
        if self.size > 1:
            self._choose_threads()
            if self.reduction == "exact":
                self._choose_isa()
            self._end_together()

    def _choose_threads(self) -> None:
        affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
        cores = sorted(affinity(0)) if affinity else list(range(os.cpu_count() or 1))
        sharers = self._comm.neighbours(cores).count(cores)
        if sharers > len(cores) and self.rank == 0:
            warn(
                f"{sharers} processes share {len(cores)} cores: start no more processes than there "
                f"are cores, or have MPI not bind them to cores (mpiexec --bind-to none)"
            )
        if not os.environ.get("OMP_NUM_THREADS"):
            runtime.set_num_threads(max(1, runtime.usable_cpus() // sharers))

    def _choose_isa(self) -> None:
        """Compute with the best instruction set that all have, for bits depend on it."""
        sets = runtime.available_isas()  # the best first
        own = len(sets) - sets.index(runtime.isa())
        runtime.set_isa(sets[-min(self.counts(own))])

    def _end_together(self) -> None:
        """End all processes where this one ends by an exception that nobody has caught."""
        show = sys.excepthook

        def end(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
            if self.rank:
                text = "".join(traceback.format_exception(kind, error, at))
                print(f"process {self.rank}:\n{text}", file=sys.stderr, end="")
            else:
                show(kind, error, at)
            self._comm.abort(1)

        own = os.getpid()

        def leave() -> None:
            if os.getpid() != own or self._comm.has_ended():  # a forked child, or by the user
                return
            if self._leaves:  # by sys.exit, which no hook hears of
                text = f"process {self.rank} ends in the midst of a pass, and so do all others"
                print(text, file=sys.stderr)
                self._comm.abort(1)
            try:  # or others wait in a pass, and nobody says so
                self.agree("the end of the script")
            except ValueError as error:
                print(f"process {self.rank}: {error}", file=sys.stderr)
                self._comm.abort(1)

        sys.excepthook = end
        atexit.register(leave)


class _Exchange:
    """What native operations call, with memory of float32."""

    def __init__(self, comm: Communicator) -> None:
        self._comm = comm
        self._memory = np.empty(0, np.float32)

    def gather(self, values: memoryview, offsets: list[int]) -> None:
        """Fill in the other processes' floats: what native operations call."""
        self._comm.gather(np.frombuffer(values, np.uint8), [4 * offset for offset in offsets])

    def sum(self, values: memoryview) -> None:
        """Add up neighbours, then pairs of them and so on, which has the same bits on all."""
        own = np.frombuffer(values, np.float32)
        if self._memory.size < own.size:
            self._memory = np.empty(own.size, np.float32)
        other = self._memory[: own.size]
        distance = 1
        while distance < self._comm.size:
            self._comm.exchange(own, self._comm.rank ^ distance, other)
            with np.errstate(all="ignore"):  # NaN and infinity are no errors here
                np.add(own, other, out=own)
            distance *= 2


class BatchShare:
    """What one process has of a batch.

    Args:
        of: the processes.
        samples: of the whole batch.

    Attributes:
        samples: of the whole batch.
        rows: of it that are this process's.
        exact: whether what is computed shall have the bits of one process.
    """

    __slots__ = ("_of", "exact", "rows", "samples")

    def __init__(self, of: DataParallel, samples: int) -> None:
        self._of, self.samples, self.exact = of, samples, of.reduction == "exact"
        self.rows = slice(of.first(of.rank, samples), of.first(of.rank + 1, samples))

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function whose native operations are about the whole batch."""
        of = self._of
        given = of.rank, of.size, self.samples, self.exact
        with sharing(self):
            return on_ranks(of._exchange, *given, function, *arguments)

    def gather(self, arrays: Sequence[Array]) -> list[Array]:
        """The whole batch's rows of some arrays, from those of all processes."""
        return self._of.gather(arrays, self.samples)
