"""The common ground of ONNX and PyTorch: operators on channels-first images.

Both see a network as a graph of the same operators: images (N, C, H, W), convolution kernels
(OC, C, KH, KW), paddings in numbers, and a Flatten that lays out (C, H, W). So what convkit's
layers are in these terms is said once: `decompose` takes a model apart into operators, `assemble`
makes a model of them, and ONNX's nodes and PyTorch's modules are only other spellings of them.
Operators name the tensors that they read and make; those of a chain need no names.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..core.parameters import Array

Pads: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True)
class Operator:
    """One operator of ONNX, with ONNX's names and conventions.

    - Conv: arrays W (OC, C // group, KH, KW) and perhaps B (OC,); strides, pads, dilations, group.
    - Gemm: arrays W (C, OC) and perhaps B (OC,).
    - BatchNormalization: arrays scale, B, mean, var, each (C,); epsilon, momentum (the share of
      the running statistics that stays; var is updated with the population variance).
    - MaxPool, AveragePool: kernel_shape, strides, pads, ceil_mode; padding wins or counts nowhere,
      unless an AveragePool has count_include_pad.
    - GlobalAveragePool, GlobalMaxPool: to (N, C, 1, 1).
    - Flatten: to (N, C * H * W). Reshape: sizes, of one sample. Transpose: perm.
    - Pad: pads, with zeros; negative ones cut off. Dropout: ratio.
    - SpatialDropout2D, GaussianDropout: ratio. SharedDropout: ratio, and the axes, shared, along
      which all values have one fate. GaussianNoise: stddev. They, and Dropout, do nothing but in
      training; ONNX has only Dropout.
    - ConvTranspose: arrays W (C, OC // group, KH, KW) and perhaps B (OC,); as Conv, and
      output_padding.
    - MatMul: array W (C, OC), along the last axis.
    - LayerNormalization: arrays scale and perhaps B, of the sizes from axis on; axis, epsilon.
    - InstanceNormalization: arrays scale and B, each (C,); epsilon.
    - Resize: factors (rows, columns), mode "nearest" or "linear", of whole pixels' middles.
    - Mul, Add: one array, a number or one for each channel; or two tensors, which are broadcast.
    - Sub, Sum, Mean, Max, Min: tensors, which are broadcast. Concat: tensors; axis.
    - Clip: min, max, infinite for none. ThresholdedRelu: alpha.
    - PRelu: one array of slopes, which is broadcast to a sample; of_channels says that there is one
      for each channel, or one for all, whatever the rank.
    - Those of `ACTIVATIONS`.

    `pads` are (top, left, bottom, right), as in ONNX.

    Attributes:
        op: ONNX's name.
        arrays: the constant inputs behind the first, in ONNX's order.
        attributes: by ONNX's names.
        name: for the names of nodes and layers, and for errors.
        source: what it was made of, for errors, where its own name and ONNX's say too little.
        inputs: the names of the tensors that it reads; none for that of the operator before it.
        output: the name of the tensor that it makes.
    """

    op: str
    arrays: tuple[Array, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    source: str = ""
    inputs: tuple[str, ...] = ()
    output: str = ""

    def error(self, message: str) -> ValueError:
        """A ValueError that names this operator."""
        place = self.source or (f'{self.op} "{self.name}"' if self.name else self.op)
        return ValueError(f"{place}: {message}")


# The operators that pass their input on, but in training.
IN_TRAINING = ("Dropout", "GaussianDropout", "GaussianNoise", "SharedDropout", "SpatialDropout2D")

# convkit's activations as operators. A softmax runs along the channels, axis 1 of (N, C) and of
# (N, C, H, W).
ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "softmax": ("Softmax", {"axis": 1}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "gelu": ("Gelu", {"approximate": "none"}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.2}),
    "elu": ("Elu", {"alpha": 1.0}),
    "relu6": ("Clip", {"min": 0.0, "max": 6.0}),
    "silu": ("Swish", {"alpha": 1.0}),
    "selu": ("Selu", {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hard_silu": ("HardSwish", {}),
    "exponential": ("Exp", {}),
    "mish": ("Mish", {}),
    "log_softmax": ("LogSoftmax", {"axis": 1}),
}


def to_channels_first(rank: int) -> tuple[int, ...]:
    """The permutation from (N, ..., C) to (N, C, ...)."""
    return (0, rank - 1, *range(1, rank - 1))


def to_channels_last(rank: int) -> tuple[int, ...]:
    """The permutation from (N, C, ...) to (N, ..., C)."""
    return (0, *range(2, rank), 1)


def order_is_one(sizes: Sequence[int]) -> bool:
    """Whether images of these sizes, (..., C), lie in memory alike in both layouts."""
    return sizes[-1] == 1 or math.prod(sizes[:-1]) == 1
