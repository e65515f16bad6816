"""Threads of one process that train as if each were a process of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from convkit.core import processes
from convkit.core.parameters import Array
from convkit.distribution import DataParallel

_Result = TypeVar("_Result")


class _Board:
    """Where the threads leave what others need; the meeting points are numbered."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._barrier = threading.Barrier(size, timeout=60)
        self._values: list[Any] = [None] * size

    def all(self, rank: int, value: Any) -> list[Any]:
        """What each thread has brought."""
        self._values[rank] = value
        self._barrier.wait()
        found = list(self._values)
        self._barrier.wait()
        return found

    def abort(self) -> None:
        self._barrier.abort()


class _Done:
    """A request that has ended."""

    def Test(self) -> bool:
        return True

    def Wait(self) -> None:
        pass


class ThreadCommunicator:
    """A `convkit.distribution.communicator.Communicator` of threads."""

    def __init__(self, rank: int, board: _Board) -> None:
        self.rank, self.size, self._board = rank, board.size, board

    def exchange(self, values: Array, partner: int, out: Array) -> None:
        out[:] = self._board.all(self.rank, values.copy())[partner]

    def gather(self, values: Array, offsets: Sequence[int]) -> None:
        data = values.reshape(-1).view(np.uint8)
        own = data[offsets[self.rank] : offsets[self.rank + 1]].copy()
        for rank, part in enumerate(self._board.all(self.rank, own)):
            data[offsets[rank] : offsets[rank + 1]] = part

    def start_sum(self, values: Array) -> _Done:
        parts = self._board.all(self.rank, values.copy())
        values[:] = sum(parts[1:], start=parts[0])
        return _Done()

    def start_gather(self, own: Array, out: Array) -> _Done:
        out[:] = np.stack(self._board.all(self.rank, own.copy()))
        return _Done()

    def broadcast(self, value: Any) -> Any:
        return self._board.all(self.rank, value)[0]

    def has_ended(self) -> bool:
        return False

    def neighbours(self, value: Any) -> list[Any]:
        return self._board.all(self.rank, value)

    def abort(self, code: int) -> None:
        self._board.abort()


def on_threads(size: int, work: Callable[[], _Result], **options: Any) -> list[_Result]:
    """What `work` returns in each of some threads that stand for processes.

    Args:
        size: how many.
        work: what each does; it makes its own model.
        options: of `DataParallel`.
    """
    board = _Board(size)

    def run(rank: int) -> _Result:
        with processes.in_thread(DataParallel(ThreadCommunicator(rank, board), **options)):
            try:
                return work()
            except BaseException:
                board.abort()
                raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(run, rank) for rank in range(size)]
        errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None and not isinstance(error, threading.BrokenBarrierError):
                raise error
        return [future.result() for future in futures]
