"""Steps an epoch and steps of a validation, and what happens at the end of the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from compare import assert_same_training
from convkit.callbacks import Callback, Logs
from convkit.training.batches import ArrayBatches
from convkit.training.data import Samples
from loaders import Loader, N, cut, model, samples

ENDED = "Your input ran out of data; interrupting training"


class Counts(Callback):
    """How many batches each epoch had."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self.batches.append(0)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        assert batch == self.batches[-1]
        self.batches[-1] += 1


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
    batches = ArrayBatches(Samples([x], [y]), 4, 3, lambda n, e, _: np.arange(n)[::-1] + 100 * e)
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
