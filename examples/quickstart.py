"""Quickstart: train a small convolutional network on handwritten digits, in a few seconds.

Needs no network: the 1,797 digits of 8x8 pixels come with scikit-learn. The
pictures go into the folder quickstart-output, or where `--output` says; two of them are kept in
examples/figures.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import convkit
from convkit import layers, plots
from convkit.datasets import digits


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default="quickstart-output", metavar="DIR")
    folder = parser.parse_args(arguments).output
    folder.mkdir(parents=True, exist_ok=True)

    convkit.utils.set_random_seed(0)

    (x_train, y_train), (x_test, y_test) = digits.load_data()
    x_train = x_train[..., np.newaxis].astype("float32") / 16  # one channel, values 0 to 1
    x_test = x_test[..., np.newaxis].astype("float32") / 16

    model = convkit.Sequential(
        [
            convkit.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.summary()

    history = model.fit(x_train, y_train, batch_size=32, epochs=20, validation_split=0.1)
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"\ntest loss {loss:.4f}, test accuracy {100 * accuracy:.2f} %")

    probabilities = model.predict(x_test, verbose=0)
    plots.history(history).savefig(folder / "history.png")
    plots.confusion_matrix(y_test, probabilities).savefig(folder / "confusion_matrix.png")
    for which in ("correct", "incorrect", "confident_mistakes"):
        plots.samples(x_test, y_test, probabilities, which=which).savefig(folder / f"{which}.png")
    plots.filters(model.layers[0]).savefig(folder / "filters.png")
    plots.activations(model, x_test[0], model.layers[1]).savefig(folder / "activations.png")
    print(f"pictures: {folder.resolve()}")


if __name__ == "__main__":
    main()
