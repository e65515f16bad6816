"""From a graph of layers to a plan: what runs, in which order, on which memory.

`lower` is a pure function of its arguments. It cuts the layers into stages, replaces runs of stages
that the table of `convkit.plan.fusion` knows by one, and gives every array its memory: each lives
from its first write to its last read, and one rule says when an array takes the place of another
one that a stage reads, so that it is still in a core's cache:

- a view takes the place of what it is a view of;
- what a stage may write over one of its inputs, or over the gradient of its output, is written
  there, if nobody reads that later;
- a gradient takes the place of the value that it belongs to, if nobody reads that later.

A large plan does not keep what the backward pass can have again for one pass over what it keeps
anyway, a normalised output: it is written once more when it is read. Arrays of that size go to
memory and back in any case.

Where a value has several readers, the last of them writes its gradient, and those before add
theirs, from the back to the front: in an order that the graph fixes. A stage that can add by itself
does; the gradient of another is added by a pass of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .. import regularizers
from ..core.parameters import Parameter
from ..layers.graph import Graph
from ..losses import Loss
from ..optimizers import Optimizer
from . import fusion
from .fusion import LossHead
from .memory import END, Memory, Slot
from .origin import Origin
from .plan import Plan
from .step import Buffer, Head, Step
from .values import Op, Sizes, Trace, Value

# Bytes of all outputs from which on not all are kept. A smaller plan is no burden, and nearer to
# the caches the pass would be seen.
RECOMPUTE_FROM = 64 << 20


class Target(NamedTuple):
    """What an output is trained for: a loss, and its factor in what training makes small."""

    loss: Loss | None
    weight: float = 1.0


def lower(
    graph: Graph,
    batch_size: int,
    training: bool = False,
    *,
    loss: Loss | Sequence[Target] | None = None,
    optimizer: Optimizer | None = None,
    fuse: bool = True,
    gather: bool = False,
) -> Plan:
    """Turn a graph of built layers into a plan.

    Args:
        graph: of the model.
        batch_size: of the largest batch that will run.
        training: whether `backward` will run; needs a loss.
        loss: of the only output, or one target for each; without it, the plan only predicts.
        optimizer: in training, whose update ends a step; without it, gradients do.
        fuse: False takes every stage by itself, as the tests do to check the fusions.
        gather: whether `Bound.gather` brings the batches, and does on the way what the layers in
            front do to single images.

    Raises:
        ValueError: the batch size is not positive, or training is asked for without a loss.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be a positive integer, received {batch_size}")
    targets = [Target(loss)] if loss is None or isinstance(loss, Loss) else list(loss)
    wanted = [target.loss for target in targets if target.loss is not None]
    if training and not wanted:
        raise ValueError("a plan for training needs a loss")
    layers = graph.all_layers()
    trace = Trace(graph)
    gathered = trace.take_leading() if gather else None
    heads: list[LossHead | None] = []
    for output, target in enumerate(targets if wanted else ()):
        if target.loss is None:
            heads.append(None)
            continue
        make = fusion.loss_head if fuse else fusion.plain_head
        heads.append(make(trace, output, target.loss, target.weight))
    if fuse:
        fusion.fuse(trace, training)
    plan = _Lowering(trace, heads, batch_size, training).plan()
    plan.gathered = gathered or plan.gathered
    trace.release()
    if training:
        plan.regularized, plan.optimizer = regularizers.regularized(layers), optimizer
    parameters = list(dict.fromkeys(p for layer in layers for p in layer.weights))
    plan.origin = Origin([*layers, *wanted], parameters, plan.optimizer)
    return plan


class _Gradients(NamedTuple):
    """Where the gradients of an op's inputs go.

    Attributes:
        dx: where each is written, None where nobody needs it.
        add_to: what it is added to then, None for nothing.
        add_to_dx: whether the stage adds the first to what is there.
    """

    dx: list[Buffer | None]
    add_to: list[Buffer | None]
    add_to_dx: bool = False


class _Lowering:
    """Gives the arrays of one plan their memory.

    Time is counted in steps: the inputs are there at 0, then come the stages forward, the losses,
    and the stages backward.
    """

    def __init__(
        self,
        trace: Trace,
        heads: Sequence[LossHead | None],
        batch_size: int,
        training: bool,
    ) -> None:
        self.trace, self.batch_size, self.training = trace, batch_size, training
        self.outputs = heads
        self.heads = [head for head in heads if head is not None]
        self.memory = Memory()
        ops = trace.ops
        self.forward_at = {op: 1 + i for i, op in enumerate(ops)}
        self.loss_at = 1 + len(ops)
        first = self.loss_at + len(self.heads)
        self.backward_at = {op: first + i for i, op in enumerate(reversed(ops))}
        self.needed = self._needed()
        self.trained = self._trained()
        self.recomputed = self._recomputed()
        self.values: dict[Value, Slot] = {}
        self.again: dict[Value, Slot] = {}  # of those that are recomputed, for the backward pass
        self.gradients: dict[Value, Slot] = {}

    def _needed(self) -> set[Value]:
        """The values whose gradients somebody before them needs."""
        needed: set[Value] = set()
        for op in self.trace.ops:
            if op.stage.trainable_weights or any(value in needed for value in op.inputs):
                needed.add(op.output)
        return needed

    def _trained(self) -> set[Op]:
        """The ops that run backward: a loss depends on them, and a parameter on their gradients."""
        if not self.training:
            return set()
        trained: set[Op] = set()
        reached = {head.logits for head in self.heads}
        for op in reversed(self.trace.ops):
            if op.output in reached:
                reached.update(op.inputs)
                if op.output in self.needed:
                    trained.add(op)
        return trained

    def _recomputed(self) -> set[Value]:
        """The values that are not kept for the only backward pass that reads them."""
        ops = self.trace.ops
        if 4 * sum(self.elements(op.output.sizes) for op in ops) < RECOMPUTE_FROM:
            return set()
        found: set[Value] = set()
        for op in ops:
            reader = op.output.follower
            if reader is None or not {op, reader} <= self.trained:
                continue
            if op.stage.recomputes and reader.keeps(op.output):
                found.add(op.output)
        return found

    def plan(self) -> Plan:
        """All lives first, then all steps, then the memory."""
        for value in self.trace.inputs:
            self.values[value] = self._slot(value, 0)
        for op in self.trace.ops:
            self._place_output(op)
        saved = {op: self._saved(op) for op in self.trace.ops}
        outputs = [self.values[value] for value in self.trace.outputs]
        heads = [self._head(i, outputs) for i in range(len(self.outputs))]
        found = {op: self._gradients(op) for op in reversed(self.trace.ops) if op in self.trained}
        self._seen: set[Parameter] = set()
        shared = {op: self._shared(op) for op in reversed(self.trace.ops) if op in self.trained}
        self.steps: dict[Op, Step] = {}
        for op in self.trace.ops:  # those that write what others read come first
            self.steps[op] = self._step(op, saved[op], found.get(op), shared.get(op, ()))
        self.memory.allocate()
        return Plan(
            batch_size=self.batch_size,
            training=self.training,
            inputs=[(Buffer(self.values[v]), v.sizes) for v in self.trace.inputs],
            outputs=[
                (Buffer(slot), value.sizes)
                for slot, value in zip(outputs, self.trace.outputs, strict=True)
            ],
            steps=list(self.steps.values()),
            heads=[head for head in heads if head is not None],
            memory=self.memory,
        )

    def elements(self, sizes: Sizes) -> int:
        """The elements of a whole batch."""
        return self.batch_size * math.prod(sizes)

    def _slot(self, value: Value, start: int) -> Slot:
        return self.memory.slot(
            4 * self.elements(value.sizes), start, self._last_read(value, start)
        )

    def _last_read(self, value: Value, start: int) -> int:
        if value.is_output:
            return END
        times = [start]
        for op in value.consumers:
            times.append(self.forward_at[op])
            if op in self.trained and op.keeps(value) and value not in self.recomputed:
                times.append(self.backward_at[op])
        producer = value.producer
        if producer is not None and producer.stage.keeps_output and producer in self.trained:
            times.append(self.backward_at[producer])
        times += [self.loss_at + i for i, head in enumerate(self.heads) if head.logits is value]
        return max(times)

    def _place_output(self, op: Op) -> None:
        """The memory of what an op writes: that of its input where it may be."""
        now = self.forward_at[op]
        slot = self.values[op.output] = self._slot(op.output, now)
        if op.stage.is_view(self.training):
            slot.follow(self.values[op.inputs[0]])
            return
        for i in op.replaceable:
            source = self.values[op.inputs[i]]
            apart = i != op.stage.summand or source.place is not self.values[op.inputs[0]].place
            if apart and source.is_free(now):
                slot.follow(source)
                return

    def _saved(self, op: Op) -> tuple[Buffer, ...]:
        """The extra outputs: kept in training, otherwise written where nobody looks."""
        start = self.forward_at[op]
        end = self.backward_at[op] if op in self.trained else start
        return tuple(
            Buffer(self.memory.slot(array.nbytes, start, end), array.dtype)
            for array in op.stage.saved_arrays(op.shape(self.batch_size))
        )

    def _head(self, output: int, outputs: list[Slot]) -> Head | None:
        head = self.outputs[output]
        if head is None:
            return None
        index = self.heads.index(head)
        now, sizes = self.loss_at + index, head.logits.sizes
        if head.activation is not None:
            outputs[output] = self.memory.slot(4 * self.elements(sizes), now, END)
        losses = self.memory.slot(4 * self.batch_size, now, END)
        gradient, add_to = self._gradient(head.logits, now)
        return Head(
            head,
            sizes,
            logits=Buffer(self.values[head.logits]),
            output=Buffer(outputs[output]),
            losses=Buffer(losses),
            gradient=Buffer(gradient),
            add_to=add_to,
        )

    def _gradient(self, value: Value, now: int) -> tuple[Slot, Buffer | None]:
        """Where a gradient of a value is written, and what it is added to if another was before."""
        nbytes = 4 * self.elements(value.sizes)
        first = self.gradients.get(value)
        if first is not None:
            return self.memory.slot(nbytes, now, now), Buffer(first)
        end = now
        if value.producer is not None and value.producer in self.trained:
            end = self.backward_at[value.producer]
        slot = self.gradients[value] = self.memory.slot(nbytes, now, end)
        return slot, None

    def _over_dy(self, op: Op) -> int | None:
        """The number of the input whose gradient is written over that of the output."""
        if op.stage.is_view(True):
            return 0
        return next((i for i in op.replaceable if op.inputs[i] in self.needed), None)

    def _gradients(self, op: Op) -> _Gradients:
        """Where the gradients of an op's inputs are written, and to what they are added then."""
        now, stage = self.backward_at[op], op.stage
        self._place_again(op)
        behind, over_dy = self.gradients[op.output], self._over_dy(op)
        found = _Gradients([], [], self._adds_to_dx(op))
        for i, value in enumerate(op.inputs):
            if value not in self.needed:
                slot, add_to = None, None
            elif i == 0 and found.add_to_dx:
                slot, add_to = self.gradients[value], None
            else:
                slot, add_to = self._gradient(value, now)
                place = self._kept(value)
                over_input = stage.dx_over_x or not op.keeps(value)
                if i == over_dy:
                    slot.follow(behind)
                elif (
                    add_to is None
                    and over_input
                    and place.is_free(now)
                    and place.place is not behind.place
                ):
                    slot.follow(place)
            found.dx.append(None if slot is None else Buffer(slot))
            found.add_to.append(add_to)
        return found

    def _adds_to_dx(self, op: Op) -> bool:
        """Whether the stage can add to the gradient that its input has already."""
        value = op.inputs[0]
        first = self.gradients.get(value) if op.stage.adds_to_dx else None
        if first is None or value not in self.needed:
            return False
        return first.place not in (self._kept(value).place, self.gradients[op.output].place)

    def _kept(self, value: Value) -> Slot:
        """Where the backward pass finds a value."""
        return self.again.get(value) or self.values[value]

    def _place_again(self, op: Op) -> None:
        """Memory for what an op's backward pass needs once more."""
        now = self.backward_at[op]
        for value in op.inputs:
            if value in self.recomputed and op.keeps(value):
                nbytes = 4 * self.elements(value.sizes)
                self.again[value] = self.memory.slot(nbytes, now, now)

    def _shared(self, op: Op) -> tuple[tuple[Parameter, Buffer], ...]:
        """The parameters that a later op has written a gradient of, with memory for another."""
        now, again = self.backward_at[op], []
        for parameter in op.stage.trainable_weights:
            if parameter in self._seen:
                slot = self.memory.slot(4 * parameter.size, now, now)
                again.append((parameter, Buffer(slot)))
            self._seen.add(parameter)
        return tuple(again)

    def _again(self, value: Value) -> tuple[Step, Buffer] | None:
        """Which step writes a value once more for a backward pass, and where, if one does."""
        if value not in self.again or value.producer is None:
            return None
        return self.steps[value.producer], Buffer(self.again[value])

    def _step(
        self,
        op: Op,
        saved: tuple[Buffer, ...],
        gradients: _Gradients | None,
        shared: tuple[tuple[Parameter, Buffer], ...],
    ) -> Step:
        nothing: list[Buffer | None] = [None] * len(op.inputs)
        dx, add_to, add_to_dx = gradients or _Gradients(nothing, nothing)
        y = self.values[op.output]
        in_place = any(y.place is self.values[value].place for value in op.inputs)
        written = 0 if in_place else 4 * self.elements(op.output.sizes)
        written += sum(each.nbytes for each in op.stage.saved_arrays(op.shape(self.batch_size)))
        return Step(
            stage=op.stage,
            input_sizes=op.input_sizes,
            output_sizes=op.output.sizes,
            x=tuple(Buffer(self.values[value]) for value in op.inputs),
            y=Buffer(y),
            saved=saved,
            again=tuple(self._again(value) for value in op.inputs),
            dy=Buffer(self.gradients[op.output]) if op in self.trained else None,
            dx=tuple(dx),
            add_to=tuple(add_to),
            add_to_dx=add_to_dx,
            shared=shared,
            nbytes=written,
        )
