"""The table of a model's layers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .layers.graph import Graph


def model_table(
    name: str,
    layers: Sequence[Any],
    graph: Graph | None = None,
    *,
    line_length: int | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> str:
    """The layers, their output shapes and parameter counts, and the totals.

    Of a graph, also what a layer is connected to, where that is not the layer before it. The
    arguments are those of `Model.summary`; the totals are those of the whole model.
    """
    shown = layers if layer_range is None else _range(layers, layer_range)
    rows = [("Layer (type)", "Output Shape", "Param #", "Connected to", "Trainable")]
    rows += _rows(shown, {} if graph is None else _sources(graph), expand_nested)
    kept = [0, 1, 2]
    if any(row[3] for row in rows[1:]):
        kept.append(3)
    if show_trainable:
        kept.append(4)
    widths = [max(len(row[column]) for row in rows) for column in kept]
    lines = ["   ".join(_cells(row, kept, widths)).rstrip() for row in rows]
    rule = max(*map(len, lines), line_length or 0)
    parameters = list(dict.fromkeys(p for layer in layers for p in layer.weights))
    total = sum(p.size for p in parameters)
    trainable = sum(p.size for p in parameters if p.trainable)
    return "\n".join(
        [
            f'Model: "{name}"',
            "_" * rule,
            lines[0],
            "=" * rule,
            *lines[1:],
            "=" * rule,
            f"Total params: {total:,} ({memory(4 * total)})",
            f"Trainable params: {trainable:,} ({memory(4 * trainable)})",
            f"Non-trainable params: {total - trainable:,} ({memory(4 * (total - trainable))})",
        ]
    )


def _rows(
    layers: Sequence[Any], sources: dict[Any, list[str]], expand: bool, depth: int = 0
) -> list[tuple[str, str, str, str, str]]:
    """A row a layer; behind a model that is one, those of its layers."""
    rows, before = [], ""
    for layer in layers:
        shape = str(layer.output_shape) if layer.built else "?"
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        read = sources.get(layer, [])
        connected = "" if read == [before] or not before else ", ".join(read)
        title = f"{'   ' * depth}{layer.name} ({type(layer).__name__})"
        learns = ("Y" if layer.trainable else "N") if layer.weights else "-"
        rows.append((title, shape, count, connected, learns))
        before = layer.name
        if expand and hasattr(layer, "layers"):
            inner = _sources(layer.graph) if layer.built else {}
            rows += _rows(layer.layers, inner, expand, depth + 1)
    return rows


def _cells(row: tuple[str, ...], kept: list[int], widths: list[int]) -> list[str]:
    """The columns of a row that are shown, numbers on the right."""
    return [
        row[column].rjust(width) if column == 2 else row[column].ljust(width)
        for column, width in zip(kept, widths, strict=True)
    ]


def _range(layers: Sequence[Any], patterns: Sequence[str]) -> Sequence[Any]:
    """The layers between those of two names, as Keras finds them."""
    if isinstance(patterns, str) or len(patterns) != 2:
        raise ValueError(f"layer_range must be two names of layers, received {patterns!r}")
    places = []
    for pattern in patterns:
        found = [i for i, layer in enumerate(layers) if re.match(pattern, layer.name)]
        if not found:
            raise ValueError(
                f"layer_range: no layer's name begins with {pattern!r}; they are "
                f"{', '.join(layer.name for layer in layers)}"
            )
        places.append(found)
    first, last = places
    if first[0] > last[-1]:
        first, last = last, first
    return layers[first[0] : last[-1] + 1]


def _sources(graph: Graph) -> dict[Any, list[str]]:
    """The names of the layers that each layer reads, of all its calls."""
    found: dict[Any, list[str]] = {}
    for node in graph.nodes:
        found.setdefault(node.layer, []).extend(tensor.name for tensor in node.inputs)
    return found


def memory(nbytes: int) -> str:
    """A number of bytes for people: 1.79 MB."""
    size, unit = float(nbytes), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if size < 1024.0:
            break
        size, unit = size / 1024.0, larger
    return f"{size:.2f} {unit}"
