"""A training step of several processes, which MPI starts, against one with as many threads.

`python -m convkit.bench.ranks MODEL BATCH REDUCTION` is what each process runs.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..callbacks import Callback, Logs
from ..core import processes
from ..distribution import DataParallel, set_distribution
from .measure import Case, Facts
from .shapes import MODELS
from .train import compiled

_SECONDS = 1.0  # of training that a run has for about
_MOST_RANKS = 8  # of an exact reduction
_WARM_UP = 5  # steps that are not counted


def rank_cases(
    models: Sequence[str] = tuple(MODELS),
    *,
    threads: int,
    batch_sizes: Sequence[int] = (32, 128),
) -> Iterator[Case]:
    """One process against some that share each batch, in both reductions, for each model and batch.

    Args:
        models: names of models.
        threads: of the one process; the others have as many together, in 2, 4 or 8 processes.
        batch_sizes: of the whole batch.

    Raises:
        ValueError: there is one thread, or no `mpiexec`.
    """
    if threads < 2:
        raise ValueError("ranks needs two threads at least, for one process each")
    launcher = mpiexec()
    ranks = min(1 << (threads.bit_length() - 1), _MOST_RANKS)
    for name in models:
        for batch in batch_sizes:
            step = partial(_step, launcher, name, batch)
            calls = {
                f"1 process, {threads} threads": partial(step, "none", 1, threads),
                f"{ranks} processes, fast": partial(step, "fast", ranks, threads // ranks),
                f"{ranks} processes, exact": partial(step, "exact", ranks, threads // ranks),
            }
            yield Case(f"{name}, batch {batch}", "step", calls, Facts(images=batch, reports=True))


def mpiexec() -> str:
    """The command beside this Python, or the one of the system; ValueError if there is none."""
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec")
    if found is None:
        raise ValueError('there is no mpiexec; pip install "convkit[mpi]" mpich')
    return found


def _step(launcher: str, name: str, batch: int, reduction: str, ranks: int, threads: int) -> float:
    """Seconds of a step, in processes of their own."""
    start = [] if reduction == "none" else [launcher, "-n", str(ranks)]
    command = [*start, sys.executable, "-m", __name__, name, str(batch), reduction]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return float(done.stdout.split()[-1])


class _Clock(Callback):
    """When each step ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the clock."""
        self.times.append(time.perf_counter())


def main(arguments: Sequence[str]) -> None:
    """Train for a moment; the first process prints the seconds of the median step."""
    name, batch, reduction = arguments[0], int(arguments[1]), arguments[2]
    if reduction != "none":
        set_distribution(DataParallel(reduction=reduction))
    model: Any = compiled(name)
    generator = np.random.default_rng(0)
    images = generator.random((batch, *model.input_shape[1:]), dtype=np.float32)
    labels = generator.integers(0, model.output_shape[-1], batch)
    begun = time.perf_counter()
    model.fit(images, labels, batch, epochs=2, verbose=0)
    steps = int(_SECONDS / max(time.perf_counter() - begun, 1e-3)) + 2 * _WARM_UP
    steps = processes.same(min(steps, 200))
    clock = _Clock()
    many = np.resize(np.arange(batch), steps * batch)
    model.fit(images[many], labels[many], batch, verbose=0, callbacks=[clock])
    seconds = statistics.median(np.diff(clock.times)[_WARM_UP:])
    if processes.is_first():
        print(seconds)


if __name__ == "__main__":
    main(sys.argv[1:])
