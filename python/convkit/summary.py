"""The table of a model's layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .layers.graph import Graph


def model_table(name: str, layers: Sequence[Any], graph: Graph | None = None) -> str:
    """The layers, their output shapes and parameter counts, and the totals.

    Of a graph, also what a layer is connected to, where that is not the layer before it.
    """
    rows = [("Layer (type)", "Output Shape", "Param #", "Connected to")]
    sources = {} if graph is None else _sources(graph)
    before = ""
    for layer in layers:
        shape = str(layer.output_shape) if layer.built else "?"
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        read = sources.get(layer, [])
        connected = "" if read == [before] or not before else ", ".join(read)
        rows.append((f"{layer.name} ({type(layer).__name__})", shape, count, connected))
        before = layer.name
    if not any(row[3] for row in rows[1:]):
        rows = [(*row[:3], "") for row in rows]
    first, second, third, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
    lines = [f"{a:<{first}}   {b:<{second}}   {c:>{third}}   {d}".rstrip() for a, b, c, d in rows]
    rule = max(map(len, lines))
    parameters = list(dict.fromkeys(p for layer in layers for p in layer.weights))
    total = sum(p.size for p in parameters)
    trainable = sum(p.size for p in parameters if p.trainable and not p.frozen)
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
