"""The list of steps that a model runs, and the memory that they run on.

`convkit.lowering` makes it. All memory is allocated once. A batch smaller than the plan's uses the
front of the same buffers: `Plan.bind(n)` ties the steps to views for n samples, and keeps them.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from . import changes, regularizers, summary
from .fusion import LossHead, Sizes, Stage
from .layers.run import Run
from .ops._calls import Calls, as_one_operation, count_step
from .optimizers import Optimizer
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


RunSteps = tuple[Callable[[Run], None], bool]  # what to call, and whether it can be replayed


class BoundSteps:
    """Neighbouring steps of a pass, tied to the arrays of one batch size.

    Their native calls are the same from one batch to the next, and Python would make them out anew
    each time, from memory that the batch has driven out of the caches. So they are captured, and
    replayed natively, until something changes that they depend on. Either way all calls have the
    same settings, whatever `convkit.runtime` sets meanwhile.

    Attributes:
        runs: methods with their arrays, which ask Python every time.
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
        """Run the steps."""
        if self._calls and self._count == changes.count and self._run is run:
            self._calls.replay()
        elif self.repeats:
            count, calls = changes.count, Calls()
            calls.capture(self.ask, run)
            self._calls, self._count, self._run = calls, count, run
        else:
            as_one_operation(self.ask, run)

    def invalidate(self) -> None:
        """Forget the native calls: an array of theirs was replaced."""
        self._calls = None

    def ask(self, run: Run) -> None:
        """Run the steps by their methods."""
        for each in self.runs:
            each(run)

    @classmethod
    def together(cls, runs: Iterable[RunSteps]) -> list[BoundSteps]:
        """The steps in as few pieces as can be captured."""
        by_kind = groupby(runs, key=itemgetter(1))
        return [cls([run for run, _ in group], repeats) for repeats, group in by_kind]


class Bound:
    """A plan's steps tied to the arrays of one batch size.

    Attributes:
        x: where the batch goes, (n, ...).
        output: where the predictions appear, (n, ...).
        losses: where the samples' losses appear, (n,).
        targets, sample_weight: what the loss reads, or None.
        penalty: the sum of the penalties on parameters, in training.
        steps: what a batch goes through: forward; with a loss, the loss (and a last softmax or
            sigmoid, where that belongs to it) and its gradient; in training, backward up to the
            gradients of all parameters, those of the penalties, and the optimizer's update.
    """

    def __init__(self, plan: Plan, n: int) -> None:
        self.x = plan.x.view((n, *plan.input_sizes))
        self.output = plan.output.view((n, *plan.output_sizes))
        self.losses = plan.losses.view((n,))
        self.targets: Array | None = None
        self.sample_weight: Array | None = None
        self.penalty = 0.0
        forwards, backwards = plan.runs(n)
        runs = list(forwards)
        if plan.head is not None:
            runs.append((self._loss_of(plan, n), plan.head.loss.repeats))
        runs += backwards
        if plan.regularized:
            runs.append((partial(_regularize, weakref.ref(self), plan.regularized), False))
        if plan.optimizer is not None:
            runs.append((partial(_update, plan.optimizer), plan.optimizer.repeats))
        self.steps = BoundSteps.together(runs)

    def take(self, targets: Array, sample_weight: Array | None, indices: Array) -> None:
        """Copy a batch's targets and weights, rows of those of all samples."""
        before = self.targets, self.sample_weight
        self.targets = _taken(targets, indices, self.targets)
        self.sample_weight = _taken(sample_weight, indices, self.sample_weight)
        if self.targets is not before[0] or self.sample_weight is not before[1]:
            for steps in self.steps:
                steps.invalidate()

    def __call__(self, run: Run) -> None:
        """Let the batch go through all steps."""
        if len(self.steps) == 1:
            self.steps[0](run)
        else:
            as_one_operation(self._in_turn, run)

    def _in_turn(self, run: Run) -> None:
        for steps in self.steps:
            steps(run)

    def _loss_of(self, plan: Plan, n: int) -> Callable[[Run], None]:
        assert plan.head is not None
        assert plan.doutput is not None
        shape = (n, *plan.output_sizes)
        loss, logits, gradient = plan.head.loss, plan.logits.view(shape), plan.doutput.view(shape)
        if plan.head.activation is None:
            compute = partial(loss.compute, logits, losses=self.losses, dy=gradient)
        else:
            arrays = {"probs": self.output, "losses": self.losses, "dlogits": gradient}
            compute = partial(loss.compute_from_logits, logits, **arrays)
        return partial(_run_loss, weakref.ref(self), compute)


# The steps that a `Bound` holds do not hold it: dropped, its arrays are freed at once.


def _run_loss(of: weakref.ref[Bound], compute: Callable[..., Array], run: Run) -> None:
    bound = of()
    assert bound is not None
    assert bound.targets is not None, "a batch's targets come before its steps"
    compute(bound.targets, sample_weight=bound.sample_weight)


def _regularize(of: weakref.ref[Bound], parameters: list[Parameter], run: Run) -> None:
    bound = of()
    assert bound is not None
    bound.penalty = regularizers.penalty(parameters, add_gradients=True)


def _update(optimizer: Optimizer, run: Run) -> None:
    count_step(run.step, optimizer.steps_made)
    optimizer.update_all()


def _taken(values: Array | None, indices: Array, memory: Array | None) -> Array | None:
    """Rows of some values, in the memory of the batch before where they fit."""
    if values is None:
        return None
    shape = (len(indices), *values.shape[1:])
    if memory is None or memory.shape != shape or memory.dtype != values.dtype:
        memory = np.empty(shape, values.dtype)
    # No index is outside; the other modes would copy once more, or index from behind.
    return values.take(indices, axis=0, out=memory, mode="clip")


class Origin:
    """The layers, and the loss, that a plan is lowered from, as they are now."""

    __slots__ = ("_revisions", "_sources", "_structure")

    def __init__(self, sources: Sequence[changes.Repeatable] = ()) -> None:
        self._structure = changes.structure
        self._sources = sources
        self._revisions = [source.revision for source in sources]

    def is_unchanged(self) -> bool:
        """Whether lowering them again would give the same plan.

        Before most batches, nothing changed anywhere in the process, which is one comparison.
        """
        structure = changes.structure
        if self._structure is structure:
            return True
        if self._revisions != [source.revision for source in self._sources]:
            return False
        self._structure = structure
        return True


class Plan:
    """The steps of a model for one batch size; `str(plan)` is a table of them.

    Attributes:
        regularized: the parameters whose penalties training adds to the loss.
        optimizer: what changes the parameters in the end, if that is part of the plan.
        origin: what it was lowered from.
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
        self.optimizer: Optimizer | None = None
        self.origin = Origin()
        self._bound: dict[int, Bound] = {}

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

    def runs(self, n: int) -> tuple[list[RunSteps], list[RunSteps]]:
        """The stages' methods with their arrays for n samples, forward and backward."""
        forwards: list[RunSteps] = []
        backwards: list[RunSteps] = []
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
        return forwards, backwards[::-1]

    def __str__(self) -> str:
        return summary.plan_table(self)
