"""Work that is done ahead of time by threads, in order, and only so far ahead.

Reading files, Pillow's decoders, NumPy and the training itself let other threads of Python run.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

_MOST_WORKERS = 16


def cores() -> int:
    """The processors that this process may use, at most 16."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)
    return min(os.cpu_count() or 1, _MOST_WORKERS)


def ordered(
    function: Callable[[Any], Any], items: Iterable[Any], workers: int, ahead: int
) -> Iterator[Any]:
    """What a function makes of each item, in the order of the items.

    An error, of the function or of the items, comes at its place. Whoever leaves the iterator
    before its end leaves no thread behind.

    Args:
        function: is called by several threads at a time.
        items: are taken by the thread that asks for results.
        workers: so many threads.
        ahead: so many items are taken before their results are asked for; this bounds the memory.
    """
    from concurrent.futures import ThreadPoolExecutor  # here: only where there are threads

    pool = ThreadPoolExecutor(workers, thread_name_prefix="convkit-data")
    waiting: deque[Future[Any]] = deque()
    source = iter(items)
    try:
        while len(waiting) < ahead and _submit(pool, function, source, waiting):
            pass
        while waiting:
            result = waiting.popleft().result()
            _submit(pool, function, source, waiting)
            yield result
            del result  # memory of what is done with
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _submit(
    pool: ThreadPoolExecutor,
    function: Callable[[Any], Any],
    source: Iterator[Any],
    waiting: deque[Future[Any]],
) -> bool:
    """Let the next item be worked on; False if there is none."""
    from concurrent.futures import Future

    if waiting and waiting[-1].done() and waiting[-1].exception() is not None:
        return False  # nothing behind an error will be asked for
    try:
        waiting.append(pool.submit(function, next(source)))
    except StopIteration:
        return False
    except Exception as error:
        failed: Future[Any] = Future()
        failed.set_exception(error)
        waiting.append(failed)
        return False
    return True


def prefetched(source: Iterator[Any], ahead: int) -> Iterator[Any]:
    """The same elements, of which another thread takes so many before they are asked for."""
    end = object()
    for element in ordered(lambda _: next(source, end), repeat(None), 1, ahead):
        if element is end:
            return
        yield element
