"""PyDataset: batches by their numbers, in `fit` and by hand."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import convkit
from compare import assert_same_training
from convkit.utils import PyDataset, Sequence
from loaders import model, samples


class Own(PyDataset):
    """Batches of eight, of which it notes the numbers."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.x, self.y, _ = samples()
        self.asked: list[int] = []
        self.epochs: list[str] = []
        self.threads: set[str] = set()

    def __len__(self) -> int:
        return -(-len(self.x) // 8)

    def __getitem__(self, index: int) -> Any:
        self.asked.append(index)
        self.threads.add(threading.current_thread().name)
        rows = slice(8 * index, 8 * index + 8)
        return self.x[rows], self.y[rows]

    def on_epoch_begin(self) -> None:
        self.epochs.append("begin")

    def on_epoch_end(self) -> None:
        self.epochs.append("end")


@pytest.mark.parametrize("workers", [1, 3])
def test_it_trains_as_arrays_do(workers: int) -> None:
    data, one, two = Own(workers=workers), model(), model()
    one.fit(data.x, data.y, 8, 2, 0, shuffle=False)
    two.fit(data, epochs=2, verbose=0, shuffle=False)
    assert_same_training(one, two)
    assert data.epochs == ["begin", "end"] * 2
    assert (threading.current_thread().name in data.threads) == (workers == 1)
    assert one.evaluate(data.x, data.y, 8, 0) == two.evaluate(data, verbose=0)
    np.testing.assert_array_equal(one.predict(data.x, 8, 0), two.predict(data, verbose=0))


def test_fit_takes_the_batches_in_random_orders_that_a_seed_fixes() -> None:
    orders = []
    for _ in range(2):
        data, own = Own(), model(seed=4)
        own.fit(data, epochs=3, verbose=0)
        orders.append([data.asked[i : i + 4] for i in range(0, 12, 4)])
    assert orders[0] == orders[1]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders[0])
    assert len({*map(tuple, orders[0])}) > 1
    data = Own()
    model().evaluate(data, verbose=0)
    assert data.asked == [0, 1, 2, 3]


def test_by_hand_the_order_is_that_of_the_numbers() -> None:
    data = Own(workers=3)
    assert [len(x) for x, _ in data] == [8, 8, 8, 6]
    assert data.asked == [0, 1, 2, 3]
    assert data.num_batches == 4


def test_without_an_end_it_needs_steps() -> None:
    class Endless(PyDataset):
        @property
        def num_batches(self) -> int | None:
            return None

        def __getitem__(self, index: int) -> Any:
            x, y, _ = samples(8)
            return x, y

    history = model().fit(Endless(workers=2), epochs=2, steps_per_epoch=3, verbose=0)
    assert len(history.history["loss"]) == 2


def test_what_is_missing_is_said() -> None:
    with pytest.raises(NotImplementedError, match="must define __len__ or num_batches"):
        _ = PyDataset().num_batches
    with pytest.raises(NotImplementedError, match="must define __getitem__"):
        PyDataset()[0]
    with pytest.warns(UserWarning, match="by threads of this process"):
        Own(workers=2, use_multiprocessing=True)
    assert Sequence is PyDataset is convkit.utils.Sequence

    class Forgetful(Own):
        def __init__(self) -> None:  # no call of super's
            self.x, self.y, _ = samples()
            self.asked, self.threads, self.epochs = [], set(), []

    model().fit(Forgetful(), verbose=0)
