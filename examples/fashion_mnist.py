"""Fashion-MNIST: a small convolutional network learns to tell ten kinds of clothes apart.

42,000 images to learn from, 18,000 to validate on, 10,000 to test with. Ten epochs bring about 92 %
of the test images right; what people, too, find hard to tell from a shirt is most of the rest.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

import study
from convkit import zoo
from convkit.datasets import fashion_mnist


def main(arguments: Sequence[str] | None = None) -> None:
    options = study.begin(__doc__, epochs=10, output="fashion-mnist-output", arguments=arguments)

    (x_train, y_train), (x_test, y_test) = fashion_mnist.load_data()
    x_train = x_train[..., np.newaxis].astype("float32") / 255  # one channel, values 0 to 1
    x_test = x_test[..., np.newaxis].astype("float32") / 255

    model = zoo.fashion_mnist_cnn()
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

    study.finish(model, history, x_test, y_test, fashion_mnist.CLASS_NAMES, seconds, options)


if __name__ == "__main__":
    main()
