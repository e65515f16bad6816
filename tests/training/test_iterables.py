"""Iterables of batches: they train as arrays do, in little memory, and what is refused."""

from __future__ import annotations

import itertools
import warnings
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import assert_same_training, assert_threads_agree
from convkit.callbacks import Callback, Logs
from convkit.training.batches import IterableBatches, is_iterable_of_batches
from convkit.training.data import Samples
from loaders import SIZES, Loader, N, cut, model, samples


class Numbered:
    """What a Keras Sequence is: batches by number, and how many there are."""

    def __init__(self, *arrays: np.ndarray) -> None:
        self.batches = list(cut(*arrays))

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        return self.batches[index % len(self.batches)]  # never an IndexError

    def __len__(self) -> int:
        return len(self.batches)


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
    plan = each._engine.training_plan
    assert plan.batch_size == 20
    each.fit(cut(x, y, sizes=(20, 13, 8, 5, 3, 2, 1)), verbose=0)
    assert each._engine.training_plan is plan


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

    monkeypatch.setattr(convkit.training.progress, "bar_factory", lambda: Bar)
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
    for data in (x, x.tolist(), [x, x], (x, y), "text", {"x": x}, 3, None, Samples([x])):
        assert not is_iterable_of_batches(data)
    listed = [(x, y), (x, y)]
    assert is_iterable_of_batches(listed)
    assert not is_iterable_of_batches(listed, y)
    assert not is_iterable_of_batches(listed, with_targets=False)
    assert not IterableBatches(cut(x), lambda x, y, w: Samples([x])).repeats
    assert IterableBatches(Loader(x), lambda x, y, w: Samples([x])).repeats


# Iterables that do not end by themselves, and those that want to know of epochs.


class Endless:
    """What Keras's image generators give: an iterator with a length, which begins again."""

    def __init__(self, *arrays: np.ndarray) -> None:
        self.batches, self.given = list(cut(*arrays)), 0

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Endless:
        return self

    def __next__(self) -> tuple[np.ndarray, ...]:
        assert self.given < 20 * len(self.batches), "asked for ever"
        self.given += 1
        return self.batches[(self.given - 1) % len(self.batches)]


class Listed(Numbered, Sequence):  # type: ignore[type-arg]
    """A sequence of Python's, whose __iter__ goes on until an IndexError, which never comes."""


class EndlessPasses(Numbered):
    """Every pass is endless."""

    def __iter__(self) -> Iterator[tuple[np.ndarray, ...]]:
        return itertools.chain.from_iterable(itertools.repeat(self.batches, 20))


@pytest.mark.parametrize("kind", [Endless, Listed, EndlessPasses])
def test_a_pass_has_as_many_batches_as_the_length_says(kind: Any) -> None:
    x, y, _ = samples()
    one, two = model(), model()
    weights = {0: 3.0}
    expected = one.fit(x, y, 8, 3, 0, shuffle=False, class_weight=weights,
                       validation_data=(x, y), validation_batch_size=8)  # fmt: skip
    data = kind(x, y)
    got = two.fit(data, epochs=3, verbose=0, class_weight=weights, validation_data=kind(x, y))
    assert got.history == expected.history
    assert_same_training(one, two)
    assert two.evaluate(kind(x, y), verbose=0) == one.evaluate(x, y, 8, verbose=0)
    np.testing.assert_array_equal(two.predict(kind(x), verbose=0), one.predict(x, 8, verbose=0))
    if kind is Endless:
        assert data.given == 3 * len(data)


@pytest.mark.parametrize("with_length", [True, False])
def test_an_endless_iterator_goes_on_where_steps_are_given(with_length: bool) -> None:
    x, y, _ = samples()
    data: Any = Endless(x, y)
    count, total = len(data), data.given
    source = data if with_length else (next(data) for _ in itertools.count())
    steps = count + 1  # more than the length
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model().fit(source, epochs=2, steps_per_epoch=steps, verbose=0, validation_steps=2,
                    validation_data=source)  # fmt: skip
    assert data.given == total + 2 * (steps + 2)
    model().evaluate(source, steps=3, verbose=0)
    assert len(model().predict(source, steps=1, verbose=0)) == 8
    assert data.given == total + 2 * (steps + 2) + 4


def test_the_length_is_asked_for_every_epoch() -> None:
    x, y, _ = samples()
    data = Numbered(x, y)
    lengths = iter([2, 1, 3])
    steps: list[int] = []

    class Shorter(Callback):
        def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
            steps.append(0)

        def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
            steps[-1] += 1

    data.on_epoch_begin = (
        lambda: data.batches.__setitem__(  # type: ignore[attr-defined]
            slice(None), list(cut(x, y))[: next(lengths)]
        )
    )
    model().fit(data, epochs=3, verbose=0, callbacks=Shorter())
    assert steps == [2, 1, 3]


def test_data_hear_of_every_epoch() -> None:
    """Keras calls both once more before the first epoch, when it looks at the first batch."""
    x, y, _ = samples()

    class Told(Numbered):
        def __init__(self, *arrays: np.ndarray) -> None:
            super().__init__(*arrays)
            self.heard: list[Any] = []

        def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
            self.heard.append(index)
            return super().__getitem__(index)

        def on_epoch_begin(self) -> None:
            self.heard.append("begin")

        def on_epoch_end(self) -> None:
            self.heard.append("end")

    count = len(Numbered(x, y))
    epoch = ["begin", *range(count), "end"]
    training, validation = Told(x, y), Told(x, y)
    model().fit(training, epochs=3, verbose=0, validation_data=validation, validation_freq=2)
    assert training.heard == 3 * epoch
    assert validation.heard == epoch
    for use in (model().evaluate, model().predict):
        data = Told(x, y)
        use(data, verbose=0)
        assert data.heard == epoch
    data = Told(x, y)
    model().fit(data, epochs=2, steps_per_epoch=2, verbose=0)
    assert data.heard == ["begin", 0, 1, "end", "begin", 2, 3, "end"]


def test_lengths_that_are_none() -> None:
    x, y, _ = samples()

    class Odd(Endless):
        length: Any = 0

        def __len__(self) -> int:
            if isinstance(self.length, Exception):
                raise self.length
            return self.length  # type: ignore[no-any-return]

    with pytest.raises(ValueError, match="fit received no batch"):
        model().fit(Odd(x, y), verbose=0)
    Odd.length = N / 8
    with pytest.raises(TypeError, match=r"__len__ of Odd, must be an integer, such as -\(-samples"):
        model().fit(Odd(x, y), verbose=0)
    for unknown in (NotImplementedError(), TypeError("object of type 'Stream' has no len()")):
        Odd.length = unknown
        model().fit(Odd(x, y), verbose=0, steps_per_epoch=2)


def test_a_stream_of_torch_has_no_length() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch's DataLoader is tried with torch")
    x, y, _ = samples()

    class Stream(torch.utils.data.IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Iterator[Any]:
            return iter(zip(x, y, strict=True))

    loader = torch.utils.data.DataLoader(Stream(), batch_size=8)
    one, two = model(), model()
    one.fit(x, y, 8, 2, 0, shuffle=False)
    two.fit(loader, epochs=2, verbose=0)
    assert_same_training(one, two)


def test_a_function_that_nobody_called() -> None:
    x, y, _ = samples()

    def batches() -> Any:
        yield from cut(x, y)

    each = model()
    for call in (each.fit, each.evaluate, each.predict):
        with pytest.raises(TypeError, match=r"the function batches; call it, as batches\(\.\.\.\)"):
            call(batches, verbose=0)
    with pytest.raises(TypeError, match=r"in validation_data: .* the function batches; call it"):
        each.fit(x, y, verbose=0, validation_data=batches)
    with pytest.raises(TypeError, match=r"fit: .* the class Numbered; call it"):
        each.fit(Numbered, verbose=0)
