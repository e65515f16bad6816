"""Calls with hostile arguments: of native functions, of ops, of classes, of a model's methods.

A call is made from a few random bytes: a valid one, in which some arguments are replaced. Whatever
comes of it must be a result or an error of the allowed kinds, nothing may be written beside the
arrays that were given, and a model must be of use afterwards.
"""

from __future__ import annotations

import datetime
import inspect
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

import convkit
import hostile_windows
from calls import valid_arguments, valid_calls
from compare import Guarded
from convkit import (
    _core,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    ops,
    optimizers,
)
from convkit.storage.registry import known_classes
from mutations import VALUES
from native_calls import RECORDED

ALLOWED: tuple[type[Exception], ...] = (ValueError, TypeError, MemoryError)
_DTYPES = (
    *("f4", "f8", "f2", "i1", "u1", "i4", "i8", "u8", "?", "c8", "O", "U3"),
    *("M8[s]", ">f4", "V8"),
)
_EXTREMES = (0, 1, -1, 127, 255, 2**31 - 1, -(2**31), 2**63 - 1, np.nan, np.inf, -np.inf, 1e38)
_SMALL = (0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17)


class Awkward:
    """Answers whatever it is asked with an error."""

    def _refuse(self, *_: Any) -> Any:
        raise ValueError("an object that refuses")

    __len__ = __iter__ = __array__ = __index__ = __float__ = __getitem__ = __bool__ = _refuse
    __hash__ = object.__hash__


def _objects() -> Iterator[Any]:
    endless: list[Any] = []
    endless.append(endless)
    yield from VALUES
    yield from (endless, Awkward(), Awkward, object(), len, b"bytes", bytearray(3), {1, 2}, 1j)
    yield from (range(3), (), (1, 2, 3), ((1, 2), (3, 4)), slice(1), iter([1]), memoryview(b"ab"))
    yield from (np.float32(0.5), np.int64(3), np.float64("nan"), np.array(3), np.array([]))
    yield from (datetime.date(2020, 1, 1), np.datetime64("2020"), np.ma.masked_array([1.0], [True]))
    yield from (np.array([None]), np.array(["a"]), np.zeros(2, [("a", "f4")]), np.zeros((0, 3)))


def _anything(rng: random.Random) -> Any:
    return rng.choice(list(_objects()))


def spoilt_array(rng: random.Random, array: np.ndarray) -> Any:
    """An array that differs in shape, type, order, content or place; or something else."""
    # Labels and indices say where is read and written: what they hold matters most.
    kind = 3 if array.dtype.kind in "iu" and rng.random() < 0.5 else rng.randrange(11)
    shape = list(array.shape)
    axis = rng.randrange(len(shape)) if shape else 0
    if kind == 0 and shape:
        shape[axis] = rng.choice([*_SMALL, shape[axis] + 1, 64, 1000])
        return np.ones(shape, array.dtype) if np.prod(shape) < 1e5 else array
    if kind == 1:
        return np.ones([rng.choice(_SMALL) for _ in range(rng.randrange(6))], array.dtype)
    if kind == 2:
        dtype = rng.choice(_DTYPES)
        try:
            return array.astype(dtype)
        except (RuntimeError, TypeError, ValueError):  # NumPy's own, of dates in short texts
            return np.zeros(array.shape, dtype)
    if kind == 3 and array.size:
        changed = array.copy()
        with np.errstate(all="ignore"):
            for _ in range(rng.choice((1, 3))):
                value = np.asarray(rng.choice(_EXTREMES)).astype(array.dtype)
                changed.reshape(-1)[rng.randrange(array.size)] = value
        return changed
    if kind == 4:
        return np.repeat(array, 2, -1)[..., ::2] if shape else array
    if kind == 5:
        return np.asfortranarray(array)
    if kind == 6:
        changed = array.copy()
        changed.flags.writeable = False
        return changed
    if kind == 7 and shape:
        shape[axis] = rng.choice((2**20, 2**31, 2**40))
        return np.broadcast_to(array.reshape(-1)[:1].reshape([1] * len(shape)) if array.size
                               else array, shape if array.size else array.shape)  # fmt: skip
    if kind == 8:
        raw = np.zeros(array.nbytes + 1, np.uint8)
        return raw[1:].view(array.dtype).reshape(array.shape)
    if kind == 9 and array.size <= 1e5:
        return array.tolist()
    return _anything(rng)


def spoilt(rng: random.Random, value: Any) -> Any:
    """Another value in the place of an argument, of its kind in most cases."""
    if isinstance(value, np.ndarray):
        return spoilt_array(rng, value)
    if isinstance(value, tuple) and value and rng.random() < 0.8:
        place = rng.randrange(len(value))
        one = spoilt(rng, value[place])
        return rng.choice(
            ((*value[:place], one, *value[place + 1 :]), value[:-1], (*value, one), list(value))
        )
    if isinstance(value, int) and rng.random() < 0.7:
        return rng.choice([*_SMALL, *(v for v in VALUES if isinstance(v, (int, float)))])
    return _anything(rng)


def _guarded(value: Any, guards: list[Guarded]) -> Any:
    """The same array inside a buffer that tells whether anything beside it was written."""
    plain = isinstance(value, np.ndarray) and value.flags.c_contiguous and value.flags.writeable
    if not plain or value.dtype.kind not in "fiu" or not value.dtype.isnative:
        return value
    guard = Guarded(value.shape, value.dtype)
    guard.array[...] = value
    guards.append(guard)
    return guard.array


def _call(function: Callable[..., Any], positional: list[Any], named: dict[str, Any]) -> None:
    guards: list[Guarded] = []
    positional = [_guarded(value, guards) for value in positional]
    named = {key: _guarded(value, guards) for key, value in named.items()}
    try:
        with np.errstate(all="ignore"):
            function(*positional, **named)
    finally:
        for guard in guards:
            guard.check()


def native(data: bytes) -> None:
    """A function of `_core`, called directly."""
    rng = random.Random(data)
    name = rng.choice(list(RECORDED))
    arguments = [a.copy() if isinstance(a, np.ndarray) else a for a in RECORDED[name]]
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = rng.randrange(len(arguments))
        other = rng.choice(arguments)
        arguments[place] = other if rng.random() < 0.1 else spoilt(rng, arguments[place])
    _call(getattr(_core, name), arguments, {})


def public_ops(data: bytes) -> None:
    """An op: what it does not refuse, it must be able to compute."""
    rng = random.Random(data)
    name = rng.choice(list(valid_calls()))
    arguments = valid_arguments(name)
    if "strides" in arguments and rng.random() < 0.7:
        return _call(getattr(ops, name), [], hostile_windows.extreme(rng, name, arguments))
    for _ in range(rng.choice((1, 1, 2, 3))):
        key = rng.choice(list(arguments))
        arguments[key] = spoilt(rng, arguments[key])
    _call(getattr(ops, name), [], arguments)


# Arguments with which the constructors of most classes are content.
_USUAL: dict[str, tuple[Any, ...]] = {
    "units": (3, 1),
    "filters": (2, 4),
    "kernel_size": (3, (1, 2)),
    "pool_size": (2, (1, 2)),
    "strides": (1, 2),
    "padding": ("same", "valid"),
    "rate": (0.5, 0.0),
    "activation": ("relu", "tanh", "softmax"),
    "target_shape": ((-1,), (2, -1)),
    "shape": ((6, 5, 2), (4,)),
    "scale": (0.5,),
    "groups": (1, 2),
    "dilation_rate": (1, 2),
    "kernel_initializer": ("he_normal", "zeros"),
    "kernel_regularizer": ("l2", None),
    "learning_rate": (0.1,),
    "momentum": (0.9,),
    "epsilon": (1e-3,),
    "factor": (0.25, (0.1, 0.5)),
    "height": (3,),
    "width": (4,),
    "height_factor": (0.25, (-0.25, 0.5)),
    "value_range": ((0.0, 1.0),),
    "num_classes": (3,),
    "target_class_ids": ((0, 2),),
    "class_id": (None, 1),
    "thresholds": (None, 0.5, (0.25, 0.5)),
    "reduction": ("sum", "none", "sum_over_batch_size"),
    "optimizer": ("adam",),
    "loss": ("mse", "sparse_categorical_crossentropy"),
    "name": ("a", None),
}


def _constructors() -> dict[str, Any]:
    found = {f"{module}.{name}": kind for (module, name), kind in known_classes().items()}
    found.update({f"callbacks.{name}": getattr(callbacks, name) for name in callbacks.__all__})
    return {name: kind for name, kind in found.items() if inspect.isclass(kind)}


_CONSTRUCTORS = _constructors()


def _arguments(rng: random.Random, function: Any, hostile: float) -> dict[str, Any]:
    """Named arguments: usual ones where they are needed, hostile ones here and there."""
    chosen: dict[str, Any] = {}
    for key, parameter in inspect.signature(function).parameters.items():
        if key == "self" or parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        needed = parameter.default is parameter.empty
        usual = rng.choice(_USUAL.get(key, (1, 0.5)))
        if rng.random() < hostile:
            chosen[key] = spoilt(rng, usual)
        elif needed or (key in _USUAL and rng.random() < 0.3):
            chosen[key] = usual
    return chosen


def classes(data: bytes) -> None:
    """Whatever has a constructor; what was made has to do what it is for, and to be described."""
    rng = random.Random(data)
    kind = _CONSTRUCTORS[rng.choice(list(_CONSTRUCTORS))]
    made = kind(**_arguments(rng, kind.__init__, 0.25))
    with np.errstate(all="ignore"):
        if isinstance(made, layers.Layer):
            _use_layer(rng, made)
        elif isinstance(made, losses.Loss):
            made(*_targets(rng))
        elif isinstance(made, metrics.Metric):
            for _ in range(2):
                made.update_state(*_targets(rng))
            made.result()
            made.reset_state()
        elif isinstance(made, optimizers.Optimizer):
            model, (x, y) = _model(), _batch()
            model.compile(made, "sparse_categorical_crossentropy")
            for _ in range(2):
                model.train_on_batch(x, y)
        elif isinstance(made, optimizers.schedules.LearningRateSchedule):
            made(rng.choice((0, 1, 7, 2**31)))
        elif isinstance(made, (initializers.Initializer, constraints.Constraint)):
            shape = rng.choice(((3, 2), (3, 3, 2, 4), (5,)))
            is_initializer = isinstance(made, initializers.Initializer)
            made(shape if is_initializer else np.ones(shape, np.float32))


def _targets(rng: random.Random) -> tuple[Any, Any]:
    """Targets and predictions that suit a loss or a metric, of which one may be spoilt."""
    shape = rng.choice(((4, 3), (2, 3, 3), (4, 1)))
    labels = np.arange(int(np.prod(shape[:-1]))).reshape(shape[:-1]) % shape[-1]
    one_hot = np.eye(shape[-1], dtype=np.float32)[labels]
    given = [rng.choice((labels, one_hot)), np.full(shape, 1 / shape[-1], np.float32)]
    if rng.random() < 0.5:
        place = rng.randrange(2)
        given[place] = spoilt(rng, given[place])
    return given[0], given[1]


def _use_layer(rng: random.Random, made: layers.Layer) -> None:
    """A layer builds, computes, is trained and described; what mixes labels is called on both."""
    if isinstance(made, (layers.MixUp, layers.CutMix)):
        batch = {"images": np.ones((2, 5, 4, 3), np.float32), "labels": np.eye(2, dtype=np.float32)}
        if rng.random() < 0.5:
            key = rng.choice(("images", "labels"))
            batch[key] = spoilt(rng, batch[key])
        made(batch)
        return
    shape = rng.choice(((6, 5, 2), (5, 5, 4), (8,), (1, 1, 1), (3, 4)))
    model = convkit.Sequential([convkit.Input(shape), made])
    if np.prod([size or 1 for size in model.output_shape], dtype=float) > 1e6:
        return
    if sum(weight.value.size for weight in model.weights) > 1e6:
        return
    model.predict(np.ones((2, *shape), np.float32), verbose=0)
    model.compile("sgd", "mse")
    y = np.zeros((2, *(size or 1 for size in model.output_shape[1:])), np.float32)
    model.train_on_batch(np.ones((2, *shape), np.float32), y)
    convkit.Sequential.from_config(model.get_config())


def _model() -> convkit.Sequential:
    model = convkit.Sequential(
        [
            convkit.Input((4, 4, 1)),
            layers.Conv2D(2, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def _batch() -> tuple[np.ndarray, np.ndarray]:
    return np.ones((4, 4, 4, 1), np.float32), np.array([0, 1, 2, 0])


_METHODS: dict[str, dict[str, Any]] = {
    "fit": {
        "batch_size": 2,
        "verbose": 0,
        "callbacks": [],
        "validation_split": 0.5,
        "validation_data": None,
        "shuffle": True,
        "class_weight": {0: 1.0, 1: 2.0, 2: 1.0},
        "sample_weight": None,
        "initial_epoch": 0,
        "steps_per_epoch": None,
        "validation_steps": None,
        "validation_batch_size": 2,
        "validation_freq": 1,
    },
    "evaluate": {"batch_size": 2, "verbose": 0, "sample_weight": None, "steps": None},
    "predict": {"batch_size": 2, "verbose": 0, "steps": None},
    "train_on_batch": {"sample_weight": None, "class_weight": None},
    "test_on_batch": {"sample_weight": None},
    "predict_on_batch": {},
    "compile": {"optimizer": "adam", "loss": "mse", "metrics": ["accuracy"]},
    "set_weights": {},
    "get_layer": {"name": None, "index": 0},
    "add": {},
    "build": {"input_shape": (4, 4, 1)},
}


def _locked(model: convkit.Sequential, x: np.ndarray) -> bool:
    """Whether another thread has to wait for the model, though nobody works with it."""

    def predict() -> None:
        with suppress(ValueError):  # it may have lost its layers' sizes
            model.predict_on_batch(x)

    thread = threading.Thread(target=predict, daemon=True)
    thread.start()
    thread.join(10)
    return thread.is_alive()


def models(data: bytes) -> None:
    """A method of a model; the model works as before, or says why not."""
    rng = random.Random(data)
    model, name = _model(), rng.choice(list(_METHODS))
    named = dict(_METHODS[name])
    x, y = _batch()
    if name in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        named.update(x=x, y=y)
    elif name.startswith("predict"):
        named["x"] = x
    elif name == "set_weights":
        named["weights"] = model.get_weights()
    elif name == "add":
        named["layer"] = layers.Dense(2)
    for _ in range(rng.choice((1, 1, 2, 3))):
        key = rng.choice(list(named))
        named[key] = spoilt(rng, named[key])
        if "steps" in key or key == "initial_epoch":  # an endless training is what was asked for
            named[key] = rng.choice((0, 1, -1, 2, "a", 0.5, None, True))
    try:
        with np.errstate(all="ignore"):
            getattr(model, name)(**named)
    finally:
        assert not _locked(model, x), "the model stays locked"
        if model.optimizer is not None and name != "compile":
            assert model._engine.steps == model.optimizer.iterations, "steps and iterations differ"
        if name not in ("add", "build"):
            model.predict_on_batch(x)


RUNS: dict[str, Callable[[bytes], None]] = {
    "core": native,
    "ops": public_ops,
    "classes": classes,
    "models": models,
}
