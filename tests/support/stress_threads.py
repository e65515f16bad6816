"""Scenarios of threads that set, predict, train and save at the same time. See `stress.py`."""

from __future__ import annotations

import os
import pickle
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

import numpy as np

import convkit
from compare import Array
from convkit import ops, runtime
from stress import ISAS, LABELS, SETTINGS, Crew, X, bits, main, setter, trainable


def under_each_setting(work: Callable[[], bytes]) -> set[bytes]:
    """What some work gives with each instruction set and algorithm; the settings are kept."""
    isa, algorithm = runtime.isa(), runtime.get_conv2d_algorithm()
    results = set()
    for setting in SETTINGS:
        runtime.set_isa(setting[0])
        runtime.set_conv2d_algorithm(setting[1])
        results.add(work())
    runtime.set_isa(isa)
    runtime.set_conv2d_algorithm(algorithm)
    return results


def ops_while_settings_change(seconds: float) -> None:
    """An operation has one setting from its beginning to its end: one of the results of each."""
    rng = np.random.default_rng(4)
    x = rng.standard_normal((8, 12, 12, 20), np.float32)
    w = rng.standard_normal((3, 3, 20, 18), np.float32)
    dy = rng.standard_normal((8, 12, 12, 18), np.float32)

    def gradients() -> list[Array]:
        dx, dw = np.empty_like(x), np.empty_like(w)
        ops.conv2d_backward(x, w, dy, padding="same", dx=dx, dw=dw)
        return [dx, dw]

    calls = [
        lambda: bits([ops.conv2d_forward(x, w, padding="same")]),
        lambda: bits(gradients()),
        lambda: bits([ops.conv2d_max_pool2d_forward(x, w, padding="same")[0]]),
        lambda: bits([ops.dense_forward(x.reshape(8, -1), np.ones((2880, 5), np.float32))]),
    ]
    crew = Crew(seconds)
    crew.add(setter())
    for call in calls:
        known = under_each_setting(call)

        def check(call: Callable[[], bytes] = call, known: set[bytes] = known) -> None:
            assert call() in known, "a result that no setting gives"

        crew.add(check)
    crew.work()


def predict_while_settings_change(seconds: float) -> None:
    """A batch goes through a replayed plan with one setting."""
    model = trainable()
    known = under_each_setting(lambda: bits([model.predict_on_batch(X)]))

    def check() -> None:
        assert bits([model.predict_on_batch(X)]) in known, "a result that no setting gives"

    crew = Crew(seconds)
    crew.add(setter())
    crew.add(check)
    crew.work()


def fit_while_settings_change(seconds: float) -> None:
    """Training goes on with whatever is set, and the memory stays whole."""
    model, crew = trainable(), Crew(seconds)

    def train() -> None:
        history = model.fit(X, LABELS, batch_size=8, verbose=0)
        assert np.isfinite(history.history["loss"]).all()

    crew.add(setter(), 2)
    crew.add(train)
    crew.work()


def fit_while_the_number_of_threads_changes(seconds: float) -> None:
    """The bits of a training do not depend on it."""

    def trained() -> bytes:
        model = trainable()
        model.fit(X, LABELS, batch_size=8, epochs=3, verbose=0)
        return bits(model.get_weights())

    expected, numbers = trained(), cycle((1, 2, 3, 4))
    crew = Crew(seconds)

    def change() -> None:
        runtime.set_num_threads(next(numbers))
        time.sleep(1e-4)

    def check() -> None:
        assert trained() == expected

    crew.add(change)
    crew.add(check)
    crew.work()


def setters_and_getters(seconds: float) -> None:
    """What is read is what some thread has set."""

    def read() -> None:
        assert runtime.isa() in ISAS
        assert runtime.get_num_threads() in (1, 2, 3)
        assert runtime.get_conv2d_algorithm() in ("auto", "direct")
        ops.conv2d_algorithm((2, 8, 8, 16), (3, 3, 16, 16), padding="same")

    runtime.set_num_threads(2)
    crew = Crew(seconds)
    crew.add(setter(), 3)
    crew.add(read, 3)
    crew.work()


def predict_from_eight_threads(seconds: float) -> None:
    """On one model, with batches of several sizes: the bits of a lonely call."""
    model = trainable()
    sizes = (1, 2, 7, 24)
    expected = [model.predict(X[:n], batch_size=7, verbose=0) for n in sizes]
    crew = Crew(seconds)
    for offset in range(8):
        turns = cycle([*zip(sizes, expected, strict=True)][offset % 4 :])

        def check(turns: Iterator[tuple[int, Array]] = turns) -> None:
            n, outputs = next(turns)
            np.testing.assert_array_equal(model.predict(X[:n], batch_size=7, verbose=0), outputs)
            np.testing.assert_array_equal(model.predict_on_batch(X[:1]), expected[0])

        crew.add(check)
    crew.work()


def models_of_their_own(seconds: float) -> None:
    """Threads that unpickle a model each and train it do not meet."""

    def trained(pickled: bytes) -> bytes:
        model = pickle.loads(pickled)
        model.fit(X, LABELS, batch_size=10, epochs=2, verbose=0)
        model.evaluate(X, LABELS, verbose=0)
        return bits(model.get_weights())

    pickles = [pickle.dumps(trainable(seed)) for seed in range(4)]
    crew = Crew(seconds)
    for pickled in pickles:
        expected = trained(pickled)

        def check(pickled: bytes = pickled, expected: bytes = expected) -> None:
            assert trained(pickled) == expected

        crew.add(check)
    crew.work()


@contextmanager
def unless_it_trains() -> Iterator[None]:
    """A model that another thread trains may refuse to do anything else, as documented."""
    try:
        yield
    except RuntimeError as error:
        if "is being trained by another thread" not in str(error):
            raise


def predict_while_fit_runs(seconds: float) -> None:
    """Predictions are made between two steps or refused, and the training's bits stay."""

    def trained(model: convkit.Sequential) -> bytes:
        model.fit(X, LABELS, batch_size=8, epochs=8, verbose=0)
        return bits(model.get_weights())

    model, pickled = trainable(), pickle.dumps(trainable())
    expected = trained(pickle.loads(pickled))

    def disturb() -> None:
        with unless_it_trains():
            assert np.isfinite(model.predict(X, batch_size=5, verbose=0)).all()
        with unless_it_trains():
            model.evaluate(X, LABELS, verbose=0)

    crew = Crew(seconds)
    crew.add(disturb, 3)
    with crew.at_work():
        while True:
            model = pickle.loads(pickled)
            assert trained(model) == expected, "the training was disturbed"
            if not crew.goes_on():
                break


def _copy_while_fit_runs(seconds: float, copy: Callable[[convkit.Sequential], list[Array]]) -> None:
    """A copy of the weights is what they were between two steps."""
    model, crew = trainable(), Crew(seconds)
    seen, copied = {bits(model.get_weights())}, set()
    note = convkit.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.add(bits(model.get_weights()))
    )

    def work() -> None:
        with unless_it_trains():
            copied.add(bits(copy(model)))

    crew.add(work, 3)
    with crew.at_work():
        while True:
            model.fit(X, LABELS, batch_size=8, verbose=0, callbacks=[note])
            if not crew.goes_on():
                break
    assert copied, "no copy was made"
    assert copied <= seen, "copied in the middle of a step"


def save_while_fit_runs(seconds: float) -> None:
    with tempfile.TemporaryDirectory() as folder:

        def copy(model: convkit.Sequential) -> list[Array]:
            path = Path(folder) / f"{threading.get_ident()}.safetensors"
            model.save(path)
            return convkit.models.load_model(path).get_weights()

        _copy_while_fit_runs(seconds, copy)


def pickle_while_fit_runs(seconds: float) -> None:
    _copy_while_fit_runs(seconds, lambda model: pickle.loads(pickle.dumps(model)).get_weights())


def copy_weights_while_fit_runs(seconds: float) -> None:
    _copy_while_fit_runs(seconds, lambda model: model.get_weights())


def short_lived_threads(seconds: float) -> None:
    """A thread that ends leaves none of its helpers behind."""
    model = trainable()
    expected = model.predict(X, verbose=0)
    runtime.set_num_threads(2)

    def round_of_threads() -> int:
        crew = Crew(0)
        crew.add(lambda: np.testing.assert_array_equal(model.predict(X, verbose=0), expected), 4)
        crew.work()
        return len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0

    end, first = time.monotonic() + seconds, round_of_threads()
    last = first
    while time.monotonic() < end:
        last = round_of_threads()
    assert last <= first + 8, f"{last} threads after {first}"


SCENARIOS = (
    ops_while_settings_change,
    predict_while_settings_change,
    fit_while_settings_change,
    fit_while_the_number_of_threads_changes,
    setters_and_getters,
    predict_from_eight_threads,
    models_of_their_own,
    predict_while_fit_runs,
    save_while_fit_runs,
    pickle_while_fit_runs,
    copy_weights_while_fit_runs,
    short_lived_threads,
)

if __name__ == "__main__":
    main(SCENARIOS)
