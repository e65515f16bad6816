"""CIFAR-10: a convolutional network learns to recognise ten kinds of things in small photographs.

35,000 images to learn from, 15,000 to validate on, 10,000 to test with. Training stops when the
validation loss has not improved for four epochs, and goes back to its best weights: about 74 % of
the test images are then right.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import study
from convkit import zoo
from convkit.callbacks import EarlyStopping
from convkit.datasets import cifar10


def main(arguments: Sequence[str] | None = None) -> None:
    options = study.begin(__doc__, epochs=20, output="cifar10-output", arguments=arguments)

    (x_train, y_train), (x_test, y_test) = cifar10.load_data()
    x_train = x_train.astype("float32") / 255
    x_test = x_test.astype("float32") / 255

    model = zoo.cifar10_cnn()
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.summary()

    start = time.perf_counter()
    history = model.fit(
        x_train,
        y_train,
        batch_size=options.batch_size,
        epochs=options.epochs,
        validation_split=0.3,
        callbacks=[EarlyStopping(monitor="val_loss", patience=4, restore_best_weights=True)],
    )
    seconds = time.perf_counter() - start

    study.finish(model, history, x_test, y_test, cifar10.CLASS_NAMES, seconds, options)


if __name__ == "__main__":
    main()
