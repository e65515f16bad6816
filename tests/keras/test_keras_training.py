"""Short trainings beside Keras: weights of samples, penalties, frozen layers, steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from convkit import constraints, layers, regularizers
from peer_keras import assert_same_history, assert_same_weights, keras, twin

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("keras")]

SIZES = (8, 8, 2)
N = 45
LOSSES = ("sparse_categorical_crossentropy", "categorical_crossentropy", "mse")


def chain(last: str | None = "softmax", **options: Any) -> convkit.Sequential:
    convkit.utils.set_random_seed(3)
    return convkit.Sequential(
        [
            convkit.Input(SIZES),
            layers.Conv2D(6, 3, padding="same", activation="relu", **options),
            # A bias here would be without effect, and its gradient nothing but rounding, of which
            # L1 takes the sign.
            layers.Conv2D(4, 3, use_bias=False, **options),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(7, activation="relu", **options),
            layers.Dense(3, activation=last),
        ]
    )


def samples(loss: str = LOSSES[0]) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(N, *SIZES)).astype(np.float32)
    labels, weights = rng.integers(0, 3, N), rng.uniform(0, 3, N).astype(np.float32)
    if loss == "mse":
        return x, rng.normal(size=(N, 3)).astype(np.float32), weights
    return x, np.eye(3, dtype=np.float32)[labels] if loss == LOSSES[1] else labels, weights


def pair(model: convkit.Sequential, loss: str = LOSSES[0], metric: str = "accuracy") -> Any:
    """The model and its twin in Keras, both compiled."""
    theirs = twin(model)
    model.compile(convkit.optimizers.SGD(0.05, momentum=0.9), loss, metrics=[metric])
    theirs.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, metrics=[metric])
    return theirs


def fit_both(ours: convkit.Sequential, theirs: Any, *data: Any, **options: Any) -> None:
    """Train both on the same batches; compare the history and the weights."""
    options = {"batch_size": 8, "epochs": 3, "verbose": 0, "shuffle": False, **options}
    one, two = ours.fit(*data, **options), theirs.fit(*data, **options)
    assert_same_history(one.history, two.history)
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize("loss", LOSSES)
def test_sample_weights(loss: str) -> None:
    x, y, weights = samples(loss)
    ours = chain("softmax" if loss != "mse" else None)
    theirs = pair(ours, loss, "mse" if loss == "mse" else "accuracy")
    validation = (x[:9], y[:9], weights[:9])
    fit_both(ours, theirs, x, y, sample_weight=weights, validation_data=validation)
    options: dict[str, Any] = {"sample_weight": weights, "verbose": 0, "return_dict": True}
    assert_same_history(ours.evaluate(x, y, **options), theirs.evaluate(x, y, **options))
    del options["verbose"]
    for name in ("test_on_batch", "train_on_batch"):
        one, two = (getattr(m, name)(x, y, **options) for m in (ours, theirs))
        assert_same_history(one, two)
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize("loss", LOSSES[:2])
def test_class_weights(loss: str) -> None:
    x, y, _ = samples(loss)
    ours = chain()
    theirs = pair(ours, loss)
    fit_both(ours, theirs, x, y, class_weight={0: 0.3, 2: 4.0}, validation_split=0.2)


PENALTIES = {
    "l2": {"kernel_regularizer": "l2"},
    "both": {
        "kernel_regularizer": regularizers.L1L2(l1=1e-3, l2=2e-3),
        "bias_regularizer": regularizers.L1(0.02),
    },
}


@pytest.mark.parametrize("options", PENALTIES.values(), ids=list(PENALTIES))
def test_regularizers(options: dict[str, Any]) -> None:
    x, y, weights = samples()
    ours = chain(**options)
    theirs = pair(ours)
    validation = (x[:9], y[:9])
    fit_both(ours, theirs, x, y, sample_weight=weights, validation_data=validation)
    one = ours.evaluate(x, y, verbose=0, return_dict=True)
    assert_same_history(one, theirs.evaluate(x, y, verbose=0, return_dict=True))


def test_regularized_normalisation() -> None:
    convkit.utils.set_random_seed(3)
    norm = layers.BatchNormalization(beta_regularizer="l1", gamma_regularizer=regularizers.L2(0.1))
    body = [layers.Conv2D(4, 3), norm, layers.Flatten(), layers.Dense(3, "softmax")]
    ours = convkit.Sequential([convkit.Input(SIZES), *body])
    x, y, _ = samples()
    fit_both(ours, pair(ours), x, y)


def test_regularized_depthwise_convolution() -> None:
    convkit.utils.set_random_seed(3)
    options = {"depthwise_regularizer": "l2", "bias_regularizer": regularizers.L1(0.02)}
    depthwise = layers.DepthwiseConv2D(3, depth_multiplier=2, bias_initializer="ones", **options)
    body = [depthwise, layers.ReLU(), layers.Flatten(), layers.Dense(3, "softmax")]
    ours = convkit.Sequential([convkit.Input(SIZES), *body])
    x, y, _ = samples()
    fit_both(ours, pair(ours), x, y)


def test_constraints() -> None:
    convkit.utils.set_random_seed(3)
    body = [
        layers.Conv2D(4, 3, kernel_constraint=constraints.MaxNorm(0.75, [0, 1, 2])),
        layers.DepthwiseConv2D(3, depthwise_constraint=constraints.UnitNorm([0, 1])),
        layers.BatchNormalization(gamma_constraint=constraints.MinMaxNorm(0.5, 1.25, 0.5)),
        layers.Flatten(),
        layers.Dense(5, "relu", kernel_constraint="non_neg", bias_constraint="non_neg"),
        layers.Dense(3, "softmax", kernel_constraint=constraints.UnitNorm(1)),
    ]
    ours = convkit.Sequential([convkit.Input(SIZES), *body])
    x, y, _ = samples()
    fit_both(ours, pair(ours), x, y)
    norms = np.linalg.norm(ours.layers[-1].kernel.value, axis=1)
    np.testing.assert_allclose(norms, 1, rtol=1e-6)


@pytest.mark.parametrize("name", ["L1", "L2", "L1L2"])
def test_penalties_of_one_array(name: str) -> None:
    w = np.random.default_rng(1).normal(size=(3, 3, 5, 7)).astype(np.float32)
    arguments = {"l1": 0.03, "l2": 0.07} if name == "L1L2" else {}
    ours, theirs = (getattr(m.regularizers, name)(**arguments) for m in (convkit, keras))
    assert ours(w) == pytest.approx(float(theirs(keras.ops.convert_to_tensor(w))), rel=1e-5)
    assert ours.get_config() == pytest.approx(theirs.get_config())
    for alias in ("l1", "l2", "l1_l2"):
        ours, theirs = (getattr(m.regularizers, alias)() for m in (convkit, keras))
        assert ours.get_config() == pytest.approx(theirs.get_config())
        assert type(ours).__name__ == type(theirs).__name__


@pytest.mark.parametrize("frozen", [(0,), (2,), (0, 1, 2), (6,), (1, 7)], ids=str)
def test_frozen_layers(frozen: tuple[int, ...]) -> None:
    x, y, _ = samples()
    ours = chain(kernel_regularizer="l2")  # of which frozen layers have no penalty
    rng = np.random.default_rng(2)
    statistics = [rng.uniform(0.5, 1.5, 4).astype(np.float32) for _ in range(4)]
    ours.layers[2].set_weights(statistics)
    for index in frozen:
        ours.layers[index].trainable = False
    theirs = pair(ours)
    assert len(ours.trainable_weights) == len(theirs.trainable_weights)
    fit_both(ours, theirs, x, y, validation_data=(x[:9], y[:9]))
    # Released again: optimizers and penalties take them in.
    for model in (ours, theirs):
        model.trainable = True
    theirs.compile(keras.optimizers.SGD(0.05), LOSSES[0], metrics=["accuracy"])
    ours.compile(convkit.optimizers.SGD(0.05), LOSSES[0], metrics=["accuracy"])
    fit_both(ours, theirs, x, y)


STEPS: tuple[dict[str, Any], ...] = (
    {"batch_size": 8, "steps_per_epoch": 2},
    {"batch_size": 8, "steps_per_epoch": 4},
    {"steps_per_epoch": 4, "batch_size": None},
    {"batch_size": 8, "steps_per_epoch": 9},
    {"validation_steps": 2, "validation_batch_size": 3},
    {"validation_freq": 2},
    {"validation_freq": [1, 4]},
)


@pytest.mark.parametrize("options", STEPS, ids=str)
def test_steps_of_arrays(options: dict[str, Any]) -> None:
    """The same number of batches an epoch, the same samples in each."""
    x, y, _ = samples()
    ours = chain()
    fit_both(ours, pair(ours), x, y, epochs=5, validation_data=(x[:9], y[:9]), **options)


def test_generators() -> None:
    x, y, weights = samples()

    def batches() -> Any:
        for start, size in ((0, 8), (8, 3), (11, 16), (27, 1), (28, 17)):
            part = slice(start, start + size)
            yield x[part], y[part], weights[part]

    def forever() -> Any:
        while True:
            yield from batches()

    ours = chain()
    theirs = pair(ours)
    options: dict[str, Any] = {"batch_size": None, "verbose": 0}
    one, two = (m.fit(forever(), steps_per_epoch=4, epochs=3, **options) for m in (ours, theirs))
    assert_same_history(one.history, two.history)
    one, two = (m.fit(batches(), epochs=1, **options) for m in (ours, theirs))
    assert_same_history(one.history, two.history)
    for steps in (None, 3):
        one, two = (
            m.evaluate(batches(), steps=steps, verbose=0, return_dict=True) for m in (ours, theirs)
        )
        assert_same_history(one, two)
        first, second = (m.predict(batches(), steps=steps, verbose=0) for m in (ours, theirs))
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)
    for bad in ({"y": y}, {"sample_weight": weights}, {"validation_split": 0.2}):
        for model in (ours, theirs):
            with pytest.raises(ValueError, match=r"."):
                model.fit(batches(), verbose=0, **bad)
