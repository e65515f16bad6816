"""Dataset: what its methods give, in which order, by which threads, and in a training."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import assert_same_training
from convkit.callbacks import BackupAndRestore, Callback
from convkit.data import Dataset
from loaders import model, samples


def numbers(dataset: Dataset) -> list[Any]:
    return [each.tolist() for each in dataset]


def counted(n: int) -> Dataset:
    """Numbers that cannot be had by their places."""
    return Dataset.from_generator(lambda: range(n))


# What the methods give.


def test_slices_have_the_structure_of_what_was_given() -> None:
    x, y = np.arange(12).reshape(4, 3), np.arange(4)
    for first, second in Dataset.from_tensor_slices((x, y)):
        np.testing.assert_array_equal(first, x[second])
    (element,) = Dataset.from_tensor_slices({"a": x[:1], "b": ([5], [6])})
    assert element["b"] == (5, 6)
    assert element["a"].shape == (3,)
    texts = Dataset.from_tensor_slices(["one", "two"])
    assert [str(each) for each in texts] == ["one", "two"]
    with pytest.raises(ValueError, match="same length"):
        Dataset.from_tensor_slices((x, y[:3]))
    (whole,) = Dataset.from_tensors((x, y))
    assert whole[0] is x


@pytest.mark.parametrize("begin", [Dataset.range, counted], ids=["numbered", "streamed"])
def test_choosing_and_ordering(begin: Any) -> None:
    assert numbers(begin(7).take(3)) == [0, 1, 2]
    assert numbers(begin(3).take(-1)) == [0, 1, 2]
    assert numbers(begin(7).skip(5)) == [5, 6]
    assert numbers(begin(3).skip(-1)) == []
    assert numbers(begin(7).shard(3, 1)) == [1, 4]
    assert numbers(begin(2).repeat(3)) == [0, 1] * 3
    assert numbers(begin(2).repeat().take(5)) == [0, 1, 0, 1, 0]
    assert numbers(begin(5).batch(2)) == [[0, 1], [2, 3], [4]]
    assert numbers(begin(5).batch(2, drop_remainder=True)) == [[0, 1], [2, 3]]
    assert numbers(begin(5).batch(2).unbatch()) == [*range(5)]
    assert numbers(begin(2).concatenate(begin(3))) == [0, 1, 0, 1, 2]
    assert [(int(i), int(each)) for i, each in begin(2).enumerate(5)] == [(5, 0), (6, 1)]
    assert numbers(begin(6).filter(lambda x: x % 2)) == [1, 3, 5]
    assert begin(5).reduce(10, lambda state, x: state + x) == 20
    assert numbers(begin(0).repeat()) == numbers(begin(0).shuffle(3)) == []


def test_lengths_are_known_where_they_can_be() -> None:
    base = Dataset.range(10)
    for dataset in (
        *(base, base.batch(3), base.batch(3, True), base.take(4), base.take(20), base.skip(12)),
        *(base.shard(3, 2), base.repeat(3), base.shuffle(4), base.map(lambda x: x), base.cache()),
        *(base.concatenate(base), Dataset.zip(base, base.take(3)), base.prefetch(2).enumerate()),
    ):
        assert len(dataset) == dataset.cardinality() == len(list(dataset))
    assert base.repeat().cardinality() == -1
    assert base.filter(bool).cardinality() == base.batch(2).unbatch().cardinality() == -2
    for unknown in (base.repeat(), counted(3)):
        with pytest.raises(TypeError, match=r"has no len\(\)"):
            len(unknown)
        assert unknown


def test_functions_are_given_the_members_of_a_tuple() -> None:
    pairs = Dataset.zip(Dataset.range(3), Dataset.range(10, 13))
    assert numbers(pairs.map(lambda x, y: x * y)) == [0, 11, 24]
    assert numbers(pairs.filter(lambda x, y: x != 1).map(lambda x, y: y)) == [10, 12]
    named = Dataset.zip({"a": Dataset.range(2), "b": Dataset.range(2)})
    assert numbers(named.map(lambda each: each["a"] + each["b"])) == [0, 2]
    (made,) = Dataset.range(1).map(lambda x: ([1.5, 2.5], 3, {"k": True}))
    assert made[0].tolist() == [1.5, 2.5]
    assert made[1].dtype == np.int32
    assert made[2]["k"].dtype == np.bool_
    (single,) = Dataset.range(1).map(lambda x: 0.5)
    assert single.dtype == np.float32
    with pytest.raises(TypeError, match="arrays, numbers or text"):
        list(Dataset.range(1).map(lambda x: object()))


def test_generators_are_called_for_each_pass_and_converted() -> None:
    calls = []

    def pairs(n: int) -> Iterator[tuple[list[int], int]]:
        calls.append(n)
        for i in range(n):
            yield [i, i], i

    dataset = Dataset.from_generator(pairs, output_types=("float32", "int64"), args=(2,))
    for _ in range(2):
        elements = list(dataset)
        assert [x.dtype for x, _ in elements] == [np.float32] * 2
        assert [y.dtype for _, y in elements] == [np.int64] * 2
    assert calls == [2, 2]
    with pytest.raises(TypeError, match="a function"):
        Dataset.from_generator([1, 2])  # type: ignore[arg-type]


def test_the_users_arrays_are_not_to_be_written_to() -> None:
    x = np.zeros((3, 2), np.float32)

    def change(row: np.ndarray) -> np.ndarray:
        row += 1
        return row

    for dataset in (Dataset.from_tensor_slices(x), Dataset.from_tensor_slices(x).cache()):
        with pytest.raises(ValueError, match="read-only"):
            list(dataset.map(change))
    assert not x.any()


def test_what_is_not_here_is_answered() -> None:
    with pytest.raises(AttributeError, match="take `concatenate`"):
        Dataset.range(3).interleave  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute 'shufle'$"):
        Dataset.range(3).shufle  # noqa: B018
    with pytest.raises(ValueError, match="leave it out"):
        Dataset.range(3).cache("file")
    with pytest.raises(ValueError, match=r"element 1 has shape \(2,\).*by map"):
        list(counted(2).map(lambda i: np.zeros(i + 1)).batch(2))
    for call in (
        lambda d: d.batch(0),
        lambda d: d.shuffle(-1),
        lambda d: d.take(-2),
        lambda d: d.shard(2, 2),
    ):
        with pytest.raises(ValueError, match="must be"):
            call(Dataset.range(3))
    with pytest.raises(TypeError, match="a function of arrays"):
        Dataset.range(3).map(None)  # type: ignore[arg-type]


# Random orders.


@pytest.mark.parametrize("begin", [Dataset.range, counted], ids=["numbered", "streamed"])
@pytest.mark.parametrize("size", [1, 10, 2000, 5000])
def test_shuffling_is_a_function_of_the_seed_and_the_pass(begin: Any, size: int) -> None:
    dataset = begin(3000).shuffle(size, seed=4)
    first, second = numbers(dataset), numbers(dataset)
    assert sorted(first) == [*range(3000)]
    again = begin(3000).shuffle(size, seed=4)
    assert numbers(again) == first
    assert numbers(again) == second
    assert (first == second) == (size == 1)
    # An element waits in the buffer at most until as many others have come as it holds.
    assert all(number < place + size for place, number in enumerate(first))
    fixed = begin(3000).shuffle(size, seed=4, reshuffle_each_iteration=False)
    assert numbers(fixed) == numbers(fixed)


def test_numbered_and_streamed_elements_are_shuffled_alike() -> None:
    for size in (7, 500):
        one, two = (begin(500).shuffle(size, seed=1) for begin in (Dataset.range, counted))
        assert numbers(one) == numbers(two)


def test_rounds_and_several_shuffles_have_orders_of_their_own() -> None:
    dataset = Dataset.range(50).shuffle(50, seed=2).repeat(2)
    order = numbers(dataset)
    assert sorted(order[:50]) == sorted(order[50:]) == [*range(50)]
    assert order[:50] != order[50:]
    twice = numbers(Dataset.range(50).shuffle(50, seed=2).shuffle(50, seed=2))
    once = numbers(Dataset.range(50).shuffle(50, seed=2))
    assert twice != once
    assert twice != [once[i] for i in once]  # not the same permutation two times


def test_orders_are_equally_likely() -> None:
    """Of three elements all six orders, by the chi-squared statistic with five degrees."""
    counts: dict[tuple[int, ...], int] = {}
    dataset = Dataset.range(3).shuffle(3, seed=0)
    for _ in range(1200):
        order = tuple(numbers(dataset))
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert sum((n - 200) ** 2 / 200 for n in counts.values()) < 20.5  # 0.1 %


def test_without_a_seed_the_order_is_that_of_the_process() -> None:
    orders = []
    for seed in (1, 1, 2):
        convkit.utils.set_random_seed(seed)
        orders.append(numbers(Dataset.range(30).shuffle(30)))
    assert orders[0] == orders[1] != orders[2]


# Threads.


def test_parallel_calls_keep_the_order_and_overlap() -> None:
    together = threading.Barrier(3, timeout=20)

    def wait(x: Any) -> Any:
        together.wait()
        return x

    assert numbers(Dataset.range(9).map(wait, num_parallel_calls=3)) == [*range(9)]


@pytest.mark.parametrize("options", [{}, {"num_parallel_calls": 2}])
@pytest.mark.parametrize("fetched", [0, 3])
def test_errors_come_at_their_place(options: Any, fetched: int) -> None:
    def refuse(x: Any) -> Any:
        if x == 3:
            raise RuntimeError("no three")
        return x

    passing = iter(Dataset.range(9).map(refuse, **options).prefetch(fetched))
    assert [int(next(passing)) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="no three"):
        next(passing)
    assert list(passing) == []


def test_only_so_much_is_made_ahead() -> None:
    made = []
    dataset = Dataset.range(100).map(lambda x: made.append(int(x)) or x).prefetch(3)
    iterator = iter(dataset)
    next(iterator)
    deadline = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(made) == 4


def test_whoever_leaves_early_leaves_no_thread() -> None:
    def own() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name.startswith("convkit-data")]

    before = len(own())
    dataset = Dataset.range(10_000).map(lambda x: x, num_parallel_calls=4).prefetch(5)
    iterator = iter(dataset)
    next(iterator)
    assert len(own()) > before
    del iterator
    gc.collect()
    deadline = time.monotonic() + 10
    while len(own()) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(own()) <= before


def test_the_cache_is_filled_by_a_whole_pass() -> None:
    made = []
    dataset = Dataset.range(4).map(lambda x: made.append(int(x)) or x).cache()
    assert numbers(dataset.take(2)) == [0, 1]
    assert numbers(dataset) == numbers(dataset) == [*range(4)]
    assert made == [0, 1, *range(4)]


# In a training.


def test_it_trains_as_arrays_do() -> None:
    x, y, _ = samples()
    one, two = model(), model()
    one.fit(x, y, 8, 3, 0, shuffle=False)
    two.fit(Dataset.from_tensor_slices((x, y)).batch(8).prefetch(2), epochs=3, verbose=0)
    assert_same_training(one, two)
    batches = Dataset.from_tensor_slices(x).batch(8)
    np.testing.assert_array_equal(two.predict(batches, verbose=0), one.predict(x, 8, 0))


class Interrupt(Callback):
    """Ends the training after a step of an epoch."""

    def __init__(self, epoch: int, batch: int) -> None:
        self.place, self.epoch = (epoch, batch), -1

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (self.epoch, batch) == self.place:
            raise KeyboardInterrupt


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("place", [(0, 1), (1, 2), (2, 0)])
def test_a_training_goes_on_with_the_same_batches(
    tmp_path: Path, seed: int | None, place: tuple[int, int]
) -> None:
    x, y, _ = samples()

    def fit(name: str, *others: Callback) -> Any:
        convkit.utils.clear_session()
        own = model()
        convkit.utils.set_random_seed(9)
        data = Dataset.from_tensor_slices((x, y)).shuffle(30, seed).batch(8).prefetch(2)
        backup = BackupAndRestore(tmp_path / name, save_freq=1)
        own.fit(data, epochs=3, verbose=0, callbacks=[*others, backup])
        return own

    whole = fit("whole", Interrupt(-1, -1))
    with pytest.raises(KeyboardInterrupt):
        fit("parts", Interrupt(*place))
    assert_same_training(whole, fit("parts", Interrupt(-1, -1)))


def test_each_epoch_and_each_fit_has_an_order_of_its_own() -> None:
    x, y, _ = samples()
    seen: list[int] = []

    def note(i: Any, pair: Any) -> Any:
        seen.append(int(i))
        return pair

    own, n = model(), len(x)
    whole = Dataset.zip(Dataset.range(n), Dataset.from_tensor_slices((x, y)))
    data = whole.shuffle(n).map(note).batch(8)
    for _ in range(2):
        own.fit(data, epochs=2, verbose=0)
    orders = [tuple(seen[start : start + n]) for start in range(0, len(seen), n)]
    assert [sorted(order) for order in orders] == [[*range(n)]] * 4
    assert len(set(orders)) == 4
