"""Data of which each process reads its share alone: data sets, folders, memory-mapped arrays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit.core import processes, random
from convkit.data import Dataset
from convkit.layers import Conv2D, Dense, Flatten, Rescaling
from thread_ranks import on_threads

SIZES = (12, 12, 3)
COUNT = 61


def samples() -> tuple[Array, Array]:
    rng = np.random.default_rng(2)
    return rng.integers(0, 256, (COUNT, *SIZES), dtype=np.uint8), rng.integers(0, 4, COUNT)


def model() -> convkit.Sequential:
    network = convkit.Sequential(
        [
            convkit.Input(SIZES),
            Rescaling(1 / 255),
            Conv2D(16, 3, activation="relu"),
            Flatten(),
            Dense(4, activation="softmax"),
        ]
    )
    network.seed = 7
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return network


def trained(data: Callable[[], Any], **options: Any) -> Any:
    """The bits of the weights, the history and the predictions after two epochs on some data."""
    with random.seeded(3):
        network = model()
        history = network.fit(data(), epochs=2, verbose=0, **options)
        told = network.evaluate(data(), verbose=0)
        predicted = network.predict(data(), verbose=0)
    return [each.tobytes() for each in (*network.get_weights(), predicted)], history.history, told


class Batches:
    """Batches of 16, of which a process can read its part alone; counts the samples it reads."""

    def __init__(self, rank: int = 0, ranks: int = 1) -> None:
        self.rank, self.ranks, self.read = rank, ranks, 0

    def shard(self, rank: int, ranks: int) -> Batches:
        assert self.ranks == 1
        return Batches(rank, ranks)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        x, y = samples()
        for start in range(0, COUNT, 16):
            size = min(16, COUNT - start)
            first, last = (rank * size // self.ranks for rank in (self.rank, self.rank + 1))
            self.read += last - first
            yield x[start + first : start + last], y[start + first : start + last]


@pytest.mark.parametrize("size", [2, 4])
def test_an_iterable_gives_each_process_its_part(size: int) -> None:
    alone = trained(Batches)
    assert on_threads(size, partial(trained, Batches)) == [alone] * size


class Uneven(Batches):
    """The first process has one batch less than the others."""

    def shard(self, rank: int, ranks: int) -> Uneven:
        return Uneven(rank, ranks)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        batches = list(super().__iter__())
        yield from batches[: len(batches) - (self.rank == 0)]


@pytest.mark.filterwarnings("ignore:process 0 has no more batches:UserWarning")
def test_processes_with_fewer_batches_hold_up_nobody() -> None:
    first, second = on_threads(2, partial(trained, Uneven))
    assert first == second


class Wrong(Batches):
    """Every process has the whole batch."""

    def shard(self, rank: int, ranks: int) -> Batches:
        return Batches() if rank else Batches(0, 2)


def test_parts_follow_a_rule() -> None:
    with pytest.raises(ValueError, match=r"must have \[12, 12\] samples, one for each process"):
        on_threads(2, partial(trained, Wrong))


def test_methods_of_that_name_of_other_libraries_are_not_called() -> None:
    class Other(Batches):
        def shard(self, num_shards: int, index: int) -> Any:  # type: ignore[override]
            raise AssertionError("it was called")

    alone = trained(Other)
    assert on_threads(2, partial(trained, Other)) == [alone] * 2


def stream(read: list[int] | None = None) -> Dataset:
    """Shuffled batches of 16, changed by a function of arrays."""
    x, y = samples()

    def change(images: Array, labels: Array) -> tuple[Array, Array]:
        if read is not None:
            read.append(len(images))
        return 255 - images, labels

    dataset = Dataset.from_tensor_slices((x, y)).shuffle(COUNT)
    return dataset.batch(16).map(change).prefetch(2)


@pytest.mark.parametrize("size", [2, 4])
def test_a_dataset_makes_its_part_alone(size: int) -> None:
    alone = trained(stream)
    assert on_threads(size, partial(trained, stream)) == [alone] * size
    read: list[int] = []

    def run() -> Any:
        return model().fit(stream(read), verbose=0)

    on_threads(size, run)
    assert sum(read) == COUNT


def test_what_looks_at_whole_batches_is_given_them() -> None:
    def data() -> Dataset:
        x, y = samples()
        batches = Dataset.from_tensor_slices((x, y)).batch(16)
        return batches.filter(lambda images, labels: len(images) == 16 and labels[0] != 3)

    alone = trained(data)
    assert on_threads(2, partial(trained, data)) == [alone] * 2


@pytest.mark.parametrize(
    "choose",
    [
        lambda batches: batches.skip(1),
        lambda batches: batches.shuffle(8),
        lambda batches: batches.shard(2, 1),
        lambda batches: batches.take(3).repeat(2),
    ],
    ids=["skip", "shuffle", "shard", "take and repeat"],
)
def test_batches_are_chosen_and_ordered(choose: Callable[[Dataset], Dataset]) -> None:
    """The last one has fewer samples than the others, wherever it comes."""

    def data() -> Dataset:
        x, y = samples()
        return choose(Dataset.from_tensor_slices((x[:35], y[:35])).batch(10))

    alone = trained(data)
    for size in (2, 4):
        assert on_threads(size, partial(trained, data)) == [alone] * size


@pytest.mark.filterwarnings("ignore:.*0.png:UserWarning")
@pytest.mark.parametrize("unreadable", ["raise", "skip"])
def test_a_folder_of_images(unreadable: str, tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="images are tried with Pillow")
    x, y = samples()
    for i, (image, label) in enumerate(zip(x, y, strict=True)):
        (tmp_path / str(label)).mkdir(exist_ok=True)
        pillow.fromarray(image).save(tmp_path / str(label) / f"{i}.png")
    if unreadable == "skip":
        (tmp_path / "0" / "0.png").write_bytes(b"damaged")

    def data() -> Any:
        return convkit.utils.image_dataset_from_directory(
            tmp_path,
            image_size=SIZES[:2],
            batch_size=16,
            seed=1,
            verbose=False,
            unreadable=unreadable,
        )

    alone = trained(data)
    assert on_threads(2, partial(trained, data)) == [alone] * 2


def test_memory_mapped_arrays_are_read_by_rows(tmp_path: Path) -> None:
    x, y = samples()
    np.save(tmp_path / "x.npy", x)

    def run() -> Any:
        with random.seeded(3):
            network = model()
            mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
            network.fit(mapped, y, 16, verbose=0)
            adapted = network._adapter().samples(mapped)
        assert np.shares_memory(adapted.inputs[0], mapped)
        return [each.tobytes() for each in network.get_weights()]

    alone = run()
    assert on_threads(2, run) == [alone] * 2


def test_one_process_reads_the_backup_for_all(tmp_path: Path) -> None:
    """The others begin the next training while the first one still has the file of the former."""
    x, y = samples()

    class Slow(convkit.callbacks.Callback):
        def on_train_end(self, logs: Any = None) -> None:
            if processes.is_first():
                time.sleep(0.3)

    def run() -> list[list[int]]:
        network = model()
        backup = convkit.callbacks.BackupAndRestore(tmp_path / "backup")
        given: Any = {"epochs": 2, "verbose": 0, "callbacks": [Slow(), backup]}
        return [network.fit(x, y, 32, **given).epoch for _ in range(2)]

    assert on_threads(2, run) == [[[0, 1], [0, 1]]] * 2


@pytest.mark.parametrize("size", [2, 4])
def test_a_training_goes_on_with_another_number_of_processes(size: int, tmp_path: Path) -> None:
    x, y = samples()

    class Stop(convkit.callbacks.Callback):
        def __init__(self, step: int) -> None:
            self.step = step

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.model.optimizer.iterations == self.step:
                raise KeyboardInterrupt

    def run(folder: Path, stop: int = -1) -> Any:
        with random.seeded(3):
            network = model()
            backup = convkit.callbacks.BackupAndRestore(folder, save_freq=2)
            log = convkit.callbacks.CSVLogger(folder / ".." / f"{folder.name}.csv")
            given = [Stop(stop), log, backup]
            history = network.fit(x, y, 16, epochs=3, verbose=0, callbacks=given)
        return [each.tobytes() for each in network.get_weights()], history.history

    alone = run(tmp_path / "alone")
    with pytest.raises(KeyboardInterrupt):
        on_threads(2, lambda: run(tmp_path / "shared", 6))
    assert (tmp_path / "shared").exists()
    assert processes.is_first()
    assert on_threads(size, lambda: run(tmp_path / "shared"))[0] == alone
    lines = (tmp_path / "shared.csv").read_text()
    assert lines == (tmp_path / "alone.csv").read_text()
