"""All metrics beside Keras: several batches with weights and without, names, and trainings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array, random_array
from peer_keras import WITH_KERAS, Make, keras, numbers, twin

pytestmark = WITH_KERAS

LOGITS = 2 * random_array("logits", (24, 4))
PROBS = (np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)).astype(np.float32)
CHANCES = (1 / (1 + np.exp(-LOGITS))).astype(np.float32)
LABELS = np.arange(24) * 7 % 4
ONE_HOT = np.eye(4, dtype=np.float32)[LABELS]
TAGS = (random_array("tags", (24, 4)) > 0.3).astype(np.float32)
NUMBERS = random_array("numbers", (24, 4))
COUNTS, RATES = np.exp(NUMBERS).astype(np.float32), np.exp(LOGITS).astype(np.float32)
CLASSES = PROBS.argmax(axis=1)
WEIGHTS = np.linspace(0.25, 2, 24)

BINARY: list[Make] = [
    lambda m: m.metrics.Precision(),
    lambda m: m.metrics.Precision(0.3),
    lambda m: m.metrics.Precision([0.2, 0.8, 0.5]),
    lambda m: m.metrics.Precision([0.0, 0.25, 0.5, 0.75, 1.0]),
    lambda m: m.metrics.Precision(top_k=2),
    lambda m: m.metrics.Precision(0.4, class_id=1, name="p1"),
    lambda m: m.metrics.Precision(0.2, 3, 2),
    lambda m: m.metrics.Recall(),
    lambda m: m.metrics.Recall([0.2, 0.8]),
    lambda m: m.metrics.Recall(top_k=1),
    lambda m: m.metrics.Recall(class_id=3),
    lambda m: m.metrics.TruePositives(),
    lambda m: m.metrics.TrueNegatives([0.1, 0.9]),
    lambda m: m.metrics.FalsePositives(0.7),
    lambda m: m.metrics.FalseNegatives(None, "fn"),
    lambda m: m.metrics.PrecisionAtRecall(0.6),
    lambda m: m.metrics.RecallAtPrecision(0.5, 50),
    lambda m: m.metrics.SensitivityAtSpecificity(0.6, class_id=2),
    lambda m: m.metrics.SpecificityAtSensitivity(0.5, 1),
    *(
        lambda m, c=curve, s=method: m.metrics.AUC(50, c, s)
        for curve in ("ROC", "PR", "PRGAIN")
        for method in ("interpolation", "minoring", "majoring")
    ),
    lambda m: m.metrics.AUC(),
    lambda m: m.metrics.AUC(thresholds=[0.3, 0.1, 0.55]),
    lambda m: m.metrics.AUC(multi_label=True, num_labels=4),
    lambda m: m.metrics.AUC(curve="PR", multi_label=True, label_weights=[1.0, 2.0, 0.5, 3.0]),
    lambda m: m.metrics.AUC(curve="pr", label_weights=[1.0, 2.0, 0.5, 3.0]),
    lambda m: m.metrics.F1Score(),
    lambda m: m.metrics.F1Score("macro", 0.5),
    lambda m: m.metrics.F1Score(average="micro"),
    lambda m: m.metrics.FBetaScore("weighted", 2.0, 0.3),
    lambda m: m.metrics.FBetaScore(beta=0.5),
    lambda m: m.metrics.BinaryAccuracy(threshold=0.4),
    lambda m: m.metrics.BinaryCrossentropy(),
    lambda m: m.metrics.BinaryCrossentropy(label_smoothing=0.1),
    lambda m: m.metrics.Hinge(),
    lambda m: m.metrics.SquaredHinge(),
]
OTHERS: list[tuple[Make, Array, Array]] = [
    *((make, TAGS, CHANCES) for make in BINARY),
    (lambda m: m.metrics.AUC(from_logits=True), TAGS, LOGITS),
    (lambda m: m.metrics.F1Score(), ONE_HOT, PROBS),
    (lambda m: m.metrics.CategoricalHinge(), ONE_HOT, LOGITS),
    (lambda m: m.metrics.CategoricalCrossentropy(), ONE_HOT, PROBS),
    (
        lambda m: m.metrics.CategoricalCrossentropy("cce", from_logits=True, label_smoothing=0.2),
        ONE_HOT,
        LOGITS,
    ),
    (lambda m: m.metrics.SparseCategoricalCrossentropy(), LABELS, PROBS),
    (lambda m: m.metrics.SparseCategoricalCrossentropy(from_logits=True), LABELS, LOGITS),
    (lambda m: m.metrics.KLDivergence(), PROBS[::-1].copy(), PROBS),
    (lambda m: m.metrics.Poisson(), COUNTS, RATES),
    (lambda m: m.metrics.MeanAbsolutePercentageError(), COUNTS, RATES),
    (lambda m: m.metrics.MeanSquaredLogarithmicError(), COUNTS, RATES),
    (lambda m: m.metrics.RootMeanSquaredError(), NUMBERS, LOGITS),
    (lambda m: m.metrics.LogCoshError(), NUMBERS, LOGITS),
    (lambda m: m.metrics.CosineSimilarity(), NUMBERS, LOGITS),
    (lambda m: m.metrics.CosineSimilarity(axis=1), NUMBERS, LOGITS),
    (lambda m: m.metrics.PearsonCorrelation(), NUMBERS, LOGITS),
    (lambda m: m.metrics.ConcordanceCorrelation(), NUMBERS, LOGITS),
    (lambda m: m.metrics.R2Score(), NUMBERS, NUMBERS + LOGITS / 4),
    (lambda m: m.metrics.R2Score(None), NUMBERS, NUMBERS + LOGITS / 4),
    (
        lambda m: m.metrics.R2Score("variance_weighted_average", 2),
        NUMBERS,
        NUMBERS + LOGITS / 4,
    ),
    (lambda m: m.metrics.Accuracy(), LABELS, CLASSES),
    (lambda m: m.metrics.SparseCategoricalAccuracy(), LABELS[:, None], PROBS),
    (lambda m: m.metrics.SparseTopKCategoricalAccuracy(2), LABELS, PROBS),
    (lambda m: m.metrics.TopKCategoricalAccuracy(3), ONE_HOT, PROBS),
    (
        lambda m: m.metrics.SparseTopKCategoricalAccuracy(2, from_sorted_ids=True),
        LABELS,
        np.argsort(-PROBS, axis=1).astype(np.float32),
    ),
    (lambda m: m.metrics.MeanIoU(4), LABELS, CLASSES),
    (lambda m: m.metrics.MeanIoU(num_classes=4, sparse_y_pred=False), LABELS, PROBS),
    (lambda m: m.metrics.MeanIoU(4, ignore_class=1), LABELS, CLASSES),
    (lambda m: m.metrics.IoU(4, [0, 2]), LABELS, CLASSES),
    (lambda m: m.metrics.BinaryIoU(), TAGS, CHANCES),
    (lambda m: m.metrics.BinaryIoU([1], 0.3), TAGS, CHANCES),
    (lambda m: m.metrics.OneHotIoU(4, [1, 3]), ONE_HOT, PROBS),
    (lambda m: m.metrics.OneHotMeanIoU(4), ONE_HOT, PROBS),
]


def same(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(ours, numbers(theirs), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", range(len(OTHERS)))
def test_several_batches(case: int, weighted: bool) -> None:
    make, y_true, y_pred = OTHERS[case]
    theirs, ours = make(keras), make(convkit)
    if weighted and "IoU" in type(ours).__name__:
        weights = np.arange(24) % 3  # Keras cuts them to integers
        if "Binary" in type(ours).__name__:
            weights = None  # and broadcasts them along the wrong axis
    else:
        weights = WEIGHTS if weighted else None
    for part in (slice(0, 10), slice(10, 11), slice(11, 24)):
        given = None if weights is None else weights[part]
        for metric in (theirs, ours):
            metric.update_state(y_true[part], y_pred[part], sample_weight=given)
        same(ours.result(), theirs.result())
    # What was gathered goes to another process, and is forgotten.
    state, other = ours.state_dict(), make(convkit)
    other.load_state_dict(state)
    np.testing.assert_array_equal(other.result(), ours.result())
    for metric in (theirs, ours):
        metric.reset_state()
    ours.update_state(y_true[:5], y_pred[:5])
    theirs.update_state(y_true[:5], y_pred[:5])
    same(ours.result(), theirs.result())
    name = ours.name
    assert theirs.name.startswith(name) or name == type(ours)(**ours.get_config()).name


@pytest.mark.parametrize("case", range(len(OTHERS)))
def test_configurations_make_the_same_metric(case: int) -> None:
    make, y_true, y_pred = OTHERS[case]
    ours = make(convkit)
    twin = type(ours).from_config(ours.get_config())
    np.testing.assert_array_equal(twin(y_true, y_pred), ours(y_true, y_pred))


def test_means_and_sums_of_numbers() -> None:
    values = random_array("values", (6, 3))
    for name in ("Mean", "Sum"):
        theirs, ours = (getattr(m.metrics, name)() for m in (keras, convkit))
        for weights in (None, np.arange(6.0), np.arange(18.0).reshape(6, 3), 2.0):
            for metric in (theirs, ours):
                given = None if weights is None else np.asarray(weights)
                metric.update_state(2.5 if np.ndim(weights) == 0 else values, given)
            same(ours.result(), theirs.result())


FUNCTIONS: list[tuple[str, Array, Array, tuple[Any, ...]]] = [
    ("binary_accuracy", TAGS, CHANCES, (0.4,)),
    ("categorical_accuracy", ONE_HOT, PROBS, ()),
    ("sparse_categorical_accuracy", LABELS, PROBS, ()),
    ("top_k_categorical_accuracy", ONE_HOT, PROBS, (2,)),
    ("sparse_top_k_categorical_accuracy", LABELS, PROBS, (2,)),
    ("pearson_correlation", NUMBERS, LOGITS, (0,)),
    ("concordance_correlation", NUMBERS, LOGITS, ()),
    ("mean_squared_error", NUMBERS, LOGITS, ()),
]


@pytest.mark.parametrize("case", FUNCTIONS, ids=lambda case: case[0])
def test_functions(case: Any) -> None:
    name, y_true, y_pred, arguments = case
    expected = getattr(keras.metrics, name)(y_true, y_pred, *arguments)
    same(getattr(convkit.metrics, name)(y_true, y_pred, *arguments), expected)


NAMES = ("mse", "MSE", "MeanSquaredError", "mae", "mape", "MSLE", "bce", "AUC", "Precision",
         "Recall", "f1_score", "F1Score", "true_positives", "BinaryIoU", "kl_divergence",
         "KLDivergence", "Poisson", "cosine_similarity", "RootMeanSquaredError", "r2_score",
         "CategoricalCrossentropy", "Hinge", "binary_accuracy", "SparseCategoricalAccuracy",
         "top_k_categorical_accuracy", "PearsonCorrelation")  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    theirs, ours = keras.metrics.get(name), convkit.metrics.get(name)
    assert type(theirs).__name__ == type(ours).__name__
    assert ours.name == name  # which a compiled model of Keras calls it, too


# In models.


def mean_distance(y_true: Any, y_pred: Any) -> Any:
    """Of arrays of NumPy and of tensors."""
    return abs(y_true - y_pred).mean(-1)


def largest(y_true: Any, y_pred: Any) -> Any:
    return y_pred.max()


def dense(units: int, activation: str | None) -> Any:
    convkit.utils.set_random_seed(1)
    layers = convkit.layers
    return convkit.Sequential(
        [convkit.Input((6,)), layers.Dense(8, "tanh"), layers.Dense(units, activation)]
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_histories(weighted: bool) -> None:
    x = random_array("x", (24, 6))
    histories = []
    ours = dense(4, "sigmoid")
    for m, model in ((convkit, ours), (keras, twin(ours))):
        metrics = ["Precision", m.metrics.Recall(name="recall_1"), "AUC", m.metrics.F1Score(),
                   "mse", m.losses.mean_absolute_error, mean_distance, largest, "accuracy",
                   m.metrics.Precision(0.2, name="Precision")]  # fmt: skip
        model.compile(m.optimizers.SGD(0.1), "binary_crossentropy", metrics=metrics)
        fitted = model.fit(
            x, TAGS, 10, 3, verbose=0, shuffle=False, validation_split=0.25,
            sample_weight=WEIGHTS if weighted else None,
        )  # fmt: skip
        histories.append(fitted.history)
    theirs = {key.removeprefix("compile_"): value for key, value in histories[1].items()}
    assert set(histories[0]) == set(theirs)
    for key, values in histories[0].items():
        expected = [numbers(value) if key.endswith("f1_score") else value for value in theirs[key]]
        np.testing.assert_allclose(values, expected, rtol=3e-5, atol=3e-6, err_msg=key)


def test_metrics_of_images() -> None:
    x, y = random_array("x", (12, 6, 6, 2)), np.arange(12 * 16).reshape(12, 4, 4) * 5 % 3
    convkit.utils.set_random_seed(1)
    conv = convkit.layers.Conv2D(3, 3)
    ours = convkit.Sequential([convkit.Input((6, 6, 2)), conv])
    histories = []
    for m, model in ((convkit, ours), (keras, twin(ours))):
        metrics = [
            "accuracy",
            m.metrics.MeanIoU(3, sparse_y_pred=False, name="iou"),
            m.metrics.SparseTopKCategoricalAccuracy(2),
            m.metrics.SparseCategoricalCrossentropy(from_logits=True),
        ]
        loss = m.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(m.optimizers.SGD(0.1), loss, metrics=metrics)
        histories.append(model.fit(x, y, 4, 2, verbose=0, shuffle=False).history)
    assert set(histories[0]) == set(histories[1])
    for key in histories[0]:
        np.testing.assert_allclose(histories[0][key], histories[1][key], rtol=3e-5, err_msg=key)


def test_targets_in_lists() -> None:
    x, results = random_array("x", (24, 6)), []
    start = [random_array("kernel", (6, 4)), np.zeros(4, np.float32)]
    for m in (convkit, keras):
        inputs = m.Input((6,))
        model = m.Model([inputs], [m.layers.Dense(4)(inputs)])
        model.set_weights(start)
        model.compile("sgd", "mse", metrics=["mae"])
        for given, targets in (([x], [NUMBERS]), (x, [NUMBERS])):
            model.fit(given, targets, verbose=0, shuffle=False)
        results.append(model.evaluate([x], [NUMBERS], verbose=0))
    np.testing.assert_allclose(*results, rtol=2e-5)
