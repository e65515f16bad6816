"""The list of steps that a model runs, and the memory that they run on.

`convkit.plan.lowering` makes it. All memory is allocated once. A batch smaller than the plan's uses
the front of the same arrays: `Plan.bind(n)` ties the steps to views for n samples, and keeps them.
"""

from __future__ import annotations

from .. import runtime
from ..core.parameters import Parameter
from ..core.processes import Reducer
from ..layers.image_layer import ImageChain
from ..optimizers import Optimizer
from .bound import Bound
from .memory import Memory
from .origin import Origin
from .step import Buffer, Head, Step
from .values import Sizes


class Plan:
    """The steps of a model for one batch size; `str(plan)` is a table of them.

    Attributes:
        inputs, outputs: the arrays of the model's inputs and outputs, with their sizes.
        heads: the outputs that have a loss.
        gathered: of each input the layers that are done while a batch is gathered, if any.
        memory: of all arrays.
        regularized: the parameters whose penalties training adds to the loss.
        optimizer: what changes the parameters in the end, if that is part of the plan.
        reducer: what puts gradients together with those of other processes, if plans do.
        origin: what it was lowered from.
    """

    def __init__(
        self,
        *,
        batch_size: int,
        training: bool,
        inputs: list[tuple[Buffer, Sizes]],
        outputs: list[tuple[Buffer, Sizes]],
        steps: list[Step],
        heads: list[Head],
        memory: Memory,
    ) -> None:
        self.batch_size = batch_size
        self.training = training
        self.inputs = inputs
        self.outputs = outputs
        self.steps = steps
        self.heads = heads
        self.memory = memory
        self.gathered: list[ImageChain | None] = [None] * len(inputs)
        self.regularized: list[Parameter] = []
        self.optimizer: Optimizer | None = None
        self.reducer: Reducer | None = None
        self.origin = Origin()
        self._bound: dict[int, Bound] = {}

    @property
    def nbytes(self) -> int:
        """The size of its memory."""
        return self.memory.nbytes

    def bind(self, n: int) -> Bound:
        """The steps for n samples, 1 <= n <= batch_size."""
        bound = self._bound.get(n)
        if bound is None:
            if not 1 <= n <= self.batch_size:
                raise ValueError(f"a plan for {self.batch_size} samples cannot run {n}")
            bound = self._bound[n] = Bound(self, n)
        return bound

    def serves(self, n: int) -> bool:
        """Whether it can run n samples, and nothing changed that it was lowered from."""
        return n <= self.batch_size and self.origin.is_unchanged()

    def __str__(self) -> str:
        return _table(self)


def _table(plan: Plan) -> str:
    """The plan as text: step, layers, operation, output shape, memory.

    The last line has what holds for all steps: the memory of the plan, the instruction set and the
    number of threads that they would run with now.
    """
    rows = [("step", "layers", "operation", "output", "bytes")]
    for (_, sizes), chain in zip(plan.inputs, plan.gathered, strict=True):
        if chain is not None:
            titles = [name for stage in chain.stages for name in stage.names]
            operation = " + ".join(["gather", *(stage.operation for stage in chain.stages)])
            whole = str((plan.batch_size, *sizes))
            rows.append((str(len(rows) - 1), "+".join(titles), operation, whole, ""))
    for step in plan.steps:
        shapes = step.shapes(plan.batch_size)
        shape = shapes if step.stage.merges else shapes[0]
        view = step.stage.is_view(plan.training)
        rows.append(
            (
                str(len(rows) - 1),
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
