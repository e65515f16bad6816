"""What is given in the wrong place is refused in convkit's words, not in Python's.

Every public function, constructor and method is called once with each of its arguments replaced by
each of some wrong values. Nothing may come of it but a result or an error of convkit's own: one
that a `raise` in convkit has made, or one that the user's own object has raised.
"""

from __future__ import annotations

import functools
import inspect
import linecache
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from calls import valid_calls
from convkit import (
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    regularizers,
    runtime,
    utils,
)
from convkit.optimizers import schedules

pytestmark = pytest.mark.usefixtures("one_thread")

PACKAGE = str(Path(convkit.__file__).parent)


class Something:
    """An object of no use."""

    def __repr__(self) -> str:
        return "<something>"


WRONG: dict[str, Any] = {
    "None": None,
    "a string": "x",
    "an empty string": "",
    "a surrogate": "\udc80",
    "bytes": b"x",
    "a fraction": 1.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "huge": 2**70,
    "negative": -1,
    "zero": 0,
    "True": True,
    "complex": 1j,
    "an empty list": [],
    "a mixed list": [1, "a"],
    "nested lists": [[1], [2, 3]],
    "a tuple": (1,),
    "a tuple of None": (None, None),
    "an empty dictionary": {},
    "a dictionary": {"a": 1},
    "an array": np.array([1.0, 2.0]),
    "an empty array": np.zeros(0),
    "an array of objects": np.array([None, "a"], object),
    "an empty array of objects": np.empty((0, 2), object),
    "an object": Something(),
    "a class": Something,
    "a function": len,
    "a module": types,
}

TENSOR = convkit.Input((4,), name="given")
# What constructors and functions must be given to be called at all.
NEEDED: dict[str, Any] = {
    "activation": "relu", "alpha": 0.5, "axis": -1, "boundaries": [1, 2], "callbacks": [],
    "config": {"module": "convkit.optimizers", "class_name": "OneCycle",
               "config": {"max_learning_rate": 0.1, "total_steps": 3}},
    "cropping": 1, "dataset": np.arange(6.0), "dims": (2, 1, 3), "directory": "no such folder",
    "size": 2, "stddev": 0.5,
    "backup_dir": "backup", "decay_rate": 0.5, "decay_steps": 10, "filename": "log.csv",
    "filepath": "file",
    "factor": 0.5, "height": 4, "height_factor": 0.2, "width": 4, "width_factor": 0.2,
    "filters": 2, "images": np.ones((2, 3, 3, 1)), "img": np.ones((2, 2, 3)),
    "inputs": TENSOR, "outputs": layers.Flatten()(TENSOR), "identifier": None,
    "first_decay_steps": 10, "initial_learning_rate": 0.1, "json_string": "{}", "kernel_size": 3,
    "learning_rate": 0.1, "max_learning_rate": 0.1, "model": None, "monitor": "val_loss",
    "n": 1, "name": "auto", "padding": 1, "params": {},
    "path": "x.png", "pool_size": 2, "rate": 0.5, "rounds": 1,
    "scale": 0.5, "schedule": lambda epoch: 0.1, "seed": 1, "shape": (4, 4, 1),
    "target_shape": (16,), "total_steps": 10, "units": 2, "value": 0.5, "values": [1.0, 2.0, 3.0],
    "weight_decay": 0.1, "x": [0, 1], "y_true": [[0.0, 1.0]], "y_pred": [[0.25, 0.75]], "q": 0.5,
    "fn": max, "num_classes": 2, "precision": 0.5, "recall": 0.5, "sensitivity": 0.5,
    "owner": None, "specificity": 0.5, "target_class_ids": [0, 1],
}  # fmt: skip
# What some must be given instead.
INSTEAD: dict[str, dict[str, Any]] = {
    "array_to_img": {"x": np.ones((2, 2, 3))},
    "get_file": {"origin": "http://127.0.0.1:9/a.txt", "cache_dir": "cache"},
    "save_img": {"x": np.ones((2, 2, 3))},
    "split_dataset": {"left_size": 0.5},
}
SIZES = (6, 6, 2)


def model(compiled: bool = True) -> convkit.Sequential:
    made = convkit.Sequential(
        [convkit.Input(SIZES), layers.Flatten(), layers.Dense(3, activation="softmax")]
    )
    if compiled:
        made.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def graph() -> convkit.Model:
    inputs = [convkit.Input(SIZES, name="one"), convkit.Input(SIZES, name="two")]
    outputs = [layers.Dense(3, activation="softmax")(layers.Flatten()(each)) for each in inputs]
    made = convkit.Model(inputs, outputs)
    made.compile("sgd", "sparse_categorical_crossentropy")
    return made


X, Y = np.ones((4, *SIZES), np.float32), np.arange(4) % 3
DATA: dict[str, Any] = {"x": X, "y": Y, "verbose": 0}

Case = tuple[Callable[[], Any], dict[str, Any]]  # what makes the function, and a valid call


def ops_and_their_calls() -> Iterator[tuple[str, Case]]:
    calls = valid_calls()
    calls["conv2d_output_shape"] = {"x_shape": (1, 4, 4, 2), "w_shape": (3, 3, 2, 1)}
    calls["conv2d_algorithm"] = calls["conv2d_output_shape"]
    calls["pool2d_output_shape"] = {"x_shape": (1, 4, 4, 2), "pool_size": 2}
    calls["max_pool2d_index_dtype"] = {"pool_size": 2}
    for name in ops.__all__:
        parameters = inspect.signature(getattr(ops, name)).parameters.values()
        options = {p.name: p.default for p in parameters if p.default is not p.empty}
        yield f"ops.{name}", (functools.partial(getattr, ops, name), {**options, **calls[name]})


def constructors() -> Iterator[tuple[str, Case]]:
    for module in (callbacks, constraints, initializers, layers, losses, metrics, models,
                   optimizers, regularizers, schedules, utils, runtime):  # fmt: skip
        for name in module.__all__:
            made = getattr(module, name)
            if not callable(made) or name in ("show_config", "Logs", "clear_session"):
                continue
            parameters = inspect.signature(made).parameters.values()
            call = {
                p.name: NEEDED[p.name]
                for p in parameters
                if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
            }
            for option in parameters:
                if option.name not in call and option.kind not in (option.VAR_KEYWORD,):
                    call[option.name] = option.default
            if isinstance(made, type) and issubclass(made, layers.Layer):
                call["name"] = None
                if not issubclass(made, layers.InputLayer):
                    call |= {"input_shape": None, "trainable": True}
            call |= INSTEAD.get(name, {})
            kind = module.__name__.removeprefix("convkit.")
            yield f"{kind}.{name}", (functools.partial(getattr, module, name), call)


def methods() -> Iterator[tuple[str, Case]]:
    def of(make: Callable[[], Any], name: str, /, **call: Any) -> tuple[str, Case]:
        kind = type(make()).__name__
        return f"{kind}.{name}", (lambda: getattr(make(), name), call)

    everything: dict[str, Any] = {
        "batch_size": 2, "callbacks": None, "sample_weight": None,
    }  # fmt: skip
    yield of(
        model, "fit", **DATA, **everything, epochs=1, validation_split=0.0, validation_data=None,
        shuffle=True, class_weight=None, initial_epoch=0, steps_per_epoch=1, validation_steps=1,
        validation_batch_size=2, validation_freq=1,
    )  # fmt: skip
    yield of(model, "evaluate", **DATA, **everything, steps=1, return_dict=False)
    yield of(model, "predict", x=X, verbose=0, batch_size=2, callbacks=None, steps=1)
    for name in ("train_on_batch", "test_on_batch"):
        yield of(model, name, x=X, y=Y, sample_weight=None, return_dict=False)
    yield of(model, "train_on_batch", x=X, y=Y, class_weight=None)
    yield of(model, "predict_on_batch", x=X)
    yield of(model, "compile", optimizer="sgd", loss="mse", metrics=None)
    yield of(model, "add", layer=layers.Dense(2))
    yield of(model, "build", input_shape=None)
    yield of(model, "get_layer", name="dense", index=None)
    yield of(model, "get_layer", name=None, index=0)
    yield of(model, "set_weights", weights=[])
    yield of(model, "plan", batch_size=2, training=True)
    yield of(model, "from_config", config=model().get_config())
    yield of(model, "__call__", inputs=X, training=False)
    yield of(graph, "__call__", inputs=[X, X], training=False)
    yield of(graph, "fit", x=[X, X], y=[Y, Y], verbose=0, sample_weight=None, batch_size=2)
    yield of(graph, "predict", x=[X, X], verbose=0)
    yield of(
        graph, "compile", optimizer="sgd", loss=["mse", None], metrics=None, loss_weights=[1.0, 2.0]
    )
    yield of(graph, "from_config", config=graph().get_config())
    yield of(graph, "compute_output_shape", input_shape=[(None, *SIZES)] * 2)
    yield of(lambda: layers.Dense(2), "__call__", inputs=np.ones((2, 3)), training=False)
    yield of(lambda: layers.Dense(2), "set_weights", weights=[])
    yield of(layers.Normalization, "adapt", data=np.ones((2, 3)))
    yield of(lambda: convkit.Sequential([layers.Flatten()]), "build", input_shape=(None, 3))
    for kind in (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense, layers.Flatten,
                 layers.BatchNormalization, layers.LayerNormalization,
                 layers.GroupNormalization, layers.Conv2DTranspose, layers.SeparableConv2D,
                 layers.Normalization,
                 layers.MaxPooling2D, layers.AveragePooling2D,
                 layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.ZeroPadding2D,
                 layers.UpSampling2D, layers.Cropping2D, layers.Permute, layers.Identity,
                 layers.SpatialDropout2D, layers.GaussianNoise, layers.GaussianDropout,
                 layers.Rescaling, layers.Reshape, layers.Dropout, layers.ReLU, layers.Softmax,
                 layers.Activation):  # fmt: skip
        for name in ("compute_output_shape", "build"):
            yield of(functools.partial(_layer, kind), name, input_shape=(None, *SIZES))
    for kind in (layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum,
                 layers.Minimum, layers.Concatenate):  # fmt: skip
        for name in ("compute_output_shape", "build"):
            shapes = [(None, *SIZES), (None, *SIZES)]
            yield of(functools.partial(_layer, kind), name, input_shapes=shapes)
    for kind in (losses.MeanSquaredError, losses.MeanAbsoluteError, losses.BinaryCrossentropy,
                 losses.CategoricalCrossentropy, losses.SparseCategoricalCrossentropy):  # fmt: skip
        yield of(
            kind, "__call__", y_true=np.ones((2, 1)), y_pred=np.ones((2, 1)), sample_weight=None
        )
    for kind in (metrics.BinaryAccuracy, metrics.CategoricalAccuracy, metrics.MeanSquaredError,
                 metrics.SparseCategoricalAccuracy, metrics.TopKCategoricalAccuracy,
                 metrics.SparseTopKCategoricalAccuracy, metrics.MeanAbsoluteError, metrics.AUC,
                 metrics.Precision, metrics.F1Score, metrics.R2Score, metrics.BinaryIoU,
                 metrics.Hinge):  # fmt: skip
        arrays = {"y_true": np.ones((2, 2)), "y_pred": np.ones((2, 2)), "sample_weight": None}
        yield of(kind, "update_state", **arrays)
    for kind in (metrics.Mean, metrics.Sum):
        yield of(kind, "update_state", values=np.ones(2), sample_weight=None)
    for name in initializers.__all__:
        kind = getattr(initializers, name)
        if isinstance(kind, type) and kind is not initializers.Initializer and name[0].isupper():
            yield of(kind, "__call__", shape=(3, 4))
    for schedule in (schedules.ExponentialDecay(0.1, 2, 0.5), schedules.CosineDecay(0.1, 3),
                     schedules.PiecewiseConstantDecay([1], [0.1, 0.2]),
                     schedules.CosineDecayRestarts(0.1, 3), schedules.PolynomialDecay(0.1, 3),
                     schedules.InverseTimeDecay(0.1, 3, 0.5),
                     schedules.OneCycle(0.1, 3)):  # fmt: skip
        yield of(lambda schedule=schedule: schedule, "__call__", step=1)


def _layer(kind: Any) -> Any:
    needed = {
        p.name: NEEDED[p.name]
        for p in inspect.signature(kind).parameters.values()
        if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
    }
    return kind(**{**needed, **({"target_shape": (72,)} if "target_shape" in needed else {})})


CASES: list[tuple[str, Case]] = [*ops_and_their_calls(), *constructors(), *methods()]


def own_words(error: BaseException) -> str:
    """Why an error is not convkit's own, or ""."""
    if not isinstance(error, TypeError | ValueError | OSError):
        return f"a {type(error).__name__}"
    trace = error.__traceback__
    assert trace is not None
    while trace.tb_next is not None:
        trace = trace.tb_next
    where = trace.tb_frame.f_code.co_filename
    if isinstance(error, OSError):
        return ""
    if not where.startswith(PACKAGE):
        return f"raised in {where}"
    line = linecache.getline(where, trace.tb_lineno).strip()
    if not line.startswith("raise") and "_core." not in line:
        return f"made by Python at {Path(where).name}:{trace.tb_lineno}: {line}"
    if "incompatible function arguments" in str(error):
        return f"made by the bindings at {Path(where).name}:{trace.tb_lineno}"
    return ""


@pytest.mark.parametrize(
    ("make", "call"), [case for _, case in CASES], ids=[name for name, _ in CASES]
)
def test_wrong_arguments(
    make: Callable[[], Any], call: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    restore_threads: None,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    isa, algorithm = runtime.isa(), runtime.get_conv2d_algorithm()
    wrong: list[str] = []
    for argument in call:
        for name, value in WRONG.items():
            if (argument, name) == ("epochs", "huge"):
                continue  # not wrong: it trains for as long as was asked for
            arguments = {
                key: each.copy() if isinstance(each, np.ndarray) else each
                for key, each in call.items()
            }
            arguments[argument] = value
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    make()(**arguments)
                except Exception as error:
                    if reason := own_words(error):
                        wrong.append(f"{argument}={name}: {reason}: {error!r:.150}")
    runtime.set_isa(isa)
    runtime.set_conv2d_algorithm(algorithm)
    assert not wrong, "\n" + "\n".join(wrong)
