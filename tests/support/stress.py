"""What the scenarios of threads, forks, signals and exits share: a model, and threads at work.

`python stress_threads.py NAME SECONDS LIMIT` runs one of its scenarios for about that many
seconds, and so does `stress_processes.py`. Each is meant for a process of its own, and ends it with
status 0 where all went well: an assertion, a crash and a hang (after LIMIT seconds) are the ways to
fail. `test_threads_stress.py` runs them, and so do the sanitizers, which see every access of the
native code.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, product

import numpy as np

import convkit
from compare import Array
from convkit import layers, runtime

Scenario = Callable[[float], None]

ISAS = runtime.available_isas()
SETTINGS = list(product(ISAS, ("auto", "direct")))
X: Array = np.random.default_rng(3).random((24, 12, 12, 3), np.float32)
LABELS = np.arange(24) % 4


def trainable(seed: int = 1) -> convkit.Sequential:
    """A small model with every kind of step: Winograd, direct, fused, pooled, dropout, dense."""
    convkit.utils.set_random_seed(seed)
    model = convkit.Sequential(
        [
            layers.Input((12, 12, 3)),
            layers.Conv2D(17, 3, padding="same", activation="relu"),
            layers.Conv2D(20, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(18, 3, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(4, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.seed = seed
    return model


def bits(arrays: Iterable[Array]) -> bytes:
    return b"".join(array.tobytes() for array in arrays)


class Crew:
    """Threads that do something again and again until the time is over, and show their errors."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        self.stopped = False

    def add(self, work: Callable[[], object], times: int = 1) -> None:
        """Let so many threads do the work, each once at least."""

        def repeat() -> None:
            try:
                while True:
                    work()
                    if not self.goes_on():
                        break
            except BaseException as error:
                self._errors.append(error)
                self.stopped = True

        self._threads += [threading.Thread(target=repeat) for _ in range(times)]

    def goes_on(self) -> bool:
        return not self.stopped and time.monotonic() < self._end

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The threads work while the block runs, or until the time is over; errors are raised."""
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            for thread in self._threads:
                thread.join()
        for error in self._errors:
            raise error

    def work(self) -> None:
        with self.at_work():
            pass


def setter() -> Callable[[], None]:
    """What changes all settings of the runtime, to the next of their values."""
    settings = cycle(product(SETTINGS, (1, 2, 3)))

    def change() -> None:
        (isa, algorithm), threads = next(settings)
        runtime.set_isa(isa)
        runtime.set_conv2d_algorithm(algorithm)
        runtime.set_num_threads(threads)
        time.sleep(1e-4)

    return change


def main(scenarios: Sequence[Scenario]) -> None:
    """Run the scenario that the command line names."""
    name, seconds, limit = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    faulthandler.enable()
    faulthandler.dump_traceback_later(limit, exit=True)
    {each.__name__: each for each in scenarios}[name](seconds)
