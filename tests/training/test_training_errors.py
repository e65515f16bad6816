"""Every wrong input of compile and fit: what is said, and that the model trains on."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import layers, losses, metrics, optimizers
from convkit.callbacks import Callback, Logs
from some_models import SMALL_IMAGES, small_cnn, stripes


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 8, 8), np.float32), r"\(N, 8, 8, 1\).*received \(4, 8, 8\).*newaxis"),
        (np.zeros((4, 64), np.float32), r"reshape\(x, \(-1, 8, 8, 1\)\)"),
        (np.zeros((4, 8, 8, 3), np.float32), r"received \(4, 8, 8, 3\)"),
        (np.zeros((4, 9, 8, 1), np.float32), r"received \(4, 9, 8, 1\)"),
        (np.zeros((0, 8, 8, 1), np.float32), "at least one sample"),
        ([], "at least one sample"),
    ],
)
def test_wrong_images(x: Any, message: str) -> None:
    model = small_cnn()
    y = np.zeros(len(x), int)
    for call in (
        lambda: model.fit(x, y, verbose=0),
        lambda: model.evaluate(x, y, verbose=0),
        lambda: model.predict(x, verbose=0),
        lambda: model.train_on_batch(x, y),
        lambda: model.predict_on_batch(x),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, 2, 3], r"labels must lie in 0 .. 2.*received 3 at position 3"),
        ([0, 1, -1, 2], "received -1 at position 2"),
        ([0, 1, 2], "x has 4 samples and y has 3"),
        ([0, 1, 2, 0, 1], "x has 4 samples and y has 5"),
        ([0.5, 1, 2, 0], "whole numbers"),
        (np.eye(3)[[0, 1, 2, 0]], "categorical_crossentropy"),
        (None, "needs y"),
    ],
)
def test_wrong_labels(y: Any, message: str) -> None:
    model = small_cnn()
    x = np.zeros((4, *SMALL_IMAGES), np.float32)
    for call in (
        lambda: model.fit(x, y, verbose=0),
        lambda: model.evaluate(x, y, verbose=0),
        lambda: model.train_on_batch(x, y),
        lambda: model.fit(x, [0, 1, 2, 0], verbose=0, validation_data=(x, y)),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be an integer of at least 1"),
        ({"batch_size": -3}, ValueError, "batch_size"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be an integer"),
        ({"epochs": 0}, ValueError, "epochs must be an integer of at least 1"),
        ({"epochs": -1}, ValueError, "epochs"),
        ({"initial_epoch": -1}, ValueError, "initial_epoch"),
        ({"validation_split": 1.0}, ValueError, "validation_split"),
        ({"validation_split": -0.5}, ValueError, "validation_split"),
        ({"validation_split": 0.01}, None, ""),
        ({"validation_split": "0.2"}, ValueError, "validation_split"),
        ({"validation_data": (np.zeros((4, 8, 8)), np.zeros(4))}, ValueError, "in validation_data"),
        ({"validation_data": 3}, ValueError, r"validation_data must be \(x, y\)"),
        ({"validation_batch_size": 0}, ValueError, "batch_size"),
        ({"verbose": 7}, ValueError, "verbose"),
    ],
)
def test_wrong_fit_arguments(arguments: dict[str, Any], error: Any, message: str) -> None:
    model = small_cnn()
    x, y = stripes(8)
    if error is None:  # the smallest share still leaves one sample for validation
        model.fit(x, np.zeros(8, int), verbose=0, **arguments)
        return
    with pytest.raises(error, match=message):
        model.fit(x, y, **{"verbose": 0, **arguments})


def test_training_before_compile() -> None:
    model = small_cnn(compiled=False)
    x, y = stripes(8)
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match=r"call compile\(optimizer, loss\) before"):
            call(x, y)
    with pytest.raises(ValueError, match="compile"):
        model.plan(training=True)
    model.compile("adam")
    with pytest.raises(ValueError, match="needs a loss"):
        model.fit(x, y)
    assert model.predict(x, verbose=0).shape == (8, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "adamm"}, "unknown optimizer 'adamm': use one of adadelta, adagrad, adam,"),
        ({"loss": "entropy"}, "unknown loss 'entropy'.*sparse_categorical_crossentropy"),
        ({"metrics": ["accurate"]}, "unknown metric 'accurate'.*accuracy"),
        ({"optimizer": "adamm"}, "did you mean 'adam'"),
        ({"optimizer": optimizers.SGD}, r"for an object of this class write SGD\(...\)"),
        ({"loss": "SparseCategoricalCrossentropie"}, "did you mean 'sparse_categorical_crossent"),
        ({"loss": "cross_entropy"}, "did you mean .* 'sparse_categorical_crossentropy'"),
        ({"metrics": ["acuracy"]}, "did you mean 'accuracy'"),
        ({"metrics": [metrics.Mean("loss")]}, "no metric may be called 'loss'"),
    ],
)
def test_unknown_names(arguments: dict[str, Any], message: str) -> None:
    model = small_cnn(compiled=False)
    with pytest.raises(ValueError, match=message):
        model.compile(**{"loss": "sparse_categorical_crossentropy", **arguments})
    assert model.optimizer is None


def test_a_kernel_larger_than_its_input_names_the_layer() -> None:
    with pytest.raises(ValueError, match=r'"too_large" \(Conv2D\).*larger than the input \(4, 4\)'):
        convkit.Sequential([convkit.Input((4, 4, 1)), layers.Conv2D(4, 5, name="too_large")])


def test_an_output_that_does_not_fit_the_loss() -> None:
    model = convkit.Sequential([convkit.Input(SMALL_IMAGES), layers.Conv2D(3, 3)])
    model.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"\(None, 6, 6, 3\).*Flatten"):
        model.fit(np.zeros((4, *SMALL_IMAGES)), [0, 1, 2, 0], verbose=0)


@pytest.mark.parametrize(
    ("end", "loss", "message"),
    [
        ([layers.Dense(3)], "sparse_categorical_crossentropy", "'linear': give.*='softmax'"),
        ([layers.Dense(3, activation="relu")], "categorical_crossentropy", "activation 'relu'"),
        ([layers.Dense(3)], "binary_crossentropy", r"='sigmoid'.*BinaryCrossentropy\(from_logits"),
        (
            [layers.Dense(3), layers.Softmax()],
            losses.SparseCategoricalCrossentropy(from_logits=True),
            r"from_logits=True\) expects an output without.* ends with softmax",
        ),
        (
            [layers.Dense(3, activation="sigmoid")],
            "sparse_categorical_crossentropy",
            "add up to 1, and .* 'sigmoid': give its last layer activation='softmax', or,",
        ),
        (
            [layers.Dense(3), layers.Activation("sigmoid"), layers.Activation("linear")],
            "categorical_crossentropy",
            "add up to 1, and .* 'sigmoid': give its last layer activation='softmax', or,",
        ),
        (
            [layers.Dense(3, activation="tanh")],
            "sparse_categorical_crossentropy",
            "activation 'tanh': give its last layer activation='softmax'",
        ),
        (
            [layers.Dense(3, activation="sigmoid")],
            losses.CategoricalCrossentropy(from_logits=True),
            "without softmax or sigmoid, and the model ends with sigmoid: leave one",
        ),
        (
            [layers.Dense(3, activation="sigmoid")],
            losses.BinaryCrossentropy(from_logits=True),
            "without softmax or sigmoid, and the model ends with sigmoid: leave one",
        ),
        ([layers.Dense(3, activation="softmax")], "sparse_categorical_crossentropy", ""),
        ([layers.Dense(3, activation="softmax")], "binary_crossentropy", ""),
        ([layers.Dense(3, activation="sigmoid"), layers.Flatten()], "binary_crossentropy", ""),
        ([layers.Dense(3)], losses.CategoricalCrossentropy(from_logits=True), ""),
        ([layers.Dense(3)], "mse", ""),
        ([layers.Dense(3, activation="softmax"), layers.Rescaling(0.5)], "mse", ""),
    ],
)
def test_a_loss_that_expects_another_end(end: list[Any], loss: Any, message: str) -> None:
    x, y = stripes(8)
    model = convkit.Sequential([layers.Flatten(), *end])
    model.compile("adam", loss)
    sparse = "sparse" in model.loss.name if model.loss else False
    targets = y if sparse else convkit.utils.to_categorical(y, 3)
    if not message:
        model.fit(x, targets, verbose=0)
        return
    with pytest.warns(UserWarning, match=message) as record:
        model.fit(x, targets, verbose=0, epochs=2)
    assert [warning.filename for warning in record] == [__file__]


@pytest.mark.parametrize("loss", ["binary_crossentropy", "categorical_crossentropy", "mse"])
def test_a_softmax_over_one_value(loss: str) -> None:
    x, _ = stripes(8)
    model = convkit.Sequential([layers.Flatten(), layers.Dense(1, activation="softmax")])
    model.compile("adam", loss)
    with pytest.warns(
        UserWarning, match="a softmax over a single value, which is always 1"
    ) as record:
        model.fit(x, np.ones((8, 1)), verbose=0)
    assert [warning.filename for warning in record] == [__file__]


def test_a_loss_that_becomes_nan_warns_once() -> None:
    model = small_cnn()
    x, y = stripes(8)
    x[0, 0, 0, 0] = np.nan
    with pytest.warns(UserWarning, match="the loss became nan in epoch 1") as record:
        model.fit(x, y, epochs=3, verbose=0)
    assert [warning.filename for warning in record] == [__file__]


def test_sorted_labels_warn_and_name_the_missing_classes() -> None:
    x, y = stripes(30)
    with pytest.warns(UserWarning, match="shuffle x and y") as record:
        small_cnn().fit(x, np.sort(y), verbose=0, validation_split=0.2)
    assert record[0].filename == __file__


def test_after_an_error_the_model_trains_on() -> None:
    model = small_cnn()
    x, y = stripes(20)
    with pytest.raises(ValueError, match="labels must lie in"):
        model.fit(x, y + 1, verbose=0)
    with pytest.raises(TypeError, match="real numbers"):
        model.fit(x.astype(complex), y, verbose=0)
    model.fit(x, y, verbose=0)
    reference = small_cnn()
    reference.fit(x, y, verbose=0)
    for a, b in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_nan_images_pass_through_without_harm_to_the_process() -> None:
    model = small_cnn()
    x, y = stripes(8)
    x[0, 0, 0, 0] = np.nan
    loss, _ = model.train_on_batch(x, y)
    assert np.isnan(loss)


def test_a_second_thread_cannot_train_the_same_model() -> None:
    model = small_cnn()
    x, y = stripes(16)
    errors: list[BaseException] = []

    def other(call: Any) -> None:
        try:
            call(x, y)
        except BaseException as error:
            errors.append(error)

    class Meanwhile(Callback):
        def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
            for call in (model.train_on_batch, lambda x, y: model.fit(x, y, verbose=0)):
                thread = threading.Thread(target=other, args=(call,))
                thread.start()
                thread.join()

    model.fit(x, y, verbose=0, callbacks=Meanwhile())
    assert [type(error) for error in errors] == [RuntimeError, RuntimeError]
    assert "being trained by another thread" in str(errors[0])
    model.train_on_batch(x, y)


def test_two_threads_may_predict_with_one_model() -> None:
    model = small_cnn()
    x, _ = stripes(64)
    expected = model.predict(x, verbose=0)
    results: list[np.ndarray] = []

    def work() -> None:
        for _ in range(10):
            results.append(model.predict(x, batch_size=8, verbose=0))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 30
    for result in results:
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
