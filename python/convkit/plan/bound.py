"""A plan's steps tied to the arrays of one batch size, and its native calls, captured."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Protocol

import numpy as np

from .. import ops, regularizers
from ..core import changes
from ..core.parameters import Array, Parameter
from ..core.processes import Reducer
from ..layers.image_layer import ImageChain
from ..layers.step_context import StepContext
from ..ops._calls import Calls, as_one_operation, count_step
from ..optimizers import Optimizer
from .origin import Origin
from .step import Buffer, Head, RunSteps, Step
from .values import Sizes


class BoundSteps:
    """Neighbouring steps of a pass, tied to the arrays of one batch size.

    Their native calls are the same from one batch to the next, and Python would make them out anew
    each time, from memory that the batch has driven out of the caches. So they are captured, and
    replayed natively, until something changes that they depend on. Either way all calls have the
    same settings, whatever `convkit.runtime` sets meanwhile.

    Attributes:
        runs: methods with their arrays, which go through Python every time.
        capturable: whether they are native calls that depend on nothing but the arrays and what has
            a generation (`convkit.core.changes`).
    """

    __slots__ = ("_calls", "_context", "_count", "_generations", "_origin", "capturable", "runs")

    def __init__(
        self,
        runs: list[Callable[[StepContext], None]],
        capturable: bool,
        origin: Origin | None = None,
    ) -> None:
        self.runs = runs
        self.capturable = capturable
        self._origin = origin or Origin()
        self._calls: Calls | None = None
        self._generations: list[int] = []
        self._count = -1  # of all changes in the process when the generations were compared
        self._context: StepContext | None = None

    def __call__(self, context: StepContext) -> None:
        """Run the steps."""
        if (
            self._calls
            and self._context is context
            and (self._count == changes.count or self._is_current())
        ):
            self._calls.replay()
        elif self.capturable:
            count, generations, calls = changes.count, self._origin.generations(), Calls()
            keep_weights = not context.training and self._origin.owns_weights()
            calls.capture(self.run_methods, keep_weights, context)
            self._calls, self._context = calls, context
            self._count, self._generations = count, generations
        else:
            as_one_operation(self.run_methods, context)

    def _is_current(self) -> bool:
        """Whether nothing changed that the captured calls depend on."""
        count = changes.count
        if self._generations != self._origin.generations():
            return False
        self._count = count
        return True

    def invalidate(self) -> None:
        """Forget the native calls: an array of theirs was replaced."""
        self._calls = None

    def run_methods(self, context: StepContext) -> None:
        """Run the steps by their methods."""
        for each in self.runs:
            each(context)

    @classmethod
    def together(cls, runs: Iterable[RunSteps], origin: Origin) -> list[BoundSteps]:
        """The steps in as few pieces as can be captured."""
        by_kind = groupby(runs, key=itemgetter(1))
        return [cls([run for run, _ in group], capturable, origin) for capturable, group in by_kind]


class BoundHead:
    """An output with its right answers, for one batch size.

    Attributes:
        output: where the predictions appear, (n, ...).
        losses: where the samples' losses appear, (n,).
        targets, sample_weight: what the loss reads, or None.
    """

    __slots__ = ("__weakref__", "losses", "output", "sample_weight", "targets", "weight")

    def __init__(self, head: Head, n: int) -> None:
        self.output = head.output.view((n, *head.sizes))
        self.losses = head.losses.view((n,))
        self.weight = head.of.weight
        self.targets: Array | None = None
        self.sample_weight: Array | None = None

    def take(self, targets: Array, sample_weight: Array | None, indices: Array) -> bool:
        """Copy rows of targets and weights; return whether they lie elsewhere than before."""
        before = self.targets, self.sample_weight
        self.targets = _taken(targets, indices, self.targets)
        self.sample_weight = _taken(sample_weight, indices, self.sample_weight)
        return self.targets is not before[0] or self.sample_weight is not before[1]


class BindablePlan(Protocol):
    """What a `Bound` reads of a plan; see `Plan`."""

    training: bool
    inputs: list[tuple[Buffer, Sizes]]
    outputs: list[tuple[Buffer, Sizes]]
    steps: list[Step]
    heads: list[Head]
    regularized: list[Parameter]
    optimizer: Optimizer | None
    reducer: Reducer | None
    origin: Origin
    gathered: list[ImageChain | None]


class Bound:
    """A plan's steps tied to the arrays of one batch size.

    Attributes:
        inputs: where the batch goes, each (n, ...).
        outputs: where the predictions appear, each (n, ...).
        heads: the outputs that have a loss.
        penalty: the sum of the penalties on parameters, in training.
        steps: what a batch goes through: forward; the losses (each with a last softmax or sigmoid,
            where that belongs to it) and their gradients; in training, backward up to the
            gradients of all parameters, those of the penalties, and the optimizer's update.
    """

    def __init__(self, plan: BindablePlan, n: int) -> None:
        self.inputs = tuple(buffer.view((n, *sizes)) for buffer, sizes in plan.inputs)
        self.outputs = tuple(buffer.view((n, *sizes)) for buffer, sizes in plan.outputs)
        self.heads = tuple(BoundHead(head, n) for head in plan.heads)
        self.penalty = 0.0
        self._gathered = plan.gathered
        runs: list[RunSteps] = []
        for step in plan.steps:
            if not step.stage.is_view(plan.training):
                runs.append((step.forward(n), step.stage.capturable))
        for head, own in zip(plan.heads, self.heads, strict=True):
            runs += _loss(head, own, n)
        runs += _backward(plan.steps, n, plan.reducer)
        if plan.regularized:
            runs.append((partial(_regularize, weakref.ref(self), plan.regularized), False))
        if plan.optimizer is not None:
            runs.append((partial(_update, plan.optimizer), plan.optimizer.capturable))
        self.steps = BoundSteps.together(runs, plan.origin)

    @property
    def x(self) -> Array:
        """The only input."""
        (x,) = self.inputs
        return x

    @property
    def output(self) -> Array:
        """The only output."""
        (output,) = self.outputs
        return output

    @property
    def head(self) -> BoundHead:
        """The only output, with its right answers."""
        (head,) = self.heads
        return head

    def gather(self, inputs: Sequence[Array], indices: Array, context: StepContext) -> None:
        """Bring a batch's samples, rows of all of each input, through the layers in front.

        Args:
            inputs: float32 or uint8, (n, ...) each.
            indices: of the batch's samples.
            context: of the pass that comes next.
        """
        for samples, out, chain in zip(inputs, self.inputs, self._gathered, strict=True):
            if chain is None:
                ops.gather(samples, indices, out=out)
            else:
                chain(samples, context, indices, out)

    def take(
        self, targets: Sequence[Array], weights: Sequence[Array | None], indices: Array
    ) -> None:
        """Copy a batch's targets and weights, one for each head, rows of those of all samples."""
        moved = False
        for head, own, weight in zip(self.heads, targets, weights, strict=True):
            moved = head.take(own, weight, indices) or moved
        if moved:
            for steps in self.steps:
                steps.invalidate()

    def __call__(self, context: StepContext) -> None:
        """Let the batch go through all steps."""
        if len(self.steps) == 1:
            self.steps[0](context)
        else:
            as_one_operation(self._in_turn, context)

    def _in_turn(self, context: StepContext) -> None:
        for steps in self.steps:
            steps(context)


# The steps that a `Bound` holds do not hold it: dropped, its arrays are freed at once.


def _loss(head: Head, own: BoundHead, n: int) -> list[RunSteps]:
    """What computes a loss and its gradient, times the output's weight."""
    shape = (n, *head.sizes)
    logits, gradient = head.logits.view(shape), head.gradient.view(shape)
    if head.of.activation is None:
        compute = partial(head.of.loss.compute, logits, losses=own.losses, dy=gradient)
    else:
        arrays = {"probs": own.output, "losses": own.losses, "dlogits": gradient}
        compute = partial(head.of.loss.compute_from_logits, logits, **arrays)
    runs: list[RunSteps] = [
        (partial(_run_loss, weakref.ref(own), compute), head.of.loss.capturable)
    ]
    if own.weight != 1.0:
        factors = np.full(shape[-1], own.weight, np.float32)
        scale = partial(ops.rescaling_backward, gradient, factors, out=gradient)
        runs.append((partial(_run, scale), True))
    if head.add_to is not None:
        sums = head.add_to.view(shape)
        runs.append((partial(_run, partial(ops.add, sums, gradient, out=sums)), True))
    return runs


# Floats of gradients that are on their way to other processes together.
_BUCKET = 1 << 17


def _backward(steps: Sequence[Step], n: int, reducer: Reducer | None) -> list[RunSteps]:
    """What computes the gradients of n samples, from the last step to the first."""
    runs: list[RunSteps] = []
    # What several steps have gets its last gradient in the first of them.
    first: dict[Parameter, Step] = {}
    for step in steps if reducer is not None else ():
        for weight in step.stage.trainable_weights:
            first.setdefault(weight, step)
    waiting: list[Parameter] = []
    for step in reversed(steps):
        runs += step.backward(n)
        if reducer is None:
            continue
        own = dict.fromkeys(step.stage.trainable_weights)
        waiting += [weight for weight in own if first[weight] is step]
        if sum(weight.size for weight in waiting) >= _BUCKET or (waiting and step is steps[0]):
            runs.append((partial(_start, reducer, waiting), False))
            waiting = []
    if reducer is not None:
        runs.append((partial(_finish, reducer), False))
    return runs


def _start(reducer: Reducer, parameters: list[Parameter], context: StepContext) -> None:
    reducer.start(parameters, context.share)


def _finish(reducer: Reducer, context: StepContext) -> None:
    reducer.finish(context.share)


def _run(call: Callable[[], object], context: StepContext) -> None:
    call()


def _run_loss(
    of: weakref.ref[BoundHead], compute: Callable[..., Array], context: StepContext
) -> None:
    head = of()
    assert head is not None
    assert head.targets is not None, "a batch's targets come before its steps"
    compute(head.targets, sample_weight=head.sample_weight)


def _regularize(of: weakref.ref[Bound], parameters: list[Parameter], context: StepContext) -> None:
    bound = of()
    assert bound is not None
    bound.penalty = regularizers.penalty(parameters, add_gradients=True)


def _update(optimizer: Optimizer, context: StepContext) -> None:
    count_step(context.step, optimizer.steps_made)
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
