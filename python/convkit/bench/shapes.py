"""What the models of `convkit.zoo` ask of the kernels: each layer's operation and shape, once.

Also the view of a model that every contender is built from: its elementary layers in order, with
each ReLU joined to the layer before it, as every side of the comparison fuses or unrolls it as it
likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .. import layers, zoo
from ..core.memory import aligned_empty
from ..models import Model

Array = NDArray[np.float32]
Labels = NDArray[np.int64]
Shape = tuple[int, ...]
Calls = dict[str, Callable[[], object]]  # direction -> what to call
TrainStep = Callable[[Array, Labels], float]  # images (N, H, W, C) and labels (N,) -> loss
PredictStep = Callable[[Array], Array]  # images (N, H, W, C) -> probabilities (N, K)

MODELS: dict[str, Callable[[], Model]] = {
    "mnist": zoo.mnist_cnn,
    "fashion_mnist": zoo.fashion_mnist_cnn,
    "cifar10": zoo.cifar10_cnn,
}
# Graphs of layers, which NumPy's sides do not have.
GRAPHS: dict[str, Callable[[], Model]] = {
    "resnet20": zoo.resnet20,
    "resnet56": zoo.resnet56,
    "wide_resnet_16_4": lambda: zoo.wide_resnet(16, 4),
    "mobilenet_v2": zoo.mobilenet_v2_cifar,
}

_CAN_END_IN_RELU = (layers.Conv2D, layers.Dense, layers.BatchNormalization)


@dataclass(frozen=True)
class Step:
    """One elementary layer and whether a ReLU follows it at once."""

    layer: layers.Layer
    relu: bool = False


def training_steps(model: Model) -> list[Step]:
    """A classifier's layers up to the logits: the softmax at its end belongs to the loss.

    Raises:
        ValueError: the model has branches, or does not end in a softmax.
    """
    if model.graph.as_chain() is None:
        raise ValueError(f"only chains of layers are unrolled for NumPy, received {model!r}")
    stages = [stage for layer in model.layers for stage in layer.stages()]
    if not stages or _activation(stages[-1]) != "softmax":
        raise ValueError(f"the benchmark needs a model that ends in a softmax, received {model!r}")
    steps: list[Step] = []
    for stage in stages[:-1]:
        if _activation(stage) == "relu" and steps and _takes_relu(steps[-1]):
            steps[-1] = replace(steps[-1], relu=True)
        else:
            steps.append(Step(stage))
    return steps


def _activation(layer: layers.Layer) -> str | None:
    return layer.activation if isinstance(layer, layers.Activation) else None


def _takes_relu(step: Step) -> bool:
    return isinstance(step.layer, _CAN_END_IN_RELU) and not step.relu


@dataclass(frozen=True)
class LayerShape:
    """One operation with its shapes.

    Attributes:
        operation: its name in `convkit.ops`: "conv2d", "batchnorm", "max_pool2d", "dense", "relu".
        x_shape: of the input, with the batch: (N, H, W, C) or (N, C).
        y_shape: of the output.
        w_shape: of the weights, (KH, KW, C, OC) or (C, OC); empty where there are none.
        padding: "same" or "valid"; of convolutions only.
        relu: whether a ReLU follows, which kernels may fuse.
    """

    operation: str
    x_shape: Shape
    y_shape: Shape
    w_shape: Shape = ()
    padding: str = "valid"
    relu: bool = False

    @property
    def name(self) -> str:
        """Such as `conv2d 28x28x32 > 32 same relu`."""
        words = [self.operation, "x".join(str(size) for size in self.x_shape[1:])]
        if self.w_shape:
            words += [">", str(self.y_shape[-1])]
        if self.operation == "conv2d":
            words.append(self.padding)
        if self.relu:
            words.append("relu")
        return " ".join(words)

    @property
    def flops(self) -> float | None:
        """Operations of one direction done directly, 2 a multiply-add; None without weights.

        A convolution's products with its padding are counted, as is usual.
        """
        if not self.w_shape:
            return None
        return 2.0 * math.prod(self.y_shape[:-1]) * math.prod(self.w_shape)

    @property
    def nbytes(self) -> int:
        """What one direction must read and write: two of input, output and weights, and the third.

        The same for every direction, since each of the three arrays has its gradient's shape.
        """
        shapes = [self.x_shape, self.y_shape, *([self.w_shape] if self.w_shape else [])]
        return 4 * sum(math.prod(shape) for shape in shapes)


def empty(shape: Shape) -> Array:
    """An uninitialised array that starts on a cache line, as those of a model do."""
    return aligned_empty(math.prod(shape)).reshape(shape)


class LayerArrays:
    """Inputs of one shape, standard normal and the same in every process.

    Attributes:
        x, dy: input and gradient of the output.
        w, b: weights (empty where there are none) and bias.
        gamma: of a normalisation: ones, so that an in-place backward pass that is repeated on its
            own result neither grows nor decays into slow denormal numbers.
    """

    def __init__(self, shape: LayerShape) -> None:
        generator = np.random.default_rng(0)

        def normal(size: Shape) -> Array:
            return generator.standard_normal(dtype=np.float32, out=empty(size))

        channels = shape.y_shape[-1:]
        self.x, self.dy = normal(shape.x_shape), normal(shape.y_shape)
        self.w = normal(shape.w_shape or (0,))
        self.b, self.gamma = normal(channels), np.ones(channels, np.float32)


def layer_shapes(models: Iterable[Model], batch_size: int = 32) -> list[LayerShape]:
    """The shapes that training these built models meets at that batch size, each named once.

    Dense and convolution layers that apply a ReLU also give its shape as an operation of its own.
    """
    found: dict[LayerShape, None] = {}
    for model in models:
        for step in training_steps(model):
            for shape in _shapes_of(step, batch_size):
                found[shape] = None
    order = ("conv2d", "batchnorm", "max_pool2d", "dense", "relu")
    return sorted(found, key=lambda shape: order.index(shape.operation))


def _shapes_of(step: Step, batch_size: int) -> list[LayerShape]:
    layer = step.layer
    if isinstance(layer, layers.Flatten | layers.Dropout) or layer.output_shape is None:
        return []
    x_shape, y_shape = (
        (batch_size, *(size or 0 for size in shape[1:]))
        for shape in (layer.input_shape or (), layer.output_shape)
    )
    if isinstance(layer, layers.Conv2D):
        w_shape, padding = layer.kernel.shape, layer.padding
        shape = LayerShape("conv2d", x_shape, y_shape, w_shape, padding, step.relu)
    elif isinstance(layer, layers.Dense):
        shape = LayerShape("dense", x_shape, y_shape, layer.kernel.shape, relu=step.relu)
    elif isinstance(layer, layers.BatchNormalization):
        return [LayerShape("batchnorm", x_shape, y_shape, relu=step.relu)]
    elif isinstance(layer, layers.MaxPooling2D):
        return [LayerShape("max_pool2d", x_shape, y_shape)]
    else:
        raise ValueError(f"the benchmark has no kernels to compare for {layer!r}")
    return [shape, LayerShape("relu", y_shape, y_shape)] if step.relu else [shape]
