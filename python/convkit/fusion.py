"""Which neighbouring stages become one: the table of fusions, and what they become.

A new fusion is one row in `FUSIONS` and, if no layer can do it yet, one class that fulfils `Stage`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from .layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Reshape,
)
from .layers.base import Layer
from .layers.conv2d_batchnorm import ConvBatchNorm
from .layers.conv2d_max_pool2d import ConvMaxPool
from .layers.epilogue import EpilogueLayer
from .layers.run import Run, SavedArray
from .losses import Loss
from .parameters import Array, Parameter

Sizes = tuple[int, ...]


class Stage(Protocol):
    """What a plan needs of a layer, or of several layers fused into one."""

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def keeps_input(self) -> bool: ...
    @property
    def keeps_output(self) -> bool: ...
    @property
    def in_place(self) -> bool: ...
    @property
    def dx_over_x(self) -> bool: ...
    @property
    def repeats(self) -> bool: ...
    @property
    def trainable_weights(self) -> list[Parameter]: ...
    def is_view(self, training: bool) -> bool: ...
    def output_sizes(self, input_sizes: Sizes) -> Sizes: ...
    def saved_arrays(self, input_shape: Sizes) -> tuple[SavedArray, ...]: ...
    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], run: Run) -> None: ...
    def backward(
        self, x: Array, y: Array, dy: Array, dx: Array | None, saved: tuple[Array, ...], run: Run
    ) -> None: ...
    def describe(self, input_shape: Sizes, training: bool) -> str: ...


class FusedActivation:
    """A layer that applies the activation behind it while it writes its output."""

    in_place = False

    def __init__(self, layer: EpilogueLayer, activation: Activation) -> None:
        assert activation.activation is not None
        self.layer = layer
        self.activation = activation.activation
        self.names = tuple(dict.fromkeys((*layer.names, *activation.names)))
        self.keeps_input = layer.keeps_input
        self.dx_over_x = layer.dx_over_x
        self.keeps_output = layer.epilogue_keeps_output
        self.repeats = layer.repeats
        self.saved_arrays = layer.saved_arrays
        self.output_sizes = layer.output_sizes
        self.forward = partial(layer.forward, activation=self.activation)
        self.backward = partial(layer.backward, activation=self.activation)

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The layer's own."""
        return self.layer.trainable_weights

    def is_view(self, training: bool) -> bool:
        """Never: there is something to compute."""
        return False

    def describe(self, input_shape: Sizes, training: bool) -> str:
        """The layer's operation and the activation."""
        return f"{self.layer.describe(input_shape, training)} + {self.activation}"


class LossHead(NamedTuple):
    """The end of a plan that knows the right answers.

    Attributes:
        activation: the softmax or sigmoid that is computed together with the loss, if there is one.
    """

    loss: Loss
    activation: Activation | None = None


class Fusion(NamedTuple):
    """Neighbouring stages, each accepted by one predicate of `pattern`, become `make(*stages)`."""

    name: str
    pattern: tuple[Callable[[Any], bool], ...]
    make: Callable[..., Any]


def _has_relu_epilogue(stage: object) -> bool:
    return isinstance(stage, EpilogueLayer) and "relu" in stage.epilogues


def _is_relu(stage: object) -> bool:
    return isinstance(stage, Activation) and stage.activation == "relu"


def _is_conv2d(stage: object) -> bool:
    return isinstance(stage, Conv2D)


def _is_trained_batchnorm(stage: object) -> bool:
    # With fixed statistics the gradient is another; freezing a layer makes a new plan.
    return isinstance(stage, BatchNormalization) and stage.trainable


def _is_pool_of_two(stage: object) -> bool:
    return isinstance(stage, MaxPooling2D) and (
        (stage.pool_size, stage.strides, stage.padding) == ((2, 2), (2, 2), "valid")
    )


def _is_softmax(stage: object) -> bool:
    return isinstance(stage, Activation) and stage.activation == "softmax"


def _is_sigmoid(stage: object) -> bool:
    return isinstance(stage, Activation) and stage.activation == "sigmoid"


def _wants_softmax(head: object) -> bool:
    return isinstance(head, LossHead) and head.loss.fused_activation == "softmax"


def _wants_sigmoid(head: object) -> bool:
    return isinstance(head, LossHead) and head.loss.fused_activation == "sigmoid"


def _with_loss(activation: Activation, head: LossHead) -> LossHead:
    return LossHead(head.loss, activation)


# Tried in this order at every stage; longer patterns come first.
FUSIONS = (
    Fusion(
        "convolution, batch normalisation, ReLU, max-pool",
        (_is_conv2d, _is_trained_batchnorm, _is_relu, _is_pool_of_two),
        ConvBatchNorm,
    ),
    Fusion(
        "convolution, batch normalisation, max-pool",
        (_is_conv2d, _is_trained_batchnorm, _is_pool_of_two),
        ConvBatchNorm,
    ),
    Fusion(
        "convolution, batch normalisation, ReLU",
        (_is_conv2d, _is_trained_batchnorm, _is_relu),
        ConvBatchNorm,
    ),
    Fusion("convolution, batch normalisation", (_is_conv2d, _is_trained_batchnorm), ConvBatchNorm),
    Fusion("convolution, ReLU, max-pool", (_is_conv2d, _is_relu, _is_pool_of_two), ConvMaxPool),
    Fusion("convolution, max-pool", (_is_conv2d, _is_pool_of_two), ConvMaxPool),
    Fusion("activation epilogue", (_has_relu_epilogue, _is_relu), FusedActivation),
    Fusion(
        "softmax with cross-entropy",
        (_is_softmax, _wants_softmax),
        _with_loss,
    ),
    Fusion("sigmoid with binary cross-entropy", (_is_sigmoid, _wants_sigmoid), _with_loss),
)


def fuse(chain: Sequence[Any]) -> list[Any]:
    """Replace every run of stages that the table knows by one stage, from front to back."""
    result: list[Any] = []
    position = 0
    while position < len(chain):
        for fusion in FUSIONS:
            window = chain[position : position + len(fusion.pattern)]
            if len(window) == len(fusion.pattern) and all(
                accepts(stage) for accepts, stage in zip(fusion.pattern, window, strict=True)
            ):
                result.append(fusion.make(*window))
                position += len(window)
                break
        else:
            result.append(chain[position])
            position += 1
    return result


def activation_last(stages: Sequence[Any], input_sizes: Sizes) -> list[Any]:
    """Move a last activation behind the views that follow it, in front of the loss.

    So a sigmoid before a Flatten is fused with the loss as well. A softmax may only pass a view
    that keeps the last axis, along which it goes.
    """
    sizes = [input_sizes]
    for stage in stages:
        sizes.append(stage.output_sizes(sizes[-1]))
    end = len(stages)
    while end > 0 and stages[end - 1].is_view(True):
        end -= 1
    last = stages[end - 1] if end > 0 else None
    along_axis = _is_softmax(last) and any(each[-1:] != sizes[end][-1:] for each in sizes[end:])
    if not isinstance(last, Activation) or along_axis:
        return list(stages)
    return [*stages[: end - 1], *stages[end:], last]


def end_of(layers: Sequence[Layer]) -> str | None:
    """The activation that made a model's output, "linear" for none; None if that is not known."""
    for stage in reversed([stage for layer in layers for stage in layer.stages()]):
        if isinstance(stage, Activation):
            if stage.activation is not None:
                return stage.activation
            continue
        if isinstance(stage, Conv2D | Dense):
            return "linear"
        if not isinstance(stage, Flatten | Reshape | GlobalAveragePooling2D):
            return None
    return None
