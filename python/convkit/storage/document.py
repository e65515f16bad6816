"""From a model to a document with arrays, and back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ..core import random
from ..core.config import serialize
from ..core.parameters import Array, Parameter
from ..core.warn import warn
from ..losses import Loss
from ..metrics import MeanMetricWrapper, Metric
from ..optimizers import Optimizer
from .registry import DESCRIPTION, check_known, revive
from .stored_model import StoredModel

VERSION = 1
_SLOTS = "optimizer"  # the slot `velocity` of `conv2d/kernel` is `optimizer/velocity/conv2d/kernel`
# A hostile file shall not keep the machine busy.
_MOST_METRICS = 1_000
_ENTRIES = ("version", "weights", "model", "compile", "training")
_TRAINING = ("steps", "seed", "iterations", "slots", "undecayed", "held", "multipliers")
_MODELS = (("convkit.models", "Sequential"), ("convkit.models", "Model"))
_LARGEST_STEP = 2**48  # as far as random numbers can count training steps


class Arrays:
    """The arrays of a file, each handed out once its name and shape are what is expected.

    Args:
        shapes: of all arrays, by name; an attribute, too.
        read: reads one of them, float32.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], read: Callable[[str], Array]) -> None:
        self.shapes = dict(shapes)
        self._read = read
        self._left = set(self.shapes)

    def check(self, name: str, shape: tuple[int, ...]) -> None:
        """ValueError unless there is an array of that name and shape."""
        if name not in self.shapes:
            raise ValueError(f"it has no array {name!r}")
        if self.shapes[name] != shape:
            raise ValueError(
                f"the array {name!r} has shape {self.shapes[name]}, the model needs {shape}"
            )

    def take(self, name: str, shape: tuple[int, ...]) -> Array:
        """Read an array; ValueError, before any memory is used, unless it has that shape.

        The second time, too, it is an error: what a file holds once may be needed once.
        """
        self.check(name, shape)
        if name not in self._left:
            raise ValueError(f"the array {name!r} is asked for twice")
        self._left.remove(name)
        return self._read(name)

    def finish(self, ignored: str | None = None) -> None:
        """ValueError if an array was never asked for, unless its name begins with `ignored`."""
        left = sorted(n for n in self._left if ignored is None or not n.startswith(ignored))
        if left:
            raise ValueError(f"it has arrays that the model has no place for: {_listed(left)}")


def describe_weights(model: StoredModel) -> tuple[dict[str, Any], dict[str, Array]]:
    """The document and the arrays of the weights alone."""
    weights = model.named_weights()
    document = {"version": VERSION, "weights": [path for path, _ in weights]}
    return document, {path: parameter.array for path, parameter in weights}


def describe(model: StoredModel) -> tuple[dict[str, Any], dict[str, Array]]:
    """The document and the arrays of everything that training can go on from.

    Raises:
        ValueError: a part of the model is of a class that is not convkit's own.
        TypeError: an argument of a part is something that JSON cannot hold.
    """
    document, arrays = describe_weights(model)
    document["model"] = _describe_model(model)
    document["compile"] = None
    document["training"] = {"steps": model._steps, "seed": model.seed}
    if model._steps and model.seed is None:
        # Resumed in another process, it is to draw the same random numbers.
        document["training"]["seed"] = model._seed_in_use()
    _describe_parameters(model, document["training"])
    optimizer = model.optimizer
    if optimizer is None:
        return document, arrays
    objective = model._engine.objective
    if lost := [loss.name for loss in objective.losses if loss and loss.left_out_of_files]:
        warn(
            f"the losses {', '.join(lost)} are a script's own, which a file cannot hold: the model "
            f"is saved without what compile was given; compile it again after loading"
        )
        return document, arrays
    document["compile"] = {
        "optimizer": check_known(serialize(optimizer), "the optimizer"),
        "loss": _of_outputs(model, [_describe_loss(loss) for loss in objective.losses]),
        "metrics": _of_outputs(model, [_describe_metrics(wanted) for wanted in objective.metrics]),
    }
    if any(weight != 1.0 for weight in objective.loss_weights):
        document["compile"]["loss_weights"] = objective.loss_weights
    _describe_optimizer(model, optimizer, document["training"], arrays)
    return document, arrays


def _of_outputs(model: StoredModel, values: list[Any]) -> Any:
    """The value of the only output, or a list of those of several."""
    return values if len(model._engine.objective.losses) != 1 else values[0]


def _describe_loss(loss: Loss | None) -> dict[str, Any] | None:
    return None if loss is None else check_known(serialize(loss), "the loss")


def _describe_metrics(wanted: Sequence[Metric]) -> list[dict[str, Any]]:
    """All but functions, without which a model trains and predicts alike."""
    if functions := [each.name for each in wanted if isinstance(each, MeanMetricWrapper)]:
        warn(
            f"the metrics {', '.join(functions)} are functions, which a file cannot hold: the "
            f"model is saved without them; give them to compile again after loading"
        )
    return [
        check_known(serialize(metric), f"the metric {metric.name}")
        for metric in wanted
        if not isinstance(metric, MeanMetricWrapper)
    ]


def _describe_parameters(model: StoredModel, training: dict[str, Any]) -> None:
    """Which single parameters are not trained, and which at a rate of their own."""
    weights = model.named_weights() if model.built else []
    held = [path for path, weight in weights if weight.held]
    multipliers = {path: weight.learning_rate_multiplier for path, weight in weights}
    changed = {path: number for path, number in multipliers.items() if number != 1.0}
    training.update({"held": held} if held else {}, **({"multipliers": changed} if changed else {}))


def _restore_parameters(training: Mapping[str, Any], weights: Mapping[str, Parameter]) -> None:
    held = _entry(training, "held", list) if "held" in training else []
    multipliers = _entry(training, "multipliers", dict) if "multipliers" in training else {}
    if not all(isinstance(path, str) and path in weights for path in (*held, *multipliers)):
        raise ValueError("it says how to train weights that the model does not have")
    for path, weight in weights.items():
        if weight.held != (path in held):
            weight.trainable = path not in held
        if (number := multipliers.get(path, 1.0)) != weight.learning_rate_multiplier:
            weight.learning_rate_multiplier = number


def _describe_optimizer(
    model: StoredModel, optimizer: Optimizer, training: dict[str, Any], arrays: dict[str, Array]
) -> None:
    training["iterations"] = int(optimizer.steps_made[0])
    training["slots"] = []
    weights = model.named_weights() if model.built else []
    undecayed = [path for path, weight in weights if not optimizer.decays(weight)]
    if undecayed:
        training["undecayed"] = undecayed
    store = model._engine.store
    if store is not None and optimizer.is_bound_to(store):
        training["slots"] = list(optimizer.slots)
        paths = {parameter: path for path, parameter in weights}
        for name, parameter, view in optimizer.memory():
            arrays[f"{_SLOTS}/{name}/{paths[parameter]}"] = view


def describe_training(model: StoredModel) -> tuple[dict[str, Any], dict[str, Array]]:
    """The document and the arrays of what training changes in a compiled model.

    It is for a script that makes the same model once more: the architecture is not in it, so a
    model with layers of the user's own can be described.
    """
    optimizer = model.optimizer
    assert optimizer is not None
    document, arrays = describe_weights(model)
    document["input_sizes"] = [list(tensor.sizes) for tensor in model.graph.inputs]
    document["optimizer"] = {
        "class_name": type(optimizer).__name__,
        "learning_rate": float(optimizer.learning_rate),
    }
    document["training"] = {"steps": model._steps}
    _describe_parameters(model, document["training"])
    _describe_optimizer(model, optimizer, document["training"], arrays)
    return document, arrays


def _describe_model(model: StoredModel) -> dict[str, Any]:
    described = serialize(model)
    _check_model(described, f"a {type(model).__name__}")
    return described


def _check_model(described: dict[str, Any], what: str) -> None:
    if (described["module"], described["class_name"]) not in _MODELS:
        raise ValueError(
            f"{what} cannot be saved, because its code would not be in the file, only a Sequential "
            f"or Model itself; use save_weights and load_weights"
        )
    for layer in described["config"]["layers"]:
        what = f'layer "{layer["config"].get("name")}"'
        if layer["module"] == "convkit.models":
            _check_model(layer, what)
        else:
            check_known(layer, what)


def restore(
    model: StoredModel, document: Mapping[str, Any], arrays: Arrays, compile: bool = True
) -> None:
    """Make an empty model what `describe` was given.

    Args:
        model: new and without layers.
        document, arrays: what `describe` returned.
        compile: whether the model gets its optimizer, loss and metrics.

    Raises:
        ValueError, TypeError: the document is not what `describe` writes, or the arrays do not
            belong to it. No array is made that is not in the file.
    """
    _check_version(document)
    if "model" not in document:
        raise ValueError(
            "it holds weights alone: build the model in Python and call model.load_weights(path)"
        )
    refuse_unknown(document, _ENTRIES, "document")
    _restore_layers(model, _entry(document, "model", dict), arrays)
    training = _entry(document, "training", dict)
    refuse_unknown(training, _TRAINING, "training state")
    model._steps = _count(training, "steps")
    seed = training.get("seed")
    model.seed = None if seed is None else random.check_seed(_entry(training, "seed", int))
    _restore_parameters(training, dict(model.named_weights()) if model.built else {})
    if compile and document.get("compile") is not None:
        _restore_compiled(model, _entry(document, "compile", dict), training, arrays)
        arrays.finish()
    else:
        arrays.finish(ignored=f"{_SLOTS}/")


def _restore_layers(model: StoredModel, described: Mapping[str, Any], arrays: Arrays) -> None:
    if (described.get("module"), described.get("class_name")) not in _MODELS:
        raise ValueError("its model is no Sequential and no Model of convkit")
    refuse_unknown(described, DESCRIPTION, "model")
    config = _entry(described, "config", dict)
    model.name = _entry(config, "name", str)
    model._restore(config, arrays.take)


def _restore_compiled(
    model: StoredModel, compiled: Mapping[str, Any], training: Mapping[str, Any], arrays: Arrays
) -> None:
    refuse_unknown(compiled, ("optimizer", "loss", "loss_weights", "metrics"), "compile")
    optimizer: Optimizer = revive(compiled.get("optimizer"), Optimizer)
    loss = compiled.get("loss")
    metrics = _entry(compiled, "metrics", list)
    weights = compiled.get("loss_weights")
    several = len(model._target_names()) != 1
    if several and not (isinstance(loss, list) and all(isinstance(m, list) for m in metrics)):
        raise ValueError("its losses and metrics must be lists, one entry for each output")
    if (count := sum(map(len, metrics)) if several else len(metrics)) > _MOST_METRICS:
        raise ValueError(f"it has {count} metrics, more than the {_MOST_METRICS} it may have")
    model.compile(
        optimizer,
        [_revive_loss(each) for each in loss or ()] if several else _revive_loss(loss),
        loss_weights=weights if several or weights is None else weights[0],
        metrics=[[revive(each, Metric) for each in wanted] for wanted in metrics]
        if several
        else [revive(each, Metric) for each in metrics],
    )
    _restore_optimizer(model, optimizer, training, arrays, dict(model.named_weights()))


def _revive_loss(loss: Any) -> Loss | None:
    if loss is None:
        return None
    revived: Loss = revive(loss, Loss)
    return revived


def _restore_optimizer(
    model: StoredModel,
    optimizer: Optimizer,
    training: Mapping[str, Any],
    arrays: Arrays,
    weights: Mapping[str, Parameter],
) -> None:
    """What the optimizer remembers of the model's weights, which are given by the file's names."""
    slots = _entry(training, "slots", list)
    if slots:
        if slots != list(optimizer.memory_names):
            raise ValueError(f"its slots {slots} are not those of {type(optimizer).__name__}")
        store = model._engine.parameters()
        optimizer.bind(store)
        paths = {parameter: path for path, parameter in weights.items()}
        for name, parameter, view in optimizer.memory():
            path = f"{_SLOTS}/{name}/{paths[parameter]}"
            np.copyto(view, arrays.take(path, view.shape))
    optimizer.count_from(_count(training, "iterations"))
    if "undecayed" in training:
        undecayed = _entry(training, "undecayed", list)
        if not all(isinstance(path, str) and path in weights for path in undecayed):
            raise ValueError("it keeps weights from the weight decay that the model does not have")
        optimizer.exclude_from_weight_decay([weights[path] for path in undecayed])


def restore_training(model: StoredModel, document: Mapping[str, Any], arrays: Arrays) -> None:
    """Give a model, made and compiled as the described one was, what training had changed.

    Raises:
        ValueError: the model has other weights, or another optimizer.
    """
    optimizer = model.optimizer
    assert optimizer is not None
    described = _entry(document, "optimizer", dict)
    kind = _entry(described, "class_name", str)
    if kind != type(optimizer).__name__:
        raise ValueError(f"its optimizer is {kind}, the model has {type(optimizer).__name__}")
    sizes = _entry(document, "input_sizes", list)
    if not model.built:
        model.build((None, *sizes[0]))
    if sizes != [list(tensor.sizes) for tensor in model.graph.inputs]:
        raise ValueError(f"its inputs have the sizes {sizes}, the model has {model.input_shape}")
    assign_weights(model.weights, document, arrays)
    training = _entry(document, "training", dict)
    model._steps = _count(training, "steps")
    if optimizer.schedule is None:
        optimizer.learning_rate = _entry(described, "learning_rate", float)
    # A script that is run again in the same process, as in a notebook, names its layers anew.
    weights = dict(zip(_entry(document, "weights", list), model.weights, strict=True))
    _restore_parameters(training, weights)
    _restore_optimizer(model, optimizer, training, arrays, weights)


def assign_weights(
    parameters: Sequence[Parameter], document: Mapping[str, Any], arrays: Arrays
) -> None:
    """Give a model's parameters the values of a file, all or none.

    The n-th weight of the file goes to the n-th of the model, whatever their layers are called, if
    both have the same role (such as "kernel") and shape.

    Raises:
        ValueError: another number of weights, or one of another role or shape.
    """
    _check_version(document)
    names = _entry(document, "weights", list)
    if len(names) != len(parameters):
        raise ValueError(
            f"it has {len(names)} weights and the model has {len(parameters)}; both must have the "
            f"same layers"
        )
    for name, parameter in zip(names, parameters, strict=True):
        if not isinstance(name, str) or name.rpartition("/")[2] != parameter.name:
            raise ValueError(
                f"it has the weight {name!r} where the model has {parameter.path!r}; both must "
                f"have the same layers"
            )
        arrays.check(name, parameter.shape)
    values = [arrays.take(n, p.shape) for n, p in zip(names, parameters, strict=True)]
    for parameter, value in zip(parameters, values, strict=True):
        parameter.write(value)


def _check_version(document: Mapping[str, Any]) -> None:
    version = _entry(document, "version", int)
    if version != VERSION:
        raise ValueError(
            f"it has version {version} of the format, this convkit reads version {VERSION}; "
            f"install the newest convkit"
        )


def _entry(document: Mapping[str, Any], key: str, kind: type) -> Any:
    value = document.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"its entry {key!r} is missing or of the wrong type")
    return value


def refuse_unknown(document: Mapping[str, Any], known: Collection[str], what: str) -> None:
    """ValueError if a part of the document has keys that no version of convkit has written."""
    if unknown := sorted(document.keys() - set(known)):
        raise ValueError(f"its {what} has entries that convkit does not know: {_listed(unknown)}")


def _count(document: Mapping[str, Any], key: str) -> int:
    count: int = _entry(document, key, int)
    if not 0 <= count < _LARGEST_STEP:
        raise ValueError(f"its entry {key!r} must lie in 0 .. {_LARGEST_STEP - 1}, found {count}")
    return count


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:5])
    return f"{shown}, ..." if len(names) > 5 else shown
