"""The layers, with Keras's names, arguments and defaults. One layer, or one family, a file.

Besides its own arguments every layer takes `name`, `trainable` and, as the first of a model,
`input_shape`, by keyword: see `Layer`. Inputs and outputs are float32 with the batch in front:
images are (N, H, W, C), vectors (N, C).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy
from .concatenate import Concatenate, concatenate  # here, for its module has a function's name

if TYPE_CHECKING:
    from .activation import ELU, Activation, LeakyReLU, ReLU, Softmax
    from .base import Layer
    from .batchnorm import BatchNormalization
    from .conv2d import Conv2D, Convolution2D
    from .conv2d_transpose import Conv2DTranspose, Convolution2DTranspose
    from .cropping2d import Cropping2D
    from .dense import Dense
    from .depthwise_conv2d import DepthwiseConv2D
    from .dropout import Dropout, SpatialDropout2D
    from .flatten import Flatten
    from .gaussian_noise import GaussianDropout, GaussianNoise
    from .global_pool2d import (
        GlobalAveragePooling2D,
        GlobalAvgPool2D,
        GlobalMaxPool2D,
        GlobalMaxPooling2D,
    )
    from .groupnorm import GroupNormalization
    from .identity import Identity
    from .input import Input, InputLayer
    from .layernorm import LayerNormalization
    from .merge import (
        Add,
        Average,
        Maximum,
        Minimum,
        Multiply,
        Subtract,
        add,
        average,
        maximum,
        minimum,
        multiply,
        subtract,
    )
    from .mixing import CutMix, MixUp
    from .normalization import Normalization
    from .permute import Permute
    from .pool2d import AveragePooling2D, AvgPool2D, MaxPool2D, MaxPooling2D
    from .prelu import PReLU
    from .random_affine import (
        RandomFlip,
        RandomRotation,
        RandomShear,
        RandomTranslation,
        RandomZoom,
    )
    from .random_color import RandomBrightness, RandomContrast, RandomInvert
    from .random_erasing import RandomErasing
    from .random_hue import RandomColorJitter, RandomGrayscale, RandomHue, RandomSaturation
    from .rescaling import Rescaling
    from .reshape import Reshape
    from .resizing import CenterCrop, RandomCrop, Resizing
    from .separable_conv2d import SeparableConv2D, SeparableConvolution2D
    from .upsampling2d import UpSampling2D
    from .zero_padding2d import ZeroPadding2D

__all__ = [
    "ELU",
    "Activation",
    "Add",
    "Average",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "CenterCrop",
    "Concatenate",
    "Conv2D",
    "Conv2DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Cropping2D",
    "CutMix",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "GroupNormalization",
    "Identity",
    "Input",
    "InputLayer",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPool2D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "MixUp",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "RandomBrightness",
    "RandomColorJitter",
    "RandomContrast",
    "RandomCrop",
    "RandomErasing",
    "RandomFlip",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomRotation",
    "RandomSaturation",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "Rescaling",
    "Reshape",
    "Resizing",
    "SeparableConv2D",
    "SeparableConvolution2D",
    "Softmax",
    "SpatialDropout2D",
    "Subtract",
    "UpSampling2D",
    "ZeroPadding2D",
    "add",
    "average",
    "concatenate",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

_OWNERS = {
    "activation": ("Activation", "ELU", "LeakyReLU", "ReLU", "Softmax"),
    "base": ("Layer",),
    "batchnorm": ("BatchNormalization",),
    "conv2d": ("Conv2D", "Convolution2D"),
    "conv2d_transpose": ("Conv2DTranspose", "Convolution2DTranspose"),
    "cropping2d": ("Cropping2D",),
    "dense": ("Dense",),
    "depthwise_conv2d": ("DepthwiseConv2D",),
    "dropout": ("Dropout", "SpatialDropout2D"),
    "flatten": ("Flatten",),
    "gaussian_noise": ("GaussianDropout", "GaussianNoise"),
    "global_pool2d": (
        "GlobalAveragePooling2D",
        "GlobalAvgPool2D",
        "GlobalMaxPool2D",
        "GlobalMaxPooling2D",
    ),
    "groupnorm": ("GroupNormalization",),
    "identity": ("Identity",),
    "input": ("Input", "InputLayer"),
    "layernorm": ("LayerNormalization",),
    "merge": (
        "Add",
        "Average",
        "Maximum",
        "Minimum",
        "Multiply",
        "Subtract",
        "add",
        "average",
        "maximum",
        "minimum",
        "multiply",
        "subtract",
    ),
    "mixing": ("CutMix", "MixUp"),
    "normalization": ("Normalization",),
    "permute": ("Permute",),
    "pool2d": ("AveragePooling2D", "AvgPool2D", "MaxPool2D", "MaxPooling2D"),
    "prelu": ("PReLU",),
    "random_affine": (
        "RandomFlip",
        "RandomRotation",
        "RandomShear",
        "RandomTranslation",
        "RandomZoom",
    ),
    "random_color": ("RandomBrightness", "RandomContrast", "RandomInvert"),
    "random_erasing": ("RandomErasing",),
    "random_hue": ("RandomColorJitter", "RandomGrayscale", "RandomHue", "RandomSaturation"),
    "rescaling": ("Rescaling",),
    "reshape": ("Reshape",),
    "resizing": ("CenterCrop", "RandomCrop", "Resizing"),
    "separable_conv2d": ("SeparableConv2D", "SeparableConvolution2D"),
    "upsampling2d": ("UpSampling2D",),
    "zero_padding2d": ("ZeroPadding2D",),
}

if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__, _OWNERS)
