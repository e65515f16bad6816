"""Scenarios of exits, forks, signals and finalizers in the midst of it. See `stress.py`."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import cycle

import numpy as np

import convkit
from convkit import ops, runtime
from stress import ISAS, LABELS, Crew, X, main, setter, trainable


def _daemons(seconds: float, *works: Callable[[], object]) -> None:
    """Leaves threads at work when the main thread ends."""

    def for_ever(work: Callable[[], object]) -> None:
        while True:
            work()

    for work in works:
        threading.Thread(target=for_ever, args=(work,), daemon=True).start()
    time.sleep(seconds)


def exit_while_daemons_predict(seconds: float) -> None:
    """The interpreter's end meets threads in native calls."""
    model = trainable()
    _daemons(
        seconds,
        lambda: model.predict(X, verbose=0),
        lambda: model.predict_on_batch(X),
        lambda: ops.conv2d_forward(X, np.ones((3, 3, 3, 16), np.float32)),
    )


def exit_while_a_daemon_fits(seconds: float) -> None:
    """The same, of a training, and of what a callback, a setter and a failing call do."""
    model = trainable()

    def fail() -> None:
        with suppress(ValueError):
            ops.conv2d_forward(X, np.ones((3, 3, 2, 16), np.float32))

    _daemons(seconds, lambda: model.fit(X, LABELS, batch_size=8, verbose=0), setter(), fail)


def exit_with_work_at_exit(seconds: float) -> None:
    """Functions that the interpreter calls at its end compute, too."""
    model = trainable()
    expected = model.predict(X, verbose=0)
    # A failure there is printed and forgotten: it has to end the process by itself.
    atexit.register(lambda: np.array_equal(model.predict(X, verbose=0), expected) or os._exit(3))
    _daemons(seconds, lambda: ops.relu_forward(X))


def _children(seconds: float, *works: Callable[[convkit.Sequential], object]) -> None:
    """Forks again and again while threads work; a child computes with what it has inherited."""
    model = trainable()
    model.train_on_batch(X, LABELS)
    # Newer versions of Python warn whoever forks beside threads.
    warnings.filterwarnings("ignore", message=".*use of fork", category=DeprecationWarning)

    def compute() -> None:
        signal.alarm(30)  # ends what hangs
        assert np.isfinite(model.predict(X, verbose=0)).all()
        model.train_on_batch(X, LABELS)
        runtime.set_isa(ISAS[-1])
        runtime.set_num_threads(2)
        trainable(2).fit(X, LABELS, batch_size=8, verbose=0)

    crew = Crew(seconds)
    for work in works:
        crew.add(partial(work, model))
    with crew.at_work():
        while True:
            child = os.fork()
            if not child:
                status = 1
                try:
                    compute()
                    status = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    os._exit(status)
            ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert ended == 0, f"a child ended with {ended}"
            if not crew.goes_on():
                break


def fork_while_threads_predict(seconds: float) -> None:
    _children(seconds, lambda model: model.predict(X, batch_size=5, verbose=0))


def fork_while_a_thread_fits(seconds: float) -> None:
    _children(seconds, lambda model: model.fit(X, LABELS, batch_size=8, verbose=0))


def fork_while_settings_change(seconds: float) -> None:
    def share(model: convkit.Sequential) -> None:
        ops.relu_forward(X)

    change = setter()
    _children(seconds, lambda model: change(), share)


def _fresh_plans(seconds: float, disturb: Callable[[], object], calm: Callable[[], object]) -> None:
    """Makes plans again and again while something calls `write_target` between lines of Python.

    From `disturb` to `calm` it does. The plans that are made meanwhile do not know of it.
    """
    model, end, first = trainable(), time.monotonic() + seconds, True
    expected, weights = model.predict_on_batch(X), model.get_weights()
    while first or time.monotonic() < end:
        first = False
        model.compile("adam", "sparse_categorical_crossentropy")  # forgets the plans
        disturb()
        outputs = model.predict_on_batch(X)
        model.train_on_batch(X, LABELS)
        calm()
        np.testing.assert_array_equal(outputs, expected)
        TARGET[:] = -1
        model.train_on_batch(X, LABELS)
        model.set_weights(weights)
        np.testing.assert_array_equal(model.predict_on_batch(X), expected)
        assert (TARGET == -1).all(), "a plan repeats a call that was not its own"


TARGET = np.zeros((1, 8), np.float32)


def write_target() -> None:
    ops.gather(np.ones((1, 8), np.float32), np.zeros(1, np.int64), out=TARGET)


def signals_while_plans_are_made(seconds: float) -> None:
    """A signal's handler calls an operation at any moment."""
    hits, delay = 0, 2e-4

    def handle(*_: object) -> None:
        nonlocal hits
        hits += 1
        write_target()
        signal.setitimer(signal.ITIMER_REAL, delay)  # 0 is none

    def set_delay(value: float) -> None:
        nonlocal delay
        delay = value
        signal.setitimer(signal.ITIMER_REAL, value)

    signal.signal(signal.SIGALRM, handle)
    _fresh_plans(seconds, partial(set_delay, 2e-4), partial(set_delay, 0.0))
    assert hits, "no signal came"


def finalizers_while_plans_are_made(seconds: float) -> None:
    """The garbage collector calls a finalizer, which calls an operation, at any allocation."""
    hits, again = 0, False

    class Garbage:
        """Is in a cycle, so that only the collector finds it, and leaves the next one behind."""

        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            nonlocal hits
            hits += 1
            write_target()
            if again:
                Garbage()

    thresholds = gc.get_threshold()

    def start() -> None:
        nonlocal again
        again = True
        gc.set_threshold(1)
        Garbage()

    def stop() -> None:
        nonlocal again
        again = False
        gc.set_threshold(*thresholds)
        gc.collect()

    _fresh_plans(seconds, start, stop)
    assert hits, "no finalizer was called"


def a_handler_that_predicts_with_the_same_model(seconds: float) -> None:
    """Both get what is theirs, or the handler's call is refused."""
    model, end = trainable(), time.monotonic() + seconds
    other = X[::-1].copy()
    expected, others = model.predict_on_batch(X), model.predict_on_batch(other)

    def handle(*_: object) -> None:
        with suppress(RuntimeError):
            np.testing.assert_array_equal(model.predict_on_batch(other), others)

    signal.signal(signal.SIGALRM, handle)
    delays = cycle(np.linspace(1e-4, 3e-3, 30))
    while time.monotonic() < end:
        model.compile("adam", "sparse_categorical_crossentropy")  # forgets the plans
        signal.setitimer(signal.ITIMER_REAL, next(delays))
        outputs = model.predict_on_batch(X)
        signal.setitimer(signal.ITIMER_REAL, 0)
        np.testing.assert_array_equal(outputs, expected)


SCENARIOS = (
    exit_while_daemons_predict,
    exit_while_a_daemon_fits,
    exit_with_work_at_exit,
    fork_while_threads_predict,
    fork_while_a_thread_fits,
    fork_while_settings_change,
    signals_while_plans_are_made,
    finalizers_while_plans_are_made,
    a_handler_that_predicts_with_the_same_model,
)

if __name__ == "__main__":
    main(SCENARIOS)
