"""What is dropped is freed at once, by reference counting: models hold much memory.

A cycle of references would wait for the garbage collector, which counts objects and not bytes.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import pickle
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import callbacks, layers

Model = convkit.Sequential


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """Run the test without the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def made() -> Model:
    """A model with every kind of step: fused, regularized, frozen, random."""
    model = Model(
        [
            convkit.Input((12, 12, 2)),
            layers.Conv2D(4, 3, kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(4, 3, activation="relu", trainable=False),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


X, Y = np.random.default_rng(0).random((20, 12, 12, 2), np.float32), np.arange(20) % 3


def fit(model: Model, *each: Any, **options: Any) -> Any:
    return model.fit(X, Y, 8, 2, 0, callbacks=list(each), **options)


def check_freed(use: Callable[[Model], object]) -> None:
    """Use a new model, drop it, and find nothing of it left, and nothing in a cycle."""
    model = made()
    result = use(model)
    plans = [plan for idle in model._engine._idle.values() for plan in idle]
    if model._engine.training_plan is not None:
        plans.append(model._engine.training_plan)
    parts = [model, model.layers[0], model.optimizer, model._engine.store, *plans]
    parts += [bound for plan in plans for bound in plan._bound.values()]
    left = [weakref.ref(part) for part in parts if part is not None]
    del model, plans, parts, result
    assert [each() for each in left] == [None] * len(left)
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    kinds = {type(each) for each in gc.garbage}
    assert not [kind for kind in kinds if kind.__module__.startswith(("convkit", "numpy"))]


class Failing(callbacks.Callback):
    """Ends training within its first epoch."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 1:
            raise self.kind("in the middle")


def fails(model: Model, kind: type[BaseException]) -> None:
    with contextlib.suppress(kind):
        fit(model, Failing(kind), validation_split=0.3)
        pytest.fail("nothing was raised")


def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield X[:8], Y[:8]
    yield X[8:], Y[8:]


def of_another_size(model: Model) -> None:
    for size in (4, 20, 7):
        model.train_on_batch(X[:size], Y[:size])


def shared_layers(model: Model) -> None:
    other = Model([convkit.Input((12, 12, 2)), *model.layers[:-1], layers.Dense(2)])
    other.compile("sgd", "mse")
    other.train_on_batch(X, np.zeros((20, 2)))
    model.train_on_batch(X, Y)
    other.train_on_batch(X, np.zeros((20, 2)))


def frozen_and_released(model: Model) -> None:
    fit(model)
    for value in (False, True):
        model.layers[0].trainable = value
        fit(model)


def compiled_again(model: Model) -> None:
    fit(model)
    model.compile("sgd", "sparse_categorical_crossentropy")
    fit(model)


def other_layers(model: Model) -> None:
    fit(model)
    model.pop()
    model.add(layers.Dense(3, activation="softmax", name="another"))
    fit(model)


USES: dict[str, Callable[[Model], object]] = {
    "built": lambda model: None,
    "fit": fit,
    "fit twice": lambda model: (fit(model), fit(model)),
    "fit with validation": lambda model: fit(model, validation_split=0.3),
    "fit with data to validate": lambda model: fit(model, validation_data=(X, Y)),
    "fit with weights": lambda model: fit(model, class_weight={0: 2.0}, shuffle=False),
    "fit in steps": lambda model: fit(model, steps_per_epoch=1),
    "fit on batches": lambda model: model.fit(batches(), verbose=0, validation_data=batches()),
    "a step of batches": lambda model: model.fit(
        [(X, Y)] * 3, verbose=0, steps_per_epoch=1, validation_data=[(X, Y)] * 3, validation_steps=1
    ),
    "steps of evaluate": lambda model: model.evaluate([(X, Y)] * 3, verbose=0, steps=1),
    "bar": lambda model: model.fit(X, Y, epochs=2, verbose=1),
    "lines": lambda model: model.fit(X, Y, epochs=2, verbose=2),
    "evaluate": lambda model: model.evaluate(X, Y, verbose=1),
    "evaluate silently": lambda model: model.evaluate(X, Y, verbose=0, return_dict=True),
    "predict": lambda model: model.predict(X, 8, verbose=1),
    "train_on_batch": lambda model: model.train_on_batch(X, Y),
    "test_on_batch": lambda model: model.test_on_batch(X, Y),
    "predict_on_batch": lambda model: model.predict_on_batch(X),
    "of another size": of_another_size,
    "early stopping": lambda model: fit(
        model,
        callbacks.EarlyStopping("loss", restore_best_weights=True),
        callbacks.ReduceLROnPlateau("loss", patience=0),
        callbacks.TerminateOnNaN(),
        callbacks.History(),
    ),
    "other callbacks": lambda model: fit(
        model,
        callbacks.LearningRateScheduler(lambda epoch: 0.1),
        callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
    ),
    "an error": lambda model: fails(model, RuntimeError),
    "an interruption": lambda model: fails(model, KeyboardInterrupt),
    "summary and plan": lambda model: (model.summary(lambda text: None), model.plan()),
    "repr": lambda model: (repr(model), repr(model.layers), repr(model.optimizer)),
    "configuration": lambda model: Model.from_config(model.get_config()),
    "weights": lambda model: model.set_weights(model.get_weights()),
    "pickle": lambda model: (fit(model), pickle.loads(pickle.dumps(model))),
    "copies": lambda model: (fit(model), copy.deepcopy(model), copy.deepcopy(model.history)),
    "a copied layer": lambda model: (fit(model), copy.deepcopy(model.layers[0])),
    "shared layers": shared_layers,
    "frozen and released": frozen_and_released,
    "compiled again": compiled_again,
    "other layers": other_layers,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_a_dropped_model_is_freed_at_once(use: Callable[[Model], object]) -> None:
    check_freed(use)


def test_files_do_not_keep_it(tmp_path: Path) -> None:
    def use(model: Model) -> object:
        path = tmp_path / "model"
        fit(
            model,
            callbacks.ModelCheckpoint(tmp_path / "{epoch}"),
            callbacks.CSVLogger(tmp_path / "log.csv"),
        )
        model.save(path)
        model.save_weights(tmp_path / "weights")
        model.load_weights(tmp_path / "weights")
        return convkit.models.load_model(path)

    check_freed(use)


def test_other_libraries_do_not_keep_it(tmp_path: Path) -> None:
    def to_torch(model: Model) -> object:
        return convkit.interop.from_torch(convkit.interop.to_torch(model), (2, 12, 12))

    def to_onnx(model: Model) -> object:
        convkit.onnx.export(model, tmp_path / "model.onnx")
        return convkit.onnx.load(tmp_path / "model.onnx")

    for package, use in (("torch", to_torch), ("onnx", to_onnx)):
        pytest.importorskip(package)
        check_freed(use)
        gc.set_debug(0)
        gc.garbage.clear()


def test_an_estimator_is_freed_at_once() -> None:
    pytest.importorskip("sklearn", minversion="1.6")
    from convkit.sklearn import ConvClassifier

    estimator = ConvClassifier(epochs=1, early_stopping=True, n_iter_no_change=1)
    estimator.fit(np.repeat(X, 2, 0), np.repeat(Y, 2, 0)).predict(X)
    left = weakref.ref(estimator), weakref.ref(estimator.model_)
    again = pickle.loads(pickle.dumps(estimator))
    left += (weakref.ref(again.model_),)
    del estimator, again
    assert [each() for each in left] == [None] * 3


def test_a_history_does_not_keep_its_model() -> None:
    model = made()
    history = fit(model)
    assert model.history is history
    assert history.model is model
    left = weakref.ref(model)
    again = copy.copy(history), pickle.loads(pickle.dumps(history))
    assert [each.history for each in again] == [history.history] * 2
    del model
    assert left() is None
    for each in (history, *again, callbacks.History()):
        with pytest.raises(AttributeError, match="keep a reference to the model itself"):
            _ = each.model
    assert len(history.history["loss"]) == 2


def test_a_callback_of_the_user_keeps_the_model_that_it_was_used_with() -> None:
    model, own = made(), callbacks.Callback()
    fit(model, own)
    left = weakref.ref(model)
    del model
    assert left() is own.model
    del own
    assert left() is None


def test_a_parameter_does_not_keep_its_store() -> None:
    model = made()
    model.train_on_batch(X, Y)
    layer = model.layers[0]
    kernel = layer.weights[0]
    assert kernel.store is model._engine.store
    before = kernel.numpy()
    del model
    assert kernel.store is None
    layer.trainable = False
    np.testing.assert_array_equal(kernel.value, before)
    twin = pickle.loads(pickle.dumps(layer))
    assert twin.weights[0].store is None
    np.testing.assert_array_equal(twin.weights[0].value, before)
