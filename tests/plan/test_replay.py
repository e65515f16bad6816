"""Native calls that a plan captures: replayed as they were, and not once anything changed."""

from __future__ import annotations

import signal
import sys
import threading
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit import layers, ops
from convkit.core import changes
from convkit.layers.step_context import INFERENCE, StepContext
from convkit.ops._calls import Calls
from convkit.plan import BoundSteps, lower
from some_models import KERAS_LINES, ZOO, images, of_line

Model = convkit.Sequential


def ours(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as one of convkit's own, whose calls are captured."""
    names = {**function.__globals__, "__name__": "convkit.tested"}
    return types.FunctionType(
        function.__code__, names, closure=function.__closure__, argdefs=function.__defaults__
    )


def made() -> Model:
    """A model with every stage whose calls are captured, and some that do not, trained one step."""
    convkit.utils.clear_session()
    convkit.utils.set_random_seed(5)
    model = Model(
        [
            layers.Input((20, 20, 2)),
            layers.Conv2D(16, 3, padding="same"),
            layers.BatchNormalization(momentum=0.5),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(18, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.DepthwiseConv2D(3, padding="same", activation="elu"),
            layers.BatchNormalization(momentum=0.5),
            layers.AveragePooling2D(2),
            layers.Conv2D(4, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(convkit.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    step(model)
    return model


def step(model: Model, times: int = 1) -> None:
    x = images(model, 12)
    for _ in range(times):
        model.train_on_batch(x, np.arange(12) % 3)


def state(model: Model) -> list[Array]:
    """The weights, what the model gives, and how it is judged."""
    x = images(model, 12)
    verdict = model.evaluate(x, np.arange(12) % 3, verbose=0)
    return [*model.get_weights(), model.predict(x, verbose=0), np.asarray(verdict)]


def normalisations(model: Model) -> list[layers.BatchNormalization]:
    return [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


def faster_average(model: Model) -> None:
    normalisations(model)[0].momentum = 0.1


def other_epsilon(model: Model) -> None:
    for layer in normalisations(model):
        layer.epsilon = 0.5


def freeze(model: Model) -> None:
    model.layers[0].trainable = False


def freeze_and_release(model: Model) -> None:
    freeze(model)
    step(model)
    model.layers[0].trainable = True


def freeze_normalisation(model: Model) -> None:
    normalisations(model)[1].trainable = False


def other_weights(model: Model) -> None:
    model.set_weights([weight * 0.5 for weight in model.get_weights()])


def weights_in_place(model: Model) -> None:
    kernel = model.layers[4].weights[0]
    kernel.value = kernel.value * 0.5


def share_with_another(model: Model) -> None:
    other = Model([layers.Input((20, 20, 2)), *model.layers[:-1], layers.Dense(3)])
    other.compile("sgd", "mse")
    other.train_on_batch(images(model, 4), np.ones((4, 3)))


def smaller_batch(model: Model) -> None:
    model.train_on_batch(images(model, 5), np.arange(5) % 3)


def weighted_samples(model: Model) -> None:
    x, labels = images(model, 12), np.arange(12) % 3
    for weights in (np.linspace(0.0, 2.0, 12), np.linspace(2.0, 0.0, 12)):
        model.train_on_batch(x, labels, sample_weight=weights)


def other_labels(model: Model) -> None:
    for shift in (1, 2):
        model.train_on_batch(images(model, 12), (np.arange(12) + shift) % 3)


def optimizer_of(model: Model) -> convkit.optimizers.Adam:
    assert isinstance(model.optimizer, convkit.optimizers.Adam)
    return model.optimizer


def other_learning_rate(model: Model) -> None:
    optimizer_of(model).learning_rate = 0.1


def learning_rate_by_a_schedule(model: Model) -> None:
    schedule = convkit.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
    optimizer_of(model).learning_rate = schedule


def other_moments(model: Model) -> None:
    optimizer_of(model).beta_1 = 0.5


def other_optimizer(model: Model) -> None:
    model.optimizer = convkit.optimizers.SGD(0.1, momentum=0.5)


def direct(model: Model) -> None:
    convkit.runtime.set_conv2d_algorithm("direct")


def compile_again(model: Model) -> None:
    model.compile("sgd", "sparse_categorical_crossentropy")


CHANGES = (
    faster_average,
    other_epsilon,
    freeze,
    freeze_and_release,
    freeze_normalisation,
    other_weights,
    weights_in_place,
    share_with_another,
    smaller_batch,
    weighted_samples,
    other_labels,
    other_learning_rate,
    learning_rate_by_a_schedule,
    other_moments,
    other_optimizer,
    direct,
    compile_again,
)


@pytest.fixture(autouse=True)
def any_algorithm() -> Any:
    yield
    convkit.runtime.set_conv2d_algorithm("auto")


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_repeating_gives_what_asking_python_gives(
    change: Callable[[Model], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = []
    for capturable in (True, False):
        with monkeypatch.context() as patch:
            if not capturable:
                patch.setattr(BoundSteps, "__call__", BoundSteps.run_methods)
            model = made()
            before = state(model)
            change(model)
            step(model, 2)
            results.append([*before, *state(model)])
            convkit.runtime.set_conv2d_algorithm("auto")
    for repeated, asked in zip(*results, strict=True):
        np.testing.assert_array_equal(repeated, asked)


@pytest.mark.parametrize("name", KERAS_LINES)
def test_layers_that_are_replayed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for capturable in (True, False):
        with monkeypatch.context() as patch:
            if not capturable:
                patch.setattr(BoundSteps, "__call__", BoundSteps.run_methods)
            model = of_line(name)
            model.compile("adam", "mse")
            x = images(model, 12)
            y = np.linspace(-1, 1, 12 * model.predict(x[:1], verbose=0).size)
            for count in (12, 12, 12, 5, 5):
                target = y.reshape(12, *(size or 0 for size in model.output_shape[1:]))
                model.train_on_batch(x[:count], target[:count])
            results.append([*model.get_weights(), model.predict(x, verbose=0)])
    for repeated, asked in zip(*results, strict=True):
        np.testing.assert_array_equal(repeated, asked)


def test_python_is_asked_once_until_something_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def count(name: str) -> None:
        original = getattr(ops, name)

        def counted(*arguments: Any, **options: Any) -> Any:
            asked.append(name)
            return original(*arguments, **options)

        monkeypatch.setattr(ops, name, ours(counted))

    names = ("conv2d_batchnorm_forward", "conv2d_max_pool2d_backward", "dense_forward")
    for name in names:
        count(name)
    model = made()
    first = sorted(asked)
    assert first == sorted([*names, "dense_forward"])
    step(model, 3)
    assert sorted(asked) == first
    normalisations(model)[0].momentum = 0.9
    step(model, 3)
    assert sorted(asked) == sorted([*first, *first])


def test_a_layer_that_does_more_than_its_base_is_asked_every_time() -> None:
    class Counting(layers.Dense):
        steps = 0

        def forward(self, *arguments: Any, **options: Any) -> None:
            Counting.steps += 1
            super().forward(*arguments, **options)

    assert layers.Dense.capturable
    assert not Counting.capturable
    model = Model([layers.Input((4,)), Counting(3, activation="relu"), layers.Dense(2)])
    model.compile("sgd", "mse")
    for _ in range(3):
        model.train_on_batch(np.ones((2, 4)), np.ones((2, 2)))
    assert Counting.steps == 3


@pytest.mark.parametrize(
    "x",
    [np.ones(4, np.float32), np.ones(4), np.ones(8, np.float32)[::2]],
    ids=["as it is", "float64", "strided"],
)
def test_what_had_to_be_converted_is_converted_again(x: Array) -> None:
    out = np.empty(4, np.float32)
    bound = BoundSteps([ours(lambda run: _ignore(ops.relu_forward(x, out=out)))], capturable=True)
    for value in (1.0, 2.0, 3.0):
        x[:] = value
        bound(INFERENCE)
        np.testing.assert_array_equal(out, np.full(4, value, np.float32))


def test_what_had_to_be_made_is_made_again() -> None:
    x, seen = np.ones(4, np.float32), []
    bound = BoundSteps([ours(lambda run: seen.append(ops.relu_forward(x)))], capturable=True)
    for value in (1.0, 2.0, 3.0):
        x[:] = value
        bound(INFERENCE)
    np.testing.assert_array_equal(seen, [[1.0] * 4, [2.0] * 4, [3.0] * 4])


def test_a_pass_that_failed_is_not_remembered() -> None:
    x, out, ends = np.ones(4, np.float32), np.zeros((2, 4), np.float32), [False, True, True]

    def run(_: StepContext) -> None:
        ops.relu_forward(x, out=out[0])
        if not ends.pop(0):
            raise RuntimeError("in the middle")
        ops.relu_forward(x, out=out[1])

    bound = BoundSteps([ours(run)], capturable=True)
    with pytest.raises(RuntimeError, match="in the middle"):
        bound(INFERENCE)
    bound(INFERENCE)
    np.testing.assert_array_equal(out, np.ones((2, 4)))
    x[:] = 3.0
    bound(INFERENCE)
    np.testing.assert_array_equal(out, np.full((2, 4), 3.0))
    assert ends == [True], "the third pass was repeated"
    bound(StepContext(training=True))
    assert ends == [], "another run is asked for again"


def test_calls_keep_their_arrays() -> None:
    x, out, calls = np.full(4, -1.0, np.float32), np.empty(4, np.float32), Calls()
    calls.capture(ours(lambda: ops.relu_forward(x, out=out)), False)
    assert len(calls) == 1
    references = sys.getrefcount(x), sys.getrefcount(out)
    del calls
    assert (sys.getrefcount(x), sys.getrefcount(out)) == (references[0] - 1, references[1] - 1)


def test_only_calls_of_the_same_thread_are_captured() -> None:
    x, out, calls = np.ones(4, np.float32), np.empty((2, 4), np.float32), Calls()

    def both() -> None:
        thread = threading.Thread(target=ops.relu_forward, args=(x,), kwargs={"out": out[0]})
        thread.start()
        thread.join()
        assert len(calls) == 0
        ops.relu_forward(x, out=out[1])

    calls.capture(ours(both), False)
    assert len(calls) == 1


def test_calls_within_calls_are_the_inner_ones() -> None:
    x, out = np.ones(4, np.float32), np.empty((3, 4), np.float32)
    outer, inner = Calls(), Calls()

    def inside() -> None:
        ops.relu_forward(x, out=out[1])

    def around() -> None:
        ops.relu_forward(x, out=out[0])
        inner.capture(ours(inside), False)
        ops.relu_forward(x, out=out[2])

    outer.capture(ours(around), False)
    assert (len(outer), len(inner)) == (2, 1)
    out[:] = 0.0
    inner.replay()
    np.testing.assert_array_equal(out, [[0.0] * 4, [1.0] * 4, [0.0] * 4])


class Finalized:
    """Calls an op when it is dropped."""

    def __init__(self, x: Array, out: Array) -> None:
        self.arrays = x, out

    def __del__(self) -> None:
        ops.relu_forward(self.arrays[0], out=self.arrays[1])


def by_a_handler(x: Array, out: Array) -> None:
    former = signal.signal(signal.SIGUSR1, lambda *_: _ignore(ops.relu_forward(x, out=out)))
    try:
        signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, former)


def by_a_finalizer(x: Array, out: Array) -> None:
    Finalized(x, out)


def by_a_reference(x: Array, out: Array) -> None:
    watched = Finalized.__new__(Finalized)
    watched.arrays = np.empty(0, np.float32), np.empty(0, np.float32)
    weakref.finalize(watched, ops.relu_forward, x, out=out)


@pytest.mark.parametrize("interrupt", [by_a_handler, by_a_finalizer, by_a_reference])
def test_what_interrupts_a_capture_is_not_replayed(
    interrupt: Callable[[Array, Array], None],
) -> None:
    x, out, foreign = np.ones(4, np.float32), np.zeros((2, 4), np.float32), np.zeros(4, np.float32)
    interrupts, asked = [True, False, True], []

    def run(_: StepContext) -> None:
        asked.append(1)
        ops.relu_forward(x, out=out[0])
        if interrupts.pop(0):
            interrupt(x, foreign)
        ops.relu_forward(x, out=out[1])

    bound = BoundSteps([ours(run)], capturable=True)
    bound(INFERENCE)
    np.testing.assert_array_equal(foreign, x, "the interruption's own call was made")
    for value in (2.0, 3.0):
        x[:], foreign[:] = value, -1.0
        bound(INFERENCE)
        np.testing.assert_array_equal(out, np.full((2, 4), value))
        np.testing.assert_array_equal(foreign, np.full(4, -1.0))
    assert len(asked) == 2, "the second pass was captured, and the third one replayed it"


def test_labels_are_checked_in_every_repetition() -> None:
    class Spoiler(convkit.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 2:
                labels[:] = 10**9

    model, labels = made(), np.arange(60) % 3
    with pytest.raises(ValueError, match=r"label 1000000000 of sample 0 is not in \[0, 3\)"):
        model.fit(images(model, 60), labels, batch_size=12, verbose=0, callbacks=Spoiler())


def test_a_loss_that_does_more_than_its_base_is_asked_every_time() -> None:
    class Doubled(convkit.losses.MeanSquaredError):
        factor = 2.0

        def compute(self, *arrays: Array, **options: Any) -> Array:
            losses = super().compute(*arrays, **options)
            losses *= self.factor
            return losses

    assert convkit.losses.MeanSquaredError.capturable
    assert not Doubled.capturable
    model = Model([layers.Input((4,)), layers.Dense(2)])
    model.compile("sgd", Doubled())
    model.layers[0].set_weights([np.zeros((4, 2)), np.zeros(2)])
    for factor in (2.0, 3.0, 4.0):
        Doubled.factor = factor
        assert model.test_on_batch(np.ones((2, 4)), np.ones((2, 2))) == factor


def test_an_optimizer_that_does_more_than_its_base_is_asked_every_time() -> None:
    class Noted(convkit.optimizers.SGD):
        def update(self, w: Array, g: Array, *slots: Array) -> None:
            seen.append((self.iterations, self.learning_rate))
            super().update(w, g, *slots)

    assert convkit.optimizers.SGD.capturable
    assert not Noted.capturable
    seen: list[tuple[int, float]] = []
    model = Model([layers.Input((4,)), layers.Dense(2)])
    model.compile(Noted(convkit.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)), "mse")
    for _ in range(3):
        model.train_on_batch(np.ones((2, 4)), np.ones((2, 2)))
    assert seen == [(1, 1.0), (2, 0.5), (3, 0.25)]


def test_a_step_that_fails_is_not_counted() -> None:
    class Failing(layers.Dense):
        def backward(self, *arguments: Any) -> None:
            raise RuntimeError("in the middle")

    model = Model([layers.Input((4,)), Failing(2)])
    model.compile("adam", "mse")
    with pytest.raises(RuntimeError, match="in the middle"):
        model.train_on_batch(np.ones((2, 4)), np.ones((2, 2)))
    assert optimizer_of(model).iterations == 0


def test_a_loss_whose_attributes_change_is_asked_again() -> None:
    loss = convkit.losses.BinaryCrossentropy(from_logits=True)
    model = Model([layers.Input((4,)), layers.Dense(2)])
    model.compile("sgd", loss)
    x, y = np.ones((2, 4)), np.ones((2, 2))
    before = [model.test_on_batch(x, y) for _ in range(3)]
    loss.options = {**loss.options, "label_smoothing": 0.9}
    assert before[0] == before[1] == before[2] != model.test_on_batch(x, y)


@pytest.mark.parametrize("name", ZOO)
def test_a_batch_goes_through_all_steps_in_one_piece(name: str) -> None:
    model: Model = getattr(convkit.zoo, name)()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.train_on_batch(images(model, 4), np.arange(4))
    bound = model._engine.training_plan.bind(4)
    assert [piece.capturable for piece in bound.steps] == [True]
    assert all(piece._calls for piece in bound.steps)


@pytest.mark.parametrize("name", ZOO)
def test_a_step_changes_nothing_that_it_depends_on(name: str) -> None:
    model: Model = getattr(convkit.zoo, name)()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, labels = images(model, 4), np.arange(4)

    def every_pass() -> None:
        model.train_on_batch(x, labels)
        model.test_on_batch(x, labels)
        model.predict_on_batch(x)

    every_pass()
    before = changes.count
    every_pass()
    assert changes.count == before


def test_changes_of_another_model_leave_captured_calls_alone() -> None:
    """Two models take turns, and one of them is changed before each of its batches."""
    one, other = convkit.zoo.mnist_cnn(), convkit.zoo.mnist_cnn()
    x, labels = images(one, 4), np.arange(4)
    for model in (one, other):
        model.compile("adam", "sparse_categorical_crossentropy")
        model.train_on_batch(x, labels)
    steps = one._engine.training_plan.bind(4).steps
    captured = [piece._calls for piece in steps]
    for rate in (0.1, 0.2):
        other.layers[4].rate = rate
        other.train_on_batch(x, labels)
        one.train_on_batch(x, labels)
        assert [piece._calls for piece in steps] == captured
    one.layers[0].kernel.frozen = True
    one.layers[0].kernel.frozen = False
    one.train_on_batch(x, labels)
    bound = one._engine.training_plan.bind(4)
    assert [piece._calls for piece in bound.steps] != captured


def _ignore(_: object) -> None:
    return None


@pytest.mark.parametrize(
    ("loss", "units"),
    [
        (convkit.losses.SparseCategoricalCrossentropy(from_logits=True), 3),
        (convkit.losses.SparseCategoricalCrossentropy(), 3),
        (convkit.losses.BinaryCrossentropy(from_logits=True), 1),
        (convkit.losses.MeanSquaredError(), 1),
    ],
    ids=str,
)
def test_a_step_with_any_loss_of_our_own_is_replayed(loss: convkit.losses.Loss, units: int) -> None:
    """From logits, too, where nobody has an array for the probabilities."""
    model = Model([convkit.Input((4,)), layers.Dense(units)])
    plan = lower(model.graph, 5, True, loss=loss)
    bound, context = plan.bind(5), StepContext(True, 1, 2)
    rng = np.random.default_rng(1)
    bound.x[...] = rng.normal(size=(5, 4))
    targets = loss.prepare(rng.integers(0, 2, (5, 1) if units == 1 else 5), (units,))
    bound.take([targets], [None], np.arange(5))
    bound(context)
    first = [piece._calls for piece in bound.steps]
    losses = bound.head.losses.copy()
    bound(context)
    assert all(first)
    assert [piece._calls for piece in bound.steps] == first
    np.testing.assert_array_equal(bound.head.losses, losses)


def test_the_gradient_of_logits_may_take_the_place_of_their_probabilities() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(6, 4)).astype(np.float32)
    losses, _, gradient = ops.softmax_cross_entropy(logits, rng.integers(0, 4, 6))
    rng = np.random.default_rng(2)
    rng.normal(size=(6, 4))
    both = np.empty_like(logits)
    again, *_ = ops.softmax_cross_entropy(logits, rng.integers(0, 4, 6), probs=both, dlogits=both)
    np.testing.assert_array_equal(again, losses)
    np.testing.assert_array_equal(both, gradient)
