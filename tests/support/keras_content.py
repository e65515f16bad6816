"""Files as Keras writes them, of models of convkit, written without Keras.

A `.keras` file of Keras 3 is a zip archive of a configuration and an HDF5 file whose groups are
named by the classes of layers; an `.h5` file, as of Keras 2, holds the configuration as an
attribute, and groups named by the layers.
"""

from __future__ import annotations

import io
import json
import os
import signal
import zipfile
from collections.abc import Callable, Mapping
from typing import IO, Any

import numpy as np

import convkit
from convkit.core.config import serialize
from convkit.interop.keras_described import snake_case

Described = dict[str, Any]
CONFIG, WEIGHTS = "config.json", "model.weights.h5"


def described(model: Any) -> Described:
    """The configuration of a model, in the words of Keras 3."""
    layers = [_layer(layer) for layer in model.layers]
    if isinstance(model, convkit.Sequential):
        inputs = [_input(f"{model.name}_input", model.input_shape)]
        return _object("Sequential", {"name": model.name, "layers": [*inputs, *layers]})
    names = {id(tensor): tensor.node.layer.name for tensor in model.graph.inputs}
    own = [
        {**_input(names[id(tensor)], tensor.shape), "name": names[id(tensor)], "inbound_nodes": []}
        for tensor in model.graph.inputs
    ]
    for layer, each in zip(model.layers, layers, strict=True):
        each |= {"name": layer.name, "inbound_nodes": []}
    of_name = {layer["name"]: layer for layer in layers}
    histories = {id(tensor): [names[id(tensor)], 0, 0] for tensor in model.graph.inputs}
    for node in model.graph.nodes:
        if not node.inputs:
            continue
        nodes = of_name[node.layer.name]["inbound_nodes"]
        given = [_tensor(histories[id(tensor)], tensor.shape) for tensor in node.inputs]
        for place, tensor in enumerate(node.outputs):
            histories[id(tensor)] = [node.layer.name, len(nodes), place]
        nodes.append({"args": [given if len(given) > 1 else given[0]], "kwargs": {}})
    return _object(
        "Functional",
        {
            "name": model.name,
            "trainable": True,
            "layers": [*own, *(each for each in layers if each["class_name"] != "InputLayer")],
            "input_layers": [histories[id(tensor)] for tensor in model.graph.inputs],
            "output_layers": [histories[id(tensor)] for tensor in model.graph.outputs],
        },
    )


def _object(kind: str, config: Mapping[str, Any]) -> Described:
    return {"module": "keras", "class_name": kind, "config": config, "registered_name": None}


def _input(name: str, shape: Any) -> Described:
    config = {"name": name, "batch_shape": [None, *shape[1:]], "dtype": "float32"}
    return {**_object("InputLayer", config), "module": "keras.layers"}


def _tensor(history: list[Any], shape: Any) -> Described:
    config = {"shape": list(shape), "dtype": "float32", "keras_history": history}
    return {"class_name": "__keras_tensor__", "config": config}


def _layer(layer: Any) -> Described:
    if hasattr(layer, "layers"):
        return described(layer)
    found: Described = json.loads(json.dumps(serialize(layer)).replace("convkit.", "keras."))
    found["config"]["dtype"] = "float32"
    found["config"].pop("algorithm", None)  # convkit's own
    return {**found, "registered_name": None}


def compiled(model: Any) -> Described | None:
    """How a model was compiled."""
    if model.optimizer is None:
        return None
    config = {
        "optimizer": json.loads(json.dumps(serialize(model.optimizer)).replace("convkit", "keras")),
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
        "loss_weights": None,
    }
    return config


def weights_by_place(model: Any) -> bytes:
    """The HDF5 file of Keras 3."""

    def write(file: Any) -> None:
        file.create_group("layers")

        def of(layers: Any, place: str) -> None:
            counts: dict[str, int] = {}
            for layer in layers:
                kind = "Functional" if type(layer) is convkit.Model else type(layer).__name__
                name = snake_case(kind)
                number = counts[name] = counts.get(name, -1) + 1
                own = f"{place}layers/{name}" + (f"_{number}" if number else "")
                if hasattr(layer, "layers"):
                    of(layer.layers, f"{own}/")
                    continue
                for i, value in enumerate(layer.get_weights()):
                    file[f"{own}/vars/{i}"] = value

        of(model.layers, "")

    return hdf5(write)


def archive(model: Any) -> bytes:
    """A `.keras` file."""
    config = {**described(model), "compile_config": compiled(model)}
    return zipped({CONFIG: json.dumps(config).encode(), WEIGHTS: weights_by_place(model)})


def whole_file(model: Any) -> bytes:
    """An `.h5` file."""

    def write(file: Any) -> None:
        file.attrs["model_config"] = json.dumps(described(model))
        file.attrs["training_config"] = json.dumps(compiled(model) or {})
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [layer.name.encode() for layer in model.layers]
        for layer in model.layers:
            inner = group.create_group(layer.name)
            names = [weight.path for weight in layer.weights]
            inner.attrs["weight_names"] = [name.encode() for name in names] or np.array([])
            for name, weight in zip(names, layer.weights, strict=True):
                inner[name] = weight.value

    return hdf5(write)


def apart(run: Callable[[IO[bytes]], None], output: IO[bytes]) -> bool:
    """Let a fork of this process write into a file; whether it lived to the end of that.

    The HDF5 library may die of a damaged file. No handler of this process sees it.
    """
    child = os.fork()
    if not child:
        try:
            for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGXCPU):
                signal.signal(number, signal.SIG_DFL)
            run(output)
            output.flush()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    output.seek(0)  # which the two share
    return status == 0


def hdf5(write: Callable[[Any], None], content: bytes = b"") -> bytes:
    """An HDF5 file that a function writes, or changes."""
    import h5py

    kept = io.BytesIO(content)
    with h5py.File(kept, "r+" if content else "w") as file:
        write(file)
    return kept.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    """A zip archive, the same whenever it is made."""
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w") as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return kept.getvalue()
