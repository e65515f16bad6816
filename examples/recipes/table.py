"""What several runs came to: a table in Markdown, and accuracy against seconds as a picture.

    python table.py --runs CIFAR-10 cifar10_94.py out/0 out/1 --runs CIFAR-10 cifar10.py out/2 \\
        --point CIFAR-10 "Keras" 0.7404 1500 --picture accuracy.png

Each folder is the `--output` of a recipe or a study, for one seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.ticker import LogLocator, NullLocator

from convkit.plots.style import BLUE, GREY, INK, SMALL, VERMILION, new_figure


class Entry(NamedTuple):
    """The runs of one script.

    Attributes:
        data_set, name: what was trained on, and by what.
        accuracies: of the test images, one a seed.
        seconds: that a training took, the median.
        parameters, operations: of the network and of a training, None where it was not written.
    """

    data_set: str
    name: str
    accuracies: list[float]
    seconds: float
    parameters: int | None = None
    operations: float | None = None

    @property
    def accuracy(self) -> float:
        """The mean."""
        return statistics.mean(self.accuracies)


def entry(data_set: str, name: str, *folders: str) -> Entry:
    """The runs in some folders."""
    runs = [json.loads((Path(each) / "metrics.json").read_text("utf-8")) for each in folders]
    return Entry(
        data_set,
        name,
        [run["test_accuracy"] for run in runs],
        statistics.median(run["train_seconds"] for run in runs),
        runs[0]["parameters"],
        statistics.median(run["operations"] for run in runs) if "operations" in runs[0] else None,
    )


def markdown(entries: Sequence[Entry]) -> str:
    """The entries as a table."""
    lines = [
        "| | | seeds | test accuracy, mean | parameters | operations | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for each in entries:
        low, high = min(each.accuracies), max(each.accuracies)
        spread = f" ({low:.2%} to {high:.2%})" if len(each.accuracies) > 1 else ""
        parameters = "" if each.parameters is None else f"{each.parameters:,}"
        operations = "" if each.operations is None else f"{each.operations:.2g}"
        accuracy = f"{each.accuracy:.2%}{spread}"
        cells = (each.data_set, each.name, len(each.accuracies), accuracy, parameters, operations)
        lines.append(f"| {' | '.join(map(str, cells))} | {each.seconds:,.0f} |")
    return "\n".join(lines)


def picture(entries: Sequence[Entry], points: Sequence[Entry], path: str) -> None:
    """A panel for each data set: errors against seconds, both axes logarithmic."""
    data_sets = list(dict.fromkeys(each.data_set for each in entries))
    figure = new_figure(3.4 * len(data_sets), 3.2)
    for place, data_set in enumerate(data_sets):
        axes = figure.add_subplot(1, len(data_sets), place + 1)
        own = [each for each in entries if each.data_set == data_set]
        others = [each for each in points if each.data_set == data_set]
        best = max([*own, *others], key=lambda each: each.accuracy)  # its name is below
        for group, color, marker in ((own, BLUE, "o"), (others, VERMILION, "s")):
            for each in group:
                errors = [100 * (1 - accuracy) for accuracy in each.accuracies]
                axes.plot([each.seconds] * 2, [min(errors), max(errors)], color=color)
                axes.plot([each.seconds], [100 * (1 - each.accuracy)], marker, color=color)
                axes.annotate(
                    f"{each.name}\n{each.accuracy:.2%}",
                    (each.seconds, min(errors) if each is best else 100 * (1 - each.accuracy)),
                    xytext=(0, -7 if each is best else 7),
                    textcoords="offset points",
                    ha="center",
                    va="top" if each is best else "bottom",
                    fontsize=SMALL,
                    color=INK,
                )
        axes.set_xscale("log")
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(low / 1.35, high * 1.4)
        left, right = axes.get_xlim()
        axes.set_xlim(left / 2, right * 2)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_title(data_set)
        axes.set_xlabel("seconds of training on two cores")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
        axes.tick_params(which="both", labelsize=SMALL)
        axes.grid(which="both", color=GREY, alpha=0.2)
        if place == 0:
            axes.set_ylabel("errors of 100 test images")
    figure.savefig(path)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--runs", action="append", nargs="+", default=[], help="data set, name, one folder a seed")
    add(
        "--point",
        action="append",
        nargs=4,
        default=[],
        metavar=("SET", "NAME", "ACCURACY", "SECONDS"),
        help="of somebody else's, in the picture alone",
    )
    parser.add_argument("--picture", help="a file to draw into, such as accuracy.png")
    options = parser.parse_args(arguments)
    if any(len(each) < 3 for each in options.runs):
        parser.error("--runs needs a data set, a name and at least one folder")
    entries = [entry(*each) for each in options.runs]
    points = [Entry(a, b, [float(c)], float(d)) for a, b, c, d in options.point]
    print(markdown(entries))
    if options.picture:
        picture(entries, points, options.picture)


if __name__ == "__main__":
    main()
