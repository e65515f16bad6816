"""All losses beside Keras: values and gradients in float64, functions, and trainings by steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array, assert_close, random_array
from peer_keras import CLOSE, WITH_KERAS, Make, assert_same_weights, keras, numbers, torch, twin

pytestmark = WITH_KERAS

# Outputs of samples, and of the positions of small images.
SHAPES = ((12, 5), (4, 3, 2, 5))
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight")


def positive(name: str, shape: tuple[int, ...]) -> Array:
    return np.exp(random_array(name, shape)).astype(np.float32)


def shares(name: str, shape: tuple[int, ...]) -> Array:
    values = positive(name, shape)
    return values / values.sum(axis=-1, keepdims=True)


def labels(shape: tuple[int, ...]) -> Array:
    return np.arange(int(np.prod(shape[:-1]))).reshape(shape[:-1]) * 7 % shape[-1]


def one_hot(shape: tuple[int, ...]) -> Array:
    return np.eye(shape[-1], dtype=np.float32)[labels(shape)]


def normal(shape: tuple[int, ...]) -> Array:
    return random_array("normal", shape)


def ignoring(shape: tuple[int, ...]) -> Array:
    return np.where(labels(shape) == 2, -1, labels(shape))


Shaped = Callable[[tuple[int, ...]], Array]
SHARES: Shaped = lambda shape: shares("predicted", shape)  # noqa: E731
LOGITS: Shaped = lambda shape: 3 * random_array("logits", shape)  # noqa: E731
COUNTS: Shaped = lambda shape: positive("counts", shape)  # noqa: E731
RATES: Shaped = lambda shape: positive("rates", shape)  # noqa: E731

CASES: dict[str, tuple[Make, Shaped, Shaped]] = {
    "squared": (lambda m: m.losses.MeanSquaredError, normal, LOGITS),
    "absolute": (lambda m: m.losses.MeanAbsoluteError, normal, LOGITS),
    "percentage": (lambda m: m.losses.MeanAbsolutePercentageError, COUNTS, LOGITS),
    "logarithmic": (lambda m: m.losses.MeanSquaredLogarithmicError, COUNTS, RATES),
    "huber": (lambda m: m.losses.Huber, normal, LOGITS),
    "huber 2": (lambda m: lambda **o: m.losses.Huber(2.0, **o), normal, LOGITS),
    "logcosh": (lambda m: m.losses.LogCosh, normal, LOGITS),
    "poisson": (lambda m: m.losses.Poisson, COUNTS, RATES),
    "divergence": (lambda m: m.losses.KLDivergence, lambda s: shares("true", s), SHARES),
    "cosine": (lambda m: m.losses.CosineSimilarity, normal, LOGITS),
    "hinge": (lambda m: m.losses.Hinge, one_hot, LOGITS),
    "hinge of signs": (lambda m: m.losses.Hinge, lambda s: 2 * one_hot(s) - 1, LOGITS),
    "squared hinge": (lambda m: m.losses.SquaredHinge, one_hot, LOGITS),
    "categorical hinge": (lambda m: m.losses.CategoricalHinge, one_hot, LOGITS),
    "sparse": (lambda m: m.losses.SparseCategoricalCrossentropy, labels, SHARES),
    "sparse logits": (
        lambda m: lambda **o: m.losses.SparseCategoricalCrossentropy(True, **o),
        labels,
        LOGITS,
    ),
    "sparse, one ignored": (
        lambda m: lambda **o: m.losses.SparseCategoricalCrossentropy(False, 3, **o),
        labels,
        SHARES,
    ),
    "sparse, -1 ignored": (
        lambda m: lambda **o: m.losses.SparseCategoricalCrossentropy(True, -1, **o),
        ignoring,
        LOGITS,
    ),
    "categorical": (lambda m: m.losses.CategoricalCrossentropy, one_hot, SHARES),
    "categorical smoothed": (
        lambda m: lambda **o: m.losses.CategoricalCrossentropy(True, 0.1, **o),
        one_hot,
        LOGITS,
    ),
    "binary": (lambda m: m.losses.BinaryCrossentropy, one_hot, SHARES),
    "binary smoothed": (
        lambda m: lambda **o: m.losses.BinaryCrossentropy(True, 0.2, **o),
        one_hot,
        LOGITS,
    ),
    "binary focal": (lambda m: m.losses.BinaryFocalCrossentropy, one_hot, SHARES),
    "binary focal logits": (
        lambda m: lambda **o: m.losses.BinaryFocalCrossentropy(True, 0.3, 1.5, True, 0.1, **o),
        one_hot,
        LOGITS,
    ),
    "focal": (lambda m: m.losses.CategoricalFocalCrossentropy, one_hot, SHARES),
    "focal logits": (
        lambda m: lambda **o: m.losses.CategoricalFocalCrossentropy(0.5, 1.5, True, 0.1, **o),
        one_hot,
        LOGITS,
    ),
    "focal by class": (
        lambda m: lambda **o: m.losses.CategoricalFocalCrossentropy([0.1, 1, 2, 3, 4], **o),
        one_hot,
        SHARES,
    ),
    "dice": (lambda m: m.losses.Dice, one_hot, SHARES),
    "dice of samples": (lambda m: lambda **o: m.losses.Dice(axis=-1, **o), one_hot, SHARES),
    "tversky": (lambda m: lambda **o: m.losses.Tversky(0.3, 0.6, **o), one_hot, SHARES),
    "tversky of samples": (
        lambda m: lambda **o: m.losses.Tversky(0.3, axis=-1, **o),
        one_hot,
        SHARES,
    ),
    "generalized": (
        lambda m: lambda **o: m.losses.CategoricalGeneralizedCrossEntropy(0.7, **o),
        labels,
        SHARES,
    ),
}
# One number for the whole batch, which no sample's weight fits.
OF_THE_BATCH = ("dice", "tversky")
# Of positions, PyTorch finds no gradient of these for Keras.
FLAT = ("sparse", "sparse, one ignored")


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("keras_float64")
def test_values_and_gradients(case: str, reduction: str) -> None:
    make, targets, predictions = CASES[case]
    for shape in SHAPES:
        y_true, y_pred = targets(shape), predictions(shape)
        theirs, ours = (make(m)(reduction=reduction) for m in (keras, convkit))
        rows = y_pred.shape[:-1]
        for weights in (None, np.linspace(0, 2, int(np.prod(rows))).reshape(rows)):
            if weights is not None and case in OF_THE_BATCH:
                continue
            tensor = torch.tensor(y_pred, dtype=torch.float64, requires_grad=True)
            if case in FLAT:
                true, predicted = y_true.reshape(-1), tensor.reshape(-1, shape[-1])
                expected = theirs(true, predicted, None if weights is None else weights.reshape(-1))
            else:
                expected = theirs(y_true, tensor, sample_weight=weights)
            expected.backward()
            got = ours(y_true, y_pred, sample_weight=weights)
            assert got == pytest.approx(expected.item(), rel=2e-6), (shape, weights is None)
            prepared, dy = ours.prepare(y_true, shape[1:]), np.empty_like(y_pred)
            given = None if weights is None else weights.astype(np.float32)
            losses = ours.compute(y_pred, prepared, dy=dy, sample_weight=given)
            assert losses.mean() == pytest.approx(expected.item(), rel=2e-6)
            assert_close(dy, numbers(tensor.grad), terms=4)


@pytest.mark.parametrize("case", [name for name in CASES if name not in OF_THE_BATCH])
@pytest.mark.usefixtures("keras_float64")
def test_without_reduction(case: str) -> None:
    make, targets, predictions = CASES[case]
    for shape in SHAPES:
        y_true, y_pred = targets(shape), predictions(shape)
        expected = make(keras)(reduction=None)(y_true, y_pred)
        got = make(convkit)(reduction=None)(y_true, y_pred)
        np.testing.assert_allclose(got, numbers(expected), rtol=2e-5, atol=1e-6)


FUNCTIONS: dict[str, tuple[Shaped, Shaped, tuple[Any, ...]]] = {
    "mean_squared_error": (normal, LOGITS, ()),
    "mean_absolute_error": (normal, LOGITS, ()),
    "mean_absolute_percentage_error": (COUNTS, LOGITS, ()),
    "mean_squared_logarithmic_error": (COUNTS, RATES, ()),
    "huber": (normal, LOGITS, (0.5,)),
    "log_cosh": (normal, LOGITS, ()),
    "poisson": (COUNTS, RATES, ()),
    "kl_divergence": (SHARES, SHARES, ()),
    "cosine_similarity": (normal, LOGITS, (1,)),
    "hinge": (one_hot, LOGITS, ()),
    "squared_hinge": (one_hot, LOGITS, ()),
    "categorical_hinge": (one_hot, LOGITS, ()),
    "binary_crossentropy": (one_hot, SHARES, (False, 0.1, 1)),
    "binary_focal_crossentropy": (one_hot, SHARES, (True, 0.3, 1.0)),
    "categorical_crossentropy": (one_hot, LOGITS, (True, 0.1)),
    "categorical_focal_crossentropy": (one_hot, SHARES, (0.3, 1.0)),
    "sparse_categorical_crossentropy": (labels, LOGITS, (True, 1)),
    "categorical_generalized_cross_entropy": (labels, SHARES, (0.3,)),
    "dice": (one_hot, SHARES, (1,)),
    "tversky": (one_hot, SHARES, (0.2, 0.4, -1)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    targets, predictions, arguments = FUNCTIONS[name]
    for shape in SHAPES:
        y_true, y_pred = targets(shape), predictions(shape)
        tensor = keras.ops.convert_to_tensor(y_pred)
        expected = getattr(keras.losses, name)(y_true, tensor, *arguments)
        got = getattr(convkit.losses, name)(y_true, y_pred, *arguments)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, numbers(expected), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["mean_squared_error", "huber", "log_cosh"])
def test_functions_of_one_row_and_of_missing_axes(name: str) -> None:
    rows = np.array([0.0, 1.0, 1.0]), np.array([0.5, 0.25, 2.0])
    for y_true, y_pred in (rows, (rows[0][:, None], rows[1][:, None])):
        expected = getattr(keras.losses, name)(y_true, y_pred)
        got = getattr(convkit.losses, name)(y_true, y_pred)
        np.testing.assert_allclose(got, numbers(expected), rtol=1e-6)
    theirs, ours = keras.losses.get(name), convkit.losses.get(name)
    expected = numbers(theirs(rows[0][:, None], rows[1][:, None])).mean()
    assert ours(rows[0], rows[1][:, None]) == pytest.approx(expected)


@pytest.mark.parametrize(
    "name",
    ["mse", "MSE", "MeanSquaredError", "mae", "MAE", "mape", "MAPE", "msle", "MSLE", "kld", "KLD",
     "bce", "BCE", "KLDivergence", "CategoricalCrossentropy", "Huber", "huber", "LogCosh",
     "log_cosh", "Hinge", "squared_hinge", "CategoricalHinge", "CosineSimilarity", "poisson",
     "Poisson", "BinaryFocalCrossentropy", "categorical_focal_crossentropy", "Dice", "tversky"],
)  # fmt: skip
def test_names(name: str) -> None:
    theirs, ours = keras.losses.get(name), convkit.losses.get(name)
    theirs = getattr(theirs, "__name__", None) or type(theirs).__name__
    functions = {kind: each.__name__ for each, kind in convkit.losses.functions.CLASSES.items()}
    assert theirs in (functions[type(ours)], type(ours).__name__)


# Several steps from the same weights.

TRAININGS: dict[str, tuple[str | None, Any, Shaped]] = {
    "huber": (None, lambda m: "huber", normal),
    "function": (None, lambda m: m.losses.mean_squared_error, normal),
    "logcosh": (None, lambda m: m.losses.LogCosh(reduction="sum"), normal),
    "divergence": ("softmax", lambda m: "kld", SHARES),
    "cosine": (None, lambda m: m.losses.cosine_similarity, normal),
    "poisson": ("softplus", lambda m: "poisson", COUNTS),
    "msle": ("softplus", lambda m: "MSLE", COUNTS),
    "hinge": ("tanh", lambda m: "hinge", one_hot),
    "squared hinge": ("tanh", lambda m: "SquaredHinge", one_hot),
    "categorical hinge": (None, lambda m: m.losses.CategoricalHinge(), one_hot),
    "focal": ("softmax", lambda m: m.losses.CategoricalFocalCrossentropy(), one_hot),
    "binary focal": ("sigmoid", lambda m: m.losses.BinaryFocalCrossentropy(True), one_hot),
    "dice": ("sigmoid", lambda m: m.losses.Dice(), one_hot),
    "tversky": ("sigmoid", lambda m: m.losses.Tversky(axis=-1), one_hot),
    "generalized": (
        "softmax",
        lambda m: m.losses.CategoricalGeneralizedCrossEntropy(0.5),
        labels,
    ),
    "sparse": (None, lambda m: m.losses.SparseCategoricalCrossentropy(True), labels),
    "ignored": (None, lambda m: m.losses.SparseCategoricalCrossentropy(True, -1), ignoring),
}


@pytest.mark.parametrize("images", [False, True])
@pytest.mark.parametrize("case", TRAININGS)
def test_trainings(case: str, images: bool) -> None:
    activation, make, targets = TRAININGS[case]
    x = random_array("x", (24, 6, 6, 2))
    layers = [convkit.Input((6, 6, 2)), convkit.layers.Conv2D(4, 3, activation="tanh")]
    if images:
        layers.append(convkit.layers.Conv2D(5, 1, activation=activation))
    else:
        layers += [convkit.layers.Flatten(), convkit.layers.Dense(5, activation=activation)]
    convkit.utils.set_random_seed(1)
    ours = convkit.Sequential(layers)
    theirs = twin(ours)
    y = targets((24, 4, 4, 5) if images else (24, 5))
    weights = None if case in (*OF_THE_BATCH, "ignored") else np.linspace(0.5, 1.5, 24)
    rows = weights
    if images and weights is not None:  # Keras wants a weight for each position
        rows = np.broadcast_to(weights[:, None, None], (24, 4, 4))
    histories = []
    for m, model, given in ((convkit, ours, weights), (keras, theirs, rows)):
        rate = 0.01 if case == "logcosh" else 0.1
        model.compile(m.optimizers.SGD(rate, momentum=0.9), make(m))
        fitted = model.fit(
            x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, sample_weight=given
        )
        histories.append(fitted.history["loss"])
        histories[-1].append(model.evaluate(x, y, verbose=0, batch_size=8))
    np.testing.assert_allclose(*histories, **CLOSE)
    assert_same_weights(ours, theirs)


def test_several_outputs() -> None:
    def build(m: Any) -> Any:
        inputs = m.Input((6,))
        hidden = m.layers.Dense(8, activation="tanh")(inputs)
        first = m.layers.Dense(3, activation="softmax", name="first")(hidden)
        second = m.layers.Dense(2, name="second")(hidden)
        return m.Model(inputs, [first, second])

    x = random_array("x", (16, 6))
    y = [labels((16, 3)), random_array("second", (16, 2))]
    theirs, ours = build(keras), build(convkit)
    theirs.set_weights(ours.get_weights())
    histories = []
    for m, model in ((convkit, ours), (keras, theirs)):
        losses = {
            "first": m.losses.SparseCategoricalCrossentropy(),
            "second": m.losses.Huber(0.5, reduction="sum"),
        }
        weights = {"first": 0.5, "second": 2.0}
        model.compile(m.optimizers.SGD(0.05), losses, weights)
        histories.append(model.fit(x, y, 8, 2, verbose=0, shuffle=False).history)
    assert set(histories[0]) == set(histories[1])
    for key in histories[0]:
        np.testing.assert_allclose(histories[0][key], histories[1][key], **CLOSE, err_msg=key)
    assert_same_weights(ours, theirs)
