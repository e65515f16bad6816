"""The tree of names: one module by many paths, what is missing, and what classes stand for."""

from __future__ import annotations

import copy
import importlib
import pickle
from typing import Any

import numpy as np
import pytest

import convkit
from convkit.compat import function_layers, keras, notes
from convkit.compat import tensorflow as tf
from convkit.compat.logs import Logs, other_name
from convkit.compat.table import OLD_PATHS, SOURCES
from convkit.compat.tree import Namespace, canonical, space


def test_every_path_leads_to_a_module() -> None:
    for path in (*SOURCES, *OLD_PATHS):
        found = space(path)
        assert isinstance(found, Namespace), path
        assert found.__name__ in SOURCES, path
        for source in SOURCES[found.__name__]:
            importlib.import_module(source)


def test_every_name_of_every_module_is_there() -> None:
    for path, sources in SOURCES.items():
        for source in sources:
            if not source.startswith("convkit.compat"):
                continue
            module = importlib.import_module(source)
            for name in getattr(module, "__all__", ()):
                assert hasattr(space(path), name), f"{path}.{name}"


def test_all_names_of_every_module_can_be_imported() -> None:
    notes.forget()
    for path in SOURCES:
        names: dict[str, Any] = {}
        exec(f"from convkit.compat.{path} import *", names)
        public = {name for name in names if not name.startswith("__")}
        assert public <= set(dir(space(path)))
        if path in ("keras.layers", "tensorflow", "keras.backend"):
            assert len(public) > 80
    assert not notes.missing_names()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("tensorflow.keras.layers", "keras.layers"),
        ("tensorflow.python.keras.layers.core", "keras.layers"),
        ("tensorflow.compat.v1.keras.utils.np_utils", "keras.utils"),
        ("keras.layers.experimental.preprocessing", "keras.layers"),
        ("keras.optimizers.legacy.adam", "keras.optimizers"),
        ("keras.backend.tensorflow_backend", "keras.backend"),
        ("keras_preprocessing.image", "keras.preprocessing.image"),
        ("tensorflow.compat.v1.losses", "keras.losses"),
        ("tensorflow.data.experimental", "tensorflow.data"),
        ("tf_keras.applications.vgg16", "keras.applications.vgg16"),
    ],
)
def test_many_paths_are_one_module(old: str, new: str) -> None:
    assert canonical(old) == new
    assert space(old) is space(new)
    assert importlib.import_module(f"convkit.compat.{old}") is space(new)


def test_missing_names_answer_with_advice() -> None:
    notes.forget()
    with pytest.raises(AttributeError, match="images only"):
        _ = keras.layers.LSTM
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        from convkit.compat.keras.layers import Nothing  # noqa: F401
    with pytest.raises(AttributeError, match=r"convkit\.onnx\.export"):
        _ = tf.lite.TFLiteConverter
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tf.nothing
    with pytest.raises(ModuleNotFoundError, match="nothing"):
        importlib.import_module("convkit.compat.tensorflow.nothing")
    missing = notes.missing_names()
    assert {"keras.layers.LSTM", "tensorflow.lite", "tensorflow.nothing"} <= set(missing)
    notes.forget()


def test_what_is_imported_and_missing_is_an_error_where_it_is_used() -> None:
    notes.forget()
    from convkit.compat.keras.layers import LSTM, MaxPooling1D
    from convkit.compat.keras.layers.wrappers import TimeDistributed
    from convkit.compat.tensorflow import placeholder

    text = importlib.import_module("convkit.compat.tensorflow.keras.preprocessing.text")
    assert not notes.missing_names()
    assert not isinstance(keras.layers.Dense(3), LSTM)
    assert not issubclass(keras.layers.Layer, LSTM)
    assert repr(MaxPooling1D) == "<keras.layers.MaxPooling1D, which is not available>"
    uses: dict[str, Any] = {
        "keras.layers.LSTM is not.*images only": lambda: LSTM(3),
        "MaxPooling1D is not.*`MaxPooling2D` of images with one row": lambda: MaxPooling1D(2),
        "TimeDistributed is not.*images only": lambda: TimeDistributed(print),
        "placeholder is not.*`keras.Input`": placeholder,
        "Tokenizer is not.*images only": lambda: text.Tokenizer(5),
        "LSTM is not": lambda: type("Own", LSTM.__mro_entries__(()), {}),
    }
    for message, use in uses.items():
        with pytest.raises(AttributeError, match=message):
            use()
    assert "keras.preprocessing.text.Tokenizer" in notes.missing_names()
    with pytest.raises(AttributeError, match="images only"):
        _ = keras.layers.LSTM  # as before
    notes.forget()


def test_classes_stand_for_those_of_convkit() -> None:
    layer = keras.layers.Conv2D(4, (3, 3), padding="SAME", input_shape=(8, 8, 3))
    assert type(layer) is convkit.layers.Conv2D
    assert type(layer) == keras.layers.Conv2D  # noqa: E721 - as scripts do
    assert isinstance(layer, keras.layers.Conv2D)
    assert isinstance(layer, keras.layers.Layer)
    assert not isinstance(layer, keras.layers.Dense)
    assert keras.layers.Conv2D.__name__ == "Conv2D"

    class Own(keras.layers.Dense):
        pass

    assert issubclass(Own, convkit.layers.Dense)
    assert isinstance(Own(3), keras.layers.Dense)
    assert keras.layers.Conv2D.from_config(layer.get_config()).filters == 4
    kinds = {keras.layers.Conv2D: 1, keras.layers.Dense: 2}
    assert kinds[tf.keras.layers.Conv2D] == 1


def test_two_sizes_are_a_kernel_as_in_keras_1_and_2() -> None:
    assert keras.layers.Convolution2D(8, 5, 3).kernel_size == (5, 3)
    assert keras.layers.Conv2D(8, 3, 3).kernel_size == (3, 3)
    assert keras.layers.Conv2D(8, 4, 2).strides == (2, 2)
    assert keras.layers.Conv2D(8, (3, 3), 2).strides == (2, 2)
    notes.forget()


def test_weights_of_other_shapes_or_too_few_are_refused() -> None:
    for weights, words in (
        ([np.ones((4, 2)), np.zeros(2)], r"shape \(3, 2\) .* received \(4, 2\)"),
        ([np.ones((3, 2))], r"shape \(2,\) .* received none"),
    ):
        with pytest.raises(ValueError, match=words):
            keras.Sequential([keras.layers.Dense(2, weights=weights, input_dim=3)])


def trained() -> Any:
    model = keras.Sequential([keras.layers.Dense(2, activation="softmax", input_dim=3)])
    model.compile("adam", "sparse_categorical_crossentropy", ["acc"])
    model.fit(np.eye(3), [0, 1, 0], verbose=0)
    return model


def test_models_are_saved_as_those_of_convkit(tmp_path: Any) -> None:
    model, path = trained(), tmp_path / "folder" / "model.h5"
    model.save(path)
    plain = convkit.models.load_model(path)
    assert type(plain) is convkit.Sequential
    assert type(plain.optimizer) is convkit.optimizers.Adam
    again = keras.models.load_model(str(path))
    assert isinstance(again, keras.Sequential)
    assert again.optimizer.lr == pytest.approx(1e-3)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), again):
        assert type(other) is keras.Sequential
        np.testing.assert_array_equal(other.predict(np.eye(3)), model.predict(np.eye(3)))


def test_training_is_that_of_convkit() -> None:
    x, y = np.random.default_rng(0).random((40, 6)), np.arange(40) % 3
    losses = []
    for library in (keras, convkit):
        keras.backend.clear_session()
        keras.utils.set_random_seed(3)
        model = library.Sequential(
            [library.Input((6,)), library.layers.Dense(5, activation="relu"),
             library.layers.Dropout(0.3), library.layers.Dense(3, activation="softmax")]
        )  # fmt: skip
        model.compile(library.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        losses.append(model.fit(x, y, epochs=3, verbose=0).history["loss"])
    assert losses[0] == losses[1]


def test_decay_is_that_of_old() -> None:
    model = keras.Sequential([keras.layers.Dense(1, input_dim=2)])
    model.compile(keras.optimizers.SGD(lr=0.1, decay=0.5), "mse")
    model.fit(np.ones((4, 2)), np.ones(4), batch_size=1, verbose=0)
    assert model.optimizer.lr == pytest.approx(0.1)
    assert model.optimizer.decay == 0.5
    assert model.optimizer._learning_rate == pytest.approx(0.1 / (1 + 0.5 * 4))
    model.optimizer.lr = 0.2
    assert model.optimizer._learning_rate == pytest.approx(0.2 / (1 + 0.5 * 4))


def test_logs_have_two_names_for_a_value() -> None:
    logs = Logs({"accuracy": 1, "val_acc": 2, "loss": 3, "learning_rate": 4, "out_accuracy": 5})
    assert logs["acc"] == 1
    assert logs["val_accuracy"] == 2
    assert logs["lr"] == 4
    assert logs["out_acc"] == 5
    assert logs.get("val_loss") is None
    assert "acc" in logs
    assert "f1" not in logs
    assert list(logs) == ["accuracy", "val_acc", "loss", "learning_rate", "out_accuracy"]
    with pytest.raises(KeyError):
        logs["f1"]
    assert other_name("loss") == "loss"
    assert other_name(3) == 3


def test_tensors_are_arrays() -> None:
    tensor = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    assert isinstance(tensor, np.ndarray)
    assert type(tensor.numpy()) is np.ndarray
    assert tensor[0, 1].numpy() == 2.0
    assert f"{tensor[1, 1]:.1f}" == "4.0"
    assert [1, 2, 3][tf.argmax(tensor[1])] == 2
    assert tensor.shape == (2, 2)
    assert (tensor + 1).numpy().sum() == 14
    assert tf.reduce_sum(tensor).numpy() == 10
    assert isinstance(convkit.layers.Rescaling(2.0)(tensor), type(tensor))
    assert type(convkit.layers.Rescaling(2.0)(np.ones((1, 2)))) is np.ndarray


def test_compile_takes_metrics_third_as_keras_2_does() -> None:
    model = trained()
    model.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"], None)
    assert model.metrics_names == ["loss", "accuracy"]
    with pytest.raises(TypeError, match="unknown arguments"):
        model.compile("sgd", "mse", nonsense=3)
    with pytest.raises(TypeError, match="unknown arguments"):
        model.fit(np.eye(3), [0, 1, 0], nonsense=3)


def test_what_functions_cannot_do_in_models_is_said(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = keras.Input((4, 4, 1))
    ordered = keras.layers.Lambda(lambda x: np.sort(np.asarray(x), axis=1), name="ordered")
    model = keras.Model(inputs, ordered(keras.layers.Conv2D(1, 1)(inputs)))
    images = np.random.default_rng(0).random((3, 4, 4, 1), np.float32)
    assert (np.diff(model.predict(images, verbose=0), axis=1) >= 0).all()
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match="the gradient is not known here"):
        model.fit(images, images, verbose=0)
    with pytest.raises(ValueError, match=r"ordered_2.*fails for inputs of shape.*no_such_thing"):
        keras.layers.Lambda(lambda x: x.no_such_thing, name="ordered_2")(inputs)
    with pytest.raises(ValueError, match=r"one array with a row for each sample.*shape \(\)"):
        keras.layers.Lambda(lambda x: tf.reduce_sum(x))(inputs)
    path = str(tmp_path / "model.keras")
    model.save(path)
    again = keras.models.load_model(path)
    np.testing.assert_array_equal(again.predict(images), model.predict(images))

    class Weighted(keras.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.w = self.add_weight("w", (1,), initializer="ones", constraint="non_neg")

        def call(self, inputs: Any) -> Any:
            return tf.exp(inputs * self.w)

    own = Weighted()
    assert isinstance(own, keras.layers.Layer)
    assert issubclass(Weighted, keras.layers.Layer)
    weighted = keras.Model(inputs, own(inputs))
    with pytest.raises(ValueError, match=r"weighted.*cannot be saved or copied as a whole"):
        weighted.save(path, overwrite=True)
    weighted.save_weights(str(tmp_path / "weights.h5"))
    np.testing.assert_allclose(weighted.predict(images, verbose=0), np.exp(images), rtol=1e-5)
    monkeypatch.setattr(function_layers, "_functions", {})  # as in another process
    with pytest.raises(ValueError, match="the file holds no functions"):
        keras.models.load_model(path)
    assert keras.layers.Lambda(lambda x: tf.nn.relu(x))(inputs).shape == (None, 4, 4, 1)
    with pytest.raises(ValueError, match="Merge"):
        keras.layers.Merge([], mode="sum")
