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
    say(f"\ntest loss {test_loss:.4f}, test accuracy {100 * test_accuracy:.2f} %")
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
    """Report on predictions for the test images, and on the training that took so many seconds.

    Of several processes that train together, the first one alone prints and writes files.
    """
    y_test = y_test.ravel()
    y_pred = probabilities.argmax(axis=1)
    incorrect = int(np.count_nonzero(y_pred != y_test))

    say(f"{len(y_test) - incorrect:,} test images correct, {incorrect:,} incorrect\n")
    say(
        classification_report(
            y_test,
            y_pred,
            labels=range(len(class_names)),
            target_names=class_names,
            digits=4,
            zero_division=0.0,
        )
    )

    # In all processes, for the maps are predicted.
    first_pool = next(layer for layer in model.layers if isinstance(layer, MaxPooling2D))
    pictures = {"activations": plots.activations(model, x_test[0], first_pool)}
    if not _is_first():
        return
    pictures["history"] = plots.history(history)
    pictures["confusion_matrix"] = plots.confusion_matrix(y_test, y_pred, class_names)
    for which in ("correct", "incorrect", "confident_mistakes"):
        pictures[which] = plots.samples(
            x_test, y_test, probabilities, class_names, count=25, which=which
        )
    first = next(layer for layer in model.layers if isinstance(layer, Conv2D))
    pictures["filters"] = plots.filters(first)
    folder: Path = options.output
    for name, picture in pictures.items():
        picture.savefig(folder / f"{name}.png")
    found = {
        **metrics,
        "epochs": len(history.history["loss"]),
        "train_seconds": round(seconds, 3),
        "parameters": model.count_params(),
        "seed": options.seed,
    }
    (folder / "metrics.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    say(f"training took {seconds:.1f} s (epochs: {found['epochs']})")
    say(f"pictures and metrics: {folder.resolve()}")


def say(text: object) -> None:
    """Print; of several processes that train together, in the first one alone."""
    if _is_first():
        print(text)


def _is_first() -> bool:
    here = convkit.distribution.distribution()
    return here is None or here.rank == 0


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
