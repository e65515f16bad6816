"""Networks for small images, uncompiled: three of a study, and some of the literature.

Each function returns a new model with fresh weights; `compile` and `fit` are the user's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .layers import (
    Activation,
    Add,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Input,
    MaxPooling2D,
    Rescaling,
)
from .models import Model, Sequential

__all__ = [
    "airbench",
    "cifar10_cnn",
    "fashion_mnist_cnn",
    "mnist_cnn",
    "mobilenet_v2_cifar",
    "resnet20",
    "resnet56",
    "wide_resnet",
]


def __dir__() -> list[str]:
    return __all__


def mnist_cnn() -> Sequential:
    """The MNIST model: images (N, 28, 28, 1), 10 classes, 469,172 parameters.

    Its second dense layer ends in ReLU and has only ten units, as in the study.
    """
    return Sequential(
        [
            Input((28, 28, 1)),
            Conv2D(32, (3, 3), padding="same", activation="relu"),
            Conv2D(32, (3, 3), padding="same", activation="relu"),
            MaxPooling2D((2, 2)),
            Conv2D(64, (3, 3), padding="same", activation="relu"),
            Conv2D(64, (3, 3), padding="same", activation="relu"),
            MaxPooling2D((2, 2)),
            Flatten(),
            Dense(128, activation="relu"),
            Dense(10, activation="relu"),
            Dense(64, activation="relu"),
            Dense(10, activation="softmax"),
        ],
        name="mnist_cnn",
    )


def fashion_mnist_cnn() -> Sequential:
    """The Fashion-MNIST model: images (N, 28, 28, 1), 10 classes, 467,818 parameters."""
    return Sequential(
        [
            Input((28, 28, 1)),
            Conv2D(32, (3, 3), padding="same", activation="relu"),
            Conv2D(32, (3, 3), padding="same", activation="relu"),
            MaxPooling2D((2, 2)),
            Conv2D(64, (3, 3), padding="same", activation="relu"),
            Conv2D(64, (3, 3), padding="same", activation="relu"),
            MaxPooling2D((2, 2)),
            Flatten(),
            Dropout(0.5),
            Dense(128, activation="relu"),
            Dense(10, activation="softmax"),
        ],
        name="fashion_mnist_cnn",
    )


def cifar10_cnn() -> Sequential:
    """The CIFAR-10 model: images (N, 32, 32, 3), 10 classes.

    362,346 parameters, of which 384, the moving statistics, are not trainable.
    """
    return Sequential(
        [
            Input((32, 32, 3)),
            Conv2D(32, (3, 3), padding="same"),
            BatchNormalization(),
            Activation("relu"),
            Conv2D(32, (3, 3), padding="same"),
            BatchNormalization(),
            Activation("relu"),
            MaxPooling2D((2, 2)),
            Conv2D(64, (3, 3), padding="same"),
            BatchNormalization(),
            Activation("relu"),
            Conv2D(64, (3, 3)),
            BatchNormalization(),
            Activation("relu"),
            MaxPooling2D((2, 2)),
            Conv2D(128, (3, 3), padding="same", activation="relu"),
            Conv2D(128, (3, 3), activation="relu"),
            MaxPooling2D((2, 2)),
            Flatten(),
            Dense(128, activation="relu"),
            Dropout(0.5),
            Dense(64, activation="relu"),
            Dense(10, activation="softmax"),
        ],
        name="cifar10_cnn",
    )


def airbench(
    widths: Sequence[int] = (64, 256, 256),
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    bn_momentum: float = 0.6,
) -> Sequential:
    """A chain that learns CIFAR-10 to 94 % in ten epochs; it ends in logits.

    (K. Jordan, "94 % on CIFAR-10 in 3.29 seconds on a single GPU", 2024: airbench94.) A 2x2
    convolution, meant for the filters of `initializers.whitening_kernel`, and three blocks of two
    3x3 convolutions, whose filters begin as the identity: convolution, pooling, batch normalisation
    without a scale, GELU; and the same without pooling. The largest value of each channel, a dense
    layer without a bias, and a factor of 1/9. For CIFAR-10 it has 1,973,944 parameters, of which
    2,304, the moving statistics, are not trainable. With narrower blocks it learns MNIST and
    Fashion-MNIST as well: `examples/recipes/` has the regimes.

    Args:
        widths: the channels of the blocks, one block each.
        input_shape: (H, W, C) of one image, already normalised.
        classes: of the logits.
        bn_momentum: of the moving statistics; the paper's is for batches of 1,024.
    """
    uniform = {
        "class_name": "VarianceScaling",
        "config": {"scale": 1 / 3, "distribution": "uniform"},
    }
    dirac = {"class_name": "Dirac", "config": {"others": uniform}}
    convolution: Any = {"padding": "same", "use_bias": False, "kernel_initializer": dirac}
    norm: Any = {"momentum": bn_momentum, "epsilon": 1e-12, "scale": False}
    layers: list[Any] = [
        Input(input_shape),
        Conv2D(
            8 * input_shape[-1], 2, activation="gelu", kernel_initializer=dirac, name="whitening"
        ),
    ]
    side = min(input_shape[:2]) - 1
    for width in widths:
        layers += [Conv2D(width, 3, **convolution), MaxPooling2D()]
        layers += [BatchNormalization(**norm), Activation("gelu"), Conv2D(width, 3, **convolution)]
        layers += [BatchNormalization(**norm), Activation("gelu")]
        side //= 2
    if side < 1:
        raise ValueError(
            f"airbench: images of {tuple(input_shape)} are too small for {len(widths)} blocks"
        )
    layers += [GlobalMaxPooling2D(), Dense(classes, use_bias=False, kernel_initializer=uniform)]
    return Sequential([*layers, Rescaling(1 / 9)], name="airbench")


def resnet20(input_shape: Sequence[int] = (32, 32, 3), classes: int = 10) -> Model:
    """ResNet-20 for small images (K. He et al., "Deep residual learning", 2015, section 4.2).

    A 3x3 convolution of 16 channels, three stages of 3 residual blocks with 16, 32 and 64 channels,
    the mean of each channel, and a softmax. For CIFAR-10 it has 274,042 parameters, of which 1,568,
    the moving statistics, are not trainable. Where a stage begins with stride 2, the shortcut is a
    1x1 convolution with batch normalisation (the paper's option B; its option A, zeros in place of
    the new channels, has 2,752 trainable parameters fewer: the paper's 0.27 million).

    The paper trains with a weight decay of 1e-4, which is the optimizer's here, in batches of 128
    for 64,000 steps, on images shifted by up to 4 pixels and mirrored.

    Args:
        input_shape: (H, W, C) of one image.
        classes: of the softmax.

    Example:
        >>> model = convkit.zoo.resnet20()
        >>> optimizer = convkit.optimizers.SGD(0.1, momentum=0.9, weight_decay=1e-4)
        >>> model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    """
    return _resnet(3, input_shape, classes, "resnet20")


def resnet56(input_shape: Sequence[int] = (32, 32, 3), classes: int = 10) -> Model:
    """ResNet-56 for small images: `resnet20` with 9 blocks a stage.

    For CIFAR-10 it has 860,026 parameters, of which 4,256 are not trainable.

    Args:
        input_shape: (H, W, C) of one image.
        classes: of the softmax.
    """
    return _resnet(9, input_shape, classes, "resnet56")


def _resnet(blocks: int, input_shape: Sequence[int], classes: int, name: str) -> Model:
    inputs = Input(input_shape)
    x = _convolution(inputs, 16, 3)
    x = Activation("relu")(BatchNormalization()(x))
    for filters in (16, 32, 64):
        for block in range(blocks):
            strides = 2 if block == 0 and filters > 16 else 1
            y = _convolution(x, filters, 3, strides)
            y = Activation("relu")(BatchNormalization()(y))
            y = BatchNormalization()(_convolution(y, filters, 3))
            if strides > 1:
                x = BatchNormalization()(_convolution(x, filters, 1, strides))
            x = Activation("relu")(Add()([x, y]))
    return Model(inputs, _classified(x, classes), name=name)


def wide_resnet(
    depth: int = 16,
    width: int = 4,
    input_shape: Sequence[int] = (32, 32, 3),
    classes: int = 10,
    dropout: float = 0.0,
) -> Model:
    """A wide residual network (S. Zagoruyko, N. Komodakis, "Wide residual networks", 2016).

    A 3x3 convolution of 16 channels, three stages of (depth - 4) / 6 blocks with 16, 32 and 64
    times `width` channels, batch normalisation, ReLU, the mean of each channel, and a softmax. In a
    block, batch normalisation and ReLU come before each of two convolutions; where the number of
    channels changes, the shortcut is a 1x1 convolution of what the first ReLU gives. For CIFAR-10,
    WRN-16-4 has 2,752,506 parameters, of which 3,616, the moving statistics, are not trainable;
    WRN-28-10 has 36,497,146, and 17,952.

    Args:
        depth: the paper's number of layers: 10, 16, 22, 28, 40, ...
        width: the factor of the channels.
        input_shape: (H, W, C) of one image.
        classes: of the softmax.
        dropout: the rate of a Dropout between the two convolutions of a block; 0 for none.

    Raises:
        ValueError: depth is not 6 n + 4 for some n of at least 1, or width below 1.
    """
    blocks = (depth - 4) // 6
    if blocks < 1 or depth != 6 * blocks + 4:
        raise ValueError(
            f"wide_resnet: depth must be 10, 16, 22, 28, ..., 6 n + 4, received {depth!r}"
        )
    if width < 1:
        raise ValueError(f"wide_resnet: width must be at least 1, received {width!r}")
    inputs = Input(input_shape)
    x, channels = _convolution(inputs, 16, 3), 16
    for stage, filters in enumerate((16 * width, 32 * width, 64 * width)):
        for block in range(blocks):
            strides = 2 if block == 0 and stage > 0 else 1
            y = Activation("relu")(BatchNormalization()(x))
            if channels != filters:
                x = _convolution(y, filters, 1, strides)
            y = _convolution(y, filters, 3, strides)
            y = Activation("relu")(BatchNormalization()(y))
            if dropout:
                y = Dropout(dropout)(y)
            x = Add()([x, _convolution(y, filters, 3)])
            channels = filters
    x = Activation("relu")(BatchNormalization()(x))
    return Model(inputs, _classified(x, classes), name=f"wide_resnet_{depth}_{width}")


# The channels behind a block, how many such blocks follow, and the stride of the first one: the
# paper's, but for the strides, whose first two are 1 here.
_INVERTED = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2_cifar(
    alpha: float = 1.0, input_shape: Sequence[int] = (32, 32, 3), classes: int = 10
) -> Model:
    """MobileNetV2 for small images (M. Sandler et al., "MobileNetV2", 2018).

    The paper's layers, with stride 1 in place of 2 in the first convolution and in the second kind
    of blocks, so that images of 32x32 pixels are 4x4 in the end, not 1x1. A block widens its
    channels by a 1x1 convolution, filters each by a 3x3 one, and narrows them without an
    activation; where its input has the shape of its output, it is added. ReLU6 everywhere else.
    For CIFAR-10 and alpha 1 it has 2,270,794 parameters, as many as the paper's network for 10
    classes, of which 34,112, the moving statistics, are not trainable.

    Args:
        alpha: the factor of the channels, each rounded to a multiple of 8; positive.
        input_shape: (H, W, C) of one image.
        classes: of the softmax.

    Raises:
        ValueError: alpha is not positive.
    """
    if not alpha > 0.0:
        raise ValueError(f"mobilenet_v2_cifar: alpha must be positive, received {alpha!r}")
    inputs = Input(input_shape)
    channels = _multiple_of_8(32 * alpha)
    x = Activation("relu6")(BatchNormalization()(_convolution(inputs, channels, 3)))
    for factor, filters, blocks, stride in _INVERTED:
        for block in range(blocks):
            strides = stride if block == 0 else 1
            filters_out = _multiple_of_8(filters * alpha)
            y = x
            if factor > 1:
                y = _convolution(y, factor * channels, 1)
                y = Activation("relu6")(BatchNormalization()(y))
            y = DepthwiseConv2D(3, strides, "same", use_bias=False)(y)
            y = Activation("relu6")(BatchNormalization()(y))
            y = BatchNormalization()(_convolution(y, filters_out, 1))
            x = Add()([x, y]) if strides == 1 and channels == filters_out else y
            channels = filters_out
    x = _convolution(x, _multiple_of_8(1280 * max(alpha, 1.0)), 1)
    x = Activation("relu6")(BatchNormalization()(x))
    return Model(inputs, _classified(x, classes), name="mobilenet_v2_cifar")


def _multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8, but not more than a tenth below."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _convolution(x: Any, filters: int, size: int, strides: int = 1) -> Any:
    """A convolution before or behind batch normalisation, so without a bias."""
    options: Any = {"use_bias": False, "kernel_initializer": "he_normal"}
    return Conv2D(filters, size, strides, "same", **options)(x)


def _classified(x: Any, classes: int) -> Any:
    return Dense(classes, activation="softmax")(GlobalAveragePooling2D()(x))
