"""The list of steps that a model runs, and the memory that they run on.

`convkit.plan.lowering` makes it. All memory is allocated once. A batch smaller than the plan's uses
the front of the same arrays: `Plan.bind(n)` ties the steps to views for n samples, and keeps them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import DTypeLike

from .. import ops, runtime
from ..core.parameters import Array, Parameter
from ..layers.step_context import StepContext
from ..optimizers import Optimizer
from .bound import Bound, RunSteps
from .fusion import LossHead
from .memory import Memory, Slot
from .origin import Origin
from .values import Recomputing, Sizes, Stage


class Buffer(NamedTuple):
    """An array of a plan, of any shape."""

    slot: Slot
    dtype: DTypeLike = np.float32

    def view(self, shape: Sizes) -> Array:
        """The front of its memory as an array of that shape."""
        return self.slot.view(shape, self.dtype)


class Step(NamedTuple):
    """One stage with its arrays. Sizes are those of one sample.

    Attributes:
        x: what it reads, one array or, where the stage merges, several.
        dy, dx: the gradients; dy is None where backward has nothing to do, one of dx where nobody
            before this step can be trained.
        add_to: what each of dx is added to, where the gradient of that input has several parts and
            this is not the first; else None.
        add_to_dx: whether the stage itself adds to what the first of dx holds.
        again: for each of x which step writes it once more before the backward pass reads it, and
            where; None where it is kept.
        shared: the parameters that another step has written a gradient of before, with memory for
            what this one adds.
        nbytes: the memory that it writes: its output and saved arrays.
    """

    stage: Stage
    input_sizes: Any
    output_sizes: Sizes
    x: tuple[Buffer, ...]
    y: Buffer
    saved: tuple[Buffer, ...]
    dy: Buffer | None
    dx: tuple[Buffer | None, ...]
    add_to: tuple[Buffer | None, ...]
    add_to_dx: bool
    again: tuple[tuple[Step, Buffer] | None, ...]
    shared: tuple[tuple[Parameter, Buffer], ...]
    nbytes: int

    def shapes(self, n: int) -> tuple[Sizes, ...]:
        """The shapes of all inputs for n samples."""
        sizes = self.input_sizes if self.stage.merges else (self.input_sizes,)
        return tuple((n, *each) for each in sizes)

    def arrays(self, n: int, backward: bool = False) -> tuple[Any, Array, tuple[Array, ...]]:
        """x, y and the saved arrays for n samples, as the stage takes them in one direction."""
        shapes, places = self.shapes(n), self.x
        if backward:
            pairs = zip(self.x, self.again, strict=True)
            places = tuple(again[1] if again else kept for kept, again in pairs)
        x = tuple(buffer.view(shape) for buffer, shape in zip(places, shapes, strict=True))
        given: Any = shapes if self.stage.merges else shapes[0]
        saved = tuple(
            buffer.view(array.shape)
            for buffer, array in zip(self.saved, self.stage.saved_arrays(given), strict=True)
        )
        return (x if self.stage.merges else x[0]), self.y.view((n, *self.output_sizes)), saved

    def forward(self, n: int) -> Callable[[StepContext], None]:
        """The stage's method with its arrays for n samples."""
        return partial(self.stage.forward, *self.arrays(n))

    def _recompute(self, n: int) -> list[RunSteps]:
        """What writes once more what the backward pass reads and nobody kept."""
        runs: list[RunSteps] = []
        for again in self.again:
            if again is not None:
                step, buffer = again
                _, y, saved = step.arrays(n)
                stage = cast(Recomputing, step.stage)
                call = partial(stage.recompute, buffer.view(y.shape), saved)
                runs.append((call, step.stage.capturable))
        return runs

    def backward(self, n: int) -> list[RunSteps]:
        """What writes the gradients of the stage's inputs and parameters for n samples."""
        if self.dy is None:
            return []
        runs: list[RunSteps] = []
        shapes = self.shapes(n)
        gradients = tuple(
            None if buffer is None else buffer.view(shape)
            for buffer, shape in zip(self.dx, shapes, strict=True)
        )
        if not self.stage.is_view(True):
            runs += self._recompute(n)
            x, y, saved = self.arrays(n, backward=True)
            dx: Any = gradients if self.stage.merges else gradients[0]
            backward: Callable[..., None] = self.stage.backward
            if self.add_to_dx:
                backward = partial(backward, add_to_dx=True)
            call = partial(backward, x, y, self.dy.view(y.shape), dx, saved)
            if self.shared:
                shared = [
                    (parameter, buffer.view(parameter.shape)) for parameter, buffer in self.shared
                ]
                call = partial(_add_gradients, call, shared)
            runs.append((call, self.stage.capturable))
        for buffer, dx, shape in zip(self.add_to, gradients, shapes, strict=True):
            if buffer is not None:
                sums = buffer.view(shape)
                runs.append((partial(_add, sums, dx), True))
        return runs


def _add(sums: Array, part: Array, context: StepContext) -> None:
    ops.add(sums, part, out=sums)


def _add_gradients(
    backward: Callable[[StepContext], None],
    again: list[tuple[Parameter, Array]],
    context: StepContext,
) -> None:
    """Run a backward pass, and add the gradients of some parameters to what is there."""
    with Parameter.gradients_in(again):
        backward(context)
    for parameter, part in again:
        ops.add(parameter.gradient, part, out=parameter.gradient)


class Head(NamedTuple):
    """A loss with its arrays.

    Attributes:
        logits: what the loss reads, or the activation that is computed with it.
        output: the model's output.
        losses: of the samples.
        gradient: of the logits.
        add_to: what the gradient is added to, where the logits have another one; else None.
    """

    of: LossHead
    sizes: Sizes
    logits: Buffer
    output: Buffer
    losses: Buffer
    gradient: Buffer
    add_to: Buffer | None


class Plan:
    """The steps of a model for one batch size; `str(plan)` is a table of them.

    Attributes:
        inputs, outputs: the arrays of the model's inputs and outputs, with their sizes.
        heads: the outputs that have a loss.
        memory: of all arrays.
        regularized: the parameters whose penalties training adds to the loss.
        optimizer: what changes the parameters in the end, if that is part of the plan.
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
        self.regularized: list[Parameter] = []
        self.optimizer: Optimizer | None = None
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
