"""A picture of a model: its layers as boxes, and what they hand on as arrows."""

from __future__ import annotations

import os
import sys
from html import escape
from typing import Any

from .core.config import as_number, flag
from .models import Model

_INK, _PAPER, _FONT = "#262626", "#E8F1F8", "Helvetica"
_DIRECTIONS = ("TB", "LR", "BT", "RL")


def model_to_dot(
    model: Model,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """The model as a graph of pydot, which Graphviz can draw.

    Args:
        model: built.
        show_shapes: whether a box has the shapes of the layer's inputs and outputs.
        show_dtype: whether a box has the type of the outputs' numbers.
        show_layer_names: whether a box has the layer's name besides its class.
        rankdir: where the arrows lead: "TB" from top to bottom, "BT", "LR" or "RL".
        expand_nested: whether a model that is a layer is drawn with its own layers.
        dpi: dots per inch of a bitmap.
        subgraph: whether to return a `pydot.Cluster`, a part of another picture.
        show_layer_activations: whether a box has the layer's activation.
        show_trainable: whether a box says if training changes the layer.
        splines: the form of the arrows, as Graphviz takes it: "ortho", "curved", "line", ...

    Returns:
        A `pydot.Dot`. Its method `to_string()` gives the text, in Graphviz's language DOT.

    Raises:
        ImportError: pydot is not installed.
        TypeError: that is no model.
        ValueError: the model is not built, rankdir is unknown, or dpi out of range.
    """
    if not isinstance(model, Model):
        raise TypeError(f"model_to_dot takes a model, received {model!r}")
    if not isinstance(rankdir, str) or rankdir not in _DIRECTIONS:
        raise ValueError(f"rankdir must be one of {', '.join(_DIRECTIONS)}, received {rankdir!r}")
    dots = as_number(dpi)
    if dots is None or not 1 <= dots <= 10_000:
        raise ValueError(f"dpi must be a number in 1 .. 10000, received {dpi!r}")
    if not isinstance(splines, str):
        raise TypeError(f"splines must be a string such as 'ortho', received {splines!r}")
    drawing = _Drawing(
        shapes=flag(show_shapes, "show_shapes", "model_to_dot"),
        dtype=flag(show_dtype, "show_dtype", "model_to_dot"),
        names=flag(show_layer_names, "show_layer_names", "model_to_dot"),
        activations=flag(show_layer_activations, "show_layer_activations", "model_to_dot"),
        trainable=flag(show_trainable, "show_trainable", "model_to_dot"),
        expand=flag(expand_nested, "expand_nested", "model_to_dot"),
    )
    pydot = drawing.pydot
    if subgraph:
        whole = pydot.Cluster("model", label=_quoted(model.name), fontname=_FONT)
    else:
        whole = pydot.Dot(graph_type="digraph", rankdir=rankdir, dpi=dots, splines=splines)
    whole.set_node_defaults(shape="plain", fontname=_FONT, fontcolor=_INK)
    whole.set_edge_defaults(color=_INK, arrowsize=0.7)
    drawing.draw(model, whole)
    return whole


def plot_model(
    model: Model,
    to_file: str | os.PathLike[str] = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """Draw a model into a file: its layers as boxes, and what they hand on as arrows.

    Needs pydot, `pip install "convkit[diagrams]"`, and Graphviz's program `dot`, which comes with
    the operating system's packages (`apt-get install graphviz`, `brew install graphviz`).

    Args:
        model: built.
        to_file: whose ending says the format: png, svg, pdf, jpg and what else `dot` writes.
        show_shapes, show_dtype, show_layer_names: as `model_to_dot` takes them.
        rankdir, expand_nested, dpi, splines: likewise.
        show_layer_activations, show_trainable: likewise.

    Returns:
        In a notebook the picture; None elsewhere.

    Raises:
        ImportError: pydot or `dot` is not installed.
        ValueError: the model is not built, rankdir is unknown, or `dot` cannot write such a file.
        OSError: the file cannot be written.

    Example:
        >>> convkit.utils.plot_model(model, "model.png", show_shapes=True)
    """
    import shutil  # here, for these take long to import
    import subprocess
    from pathlib import Path

    if not isinstance(to_file, str | os.PathLike):
        raise TypeError(f"to_file must be the path of a file, received {to_file!r}")
    path = Path(to_file)
    whole = model_to_dot(
        model,
        show_shapes=show_shapes,
        show_dtype=show_dtype,
        show_layer_names=show_layer_names,
        rankdir=rankdir,
        expand_nested=expand_nested,
        dpi=dpi,
        show_layer_activations=show_layer_activations,
        show_trainable=show_trainable,
        splines=splines,
    )
    if shutil.which("dot") is None:
        raise ImportError(
            "plot_model needs Graphviz's program dot, which is not installed: apt-get install "
            "graphviz, brew install graphviz, or https://graphviz.org/download. "
            "model_to_dot(model).to_string() gives the text that it draws"
        )
    kind = path.suffix.lstrip(".").lower() or "png"
    done = subprocess.run(
        ["dot", f"-T{kind}"], input=whole.to_string().encode(), capture_output=True
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise ValueError(f"plot_model: dot cannot write {str(path)!r}: {said}")
    path.write_bytes(done.stdout)
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None or kind not in ("png", "jpg", "jpeg", "gif"):
        return None
    from IPython.display import Image

    return Image(data=done.stdout)  # type: ignore[no-untyped-call]


class _Drawing:
    """Boxes and arrows of a model and of the models in it, in one picture.

    Args:
        shapes, dtype, names, activations, trainable: what a box tells.
        expand: whether models that are layers are drawn with their own layers.
    """

    def __init__(
        self,
        shapes: bool,
        dtype: bool,
        names: bool,
        activations: bool,
        trainable: bool,
        expand: bool,
    ) -> None:
        try:
            import pydot
        except ImportError as error:
            raise ImportError(
                f"the picture of a model needs the package pydot, which cannot be imported "
                f'({error}); install it with: pip install "convkit[diagrams]"'
            ) from error
        self.pydot: Any = pydot
        self.shapes, self.dtype, self.names = shapes, dtype, names
        self.activations, self.trainable, self.expand = activations, trainable, expand

    def draw(self, model: Any, place: Any, prefix: str = "") -> tuple[list[str], list[str]]:
        """Draw the layers of a model; return the boxes of its inputs and of its outputs."""
        graph = model.graph
        ends: dict[tuple[int, int], str] = {}  # the box that each tensor comes from
        for index, tensor in enumerate(graph.inputs):
            box = self._box(place, f"{prefix}input{index}", "InputLayer", tensor.name, (tensor,))
            ends[id(tensor.node), tensor.index] = box
        boxes: dict[Any, tuple[list[str], list[str]]] = {}
        for node in graph.nodes:
            if node.layer not in boxes:
                boxes[node.layer] = self._boxes(node, place, f"{prefix}n{len(boxes)}")
            entries, exits = boxes[node.layer]
            for tensor, entry in zip(node.inputs, entries, strict=True):
                self._arrow(ends[id(tensor.node), tensor.index], entry, place)
            ends.update({(id(node), index): box for index, box in enumerate(exits)})
        inputs = [ends[id(tensor.node), tensor.index] for tensor in graph.inputs]
        return inputs, [ends[id(tensor.node), tensor.index] for tensor in graph.outputs]

    def _boxes(self, node: Any, place: Any, key: str) -> tuple[list[str], list[str]]:
        """Draw a layer; return the boxes that its inputs go to, and that its outputs come from."""
        layer = node.layer
        if self.expand and isinstance(layer, Model):
            part = self.pydot.Cluster(
                key, label=_quoted(layer.name), color=_INK, fontname=_FONT, labeljust="l"
            )
            ends = self.draw(layer, part, f"{key}_")
            place.add_subgraph(part)
            return ends
        box = self._box(place, key, type(layer).__name__, layer.name, node.outputs, node, layer)
        return [box] * len(node.inputs), [box] * len(node.outputs)

    def _box(
        self,
        place: Any,
        key: str,
        kind: str,
        name: str,
        outputs: Any,
        node: Any = None,
        layer: Any = None,
    ) -> str:
        """Draw a box; return what arrows call it."""
        rows = [f"<b>{escape(name)}</b> ({kind})" if self.names else f"<b>{kind}</b>"]
        activation = getattr(layer, "activation", None) if self.activations else None
        if activation is not None:
            rows.append(f"activation: {escape(str(activation))}")
        if self.shapes and node is not None:
            rows.append(f"input: {_shapes(node.inputs)}")
        if self.shapes:
            rows.append(f"output: {_shapes(outputs)}")
        if self.dtype:
            rows.append(outputs[0].dtype)
        if self.trainable and layer is not None and layer.weights:
            rows.append("trainable" if layer.trainable else "frozen")
        cells = "".join(f"<tr><td>{row}</td></tr>" for row in rows)
        table = f'border="0" cellborder="1" cellspacing="0" cellpadding="6" bgcolor="{_PAPER}"'
        label = f'<<table {table} color="{_INK}">{cells}</table>>'
        place.add_node(self.pydot.Node(key, label=label))
        return key

    def _arrow(self, start: str, end: str, place: Any) -> None:
        """Draw an arrow, once."""
        if not place.get_edge(start, end):
            place.add_edge(self.pydot.Edge(start, end))


def _shapes(tensors: Any) -> str:
    """The shapes of some tensors, each once."""
    return ", ".join(dict.fromkeys(escape(str(tensor.shape)) for tensor in tensors))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
