"""The pictures: they show the right numbers, legibly, and leave matplotlib's state alone."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from matplotlib import colors  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from convkit import layers, plots  # noqa: E402
from convkit.datasets import cifar10, fashion_mnist, mnist  # noqa: E402
from figures import assert_nothing_is_cut_off, assert_nothing_overlaps, rendered, texts  # noqa: E402

RECORD = {
    "accuracy": [0.5, 0.7, 0.8],
    "loss": [1.5, 0.9, 0.6],
    "val_accuracy": [0.55, 0.65, 0.7],
    "val_loss": [1.3, 1.0, 0.95],
}


def labels_with_mistakes(count: int = 500, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    true = generator.integers(0, classes, count)
    predicted = np.where(generator.random(count) < 0.2, generator.integers(0, classes, count), true)
    return true, predicted


# ------------------------------------------------------------------------------ history


@pytest.mark.parametrize("history", [RECORD, SimpleNamespace(history=RECORD)])
def test_history_draws_every_curve(history: Any) -> None:
    figure = plots.history(history)
    loss, accuracy = figure.axes
    assert (loss.get_title(), accuracy.get_title()) == ("loss", "accuracy")
    for ax, key in ((loss, "loss"), (accuracy, "accuracy")):
        training, validation = ax.get_lines()
        assert np.asarray(training.get_xdata()).tolist() == [1, 2, 3]
        assert np.asarray(training.get_ydata()).tolist() == RECORD[key]
        assert np.asarray(validation.get_ydata()).tolist() == RECORD[f"val_{key}"]
        legend = ax.get_legend()
        assert legend is not None
        assert [text.get_text() for text in legend.get_texts()] == ["training", "validation"]
        # In a black-and-white print the line style tells them apart.
        assert training.get_linestyle() != validation.get_linestyle()
    assert_nothing_is_cut_off(figure)


def test_history_of_a_single_epoch_without_validation() -> None:
    figure = plots.history({"loss": [0.25]})
    (ax,) = figure.axes
    assert ax.get_legend() is None
    rendered(figure)
    assert all(float(tick).is_integer() for tick in ax.get_xticks())


def test_history_draws_into_given_axes() -> None:
    figure = Figure()
    axes = figure.subplots(2, 1)
    assert plots.history(RECORD, axes=axes) is figure
    assert [len(ax.get_lines()) for ax in axes] == [2, 2]
    assert len(figure.axes) == 2


@pytest.mark.parametrize(
    ("history", "error", "complaint"),
    [
        ({}, ValueError, "no epochs"),
        ({"loss": []}, ValueError, "no epochs"),
        ({"loss": [1.0, 0.5], "accuracy": [0.5]}, ValueError, "one number an epoch"),
        ([1.0, 0.5], TypeError, r"what fit\(\) returned.*got list"),
    ],
)
def test_history_of_something_else(history: Any, error: type[Exception], complaint: str) -> None:
    with pytest.raises(error, match=complaint):
        plots.history(history)


def test_learning_rate_finder_draws_the_losses_and_the_suggestion() -> None:
    found = SimpleNamespace(learning_rates=[0.01, 0.1, 1.0], losses=[2.0, 1.0, 4.0], suggestion=0.1)
    figure = plots.learning_rate_finder(found)
    (ax,) = figure.axes
    curve, line = ax.get_lines()
    assert np.asarray(curve.get_xdata()).tolist() == found.learning_rates
    assert np.asarray(curve.get_ydata()).tolist() == found.losses
    assert set(np.asarray(line.get_xdata()).tolist()) == {0.1}
    assert ax.get_xscale() == "log"
    assert "0.1" in str(line.get_label())
    assert_nothing_is_cut_off(figure)
    axes = Figure().add_subplot()
    assert plots.learning_rate_finder(found, axes) is axes.figure
    with pytest.raises(ValueError, match="has made no steps"):
        plots.learning_rate_finder(SimpleNamespace(learning_rates=[], losses=[]))
    with pytest.raises(TypeError, match=r"a LearningRateFinder after fit.*got dict"):
        plots.learning_rate_finder({})


def test_history_with_too_few_axes() -> None:
    with pytest.raises(ValueError, match=r"2 quantities to draw \(loss, accuracy\).*got 1"):
        plots.history(RECORD, axes=Figure().add_subplot())


# ------------------------------------------------------------------------------ confusion matrix


def luminance(color: Any) -> float:
    """Relative luminance as the Web Content Accessibility Guidelines define it."""
    rgb = np.array(colors.to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("module", [mnist, fashion_mnist, cifar10])
def test_confusion_matrix_shows_counts_and_names(module: Any) -> None:
    true, predicted = labels_with_mistakes()
    figure = plots.confusion_matrix(true, predicted, module.CLASS_NAMES)
    ax = figure.axes[0]
    counts = np.zeros((10, 10), int)
    np.add.at(counts, (true, predicted), 1)
    shown = {(int(text.get_position()[1]), int(text.get_position()[0])): text for text in ax.texts}
    assert len(shown) == 100
    for cell, text in shown.items():
        assert int(text.get_text()) == counts[cell]
    for axis in (ax.xaxis, ax.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == list(module.CLASS_NAMES)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert ax.get_title().startswith(f"{np.trace(counts)} of 500 correct")
    assert_nothing_is_cut_off(figure)
    # A slanted text's box is larger than its ink: only level ones can be compared.
    assert_nothing_overlaps([*ax.texts, *ax.yaxis.get_ticklabels()])


def test_confusion_matrix_texts_stand_out_from_their_cells() -> None:
    # Shares of the row from none to all, so that every shade of the scale occurs.
    true = np.repeat(np.arange(21), 20)
    predicted = np.concatenate([np.where(np.arange(20) < k, k, (k + 1) % 21) for k in range(21)])
    ax = plots.confusion_matrix(true, predicted).axes[0]
    (cells,) = ax.images
    shares = np.asarray(cells.get_array())
    for text in ax.texts:
        if text.get_text() == "0":
            continue  # pale on purpose
        column, row = (int(place) for place in text.get_position())
        cell = luminance(cells.cmap(cells.norm(shares[row, column])))
        ink = luminance(text.get_color())
        contrast = (max(cell, ink) + 0.05) / (min(cell, ink) + 0.05)
        assert contrast >= 4.5, (text.get_text(), contrast)


def test_confusion_matrix_takes_probabilities_and_label_columns() -> None:
    true, predicted = labels_with_mistakes(classes=3)
    expected = [text.get_text() for text in plots.confusion_matrix(true, predicted).axes[0].texts]
    for y_true, y_pred in [
        (true[:, np.newaxis].astype(np.uint8), np.eye(3)[predicted] * 0.5 + 0.1),
        (np.eye(3, dtype=np.float32)[true], predicted.tolist()),
    ]:
        figure = plots.confusion_matrix(y_true, y_pred)
        assert [text.get_text() for text in figure.axes[0].texts] == expected


def test_confusion_matrix_draws_into_given_axes() -> None:
    figure = Figure(layout="compressed")
    left, right = figure.subplots(1, 2)
    true, predicted = labels_with_mistakes(classes=4)
    assert plots.confusion_matrix(true, predicted, ax=right) is figure
    assert len(right.texts) == 16
    assert not left.texts


@pytest.mark.parametrize(
    ("y_true", "y_pred", "names", "complaint"),
    [
        ([0, 1], [0], None, "2 labels in y_true and 1 in y_pred"),
        ([], [], None, "y_true: expected labels of shape"),
        (np.zeros((2, 2, 2)), [0, 1], None, r"y_true: .*got \(2, 2, 2\)"),
        ([0, 1], [0, -1], None, "y_pred: expected integer labels from 0"),
        ([0, 1], [0, 0.5], None, "y_pred: expected integer labels from 0"),
        ([0, 2], [0, 1], ["a", "b"], "label 2 has no name; expected at least 3 names, got 2"),
    ],
)
def test_confusion_matrix_of_wrong_labels(
    y_true: Any, y_pred: Any, names: Any, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        plots.confusion_matrix(y_true, y_pred, names)


# ------------------------------------------------------------------------------ samples


def sample_images(shape: tuple[int, ...], dtype: Any = np.uint8) -> np.ndarray:
    """500 images, each of one shade that grows from image to image."""
    shades = np.linspace(5, 250, 500).reshape((500,) + (1,) * len(shape))
    images = np.broadcast_to(shades, (500, *shape))
    return images.astype(dtype) if dtype is np.uint8 else (images / 255).astype(dtype)


@pytest.mark.parametrize("which", ["correct", "incorrect"])
@pytest.mark.parametrize("shape", [(8, 8), (28, 28, 1), (32, 32, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_samples_shows_the_first_images_of_the_kind(
    which: Any, shape: tuple[int, ...], dtype: Any
) -> None:
    images = sample_images(shape, dtype)
    true, predicted = labels_with_mistakes()
    names = fashion_mnist.CLASS_NAMES
    figure = plots.samples(images, true, predicted, names, which=which)
    hits = true == predicted
    expected = np.flatnonzero(hits if which == "correct" else ~hits)
    assert len(figure.axes) == 25
    for ax, index in zip(figure.axes, expected, strict=False):
        (shown,) = ax.images
        np.testing.assert_allclose(np.asarray(shown.get_array()).squeeze(), images[index].squeeze())
        lines = [text.get_text() for text in ax.texts]
        if which == "correct":
            assert lines == [names[true[index]]]
        else:
            assert lines == [f"taken for {names[predicted[index]]}", names[true[index]]]
    title = figure.get_suptitle()
    assert title == f"the first 25 of {len(expected)} {which}ly classified images"


def test_samples_shows_the_most_confident_mistakes_first() -> None:
    images = sample_images((8, 8))
    true, predicted = labels_with_mistakes()
    generator = np.random.default_rng(3)
    certainty = np.round(generator.uniform(0.55, 1.0, len(true)), 1)  # with ties
    probabilities = np.full((500, 10), 0.0)
    probabilities[np.arange(500), predicted] = certainty
    figure = plots.samples(images, true, probabilities, which="confident_mistakes", count=12)
    wrong = np.flatnonzero(true != predicted)
    expected = sorted(wrong, key=lambda index: (-certainty[index], index))
    assert len(figure.axes) == 12
    for ax, index in zip(figure.axes, expected, strict=False):
        np.testing.assert_array_equal(np.asarray(ax.images[0].get_array()), images[index])
        assert [text.get_text() for text in reversed(ax.texts)] == [
            str(true[index]),
            f"taken for {predicted[index]}",
            f"with {100 * certainty[index]:.1f} %",
        ]
    assert (
        figure.get_suptitle()
        == f"the 12 most certain of {len(wrong)} incorrectly classified images"
    )
    few = plots.samples(images, true, probabilities, which="confident_mistakes", count=400)
    assert few.get_suptitle().endswith("images, the most certain first")


@pytest.mark.parametrize("which", ["correct", "incorrect", "confident_mistakes"])
def test_samples_are_legible(which: Any) -> None:
    true = np.tile(np.arange(10), 50)
    predicted = np.eye(10)[(true + (which != "correct")) % 10]
    for names in (fashion_mnist.CLASS_NAMES, cifar10.CLASS_NAMES):
        figure = plots.samples(sample_images((32, 32, 3)), true, predicted, names, which=which)
        assert_nothing_is_cut_off(figure)
        labels = texts(figure)
        assert_nothing_overlaps(labels)
        frames = [ax.get_window_extent() for ax in figure.axes]
        for label in labels:
            box = label.get_window_extent()
            assert not any(box.overlaps(frame) for frame in frames)


def test_samples_of_a_perfect_model() -> None:
    true = np.arange(10).repeat(50)
    figure = plots.samples(sample_images((8, 8)), true, true, which="incorrect")
    assert figure.get_suptitle() == "no incorrectly classified images"
    assert not figure.axes
    assert_nothing_is_cut_off(figure)


def test_fewer_samples_than_asked_for() -> None:
    true = np.arange(10).repeat(50)
    predicted = true.copy()
    predicted[[3, 30, 300]] = 9
    figure = plots.samples(sample_images((8, 8)), true, predicted, which="incorrect")
    assert figure.get_suptitle() == "all 3 incorrectly classified images"
    assert len(figure.axes) == 3
    assert_nothing_is_cut_off(figure)


def test_samples_draws_into_a_given_figure() -> None:
    figure = Figure()
    true, predicted = labels_with_mistakes()
    assert plots.samples(sample_images((8, 8)), true, predicted, count=7, figure=figure) is figure
    assert len(figure.axes) == 7


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"x": np.zeros((500, 64))}, r"x: expected images of shape .*got \(500, 64\)"),
        ({"x": np.zeros((500, 8, 8, 2))}, r"x: expected images .*got \(500, 8, 8, 2\)"),
        ({"x": np.zeros((499, 8, 8))}, "a label for each of the 499 images, got 500"),
        ({"count": 0}, "count: expected at least 1 image, got 0"),
        ({"which": "wrong"}, "which: expected one of 'correct', .*, got 'wrong'"),
        ({"which": "confident_mistakes"}, r"y_pred: which=.*needs probabilities .*got .*\(500,\)"),
        ({"class_names": ["a"]}, "label 9 has no name"),
    ],
)
def test_samples_of_wrong_arguments(changes: dict[str, Any], complaint: str) -> None:
    true, predicted = labels_with_mistakes()
    arguments: dict[str, Any] = {"x": np.zeros((500, 8, 8)), "y_true": true, "y_pred": predicted}
    with pytest.raises(ValueError, match=complaint):
        plots.samples(**{**arguments, **changes})


# ------------------------------------------------------------------------------ surroundings


def test_needs_neither_display_nor_pyplot(tmp_path: Any) -> None:
    program = (
        "import sys\n"
        "from convkit import plots\n"
        "assert 'matplotlib' not in sys.modules, 'convkit.plots imports matplotlib too early'\n"
        "plots.history({'loss': [1, 2]}).savefig('history.png')\n"
        "plots.confusion_matrix([0, 1], [1, 1]).savefig('matrix.png')\n"
        "plots.samples([[[0, 1]], [[1, 0]]], [0, 1], [1, 1]).savefig('samples.png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules, 'pyplot was imported'\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=120)
    assert len(list(tmp_path.glob("*.png"))) == 3


def test_settings_of_the_user_stay_as_they_are() -> None:
    before = dict(matplotlib.rcParams)
    true, predicted = labels_with_mistakes()
    rendered(plots.history(RECORD))
    rendered(plots.confusion_matrix(true, predicted))
    rendered(plots.samples(sample_images((8, 8)), true, predicted))
    assert dict(matplotlib.rcParams) == before


CONVOLUTION = layers.Conv2D(3, 3, input_shape=(8, 8, 1))
CONVOLUTION.build((None, 8, 8, 1))


@pytest.mark.parametrize(
    ("module", "draw"),
    [
        ("matplotlib", lambda: plots.filters(CONVOLUTION)),
        ("matplotlib", lambda: plots.history(RECORD)),
        ("matplotlib", lambda: plots.confusion_matrix([0, 1], [0, 1])),
        ("matplotlib", lambda: plots.samples(np.zeros((1, 8, 8)), [0], [0])),
        ("sklearn", lambda: plots.confusion_matrix([0, 1], [0, 1])),
    ],
)
def test_missing_library(module: str, draw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r'pip install "convkit\[examples\]"'):
        draw()
