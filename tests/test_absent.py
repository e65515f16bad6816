"""What Keras has and convkit has not: asking for it says what to do instead, from one table."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import absent, layers, losses, metrics, optimizers

TABLE = Path(__file__).resolve().parents[1] / "docs" / "keras.md"
MODULES = ("activations", "callbacks", "constraints", "datasets", "initializers", "layers",
           "losses", "metrics", "models", "optimizers", "optimizers.schedules", "regularizers",
           "saving", "utils", "")  # fmt: skip


@pytest.mark.skipif(not TABLE.is_file(), reason="the source tree is not here")
def test_the_table_of_the_documentation_is_the_same() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| absent \| (.*) \|$", TABLE.read_text(), re.M)
    assert list(absent.ABSENT.items()) == rows


@pytest.mark.parametrize("name", absent.ABSENT)
def test_asking_for_an_absent_name(name: str) -> None:
    module, _, last = name.rpartition(".")
    hint = absent.advice(name)
    assert "; Keras has it, convkit does not: " in hint
    assert "likewise" not in hint
    objects = {"Sequential": convkit.Sequential(), "Dense": layers.Dense(2)}
    if module in objects:
        with pytest.raises(AttributeError, match=f"no attribute '{last}'; Keras has it"):
            getattr(objects[module], last)
        return
    if module not in MODULES:  # the module itself is absent
        module, _, last = "", None, module
    where = f"convkit.{module}".rstrip(".")
    with pytest.raises(ImportError, match=f"cannot import name '{last}'.*; Keras has it"):
        exec(f"from {where} import {last}")
    found = importlib.import_module(where)
    assert not hasattr(found, last)
    with pytest.raises(AttributeError, match=f"'{where}' has no attribute '{last}'; Keras has it"):
        getattr(found, last)


def test_other_names_are_unknown_as_ever() -> None:
    with pytest.raises(ImportError, match=r"cannot import name 'Conv2DD' from"):
        exec("from convkit.layers import Conv2DD")
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'convkit.nonsense'$"):
        importlib.import_module("convkit.nonsense")
    with pytest.raises(AttributeError, match=r"^module 'convkit' has no attribute 'nonsense'$"):
        convkit.nonsense  # noqa: B018


@pytest.mark.parametrize("name", ["preprocessing.sequence", "applications", "backend"])
def test_importing_an_absent_module(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'convkit.*'; Keras has it"):
        importlib.import_module(f"convkit.{name}")


@pytest.mark.parametrize(
    ("statement", "advice"),
    [
        ("from convkit.applications.vgg16 import VGG16", "Keras has it.*interop.from_keras"),
        ("import convkit.backend as K", "Keras has it.*clear_session"),
        ("from convkit.config import floatx", "Keras has it.*everything is float32"),
        ("from convkit.export import ExportArchive", "Keras has it.*convkit.onnx.export"),
        ("from convkit.preprocessing import text", "Keras has it.*images alone"),
        ("from convkit.layers.core import Dense", "older versions.*take `convkit.layers`"),
        ("from convkit.optimizers.legacy import Adam", "older versions.*convkit.optimizers"),
        ("from convkit.wrappers.scikit_learn import KerasClassifier", "older.*convkit.sklearn"),
        ("from convkit.utils import np_utils", "older versions.*take `convkit.utils`"),
        ("from convkit.utils.np_utils import to_categorical", "older.*take `convkit.utils`"),
        ("import convkit.utils.nothing", r"No module named 'convkit\.utils\.nothing'$"),
        (
            "from convkit.preprocessing.image import ImageDataGenerator",
            "cannot import name 'ImageDataGenerator'.*older versions of Keras.*RandomFlip",
        ),
    ],
)
def test_statements_that_import_what_is_absent(statement: str, advice: str) -> None:
    with pytest.raises(ImportError, match=advice):
        exec(statement)


@pytest.mark.parametrize("name", ["fit_generator", "predict_classes", "predict_proba"])
def test_methods_of_older_versions(name: str) -> None:
    with pytest.raises(AttributeError, match=f"'{name}'; older versions of Keras have it, take"):
        getattr(convkit.Sequential(), name)


def test_importing_convkit_does_not_read_the_table() -> None:
    code = "import sys, convkit; print('convkit.absent' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimizers.Adam(lr=0.1), "'lr'; take learning_rate"),
        (lambda: optimizers.SGD(decay=0.1), "'decay'; take learning_rate=.*ExponentialDecay"),
        (lambda: optimizers.Adam().lr, "no attribute 'lr'; take learning_rate"),
        (lambda: optimizers.get("adafactor"), "unknown optimizer 'adafactor'.*`Adam`: what"),
        (lambda: losses.get("circle"), "unknown loss 'circle'.*one of the cross-entropies"),
        (lambda: layers.Conv2D(3, 3, border_mode="same"), "'border_mode'; take padding"),
        (lambda: layers.Dense(3, init="uniform"), "'init'; take kernel_initializer"),
        (lambda: layers.PReLU(alpha=0.1), "'alpha'; take negative_slope"),
        (lambda: layers.Dense(4, input_dim=10), r"'input_dim'; take input_shape=\(input_dim,\)"),
        (lambda: layers.Flatten(batch_input_shape=(None, 4)), "take input_shape, without"),
        (lambda: layers.Dense(3, activation="squareplus"), "unknown activation.*nearest"),
        (lambda: layers.Dense(3, activation=layers.PReLU()), "put that layer behind this one"),
        (lambda: convkit.Sequential().compile(jit_compile=True), "take nothing: a training step"),
        (lambda: convkit.Sequential().fit(0, 0, nb_epoch=3), r"'nb_epoch'; take epochs$"),
        (lambda: convkit.Model.evaluate(convkit.Sequential(), 0, 0, workers=3), "take nothing"),
        (lambda: convkit.Sequential().predict(0, workers=3), "'workers'; take nothing: batches"),
        (lambda: convkit.Sequential().fit(0, 0, nothing=3), r"argument 'nothing'$"),
        (lambda: convkit.Input((3,), dtype="float32"), "'dtype'; take nothing"),
        (lambda: convkit.Input(shape=(3,), batch_size=8), "'batch_size'; take shape alone"),
        (lambda: layers.InputLayer(batch_shape=(None, 3)), "'batch_shape'; take shape, without"),
        (lambda: layers.Conv2D(3, 3)(None), "it is called on a symbolic tensor.*or on one batch"),
    ],
)
def test_arguments_that_only_keras_has(call: Any, message: str) -> None:
    with pytest.raises((AttributeError, TypeError, ValueError), match=message):
        call()


# What Keras takes in another form.


def test_names_in_capitals() -> None:
    assert layers.Dense(3, activation="ReLU").activation == "relu"
    assert type(losses.get("SparseCategoricalCrossentropy")).__name__ == (
        "SparseCategoricalCrossentropy"
    )
    metric = metrics.get("SparseCategoricalAccuracy")
    assert isinstance(metric, metrics.SparseCategoricalAccuracy)
    assert isinstance(optimizers.get("Adam"), optimizers.Adam)


def test_the_only_input_in_a_list() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((20, 4), np.float32), rng.integers(0, 3, 20)
    made = []
    for inputs, targets in ((x, y), ([x], [y])):
        convkit.utils.set_random_seed(1)
        model = convkit.Sequential([convkit.Input((4,)), layers.Dense(3, "softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(inputs, targets, verbose=0)
        values = model.evaluate(inputs, targets, verbose=0)
        results = dict(zip(model.metrics_names, values, strict=True))
        made.append((results, model.predict(inputs, verbose=0), model(x)))
    assert made[0][0] == made[1][0]
    assert list(made[0][0]) == ["loss", "accuracy"]
    np.testing.assert_array_equal(made[0][1], made[1][1])
    np.testing.assert_array_equal(made[0][1], made[0][2])


def test_the_output_shape_for_another_input() -> None:
    model = convkit.Sequential([layers.Conv2D(4, 3, padding="SAME"), layers.Flatten()])
    assert model.compute_output_shape((16, 8, 8, 3)) == (16, 256)
    assert not model.built
