"""MNIST: a small convolutional network learns to read handwritten digits.

42,000 images to learn from, 18,000 to validate on, 10,000 to test with. Five epochs bring about
98.6 to 99 % of the test images right.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

import study
from convkit import zoo
from convkit.datasets import mnist


def main(arguments: Sequence[str] | None = None) -> None:
    options = study.begin(__doc__, epochs=5, output="mnist-output", arguments=arguments)

    (x_train, y_train), (x_test, y_test) = mnist.load_data()
    x_train = x_train[..., np.newaxis].astype("float32") / 255  # one channel, values 0 to 1
    x_test = x_test[..., np.newaxis].astype("float32") / 255

    model = zoo.mnist_cnn()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.summary()

    start = time.perf_counter()
    history = model.fit(
        x_train,
        y_train,
        batch_size=options.batch_size,
        epochs=options.epochs,
        validation_split=0.3,
    )
    seconds = time.perf_counter() - start

    study.finish(model, history, x_test, y_test, mnist.CLASS_NAMES, seconds, options)


if __name__ == "__main__":
    main()
