"""The three models of the study that convkit starts from, uncompiled.

Each function returns a new `Sequential` with fresh weights; `compile` and `fit` are the user's.
"""

from __future__ import annotations

from .layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    MaxPooling2D,
)
from .models import Sequential

__all__ = [
    "cifar10_cnn",
    "fashion_mnist_cnn",
    "mnist_cnn",
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
