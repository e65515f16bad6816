"""The list of steps that a model runs, and the memory that they run on.

`convkit.lowering` makes it. All memory is allocated once. A batch smaller than the plan's uses the
front of the same buffers: `Plan.bind(n)` ties the steps to views for n samples, and keeps them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from . import changes, regularizers, summary
from .fusion import LossHead, Sizes, Stage
from .layers.base import Run
from .losses import Loss
from .ops._gate import Calls
from .parameters import Array, Parameter, aligned_empty


class Buffer:
    """A flat piece of memory that several views may share.

    Attributes:
        pinned: backward reads what is in it, so nobody may write over it.
    """

    def __init__(self, size: int, dtype: DTypeLike = np.float32) -> None:
        self.memory = aligned_empty(size, dtype)
        self.pinned = False

    @property
    def nbytes(self) -> int:
        """Its size in memory."""
        return self.memory.nbytes

    def view(self, shape: Sizes) -> Array:
        """The front of the buffer as an array of that shape."""
        return self.memory[: math.prod(shape)].reshape(shape)


class Step(NamedTuple):
    """One stage with its buffers. Sizes are those of one sample.

    Attributes:
        dy, dx: the gradient buffers; dy is None where backward has nothing to do, dx where nobody
            before this step can be trained.
        nbytes: the memory that it writes: its output and saved arrays.
    """

    stage: Stage
    input_sizes: Sizes
    output_sizes: Sizes
    x: Buffer
    y: Buffer
    saved: tuple[Buffer, ...]
    dy: Buffer | None
    dx: Buffer | None
    nbytes: int


class BoundSteps:
    """One direction of neighbouring stages, tied to the arrays of one batch size.

    Their native calls are the same from one batch to the next, and Python would make them out anew
    each time, from memory that the batch has driven out of the caches. So they are remembered, and
    made again natively, until something changes that they depend on.

    Attributes:
        runs: the stages' methods with their arrays, which ask Python every time.
        repeats: whether they are native calls that depend on nothing but the arrays and what
            `convkit.changes` counts.
    """

    __slots__ = ("_calls", "_count", "_run", "repeats", "runs")

    def __init__(self, runs: list[Callable[[Run], None]], repeats: bool) -> None:
        self.runs = runs
        self.repeats = repeats
        self._calls: Calls | None = None
        self._count = -1
        self._run: Run | None = None

    def __call__(self, run: Run) -> None:
        """Run the stages."""
        if self._calls and self._count == changes.count and self._run is run:
            self._calls.repeat()
        elif self.repeats:
            count = changes.count
            with Calls() as calls:
                self.ask(run)
            self._calls, self._count, self._run = calls, count, run
        else:
            self.ask(run)

    def ask(self, run: Run) -> None:
        """Run the stages by their methods."""
        for each in self.runs:
            each(run)

    @classmethod
    def together(cls, runs: Iterable[tuple[Callable[[Run], None], bool]]) -> list[BoundSteps]:
        """Methods, each with whether it repeats, in as few pieces as can be remembered."""
        by_kind = groupby(runs, key=itemgetter(1))
        return [cls([run for run, _ in group], repeats) for repeats, group in by_kind]


class Bound(NamedTuple):
    """A plan's steps tied to the arrays of one batch size.

    Attributes:
        x: where the batch goes, (n, ...).
        output: where the predictions appear, (n, ...).
        losses: where the samples' losses appear, (n,).
    """

    x: Array
    output: Array
    losses: Array
    forwards: list[BoundSteps]
    backwards: list[BoundSteps]
    compute_loss: Callable[..., Array] | None
    regularized: list[Parameter]

    def forward(self, run: Run) -> None:
        """Compute the output from x; without a last softmax where that belongs to the loss."""
        for steps in self.forwards:
            steps(run)

    def loss(self, targets: Array, sample_weight: Array | None = None) -> Array:
        """Compute the losses, the last output and its gradient; return the losses."""
        assert self.compute_loss is not None, "the plan was lowered without a loss"
        self.compute_loss(targets, sample_weight=sample_weight)
        return self.losses

    def backward(self, run: Run) -> None:
        """Compute the gradients of all parameters."""
        for steps in self.backwards:
            steps(run)

    def regularize(self) -> float:
        """Add the gradients of the penalties on parameters; return the sum of the penalties."""
        return regularizers.penalty(self.regularized, add_gradients=True)


class Plan:
    """The steps of a model for one batch size; `str(plan)` is a table of them.

    Attributes:
        regularized: the parameters whose penalties training adds to the loss.
    """

    def __init__(
        self,
        *,
        batch_size: int,
        training: bool,
        input_sizes: Sizes,
        output_sizes: Sizes,
        steps: list[Step],
        head: LossHead | None,
        x: Buffer,
        output: Buffer,
        logits: Buffer,
        losses: Buffer,
        doutput: Buffer | None,
        nbytes: int,
    ) -> None:
        self.batch_size = batch_size
        self.training = training
        self.input_sizes = input_sizes
        self.output_sizes = output_sizes
        self.steps = steps
        self.head = head
        self.x = x
        self.output = output
        self.logits = logits
        self.losses = losses
        self.doutput = doutput
        self.nbytes = nbytes
        self.regularized: list[Parameter] = []
        self._bound: dict[int, Bound] = {}

    def bind(self, n: int) -> Bound:
        """The steps for n samples, 1 <= n <= batch_size."""
        bound = self._bound.get(n)
        if bound is None:
            bound = self._bound[n] = self._bind(n)
        return bound

    def _bind(self, n: int) -> Bound:
        if not 1 <= n <= self.batch_size:
            raise ValueError(f"a plan for {self.batch_size} samples cannot run {n}")
        forwards: list[tuple[Callable[[Run], None], bool]] = []
        backwards: list[tuple[Callable[[Run], None], bool]] = []
        for step in self.steps:
            stage = step.stage
            if stage.is_view(self.training):
                continue
            x, y = step.x.view((n, *step.input_sizes)), step.y.view((n, *step.output_sizes))
            declared = stage.saved_arrays(x.shape)
            saved = tuple(
                buffer.view(array.shape) for buffer, array in zip(step.saved, declared, strict=True)
            )
            forwards.append((partial(stage.forward, x, y, saved), stage.repeats))
            if step.dy is not None:
                dx = None if step.dx is None else step.dx.view(x.shape)
                backward = partial(stage.backward, x, y, step.dy.view(y.shape), dx, saved)
                backwards.append((backward, stage.repeats))
        backwards.reverse()
        return Bound(
            self.x.view((n, *self.input_sizes)),
            self.output.view((n, *self.output_sizes)),
            self.losses.view((n,)),
            BoundSteps.together(forwards),
            BoundSteps.together(backwards),
            self._bind_loss(n),
            self.regularized,
        )

    def _bind_loss(self, n: int) -> Callable[..., Array] | None:
        if self.head is None or self.doutput is None:
            return None
        shape = (n, *self.output_sizes)
        logits, losses = self.logits.view(shape), self.losses.view((n,))
        gradient = self.doutput.view(shape)
        if self.head.softmax is None:
            return partial(_loss_of, self.head.loss, logits, losses, gradient)
        probs = self.output.view(shape)
        return partial(_loss_of_logits, self.head.loss, logits, probs, losses, gradient)

    def __str__(self) -> str:
        return summary.plan_table(self)


def _loss_of(
    loss: Loss, y: Array, losses: Array, dy: Array, targets: Array, *, sample_weight: Array | None
) -> Array:
    return loss.compute(y, targets, losses=losses, dy=dy, sample_weight=sample_weight)


def _loss_of_logits(
    loss: Loss,
    logits: Array,
    probs: Array,
    losses: Array,
    dlogits: Array,
    targets: Array,
    *,
    sample_weight: Array | None,
) -> Array:
    return loss.compute_from_logits(
        logits, targets, probs=probs, losses=losses, dlogits=dlogits, sample_weight=sample_weight
    )
