"""How convkit's training step scales, with threads and with the batch: convkit against itself.

Multiply-adds in registers are measured beside it: no step can gain more from threads than they do,
and on a virtual machine, whose cores may be threads of one, that is not always the threads' number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from .. import runtime
from .measure import Call, Case, Facts
from .shapes import MODELS
from .train import compiled, over_batches

THREADS_BATCH = 32  # the batch size at which the threads are varied
_ROUNDS = 1 << 20  # of multiply-adds: some milliseconds


def scaling_cases(
    models: Sequence[str] = tuple(MODELS),
    *,
    threads: int,
    batch_sizes: Sequence[int] = (16, 32, 64, 128),
) -> Iterator[Case]:
    """Two cases for each model: 1, 2, 4 ... threads against one; each batch size against the last.

    The first case has both the step and as many multiply-adds for any number of threads.

    While the first is measured, the number of threads changes; it is `threads` otherwise.

    Args:
        models: names out of `MODELS`.
        threads: the largest number, which takes part whether or not it is a power of two.
        batch_sizes: in the order in which they are compared.
    """
    for name in models:
        step = _step(name, THREADS_BATCH)
        counts = powers(threads)
        calls: dict[str, Call] = {
            _threads(count): partial(_with_threads, count, step) for count in counts
        }
        adds = {f"multiply-adds, {_threads(count)}": _multiply_adds(count) for count in counts}
        try:
            images = {side: THREADS_BATCH for side in calls}
            facts = Facts(images=images, bases=dict.fromkeys(adds, next(iter(adds))))
            calls |= adds
            yield Case(f"{name}, threads (batch {THREADS_BATCH})", "step", calls, facts)
        finally:
            runtime.set_num_threads(threads)
        by_size = {f"batch {size}": _step(name, size) for size in batch_sizes}
        images = {f"batch {size}": size for size in batch_sizes}
        facts = Facts(images=images, bases=dict(zip(list(images)[1:], images, strict=False)))
        yield Case(f"{name}, batch size ({_threads(threads)})", "step", by_size, facts)


def powers(largest: int) -> list[int]:
    """The powers of two below `largest`, and `largest`."""
    return [*(1 << exponent for exponent in range((largest - 1).bit_length())), largest]


def _step(name: str, batch_size: int) -> Call:
    """A step of a model of its own, whose memory fits the batch."""
    model = compiled(name)
    return over_batches(model.train_on_batch, model, batch_size)


def _multiply_adds(threads: int) -> Call:
    """As many for any number of threads, which share them."""
    return partial(_with_threads, threads, partial(runtime.multiply_add_peak, _ROUNDS // threads))


def _with_threads(count: int, step: Callable[[], object]) -> object:
    runtime.set_num_threads(count)
    return step()


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"
