"""Text tables: the layers of a model, and the steps of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import runtime

if TYPE_CHECKING:
    from .layers.graph import Graph
    from .plan import Plan


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


def plan_table(plan: Plan) -> str:
    """The plan as text: step, layers, operation, output shape, memory.

    The last line has what holds for all steps: the memory of the plan, the instruction set and the
    number of threads that they would run with now.
    """
    rows = [("step", "layers", "operation", "output", "bytes")]
    for number, step in enumerate(plan.steps):
        shapes = step.shapes(plan.batch_size)
        shape = shapes if step.stage.merges else shapes[0]
        view = step.stage.is_view(plan.training)
        rows.append(
            (
                str(number),
                "+".join(step.stage.names),
                "view" if view else step.stage.describe(shape, plan.training),
                str((plan.batch_size, *step.output_sizes)),
                f"{step.nbytes:,}",
            )
        )
    for head in plan.heads:
        last, loss = head.of.activation, head.of.loss
        names = (*(last.names if last else ()), "loss")
        operation = (f"{last.activation} + " if last else "") + loss.name
        if head.of.weight != 1.0:
            operation += f" * {head.of.weight:g}"
        rows.append((str(len(rows) - 1), "+".join(names), operation, f"({plan.batch_size},)", ""))
    for parameter in plan.regularized:
        operation = f"penalty {parameter.regularizer}"
        rows.append((str(len(rows) - 1), parameter.path, operation, "()", ""))
    if plan.optimizer is not None:
        rows.append((str(len(rows) - 1), "weights", f"update by {plan.optimizer.name}", "", ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(
            cell.rjust(width) if column in (0, 4) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    purpose = "training" if plan.training else "inference"
    threads = runtime.get_num_threads()
    lines.append(
        f"{purpose}, batch size {plan.batch_size}: {plan.nbytes:,} bytes of buffers; "
        f"{runtime.isa()}, {threads} {'thread' if threads == 1 else 'threads'}"
    )
    return "\n".join(lines)
