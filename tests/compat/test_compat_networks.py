"""`keras.applications`: Keras's own networks as models of convkit's, for images of any size."""

from __future__ import annotations

import os
import pickle
import re
import sys
from inspect import getsource as source
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit.compat import keras, notes
from convkit.compat.networks import network
from convkit.compat.serving import aside, serving

if os.environ.setdefault("KERAS_BACKEND", "torch") != "torch":
    pytest.skip(f"KERAS_BACKEND is {os.environ['KERAS_BACKEND']}", allow_module_level=True)
theirs = pytest.importorskip("keras")
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
SMALL: dict[str, Any] = {"weights": None, "include_top": False, "alpha": 0.35}
IMAGES = np.random.default_rng(0).random((2, 64, 64, 3)).astype(np.float32)


def made(**options: Any) -> Any:
    return keras.applications.MobileNetV2(**{**SMALL, **options})


def test_a_network_computes_what_keras_does(monkeypatch: pytest.MonkeyPatch) -> None:
    own = theirs.applications.MobileNetV2(**SMALL, input_shape=(64, 64, 3))
    monkeypatch.setattr(theirs.applications, "MobileNetV2", lambda **options: own)
    model = network("MobileNetV2", (), {"input_shape": (64, 64, 3)})
    assert type(model) is keras.Model
    expected = own.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(model.predict(IMAGES, verbose=0), expected, rtol=1e-3, atol=1e-4)


def test_a_network_takes_an_input_that_is_there() -> None:
    image = keras.Input((64, 64, 3))
    base = made(input_tensor=image)
    pooled = keras.layers.GlobalAveragePooling2D()(base.output)
    model = keras.Model(inputs=image, outputs=keras.layers.Dense(2)(pooled))
    assert model.predict(IMAGES, verbose=0).shape == (2, 2)
    with pytest.raises(ValueError, match="must be an Input"):
        made(input_tensor=keras.layers.Rescaling(2.0)(image))


@pytest.mark.parametrize("options", [{}, {"input_shape": (None, None, 3)}])
def test_a_network_takes_images_of_any_size(options: dict[str, Any]) -> None:
    notes.forget()
    base = made(**options)
    assert base.input_shape == (None, 224, 224, 3)
    assert "without input_shape" in notes.report()[0]
    fixed = made(input_shape=(64, 64, 3))
    fixed.set_weights(base.get_weights())
    expected = fixed.predict(IMAGES, verbose=0)
    np.testing.assert_array_equal(base.predict(IMAGES, verbose=0), expected)
    image = keras.Input((64, 64, 3))
    model = keras.Model(image, base(image))
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), expected)
    assert base.predict(np.zeros((1, 224, 224, 3)), verbose=0).shape == (1, 7, 7, 1280)
    notes.forget()


def test_a_network_of_any_size_is_a_model_in_files(tmp_path: Path) -> None:
    base = made()
    base.save(tmp_path / "base.keras")
    assert type(convkit.models.load_model(tmp_path / "base.keras")) is convkit.Model
    again = pickle.loads(pickle.dumps(base))
    assert type(again) is keras.Model
    notes.forget()


def test_default_sizes_are_those_of_keras() -> None:
    from convkit.compat import applications, networks

    assert networks._SIZES.keys() < set(applications.LAZY)
    for name, side in networks._SIZES.items():
        module = sys.modules[getattr(theirs.applications, name).__module__]
        found = re.search(rf"def {name}\(.*?(?:\n@keras_export|\ndef |\Z)", source(module), re.S)
        assert found, name
        assert re.search(rf"\b{side}\b", found[0]), name


def test_without_keras_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "keras"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match=r"VGG16.*pip install keras"):
        keras.applications.VGG16(weights=None)
    monkeypatch.setitem(sys.modules, "keras.applications.imagenet_utils", None)
    with pytest.raises(ImportError, match="pip install keras"):
        keras.applications.vgg16.decode_predictions(np.zeros((1, 1000)))


def test_classes_of_imagenet_have_keras_s_names(monkeypatch: pytest.MonkeyPatch) -> None:
    classes = {str(i): [f"n{i}", f"kind {i}"] for i in range(1000)}
    monkeypatch.setattr(theirs.src.applications.imagenet_utils, "CLASS_INDEX", classes)
    likely = np.zeros((1, 1000), np.float32)
    likely[0, [7, 3]] = 0.75, 0.25
    found = keras.applications.resnet50.decode_predictions(likely, top=2)
    assert [each[1] for each in found[0]] == ["kind 7", "kind 3"]


def test_keras_is_there_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a script's networks are made by is what is imported outside of it."""
    monkeypatch.delenv("KERAS_BACKEND")  # one that is installed is chosen
    with serving():
        import keras as served

        assert served is not theirs
        made()
        with aside():
            assert sys.modules["keras"] is theirs
        assert sys.modules["keras"] is served
    assert sys.modules["keras"] is theirs
    assert theirs.backend.backend() == "torch"
