"""A plan's arrays, its stages with the arrays that they run on, and its losses with theirs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import DTypeLike

from .. import ops
from ..core.parameters import Array, Parameter
from ..layers.step_context import StepContext
from .fusion import LossHead
from .memory import Slot
from .values import Recomputing, Sizes, Stage

# What to call, and whether it can be captured.
RunSteps = tuple[Callable[[StepContext], None], bool]


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
