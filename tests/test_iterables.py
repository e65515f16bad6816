"""Iterables of batches: generators, loaders, steps, what happens at their end, and memory."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import assert_same_training, assert_threads_agree
from convkit import layers
from convkit.batches import ArrayBatches, IterableBatches, is_iterable_of_batches
from convkit.callbacks import Callback, Logs
from convkit.data import Samples

SIZES = (6, 6, 1)
N = 30
ENDED = "Your input ran out of data; interrupting training"


def model(built: bool = True, seed: int = 0) -> convkit.Sequential:
    convkit.utils.set_random_seed(seed)
    body = [
        layers.Conv2D(4, 3, activation="relu"),
        layers.Flatten(),
        layers.Dropout(0.2),
        layers.Dense(3, activation="softmax"),
    ]
    made = convkit.Sequential([convkit.Input(SIZES), *body] if built else body)
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def samples(n: int = N) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, *SIZES)).astype(np.float32)
    return x, rng.integers(0, 3, n), rng.uniform(0, 2, n).astype(np.float32)


def cut(*arrays: np.ndarray, sizes: Any = (8, 8, 8, 6)) -> Iterator[tuple[np.ndarray, ...]]:
    """A generator of batches of those sizes."""
    start = 0
    for size in sizes:
        yield tuple(array[start : start + size] for array in arrays)
        start += size


class Loader:
    """What a data loader is: every iter() begins a new pass."""

    def __init__(self, *arrays: np.ndarray, sizes: Any = (8, 8, 8, 6)) -> None:
        self.arrays, self.sizes, self.passes = arrays, sizes, 0

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        self.passes += 1
        return cut(*self.arrays, sizes=self.sizes)

    def __len__(self) -> int:
        return len(self.sizes)


class Numbered:
    """What a Keras Sequence is: batches by number, and how many there are."""

    def __init__(self, *arrays: np.ndarray) -> None:
        self.batches = list(cut(*arrays))

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return self.batches[index % len(self.batches)]  # never an IndexError

    def __len__(self) -> int:
        return len(self.batches)


class Counts(Callback):
    """How many batches each epoch had."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.batches.append(0)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        assert batch == self.batches[-1]
        self.batches[-1] += 1


# The same as arrays.


@pytest.mark.parametrize("make", [cut, Loader, Numbered, lambda *a: list(cut(*a))])
@pytest.mark.parametrize("weighted", [False, True])
def test_batches_train_as_arrays_do(make: Any, weighted: bool) -> None:
    x, y, weights = samples()
    arrays = (x, y, weights) if weighted else (x, y)
    one, two = model(), model()
    options: dict[str, Any] = {"sample_weight": weights} if weighted else {}
    one.fit(x, y, 8, 1, 0, shuffle=False, **options)
    two.fit(make(*arrays), verbose=0)
    assert_same_training(one, two)
    first = one.evaluate(x, y, 8, 0, **options)
    assert two.evaluate(make(*arrays), verbose=0) == first
    if not isinstance(made := make(*arrays), list):
        np.testing.assert_array_equal(two.predict(made, verbose=0), one.predict(x, 8, 0))


def test_further_epochs_make_further_passes() -> None:
    x, y, _ = samples()
    one, two, loader = model(), model(), Loader(x, y)
    one.fit(x, y, 8, 3, 0, shuffle=False)
    two.fit(loader, epochs=3, verbose=0)
    assert_same_training(one, two)
    assert loader.passes == 3


def test_a_torch_data_loader() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch's DataLoader is tried with torch")
    x, y, _ = samples()
    data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    loader = torch.utils.data.DataLoader(data, batch_size=8)
    one, two = model(), model()
    one.fit(x, y, 8, 2, 0, shuffle=False, validation_data=(x, y), validation_batch_size=8)
    two.fit(loader, epochs=2, verbose=0, validation_data=loader)
    assert_same_training(one, two)
    np.testing.assert_array_equal(one.predict(x, 8, 0), two.predict(loader, verbose=0))


def test_batches_of_any_size_are_steps() -> None:
    x, y, _ = samples()
    sizes = (3, 11, 1, 7, 8)
    one, two = model(), model()
    for part in cut(x, y, sizes=sizes):
        one.train_on_batch(*part)
    two.fit(cut(x, y, sizes=sizes), verbose=0)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    # The mean over samples, not over batches.
    whole = one.evaluate(x, y, verbose=0)
    assert one.evaluate(cut(x, y, sizes=sizes), verbose=0) == pytest.approx(whole, rel=1e-6)


def test_the_first_batch_builds_the_model() -> None:
    x, y, _ = samples()
    one = model(built=False)
    one.fit(x, y, 8, 1, 0, shuffle=False)
    two = model(built=False)
    two.fit(cut(x, y), verbose=0)
    assert_same_training(one, two)
    three = model(built=False)
    assert three.predict(cut(x), verbose=0).shape == (N, 3)


def test_class_weights_apply_to_every_batch() -> None:
    x, y, _ = samples()
    one, two = model(), model()
    one.fit(x, y, 8, 1, 0, shuffle=False, class_weight={0: 3.0})
    two.fit(cut(x, y), verbose=0, class_weight={0: 3.0})
    assert_same_training(one, two)


def test_uint8_batches_and_single_arrays() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (12, *SIZES), np.uint8)
    each = model()
    expected = each.predict(pixels, verbose=0)
    np.testing.assert_array_equal(each.predict(iter([pixels[:5], pixels[5:]]), verbose=0), expected)
    single = each.predict(iter([(pixels[:5],), (pixels[5:], None)]), verbose=0)
    np.testing.assert_array_equal(single, expected)


def test_the_same_bits_with_any_number_of_threads() -> None:
    x, y, weights = samples(64)

    def train() -> tuple[np.ndarray, ...]:
        each = model()
        loader = Loader(x, y, weights, sizes=(20, 31, 13))
        history = each.fit(
            loader, epochs=2, verbose=0, validation_data=cut(x, y), steps_per_epoch=2
        )
        return (*each.get_weights(), *map(np.array, history.history.values()))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the second epoch ends early; the validation is used up
        assert_threads_agree(train)


# Steps, and the end of the data.


def test_a_generator_goes_on_where_the_epoch_ended() -> None:
    x, y, _ = samples()
    one, two, taken = model(), model(), []

    def forever() -> Iterator[tuple[np.ndarray, ...]]:
        while True:
            for part in cut(x, y):
                taken.append(len(part[0]))
                yield part

    source = forever()
    counts = Counts()
    one.fit(source, epochs=3, steps_per_epoch=3, verbose=0, callbacks=counts)
    assert counts.batches == [3, 3, 3]
    assert taken == [8, 8, 8, 6, 8, 8, 8, 6, 8], "no more is taken than is used"
    for part in [*cut(x, y), *cut(x, y), next(cut(x, y))]:
        two.train_on_batch(*part)
    for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    one.evaluate(source, steps=2, verbose=0)
    assert one.predict(source, steps=1, verbose=0).shape == (6, 3)
    assert len(taken) == 12


def test_training_ends_with_the_generator() -> None:
    x, y, _ = samples()
    for epochs, steps, expected in ((3, 3, [3, 1]), (3, 2, [2, 2]), (2, None, [4])):
        each, counts = model(), Counts()
        with pytest.warns(UserWarning, match=ENDED) as record:
            history = each.fit(
                cut(x, y), epochs=epochs, steps_per_epoch=steps, verbose=0, callbacks=counts
            )
        assert counts.batches == expected
        assert history.epoch == list(range(len(expected)))
        # Once where an epoch is short, once where there is none left: for the user's own line.
        assert [warning.filename for warning in record] == [__file__] * (2 if steps == 3 else 1)


def test_a_single_pass_needs_no_warning() -> None:
    x, y, _ = samples()
    each, counts = model(), Counts()
    each.fit(cut(x, y), verbose=0, callbacks=counts)
    each.fit(Loader(x, y), epochs=2, steps_per_epoch=4, verbose=0, callbacks=counts)
    each.fit(cut(x, y), epochs=2, steps_per_epoch=2, verbose=0, callbacks=counts)
    assert counts.batches == [4, 4, 4, 2, 2]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"batch_size": 6, "steps_per_epoch": 2}, [2, 2, 1, 2]),  # five batches a pass
        ({"batch_size": 6, "steps_per_epoch": 4}, [4, 1, 4, 1]),
        ({"batch_size": 6, "steps_per_epoch": 5}, [5, 5, 5, 5]),
        ({"batch_size": 6, "steps_per_epoch": 9}, [5, 5, 5, 5]),
        ({"steps_per_epoch": 7}, [6, 6, 6, 6]),  # 5 samples each
        ({"steps_per_epoch": 3}, [3, 3, 3, 3]),
    ],
    ids=str,
)
@pytest.mark.filterwarnings(f"ignore:{ENDED}")
def test_passes_over_arrays_are_cut_as_in_keras(options: Any, expected: list[int]) -> None:
    x, y, _ = samples()
    each, counts = model(), Counts()
    each.fit(x, y, epochs=4, verbose=0, callbacks=counts, **options)
    assert counts.batches == expected


def test_a_pass_that_spans_epochs_has_every_sample_once() -> None:
    x, y, _ = samples()
    batches = ArrayBatches(Samples(x, y), 4, 3, lambda n, epoch: np.arange(n)[::-1] + 100 * epoch)
    first, second = ([i.tolist() for _, i in batches.epoch(e) or ()] for e in (0, 1))
    assert [i for batch in first + second for i in batch] == list(range(N))[::-1][:24]
    with pytest.warns(UserWarning, match=ENDED):
        third = [i.tolist() for _, i in batches.epoch(2) or ()]
    assert [len(batch) for batch in third] == [4, 2]
    assert next(iter(batches.epoch(3) or ()))[1][0] == 300 + N - 1, "a new pass has a new order"


def test_evaluate_and_predict_take_steps() -> None:
    x, y, _ = samples()
    each = model()
    assert each.evaluate(x, y, 4, 0, steps=2) == each.evaluate(x[:8], y[:8], 4, 0)
    assert each.predict(x, 4, 0, steps=2).shape == (8, 3)
    np.testing.assert_array_equal(each.predict(x, steps=3, verbose=0), each.predict(x, 10, 0))
    assert each.evaluate(cut(x, y), steps=2, verbose=0) == each.evaluate(x[:16], y[:16], 8, 0)
    with pytest.warns(UserWarning, match=ENDED):
        assert each.predict(cut(x), steps=9, verbose=0).shape == (N, 3)


def test_the_warning_is_for_the_users_own_line() -> None:
    x, y, _ = samples()
    each = model()
    short: dict[str, Any] = {"validation_data": (x, y), "validation_steps": 9}
    for call in (
        lambda: each.fit(cut(x, y), steps_per_epoch=9, verbose=0),
        lambda: each.fit(x, y, 8, verbose=0, **short),
        lambda: each.evaluate(cut(x, y), steps=9, verbose=0),
        lambda: each.predict(cut(x), steps=9, verbose=0),
    ):
        with pytest.warns(UserWarning, match=ENDED) as record:
            call()
        assert [warning.filename for warning in record] == [__file__]


def test_validation_with_iterables() -> None:
    x, y, weights = samples()
    options: dict[str, Any] = {"verbose": 0, "shuffle": False}
    one, two, three = model(), model(), model()
    loader = Loader(x, y, weights)
    one.fit(x, y, 8, 2, validation_data=loader, **options)
    two.fit(x, y, 8, 2, validation_data=(x, y, weights), **options)
    assert_same_training(one, two)
    three.fit(x, y, 8, 2, validation_data=loader, validation_steps=2, **options)
    four = model()
    four.fit(x, y, 8, 2, validation_data=(x[:16], y[:16], weights[:16]), **options)
    assert_same_training(three, four)
    five = model()
    five.fit(x, y, 8, 2, validation_data=list(cut(x, y, weights)), **options)
    assert_same_training(one, five)


def test_a_validation_generator_goes_on_and_may_end() -> None:
    x, y, _ = samples()
    each = model()
    with pytest.warns(UserWarning, match=ENDED):
        history = each.fit(
            x, y, 8, 3, 0, validation_data=cut(x, y), validation_steps=2, shuffle=False
        ).history
    assert (len(history["loss"]), len(history["val_loss"])) == (3, 2)


@pytest.mark.parametrize(("freq", "expected"), [(2, [1, 3]), ([1, 4], [0, 3]), (9, [])])
def test_validation_freq(freq: Any, expected: list[int]) -> None:
    x, y, _ = samples()
    seen: list[int] = []

    class Look(Callback):
        def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
            if "val_loss" in (logs or {}):
                seen.append(epoch)

    model().fit(x, y, 8, 4, 0, Look(), validation_data=(x, y), validation_freq=freq)
    assert seen == expected


# Memory.


def test_batches_are_forgotten() -> None:
    alive: list[Any] = []
    most = 0

    def fresh() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        nonlocal most
        rng = np.random.default_rng(0)
        for _ in range(40):
            x = rng.normal(size=(5, *SIZES)).astype(np.float32)
            alive.append(weakref.ref(x))
            most = max(most, sum(each() is not None for each in alive))
            yield x, rng.integers(0, 3, 5)
            del x

    each = model()
    each.fit(fresh(), verbose=0, validation_data=fresh())
    each.evaluate(fresh(), verbose=0)
    each.predict(fresh(), verbose=0)
    assert len(alive) == 160
    assert most <= 2, "the batch at work, and the one that is being made"


def test_memory_is_that_of_the_largest_batch() -> None:
    x, y, _ = samples(64)
    each = model()
    each.fit(cut(x, y, sizes=(1, 2, 3, 5, 8, 13, 20)), verbose=0)
    plan = each._plans["train"]
    assert plan.batch_size == 20
    each.fit(cut(x, y, sizes=(20, 13, 8, 5, 3, 2, 1)), verbose=0)
    assert each._plans["train"] is plan


# What callbacks are told, and what is shown.


def test_what_is_known_beforehand() -> None:
    x, y, _ = samples()
    told: list[Any] = []

    class Ask(Callback):
        def on_train_begin(self, logs: Logs | None = None) -> None:
            told.append(tuple(self.params[key] for key in ("steps", "samples", "batch_size")))

    for data, options in (
        ((x, y), {"batch_size": 8}),
        ((x, y), {"steps_per_epoch": 5}),
        ((x, y), {"steps_per_epoch": 2, "batch_size": 8}),
        ((cut(x, y),), {}),
        ((cut(x, y),), {"steps_per_epoch": 3}),
        ((Loader(x, y),), {}),
    ):
        model().fit(*data, verbose=0, callbacks=Ask(), **options)
    assert told == [
        (4, N, 8),
        (5, N, 6),
        (2, None, 8),
        (None, None, None),
        (3, None, None),
        (4, None, None),
    ]


def test_progress_counts_batches_where_images_are_not_known(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y, _ = samples()
    each = model()
    each.fit(cut(x, y), verbose=2)
    each.evaluate(cut(x, y), verbose=2)
    each.predict(cut(x), verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/1", "Evaluate", "Predict"]
    assert all(" batches/s" in line for line in lines)

    drawn: list[Any] = []

    class Bar:
        def __init__(self, **options: Any) -> None:
            drawn.append((options["total"], options["unit"]))

        def update(self, count: int) -> None:
            drawn.append(count)

        def set_postfix_str(self, text: str, refresh: bool = True) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr(convkit.progress, "bar_factory", lambda: Bar)
    each.fit(cut(x, y), verbose=1)
    each.fit(Loader(x, y), verbose=1)
    each.fit(x, y, 8, verbose=1)
    assert drawn[:5] == [(None, " batches"), 1, 1, 1, 1]
    assert drawn[5:10] == [(4, " batches"), 1, 1, 1, 1]
    assert drawn[10:] == [(N, " images"), 8, 8, 8, 6]


# What is refused.


def test_wrong_arguments_with_iterables() -> None:
    x, y, weights = samples()
    each = model()
    for call, message in (
        (lambda: each.fit(cut(x), y), "x is an iterable of batches, so y must not be given"),
        (lambda: each.fit(cut(x, y), sample_weight=weights), "so sample_weight must not be given"),
        (lambda: each.fit(cut(x, y), validation_split=0.2), "validation_split needs arrays"),
        (lambda: each.evaluate(cut(x), y), "evaluate: x is an iterable of batches"),
        (lambda: each.fit(cut(x)), "fit needs y"),
        (lambda: each.fit((x, y)), r"x is a tuple: write fit\(x, y\)"),
        (lambda: each.fit(zip(x, y, strict=True)), "an iterable must give batches, not samples"),
        (lambda: each.evaluate(cut(x)), "evaluate needs y"),
        (lambda: each.fit(x, y, validation_data=cut(x)), "validation_data needs y"),
        (lambda: each.fit(cut(x, y, weights, y)), "a batch must be .*received 4 items"),
        (lambda: each.fit(cut(x[:, :3], y)), r"x must have shape \(N, 6, 6, 1\)"),
        (lambda: each.fit(cut(x, y + 3)), "labels must lie in 0 .. 2"),
        (lambda: each.fit(cut(x, y, weights), class_weight={0: 2.0}), "not both"),
        (lambda: each.fit(iter(())), "fit received no batch: the iterable is empty"),
        (lambda: each.evaluate(iter(())), "evaluate received no batch"),
        (lambda: each.predict(iter(())), "predict received no batch"),
        (lambda: each.fit(cut(x, y), steps_per_epoch=0), "steps_per_epoch must be an integer of"),
        (lambda: each.evaluate(x, y, steps=-1), "steps must be an integer of at least 1"),
        (lambda: each.fit(x, y, validation_data=(x, y), validation_steps=0), "validation_steps"),
        (lambda: each.fit(x, y, validation_data=(x, y), validation_freq=0), "validation_freq"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    for source in (iter(["text"]), iter([None]), {"x": x}):
        with pytest.raises(TypeError, match="real numbers"):
            each.predict(source, verbose=0)


def test_a_sparse_matrix_is_not_taken_for_batches() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    x, y, _ = samples()
    with pytest.raises(TypeError, match=r"give a dense array, x\.toarray\(\)"):
        model().fit(sparse.csr_matrix(x.reshape(len(x), -1)), y, verbose=0)


def test_an_archive_of_arrays_is_not_taken_for_batches(tmp_path: Path) -> None:
    x, y, _ = samples()
    np.savez(tmp_path / "data.npz", images=x, labels=y)
    with (
        np.load(tmp_path / "data.npz") as archive,
        pytest.raises(TypeError, match=r"its arrays: x\['images'\], x\['labels'\]"),
    ):
        model().fit(archive, y, verbose=0)


def test_an_error_in_the_generator_reaches_the_user() -> None:
    x, y, _ = samples()
    told: list[BaseException] = []

    def broken() -> Iterator[Any]:
        yield x[:4], y[:4]
        raise OSError("the disk is gone")

    class Look(Callback):
        def on_train_interrupted(self, error: BaseException) -> None:
            told.append(error)

    with pytest.raises(OSError, match="the disk is gone"):
        model().fit(broken(), verbose=0, callbacks=Look())
    assert [type(error) for error in told] == [OSError]


def test_what_counts_as_batches() -> None:
    x, y, _ = samples()
    for batches in (cut(x), iter([x]), Loader(x), Numbered(x), zip([x], [y], strict=True)):
        assert is_iterable_of_batches(batches)
    for data in (x, x.tolist(), [x, x], (x, y), "text", {"x": x}, 3, None, Samples(x)):
        assert not is_iterable_of_batches(data)
    listed = [(x, y), (x, y)]
    assert is_iterable_of_batches(listed)
    assert not is_iterable_of_batches(listed, y)
    assert not is_iterable_of_batches(listed, with_targets=False)
    assert not IterableBatches(cut(x), lambda x, y, w: Samples(x)).repeats
    assert IterableBatches(Loader(x), lambda x, y, w: Samples(x)).repeats
