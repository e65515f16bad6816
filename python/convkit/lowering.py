"""From layers to a plan: what runs, in which order, on which buffers.

`lower` is a pure function of its arguments. It cuts the layers into stages, replaces runs of
stages that the table of `convkit.fusion` knows by one, and gives every stage its buffers:

- in training, each stage's output stays until backward has read it. Then the gradient takes its
  place, which is still in a core's cache; where something before reads the output, too, gradients
  walk between two buffers;
- otherwise the activations themselves walk between two buffers;
- a stage that is only another view of its input, or may write over it, gets no buffer at all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from . import fusion, regularizers
from .fusion import LossHead, Sizes, Stage
from .layers.base import Layer
from .losses import Loss
from .optimizers import Optimizer
from .plan import Buffer, Origin, Plan, Step


def lower(
    layers: Sequence[Layer],
    input_sizes: Sizes,
    batch_size: int,
    training: bool = False,
    *,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    fuse: bool = True,
) -> Plan:
    """Turn built layers into a plan.

    Args:
        layers: in order, all built.
        input_sizes: the shape of one sample.
        batch_size: of the largest batch that will run.
        training: whether `backward` will run; needs a loss.
        loss: without it, the plan only predicts.
        optimizer: in training, whose update ends a step; without it, gradients do.
        fuse: False takes every stage by itself, as the tests do to check the fusions.

    Raises:
        ValueError: the batch size is not positive, or training is asked for without a loss.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be a positive integer, received {batch_size}")
    if training and loss is None:
        raise ValueError("a plan for training needs a loss")
    origin = Origin([*layers, *([] if loss is None else [loss])])
    chain: list[Any] = [stage for layer in layers for stage in layer.stages()]
    if loss is not None:
        if fuse:
            chain = fusion.activation_last(chain, input_sizes)
        chain.append(LossHead(loss))
    if fuse:
        chain = fusion.fuse(chain)
    head = chain.pop() if loss is not None else None
    plan = _Allocator(batch_size, training).plan(chain, head, input_sizes)
    plan.origin = origin
    if training:
        plan.regularized, plan.optimizer = regularizers.regularized(layers), optimizer
    return plan


class _Allocator:
    """Gives the stages of one plan their buffers."""

    def __init__(self, batch_size: int, training: bool) -> None:
        self.batch_size = batch_size
        self.training = training
        self.nbytes = 0

    def plan(self, stages: list[Stage], head: LossHead | None, input_sizes: Sizes) -> Plan:
        """All buffers, then all steps."""
        sizes = [input_sizes]
        for stage in stages:
            sizes.append(stage.output_sizes(sizes[-1]))
        source = self.buffer(self.elements(input_sizes))
        activations = self._activations(stages, sizes, source)
        saved = self._saved(stages, sizes)
        gradients, doutput = self._gradients(stages, sizes, activations, head)
        steps = []
        for i, stage in enumerate(stages):
            x, y = activations[i], activations[i + 1]
            written = 0 if y is x else 4 * self.elements(sizes[i + 1])
            declared = stage.saved_arrays((self.batch_size, *sizes[i]))
            written += sum(array.nbytes for array in declared)
            pair = gradients[i]
            steps.append(Step(stage, sizes[i], sizes[i + 1], x, y, saved[i], *pair, written))
        logits = output = activations[-1]
        if head is not None and head.activation is not None:
            output = self.buffer(self.elements(sizes[-1]))
        losses = self.buffer(self.batch_size)
        return Plan(
            batch_size=self.batch_size,
            training=self.training,
            input_sizes=input_sizes,
            output_sizes=sizes[-1],
            steps=steps,
            head=head,
            x=source,
            output=output,
            logits=logits,
            losses=losses,
            doutput=doutput,
            nbytes=self.nbytes,
        )

    def buffer(self, size: int, dtype: DTypeLike = np.float32) -> Buffer:
        """New memory, counted."""
        made = Buffer(size, dtype)
        self.nbytes += made.nbytes
        return made

    def elements(self, sizes: Sizes) -> int:
        """The elements of a whole batch."""
        return self.batch_size * math.prod(sizes)

    def _activations(self, stages: list[Stage], sizes: list[Sizes], x: Buffer) -> list[Buffer]:
        """The buffer in front of every stage and behind the last."""
        buffers = [x]
        largest = max((self.elements(s) for s in sizes[1:]), default=0)
        pair: list[Buffer] = []
        for i, stage in enumerate(stages):
            current = buffers[-1]
            if self.training and stage.keeps_input:
                current.pinned = True
            if stage.is_view(self.training) or (stage.in_place and not current.pinned):
                following = current
            elif self.training:
                following = self.buffer(self.elements(sizes[i + 1]))
            else:
                free = [buffer for buffer in pair if buffer is not current]
                if not free:
                    pair.append(self.buffer(largest))
                    free = pair[-1:]
                following = free[0]
            if self.training and stage.keeps_output:
                following.pinned = True
            buffers.append(following)
        return buffers

    def _saved(self, stages: list[Stage], sizes: list[Sizes]) -> list[tuple[Buffer, ...]]:
        """The extra outputs: kept in training, otherwise written where nobody looks."""
        declared = [
            stage.saved_arrays((self.batch_size, *sizes[i])) for i, stage in enumerate(stages)
        ]
        if self.training:
            return [
                tuple(self.buffer(math.prod(array.shape), array.dtype) for array in arrays)
                for arrays in declared
            ]
        scratch: dict[tuple[int, np.dtype[Any]], Buffer] = {}
        for arrays in declared:
            for slot, array in enumerate(arrays):
                key = (slot, np.dtype(array.dtype))
                size = math.prod(array.shape)
                if key not in scratch or scratch[key].memory.size < size:
                    scratch[key] = Buffer(size, array.dtype)
        self.nbytes += sum(buffer.nbytes for buffer in scratch.values())
        return [
            tuple(scratch[slot, np.dtype(array.dtype)] for slot, array in enumerate(arrays))
            for arrays in declared
        ]

    def _gradients(
        self,
        stages: list[Stage],
        sizes: list[Sizes],
        activations: list[Buffer],
        head: LossHead | None,
    ) -> tuple[list[tuple[Buffer | None, Buffer | None]], Buffer | None]:
        """(dy, dx) of every stage, and the gradient of the output."""
        pairs: list[tuple[Buffer | None, Buffer | None]] = [(None, None)] * len(stages)
        if head is None:
            return pairs, None
        if not self.training:
            return pairs, self.buffer(self.elements(sizes[-1]))
        first = next((i for i, s in enumerate(stages) if s.trainable_weights), len(stages))
        walking = [
            i
            for i in range(first + 1, len(stages))
            if not (stages[i].in_place or _gives_way(stages, activations, first, i))
        ]
        largest = max(self.elements(s) for s in (*(sizes[i] for i in walking), sizes[-1]))
        two = (self.buffer(largest), self.buffer(largest))
        current = doutput = two[0]
        for i in reversed(range(first, len(stages))):
            stage = stages[i]
            if stage.is_view(True):
                continue
            dx = None
            if i > first:
                there = activations[i] if i not in walking else two[current is two[0]]
                dx = current if stage.in_place else there
            pairs[i] = (current, dx)
            current = dx or current
        return pairs, doutput


def _gives_way(stages: list[Stage], activations: list[Buffer], first: int, i: int) -> bool:
    """Whether the gradient of stage i's input may be written over the input itself.

    So it is if the stage can do that, and if neither backward from stage `first` to the one before
    it nor, behind the model, a metric reads what is there.
    """
    x, stage = activations[i], stages[i]
    read = any(
        (stages[j].keeps_input and activations[j] is x)
        or (stages[j].keeps_output and activations[j + 1] is x)
        for j in range(first, i)
    )
    return (stage.dx_over_x or not stage.keeps_input) and not read and x is not activations[-1]
