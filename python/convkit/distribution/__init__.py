"""Several processes, on one machine or many, that train one model together by MPI.

    >>> convkit.distribution.set_distribution(convkit.distribution.DataParallel())
    >>> model.fit(x_train, y_train, batch_size=128)  # in every process; the batch is shared

Needs mpi4py and an MPI: `pip install "convkit[mpi]"`.
"""

from __future__ import annotations

from ..core import processes, random
from .data_parallel import DataParallel

__all__ = ["DataParallel", "distribution", "set_distribution"]


def set_distribution(value: DataParallel | None) -> None:
    """Have all models of this process train and predict together with those of the others.

    All processes take the first one's seed, so that what is random is the same in all.

    Args:
        value: the distribution; None ends one, and each process is by itself again.

    Raises:
        TypeError: it is no distribution.
    """
    if value is not None and not isinstance(value, DataParallel):
        raise TypeError(f"the distribution must be a DataParallel or None, received {value!r}")
    if value is not None:
        value.take_over()
        if value.size > 1:
            first = value.broadcast(random.seed())
            if any(value.counts(int(random.seed() != first))):  # or all go on where they are
                random.set_seed(first)
    processes.set_current(value)


def distribution() -> DataParallel | None:
    """The distribution that was set, or None."""
    current = processes.current()
    assert current is None or isinstance(current, DataParallel)
    return current


def __dir__() -> list[str]:
    return __all__
