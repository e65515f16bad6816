"""What the three studies (mnist.py, fashion_mnist.py, cifar10.py) and the recipes have in common.

`begin` reads the command line and makes the run repeatable; `finish` measures the trained model on
the test images; `report` prints what came out, and saves the pictures and `metrics.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import classification_report

import convkit
from convkit import plots
from convkit.layers import Conv2D, MaxPooling2D


def begin(
    description: str | None,
    epochs: int | None,
    output: str,
    arguments: Sequence[str] | None = None,
    batch_size: int = 32,
    parser: argparse.ArgumentParser | None = None,
) -> argparse.Namespace:
    """Read the command line, make the output folder, set the seed and the number of threads.

    Arguments:
        description: of the study, for `--help`.
        epochs, output: the defaults of `--epochs`, which is no option if None, and `--output`.
        arguments: the command line; that of the program if None.
        batch_size: likewise.
        parser: with options of the study's own.

    Returns:
        The options `epochs`, `batch_size`, `seed`, `threads` (None: convkit chooses) and `output`.
    """
    parser = parser or argparse.ArgumentParser()
    parser.description = description
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    if epochs is not None:
        parser.add_argument(
            "--epochs", type=positive, default=epochs, help="passes over the data (%(default)s)"
        )
    parser.add_argument(
        "--batch-size", type=positive, default=batch_size, help="images in a step (%(default)s)"
    )
    parser.add_argument(
        "--seed", type=_not_negative, default=0, help="of all random numbers (%(default)s)"
    )
    parser.add_argument("--threads", type=positive, help="threads to compute with (all cores)")
    parser.add_argument(
        "--output", type=_folder, default=output, metavar="DIR", help="for results (%(default)s)"
    )
    options = parser.parse_args(arguments)
    if options.threads is not None:
        convkit.runtime.set_num_threads(options.threads)
    convkit.utils.set_random_seed(options.seed)
    return options


def finish(
    model: convkit.Sequential,
    history: convkit.callbacks.History,
    x_test: np.ndarray,
    y_test: np.ndarray,
    class_names: Sequence[str],
    seconds: float,
    options: argparse.Namespace,
) -> None:
    """Report on a trained model: to the screen, as pictures, and as `metrics.json`."""
    test_loss, test_accuracy = model.evaluate(x_test, y_test, verbose=0)
    probabilities = model.predict(x_test, verbose=0)
    metrics = {"test_accuracy": test_accuracy, "test_loss": test_loss}
    print(f"\ntest loss {test_loss:.4f}, test accuracy {100 * test_accuracy:.2f} %")
    report(model, history, x_test, y_test, probabilities, class_names, seconds, metrics, options)


def report(
    model: convkit.Sequential,
    history: convkit.callbacks.History,
    x_test: np.ndarray,
    y_test: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    seconds: float,
    metrics: Mapping[str, Any],
    options: argparse.Namespace,
) -> None:
    """Report on predictions for the test images, and on the training that took so many seconds."""
    y_test = y_test.ravel()
    y_pred = probabilities.argmax(axis=1)
    incorrect = int(np.count_nonzero(y_pred != y_test))

    print(f"{len(y_test) - incorrect:,} test images correct, {incorrect:,} incorrect\n")
    labels = range(len(class_names))
    print(
        classification_report(
            y_test, y_pred, labels=labels, target_names=class_names, digits=4, zero_division=0.0
        )
    )

    folder: Path = options.output
    plots.history(history).savefig(folder / "history.png")
    plots.confusion_matrix(y_test, y_pred, class_names).savefig(folder / "confusion_matrix.png")
    for which in ("correct", "incorrect", "confident_mistakes"):
        grid = plots.samples(x_test, y_test, probabilities, class_names, count=25, which=which)
        grid.savefig(folder / f"{which}.png")
    first = next(layer for layer in model.layers if isinstance(layer, Conv2D))
    plots.filters(first).savefig(folder / "filters.png")
    first_pool = next(layer for layer in model.layers if isinstance(layer, MaxPooling2D))
    plots.activations(model, x_test[0], first_pool).savefig(folder / "activations.png")
    found = {
        **metrics,
        "epochs": len(history.history["loss"]),
        "train_seconds": round(seconds, 3),
        "parameters": model.count_params(),
        "seed": options.seed,
    }
    (folder / "metrics.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"training took {seconds:.1f} s (epochs: {found['epochs']})")
    print(f"pictures and metrics: {folder.resolve()}")


def positive(text: str) -> int:
    """A whole number from 1, of a command line."""
    return _whole_number(text, least=1)


def _not_negative(text: str) -> int:
    return _whole_number(text, least=0)


def _whole_number(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"expected a whole number from {least}, got {text!r}")
    return number


def _folder(text: str) -> Path:
    """Make the folder before the training, rather than fail to write into it afterwards."""
    folder = Path(text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot make the folder {text!r}: {error}") from error
    return folder
