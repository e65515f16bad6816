"""What the child process of `convkit.bench.isolated` does: makes a step, and times it when asked.

Requests come and answers go by pipes, pickled: both ends are the same program. What libraries print
goes to the standard error, where the parent finds it if the process dies.
"""

from __future__ import annotations

import gc
import itertools
import os
import pickle
from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..models import load_model
from . import measure
from .isolated import Job
from .train import random_batches, sample_shape


class Worker:
    """Makes a job's step, and answers requests; each method is one."""

    _step: Callable[..., Any]
    _next: Callable[[], Any]  # a step on the next batch

    def start(self, job: Job) -> None:
        """Make the step of the model in the job's file."""
        recipe = job.recipe
        module, _, function = recipe.entry.partition(":")
        model = load_model(job.path, compile=False)
        make: Callable[..., Callable[..., Any]] = getattr(import_module(module), function)
        self._step = make(model, job.batch_size, job.threads, **recipe.options)
        batches = itertools.cycle(random_batches(sample_shape(model), job.batch_size))
        count = 2 if recipe.labelled else 1
        self._next = lambda: self._step(*next(batches)[:count])

    def step(self, *arrays: Any) -> Any:
        """A step on the arrays, or on the next batch where there are none."""
        return self._step(*arrays) if arrays else self._next()

    def settle(self, seconds: float) -> None:
        """Untimed steps for so long; from here on no garbage is collected, as in the parent."""
        gc.collect()
        gc.disable()
        measure.settle(self._next, seconds)

    def run(self, repeats: int) -> float:
        """Seconds per step over `repeats` steps."""
        return measure.run(self._next, repeats)


def main() -> None:
    """Answer requests until they end."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    worker = Worker()
    while True:
        try:
            name, *arguments = pickle.load(requests)
        except EOFError:
            break
        try:
            answer = True, getattr(worker, name)(*arguments)
        except Exception as error:
            answer = False, f"{type(error).__name__}: {error}"
        pickle.dump(answer, answers)
        answers.flush()
    os._exit(0)  # a library's threads and exit handlers need not be waited for
