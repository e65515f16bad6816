"""`ConvClassifier` is a scikit-learn estimator: by its checks, in its tools, on several cores."""

from __future__ import annotations

import copy
import importlib.util
import io
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import layers, runtime

pytest.importorskip("sklearn", minversion="1.6")

import joblib
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_score,
    cross_validate,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.estimator_checks import check_estimator

from convkit.sklearn import ConvClassifier, default_cnn
from estimators import scores, tiny_cnn, watched_cnn

# The checks of scikit-learn that `ConvClassifier` fails, each with its reason. There are none.
EXPECTED_FAILURES: dict[str, str] = {}
# The checks that scikit-learn itself leaves out, and when.
KNOWN_SKIPS = {
    "check_array_api_input": "SCIPY_ARRAY_API=1 is not in the environment",
    "check_classifier_data_not_an_array": "pandas is not installed",
}


def classifier(**changes: Any) -> ConvClassifier:
    settings: dict[str, Any] = {"model": tiny_cnn, "epochs": 2, "random_state": 0}
    return ConvClassifier(**{**settings, **changes})


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """600 digits of 8x8 pixels from 0 to 16, flat."""
    x, y = load_digits(return_X_y=True)
    return x[:600], y[:600]


# ------------------------------------------------------------------------ scikit-learn's own checks


@pytest.mark.parametrize(
    "estimator", [ConvClassifier(), classifier(epochs=50)], ids=["default", "tiny"]
)
def test_check_estimator(
    estimator: ConvClassifier,
    capsys: pytest.CaptureFixture[str],
    count: Callable[..., None],
) -> None:
    results = check_estimator(
        estimator, expected_failed_checks=EXPECTED_FAILURES, on_skip=None, on_fail=None
    )
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert not failed
    counts = Counter(result["status"] for result in results)
    assert counts["passed"] >= 50
    assert counts["xfail"] == len(EXPECTED_FAILURES)
    skipped = {r["check_name"]: str(r["exception"]) for r in results if r["status"] == "skipped"}
    assert skipped.keys() <= KNOWN_SKIPS.keys(), skipped
    if estimator.model is None:
        version = ".".join(sklearn.__version__.split(".")[:2])
        pandas = " with pandas" if importlib.util.find_spec("pandas") else ""
        count(
            f"checks by `check_estimator` of scikit-learn {version}{pandas}",
            {
                "passed": counts["passed"],
                "expected to fail": counts["xfail"],
                "skipped": counts["skipped"],
            },
        )
    if skipped:
        with capsys.disabled():
            print("\ncheck_estimator leaves out:", {name: KNOWN_SKIPS[name] for name in skipped})


# ------------------------------------------------------------------------ images and labels


def test_every_form_of_the_same_images_gives_the_same_bits(digits: Any) -> None:
    flat, y = digits
    square = flat.reshape(-1, 8, 8)
    expected = classifier(image_shape=(8, 8)).fit(flat, y).predict_proba(flat)
    assert expected.dtype == np.float32
    for x, settings in [
        (flat, {}),
        (flat, {"image_shape": [8, 8, 1]}),
        (square, {}),
        (square[..., np.newaxis], {"image_shape": (8, 8)}),
        (square.astype(np.uint8), {}),
        (square.tolist(), {}),
        (np.asfortranarray(square), {}),
    ]:
        estimator = classifier(**settings).fit(x, y)
        assert (estimator.image_shape_, estimator.n_features_in_) == ((8, 8, 1), 64)
        np.testing.assert_array_equal(estimator.predict_proba(x), expected)
        np.testing.assert_array_equal(estimator.predict_proba(flat), expected)


@pytest.mark.parametrize(
    ("shape", "settings", "expected"),
    [
        ((12, 36), {}, (6, 6, 1)),
        ((12, 35), {}, (1, 35, 1)),
        ((12, 36), {"image_shape": (3, 4, 3)}, (3, 4, 3)),
        ((12, 36), {"image_shape": (4, 9)}, (4, 9, 1)),
        ((12, 5, 7), {}, (5, 7, 1)),
        ((12, 5, 7, 3), {}, (5, 7, 3)),
        ((12, 1), {}, (1, 1, 1)),
    ],
)
def test_the_shape_of_an_image(
    shape: Any, settings: Any, expected: Any, rng: np.random.Generator
) -> None:
    x = rng.random(shape)
    for model in (None, tiny_cnn):
        estimator = classifier(model=model, **settings).fit(x, np.arange(12) % 3)
        assert estimator.image_shape_ == expected
        assert estimator.model_.input_shape == (None, *expected)
        assert estimator.predict_proba(x).shape == (12, 3)


@pytest.mark.parametrize(
    "labels",
    [
        ["no", "yes"],
        [False, True],
        [-1, 1],
        np.array([7, 300], np.uint16),
        np.array(["a", "b"], object),
        [2.0, 5.0],
        ["cat", "dog", "fox"],
    ],
    ids=repr,
)
def test_labels_of_any_type(labels: Any, rng: np.random.Generator) -> None:
    names = np.asarray(labels)
    codes = rng.permutation(np.arange(60) % len(names))
    x = rng.random((60, 4, 4)) + 3.0 * codes[:, np.newaxis, np.newaxis]
    estimator = classifier(epochs=30, learning_rate=0.01).fit(x, names[codes])
    np.testing.assert_array_equal(estimator.classes_, names)
    assert estimator.classes_.dtype == names.dtype
    predicted = estimator.predict(x)
    assert predicted.dtype == names.dtype
    assert (predicted == names[codes]).mean() > 0.9
    assert estimator.score(x, names[codes]) == (predicted == names[codes]).mean()
    np.testing.assert_array_equal(names[estimator.predict_proba(x).argmax(axis=1)], predicted)


X, Y = np.zeros((4, 6)), [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("settings", "x", "y", "error", "complaint"),
    [
        ({}, X, [1, 1, 1, 1], ValueError, "at least two classes, but y has the one class"),
        ({}, X, [0.5, 1.5, 0.1, 2.0], ValueError, "Unknown label type: continuous"),
        ({}, X, None, ValueError, "requires y to be passed"),
        ({}, X[:3], Y, ValueError, "inconsistent numbers of samples"),
        ({}, np.full((4, 2, 3), np.nan), Y, ValueError, "NaN"),
        ({}, np.zeros((4, 1, 2, 3, 1)), Y, ValueError, r"X: expected images .*\(1, 2, 3, 1\)"),
        ({}, np.zeros((4, 2, 0, 3)), Y, ValueError, r"0 feature\(s\)"),
        ({"image_shape": (2, 2)}, X, Y, ValueError, r"\(2, 2, 1\) needs 4 features, X has 6"),
        ({"image_shape": (2, 3)}, X.reshape(4, 3, 2), Y, ValueError, r"X has images of shape \(3"),
        ({"image_shape": (6,)}, X, Y, ValueError, r"image_shape: expected .*\(6,\)"),
        ({"image_shape": 6}, X, Y, ValueError, "image_shape: expected .*received 6"),
        ({"image_shape": (-2, -3)}, X, Y, ValueError, r"image_shape: expected .*\(-2, -3\)"),
        ({"epochs": 0}, X, Y, ValueError, "epochs must be an integer of at least 1"),
        ({"batch_size": "8"}, X, Y, TypeError, "batch_size must be an integer"),
        ({"optimizer": "adamant"}, X, Y, ValueError, "adamant"),
        ({"learning_rate": -1.0}, X, Y, ValueError, "learning_rate"),
        ({"early_stopping": True}, X, [0, 0, 0, 1], ValueError, "least populated class"),
        ({"model": "cnn"}, X, Y, TypeError, "model must be a function .*received 'cnn'"),
        ({"model": tiny_cnn((2, 3, 1), 2)}, X, Y, TypeError, "model must be a function .*<Seq"),
        ({"model": lambda s, k: None}, X, Y, TypeError, "return a convkit.Sequential, returned No"),
        ({"model": lambda s, k: tiny_cnn(s, 9)}, X, Y, ValueError, r"to \(None, 2\), returned one"),
        ({"model": lambda s, k: tiny_cnn((9, 9, 1), k)}, X, Y, ValueError, r"from \(None, 9, 9, 1"),
    ],
)
def test_wrong_arguments(settings: Any, x: Any, y: Any, error: Any, complaint: str) -> None:
    with pytest.raises(error, match=complaint):
        classifier(**settings).fit(x, y)


def test_a_model_without_softmax() -> None:
    def logits(image_shape: Any, n_classes: int) -> Any:
        return convkit.Sequential([layers.Flatten(), layers.Dense(n_classes, name="scores")])

    with pytest.raises(ValueError, match=r'ends in softmax.*last layer is "scores"'):
        classifier(model=logits).fit(X, Y)


def test_images_that_are_not_those_of_fit(digits: Any) -> None:
    x, y = digits
    estimator = classifier(epochs=1)
    with pytest.raises(NotFittedError):
        estimator.predict(x)
    estimator.fit(x, y)
    with pytest.raises(ValueError, match="X has 63 features, but ConvClassifier is expecting 64"):
        estimator.predict(x[:, :63])
    with pytest.raises(ValueError, match=r"images of shape \(8, 8, 1\), as in fit, received \(4"):
        estimator.predict(x.reshape(-1, 4, 16))


# ------------------------------------------------------------------------ the network


@pytest.mark.parametrize(
    ("image_shape", "last_maps"),
    [
        ((28, 28, 1), (3, 3, 128)),
        ((32, 32, 3), (4, 4, 128)),
        ((8, 8, 1), (4, 4, 32)),
        ((1, 10, 1), (1, 2, 64)),
        ((1, 1, 1), (1, 1, 32)),
        ((2, 2, 3), (1, 1, 32)),
        ((64, 3, 1), (4, 1, 128)),
        ((100, 60, 3), (3, 1, 128)),
    ],
)
def test_the_default_network_fits_the_image(image_shape: Any, last_maps: Any) -> None:
    model = default_cnn(image_shape, 10)
    (flatten,) = [layer for layer in model.layers if isinstance(layer, layers.Flatten)]
    assert flatten.input_shape == (None, *last_maps)
    assert model.output_shape == (None, 10)


def test_the_weights_of_the_default_network() -> None:
    kernels = 9 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64 + 64 * 128 + 128 * 128)
    norms = 4 * 2 * (32 + 64 + 128)
    assert default_cnn((28, 28, 1), 7).count_params() == kernels + norms + 3 * 3 * 128 * 7 + 7


def test_the_default_network_learns(digits: Any) -> None:
    x, y = digits
    x_train, x_test, y_train, y_test = train_test_split(x / 16, y, stratify=y, random_state=0)
    assert ConvClassifier(random_state=0).fit(x_train, y_train).score(x_test, y_test) > 0.97


@pytest.mark.parametrize(
    ("shape", "scale"), [((20, 12, 12), 1), ((20, 12, 12, 3), 255), ((20, 30), 1), ((20, 2, 2), 1)]
)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_defaults_learn_from_twenty_images(
    shape: Any, scale: int, early_stopping: bool, rng: np.random.Generator
) -> None:
    """The second batch of an epoch has one."""
    codes = np.arange(20) % 2
    x = 0.4 * rng.random(shape) + 0.5 * codes.reshape(-1, *[1] * (len(shape) - 1))
    x = x * scale if scale == 1 else (x * scale).astype(np.uint8)
    estimator = ConvClassifier(random_state=0, batch_size=19, early_stopping=early_stopping)
    assert estimator.fit(x, codes).score(x, codes) == 1.0


def test_small_data_has_more_epochs(digits: Any) -> None:
    x, y = digits
    for count, batch_size, epochs in [(600, 1, 8), (600, 32, 53), (600, 600, 100)]:
        estimator = classifier(epochs=None, batch_size=batch_size).fit(x[:count], y[:count])
        assert len(estimator.history_["loss"]) == epochs
    assert len(classifier(epochs=3).fit(x, y).history_["loss"]) == 3


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(("model", "peak"), [(None, 0.005), (tiny_cnn, 0.002)])
def test_the_default_learning_rate_falls_to_nothing(
    model: Any, peak: float, early_stopping: bool, digits: Any
) -> None:
    x, y = digits
    estimator = classifier(model=model, epochs=3, early_stopping=early_stopping).fit(x, y)
    optimizer = estimator.model_.optimizer
    batches = 17 if early_stopping else 19  # of 540 or 600 images
    assert optimizer.schedule.total_steps == optimizer.iterations == 3 * batches
    assert max(map(optimizer.schedule, range(3 * batches))) == pytest.approx(peak, rel=0.01)
    assert optimizer.schedule(3 * batches) < 1e-6


@pytest.mark.parametrize(
    ("settings", "name", "rate"),
    [
        ({"learning_rate": 0.02}, "adam", 0.02),
        ({"optimizer": "adam"}, "adam", 0.001),
        ({"optimizer": "sgd", "learning_rate": 0.02}, "sgd", 0.02),
        ({"optimizer": convkit.optimizers.SGD(0.3)}, "sgd", 0.3),
    ],
)
def test_a_given_optimizer_or_learning_rate_stays(
    settings: Any, name: str, rate: float, digits: Any
) -> None:
    optimizer = classifier(**settings).fit(*digits).model_.optimizer
    assert (type(optimizer).__name__.lower(), optimizer.schedule) == (name, None)
    assert float(optimizer.learning_rate) == pytest.approx(rate)


def test_early_stopping_goes_back_to_the_best_weights(digits: Any) -> None:
    x, y = digits
    estimator = classifier(
        early_stopping=True,
        validation_fraction=0.25,
        n_iter_no_change=2,
        epochs=200,
        learning_rate=0.03,
    ).fit(x / 16, y)
    losses = estimator.history_["val_loss"]
    assert len(losses) < 200
    assert len(losses) == int(np.argmin(losses)) + 1 + 2
    source = np.random.RandomState(0)
    source.randint(2**31 - 1)  # the seed of the network
    _, held_out, _, labels = train_test_split(
        x / 16, y, test_size=0.25, stratify=y, random_state=source
    )
    loss, _ = estimator.model_.evaluate(held_out.reshape(-1, 8, 8, 1), labels, verbose=0)
    assert loss == pytest.approx(min(losses), rel=1e-6)


def test_the_optimizer_stays_as_it_was(digits: Any) -> None:
    x, y = digits
    named = classifier(optimizer="sgd", learning_rate=0.05).fit(x / 16, y).predict_proba(x)
    optimizer = convkit.optimizers.SGD(0.05)
    estimator = classifier(optimizer=optimizer)
    for _ in range(2):  # a second fit begins anew
        np.testing.assert_array_equal(estimator.fit(x / 16, y).predict_proba(x), named)
    assert estimator.optimizer is optimizer
    assert optimizer.iterations == 0
    other = classifier(optimizer=optimizer, learning_rate=0.01).fit(x / 16, y).predict_proba(x)
    assert not np.array_equal(other, named)
    assert optimizer.learning_rate == 0.05


# ------------------------------------------------------------------------ repeatable


def test_the_same_random_state_gives_the_same_bits(digits: Any, threads: int) -> None:
    x, y = digits
    runtime.set_num_threads(1)
    expected = classifier().fit(x, y).predict_proba(x)
    runtime.set_num_threads(threads)
    convkit.utils.set_random_seed(1234)
    again = classifier().fit(x, y)
    np.testing.assert_array_equal(again.predict_proba(x), expected)
    np.testing.assert_array_equal(clone(again).fit(x, y).predict_proba(x), expected)
    other = classifier(random_state=1).fit(x, y).predict_proba(x)
    assert not np.array_equal(other, expected)
    generator = np.random.RandomState(0)  # is used up: the second fit differs
    first = classifier(random_state=generator).fit(x, y).predict_proba(x)
    np.testing.assert_array_equal(first, expected)
    second = classifier(random_state=generator).fit(x, y).predict_proba(x)
    assert not np.array_equal(second, expected)
    assert runtime.get_num_threads() == threads


def test_the_process_notices_nothing(digits: Any) -> None:
    def drawn() -> list[np.ndarray]:
        return convkit.zoo.mnist_cnn().get_weights()

    convkit.utils.set_random_seed(5)
    expected = drawn(), drawn()
    convkit.utils.set_random_seed(5)
    first = drawn()
    pickle.loads(pickle.dumps(classifier(epochs=1).fit(*digits)))
    for weights, wanted in zip((first, drawn()), expected, strict=True):
        for one, other in zip(weights, wanted, strict=True):
            np.testing.assert_array_equal(one, other)


def test_pickling(digits: Any, tmp_path: Path) -> None:
    x, y = digits
    estimator = classifier(model=partial(tiny_cnn, filters=3)).fit(x, y)
    expected = estimator.predict_proba(x)
    joblib.dump(estimator, tmp_path / "estimator")
    for other in (
        pickle.loads(pickle.dumps(estimator)),
        copy.deepcopy(estimator),
        joblib.load(tmp_path / "estimator"),
    ):
        np.testing.assert_array_equal(other.predict_proba(x), expected)
        np.testing.assert_array_equal(other.predict(x), estimator.predict(x))
        assert other.history_ == estimator.history_
        np.testing.assert_array_equal(other.fit(x, y).predict_proba(x), expected)
    # The weights, and none of the memory that training took.
    size = (tmp_path / "estimator").stat().st_size
    assert size < 4 * estimator.model_.count_params() + 10_000
    assert pickle.loads(pickle.dumps(classifier())).get_params() == classifier().get_params()


def again(estimator: ConvClassifier) -> list[ConvClassifier]:
    """The estimator through every way of copying it."""
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    copies = [pickle.loads(pickle.dumps(estimator)), copy.deepcopy(estimator), joblib.load(file)]
    assert {type(each) for each in copies} == {type(estimator)}
    return copies


def test_a_pickle_holds_the_network_that_was_fitted(digits: Any) -> None:
    """Whatever the parameters have become: they are those of the next fit."""
    x, y = digits
    estimator = classifier(optimizer=convkit.optimizers.RMSprop(0.002)).fit(x, y)
    expected = estimator.predict_proba(x)
    estimator.set_params(model=partial(tiny_cnn, filters=3), optimizer="sgd", learning_rate=0.5)
    following = clone(estimator).fit(x, y).predict_proba(x)
    for other in again(estimator):
        np.testing.assert_array_equal(other.predict_proba(x), expected)
        assert other.model_.get_config() == estimator.model_.get_config()
        np.testing.assert_array_equal(other.fit(x, y).predict_proba(x), following)


def test_what_is_pickled_comes_back_compiled(digits: Any) -> None:
    x, y = digits
    estimator = classifier(optimizer=convkit.optimizers.RMSprop(0.002)).fit(x, y)
    images = x.reshape(-1, 8, 8, 1)
    expected = estimator.model_.evaluate(images, y, verbose=0)
    for other in again(estimator):
        assert other.model_.evaluate(images, y, verbose=0) == expected
        assert other.model_.optimizer.get_config() == estimator.model_.optimizer.get_config()
        assert (other.model_.optimizer.iterations, other.model_.optimizer.slots) == (0, {})
        assert other.model_.seed == estimator.model_.seed
        other.model_.fit(images, y, verbose=0)


def test_what_the_user_did_with_the_network_is_pickled(digits: Any) -> None:
    x, y = digits
    estimator = classifier().fit(x, y)
    estimator.model_ = tiny_cnn((8, 8, 1), 10, filters=2)  # not even compiled
    expected = estimator.predict_proba(x)
    for other in again(estimator):
        np.testing.assert_array_equal(other.predict_proba(x), expected)
        assert other.model_.loss is None


def test_a_function_that_cannot_be_pickled(digits: Any) -> None:
    x, y = digits
    filters = 3
    estimator = classifier(model=lambda shape, k: tiny_cnn(shape, k, filters))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(estimator)
    assert copy.deepcopy(estimator).model is estimator.model
    expected = estimator.fit(x, y).predict_proba(x)
    assert copy.deepcopy(estimator).model is estimator.model
    other = pickle.loads(pickle.dumps(estimator))
    twin = pickle.loads(pickle.dumps(other))
    np.testing.assert_array_equal(twin.predict_proba(x), expected)
    np.testing.assert_array_equal(clone(twin).fit(x, y).predict_proba(x), expected)
    with pytest.raises(ValueError, match=r"from \(None, 4, 16, 1\) to \(None, 10\), returned one"):
        twin.fit(x.reshape(-1, 4, 16), y)
    estimator.set_params(model=tiny_cnn)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(estimator)).predict_proba(x), expected)
    # What another function would build, nobody knows before it is called.
    estimator.set_params(model=lambda shape, k: tiny_cnn(shape, k))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(estimator)


class Doubled(layers.ReLU):
    """A layer that no file can hold."""

    def forward(self, x: Any, y: Any, saved: Any, run: Any) -> None:
        super().forward(x, y, saved, run)
        y *= 2.0


def own_layer(image_shape: Any, n_classes: int) -> convkit.Sequential:
    made = [layers.Flatten(), Doubled(), layers.Dense(n_classes, activation="softmax")]
    return convkit.Sequential([convkit.Input(image_shape), *made])


def test_a_network_with_layers_of_the_user_is_built_again(digits: Any) -> None:
    x, y = digits
    estimator = classifier(model=own_layer).fit(x, y)
    expected = estimator.predict_proba(x)
    estimator.set_params(model=tiny_cnn)
    for other in again(estimator):
        np.testing.assert_array_equal(other.predict_proba(x), expected)
        assert other.model_.loss is not None


class Narrow(ConvClassifier):
    """A subclass with parameters of its own."""

    def __init__(self, filters: int = 2, *, epochs: int = 1, random_state: Any = 0) -> None:
        super().__init__(partial(tiny_cnn, filters=filters), epochs=epochs)
        self.filters, self.random_state = filters, random_state


def test_a_subclass_is_pickled_and_cloned(digits: Any) -> None:
    x, y = digits
    estimator = Narrow(3).fit(x, y)
    expected = estimator.predict_proba(x)
    for other in again(estimator):
        assert other.get_params() == {"filters": 3, "epochs": 1, "random_state": 0}
        np.testing.assert_array_equal(other.predict_proba(x), expected)
    np.testing.assert_array_equal(clone(estimator).fit(x, y).predict_proba(x), expected)


@pytest.mark.parametrize("model", [tiny_cnn, lambda shape, k: None], ids=["interrupted", "wrong"])
def test_a_fit_that_fails_leaves_no_network(
    model: Any, digits: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = digits
    estimator = classifier().fit(x, y)
    estimator.set_params(model=model)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(convkit.Sequential, "fit", interrupted)
    with pytest.raises((KeyboardInterrupt, TypeError)):
        estimator.fit(x[:, :36], np.where(y < 5, "low", "high"))
    monkeypatch.undo()
    estimator.set_params(model=tiny_cnn)
    for other in (estimator, *again(estimator)):
        with pytest.raises(NotFittedError):
            other.predict(x)
    assert estimator.fit(x, y).predict_proba(x).shape == (600, 10)


# ------------------------------------------------------------------------ in scikit-learn's tools


def test_pipeline_and_search(digits: Any) -> None:
    x, y = digits
    pipeline = make_pipeline(MinMaxScaler(), classifier(epochs=5, learning_rate=0.01))
    assert cross_val_score(pipeline, x, y, cv=3).min() > 0.8
    wide = partial(tiny_cnn, filters=16)
    grid = {"convclassifier__learning_rate": [0.0, 0.01], "convclassifier__model": [None, wide]}
    search = GridSearchCV(pipeline.set_params(convclassifier__epochs=2), grid, cv=2).fit(x, y)
    assert search.best_params_["convclassifier__learning_rate"] == 0.01
    assert search.best_score_ > 0.7
    assert search.predict(x[:5]).shape == (5,)


@pytest.fixture
def four_threads(restore_threads: None) -> None:
    """Run the test with four threads."""
    runtime.set_num_threads(4)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "threading"])
@pytest.mark.usefixtures("four_threads")
def test_two_jobs_at_a_time(backend: str, digits: Any) -> None:
    x, y = digits
    runs = {}
    for jobs in (1, 2):
        with joblib.parallel_backend(backend):
            runs[jobs] = cross_validate(
                classifier(model=watched_cnn, epochs=3), x, y, cv=2, scoring=scores, n_jobs=jobs
            )
    for key in ("test_accuracy", "test_loss"):
        np.testing.assert_array_equal(runs[1][key], runs[2][key])
    assert runs[1]["test_threads"].tolist() == [4, 4]
    # Together they use what one alone would use: joblib gives each of loky's new processes its
    # share of the cores, a pool's forked workers take one each, and threads share the four.
    share = {"loky": max(1, joblib.cpu_count() // 2), "multiprocessing": 1, "threading": 4}
    assert runs[2]["test_threads"].tolist() == [share[backend]] * 2
    assert runtime.get_num_threads() == 4


def test_threads_come_back_after_an_error() -> None:
    before = runtime.get_num_threads()
    with pytest.raises(TypeError):
        classifier(model="cnn").fit(X, Y)
    assert runtime.get_num_threads() == before


# ------------------------------------------------------------------------ surroundings


def test_missing_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.delitem(sys.modules, "convkit.sklearn")
    monkeypatch.delattr(convkit, "sklearn")
    with pytest.raises(ImportError, match=r'pip install "convkit\[sklearn\]"'):
        convkit.sklearn  # noqa: B018 - imports it


def test_its_name_hides_nobody() -> None:
    code = (
        "import convkit.sklearn, sklearn\n"
        "from convkit import *\n"
        "import sklearn.base\n"
        "assert sklearn.base.BaseEstimator in convkit.sklearn.ConvClassifier.__mro__"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
