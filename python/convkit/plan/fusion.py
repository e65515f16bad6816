"""Which neighbouring stages become one: the table of fusions, and what they become.

A new fusion is one row in `FUSIONS` and, if no layer can do it yet, one class that fulfils `Stage`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..core.parameters import Array, Parameter
from ..layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Reshape,
)
from ..layers.base import Layer
from ..layers.conv2d_batchnorm import ConvBatchNorm, ConvBatchNormAdd
from ..layers.conv2d_max_pool2d import ConvMaxPool
from ..layers.epilogue import EpilogueLayer, KernelLayer
from ..layers.graph import Tensor
from ..layers.step_context import SavedArray, StepContext
from ..losses import Loss
from ..ops._epilogue import reads_input
from .values import Op, Sizes, Trace, Value


class FusedActivation:
    """A layer that applies the activation behind it while it writes its output."""

    merges = False
    in_place = False
    summand = None
    recomputes = False

    def __init__(self, layer: EpilogueLayer, activation: Activation) -> None:
        self.layer = layer
        self.activation = activation
        self.names = tuple(dict.fromkeys((*layer.names, *activation.names)))
        self.keeps_input = layer.keeps_input
        self.dx_over_x = layer.dx_over_x
        self.adds_to_dx = layer.adds_to_dx
        self.keeps_output = layer.epilogue_keeps_output
        self.capturable = layer.capturable
        self.saved_arrays = layer.saved_arrays
        self.output_sizes = layer.output_sizes

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """The layer's, with the activation as it is now."""
        self.layer.forward(x, y, saved, context, self.activation.epilogue)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
        **options: bool,
    ) -> None:
        """The layer's, likewise."""
        self.layer.backward(x, y, dy, dx, saved, context, self.activation.epilogue, **options)

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The layer's own."""
        return self.layer.trainable_weights

    def is_view(self, training: bool) -> bool:
        """Never: there is something to compute."""
        return False

    def describe(self, input_shape: Sizes, training: bool) -> str:
        """The layer's operation and the activation."""
        own = self.layer.describe(input_shape, training)
        return f"{own} + {self.activation.describe(input_shape, training)}"


class KeepingActivation(FusedActivation):
    """The same with an activation whose derivative needs what it is applied to.

    The layer writes that as well, and the activation is computed while it is in a core's cache.
    """

    def __init__(self, layer: KernelLayer, activation: Activation) -> None:
        super().__init__(layer, activation)
        self.keeps_output = False
        self.saved_arrays = self._saved_arrays

    def _saved_arrays(self, input_shape: tuple[int, ...]) -> tuple[SavedArray, ...]:
        """What the activation is applied to."""
        return (SavedArray((input_shape[0], *self.output_sizes(input_shape[1:]))),)


class LossHead(NamedTuple):
    """An output of which the right answers are known.

    Attributes:
        loss: how far from them it is.
        logits: the value that the loss reads.
        activation: the softmax or sigmoid that is computed together with the loss, and gives the
            model's output, if there is one.
        weight: the factor of the loss in what training makes small.
    """

    loss: Loss
    logits: Value
    activation: Activation | None = None
    weight: float = 1.0


class Fusion(NamedTuple):
    """Neighbouring stages, each accepted by one predicate of `pattern`, become `make(*stages)`.

    A predicate is given a stage, and whether the plan is one of training.
    """

    name: str
    pattern: tuple[Callable[[Any, bool], bool], ...]
    make: Callable[..., Any]


def _computes_as(stage: object, *kinds: type[Layer]) -> bool:
    """Whether a stage does what a layer of one of these kinds does: a user's class may do more."""
    return any(
        isinstance(stage, kind)
        and type(stage).forward is kind.forward
        and type(stage).backward is kind.backward
        for kind in kinds
    )


def _has_relu_epilogue(stage: object, training: bool) -> bool:
    if not isinstance(stage, EpilogueLayer) or "relu" not in stage.epilogues:
        return False
    return type(stage).forward.__module__.partition(".")[0] == __name__.partition(".")[0]


def _is_relu(stage: Any, training: bool) -> bool:
    return _computes_as(stage, Activation) and stage.activation == "relu"


def _is_elementwise(stage: Any, training: bool) -> bool:
    return _computes_as(stage, Activation) and bool(stage.is_elementwise)


def _is_kernel_layer(stage: object, training: bool) -> bool:
    return _computes_as(stage, Conv2D, DepthwiseConv2D, Dense)


def _derives_from_output(stage: object, training: bool) -> bool:
    """Whether nobody needs more than the activation's result."""
    return _is_elementwise(stage, training) and not _derives_from_input(stage, training)


def _derives_from_input(stage: object, training: bool) -> bool:
    if not (training and isinstance(stage, Activation) and stage.is_elementwise):
        return False
    return reads_input(stage.epilogue)


def _is_convolution(stage: object, training: bool) -> bool:
    return _computes_as(stage, Conv2D, DepthwiseConv2D)


def _is_conv2d(stage: object, training: bool) -> bool:
    return _computes_as(stage, Conv2D)


def _is_batchnorm(stage: Any, training: bool) -> bool:
    # With fixed statistics the gradient is another; freezing a layer makes a new plan.
    return _computes_as(stage, BatchNormalization) and (stage.trainable or not training)


def _is_sum(stage: object, training: bool) -> bool:
    return _computes_as(stage, Add)


def _is_pool_of_two(stage: Any, training: bool) -> bool:
    return _computes_as(stage, MaxPooling2D) and (
        (stage.pool_size, stage.strides, stage.padding) == ((2, 2), (2, 2), "valid")
    )


# Tried in this order at every stage; longer patterns come first.
FUSIONS = (
    Fusion(
        "convolution, batch normalisation, ReLU, max-pool",
        (_is_convolution, _is_batchnorm, _is_relu, _is_pool_of_two),
        ConvBatchNorm,
    ),
    Fusion(
        "convolution, batch normalisation, max-pool",
        (_is_convolution, _is_batchnorm, _is_pool_of_two),
        ConvBatchNorm,
    ),
    Fusion(
        "convolution, batch normalisation, sum, ReLU",
        (_is_convolution, _is_batchnorm, _is_sum, _is_relu),
        ConvBatchNormAdd,
    ),
    Fusion(
        "convolution, batch normalisation, sum",
        (_is_convolution, _is_batchnorm, _is_sum),
        ConvBatchNormAdd,
    ),
    Fusion(
        "convolution, batch normalisation, activation",
        (_is_convolution, _is_batchnorm, _is_elementwise),
        ConvBatchNorm,
    ),
    Fusion("convolution, batch normalisation", (_is_convolution, _is_batchnorm), ConvBatchNorm),
    Fusion("convolution, ReLU, max-pool", (_is_conv2d, _is_relu, _is_pool_of_two), ConvMaxPool),
    Fusion("convolution, max-pool", (_is_conv2d, _is_pool_of_two), ConvMaxPool),
    Fusion(
        "batch normalisation, activation",
        (_is_batchnorm, _is_elementwise),
        FusedActivation,
    ),
    Fusion(
        "kernel, activation with its input",
        (_is_kernel_layer, _derives_from_input),
        KeepingActivation,
    ),
    Fusion("kernel, activation", (_is_kernel_layer, _derives_from_output), FusedActivation),
    Fusion("activation epilogue", (_has_relu_epilogue, _is_relu), FusedActivation),
)


def fuse(trace: Trace, training: bool) -> None:
    """Replace every run of stages that the table knows by one stage, from front to back.

    Stages follow each other where one value goes from the one to the other and nowhere else. A run
    with a sum takes place where its last stage was, for the other summand is there by then.
    """
    fused: list[Op] = []
    waiting: dict[Op, Op] = {}
    gone: set[Op] = set()
    for op in trace.ops:
        if op in waiting:
            fused.append(waiting[op])
        if op in gone:
            continue
        now = op
        for fusion in FUSIONS:
            run = _run(op, fusion, training)
            if run:
                if any(each.stage.merges for each in run):
                    now = run[-1]
                op.replace(run[1:], fusion.make(*(each.stage for each in run)))
                gone.update(run[1:])
                break
        if now is op:
            fused.append(op)
        else:
            waiting[now] = op
    trace.ops[:] = fused


def _run(first: Op, fusion: Fusion, training: bool) -> list[Op]:
    """The ops from one on that fit a pattern, or none."""
    run: list[Op] = []
    op: Op | None = first
    for accepts in fusion.pattern:
        if op is None or not accepts(op.stage, training):
            return []
        if op.stage.merges and not _is_of_two(op):
            return []
        run.append(op)
        op = op.output.follower
    return run


def _is_of_two(op: Op) -> bool:
    """Whether an op merges two values of its output's sizes."""
    return [value.sizes for value in op.inputs] == [op.output.sizes] * 2


def plain_head(trace: Trace, output: int, loss: Loss, weight: float) -> LossHead:
    """The end of one of the outputs, of which the loss reads the values as they are."""
    return LossHead(loss, trace.outputs[output], None, weight)


def loss_head(trace: Trace, output: int, loss: Loss, weight: float) -> LossHead:
    """The end of one of the outputs, with its last activation where the loss goes with that.

    A last activation is moved behind the views that follow it. So a sigmoid before a Flatten is
    computed with the loss as well. A softmax may only pass a view that keeps the last axis, along
    which it goes.
    """
    value = trace.outputs[output]
    views: list[Op] = []
    last = value.producer
    is_only = trace.outputs.count(value) == 1 and not value.consumers
    while last is not None and is_only and last.stage.is_view(True) and not last.stage.merges:
        views.insert(0, last)
        (before,) = last.inputs
        is_only = len(before.consumers) == 1 and not before.is_output
        last = before.producer
    stage = None if last is None else last.stage
    fits = isinstance(stage, Activation) and stage.activation == loss.fused_activation
    if last is None or not is_only or not fits or loss.fused_activation is None:
        return plain_head(trace, output, loss, weight)
    assert isinstance(stage, Activation)
    along_axis = stage.activation == "softmax"
    if along_axis and any(v.output.sizes[-1:] != last.output.sizes[-1:] for v in views):
        return plain_head(trace, output, loss, weight)
    trace.ops.remove(last)
    last.remove()
    if not views:
        value = trace.outputs[output] = last.inputs[0]
    value.is_output = False  # that is what the loss makes of it
    return LossHead(loss, value, stage, weight)


def end_of(tensor: Tensor) -> str | None:
    """The activation that made an output, "linear" for none; None if that is not known."""
    while True:
        layer = tensor.layer
        while layer._inner is not None:
            tensor = layer._inner.outputs[tensor.index]
            layer = tensor.layer
        end = end_of_chain([layer]) if tensor.node.inputs else None
        if end != "":
            return end
        (tensor,) = tensor.node.inputs


def end_of_chain(layers: Sequence[Layer]) -> str | None:
    """The activation behind a chain of layers, as `end_of`; "" if they pass on what they get."""
    for stage in reversed([stage for layer in layers for stage in layer.stages()]):
        if isinstance(stage, Activation):
            if stage.activation is not None:
                return stage.activation
            continue
        if isinstance(stage, Conv2D | Dense):
            return "linear"
        if not isinstance(stage, Flatten | Reshape | GlobalAveragePooling2D):
            return None
    return ""
