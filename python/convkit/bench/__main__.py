"""The command line: `python -m convkit.bench --help`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from .. import runtime
from . import chart, report
from .kernels import kernel_cases
from .machine import machine
from .measure import Case, Pace, measure_all
from .shapes import MODELS, layer_shapes
from .train import has_torch, train_cases


def _kernels(arguments: argparse.Namespace) -> Iterable[Case]:
    models = [MODELS[name]() for name in arguments.models]
    return kernel_cases(layer_shapes(models, arguments.batch_size))


def _train(arguments: argparse.Namespace) -> Iterable[Case]:
    return train_cases(
        arguments.models,
        batch_size=arguments.batch_size,
        threads=runtime.get_num_threads(),
        torch=has_torch() if arguments.torch is None else arguments.torch,
    )


# What can be measured: a title and the cases for the given arguments.
COMMANDS: Mapping[str, tuple[str, Callable[[argparse.Namespace], Iterable[Case]]]] = {
    "kernels": ("Kernels", _kernels),
    "train": ("Training step", _train),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark that the arguments ask for; the exit status."""
    arguments = _parser().parse_args(argv)
    if arguments.threads is not None:
        runtime.set_num_threads(arguments.threads)
    here = machine()
    if not arguments.json:
        print("\n".join(here.lines()), end="\n\n", flush=True)
    title, cases = COMMANDS[arguments.command]
    results = measure_all(cases(arguments), Pace(arguments.rounds))
    print(report.as_json(results, here) if arguments.json else report.table(results))
    if arguments.chart is not None:
        title += f", batch {arguments.batch_size}"
        chart.save_chart(results, arguments.chart, title=title, note="\n".join(here.lines()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m convkit.bench",
        description="Measure convkit against NumPy and, where installed, PyTorch: alternating "
        "runs in one process, medians of ratios.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    kernels = commands.add_parser(
        "kernels", help="each layer shape of the models, each direction, against NumPy"
    )
    train = commands.add_parser("train", help="whole training steps of the models")
    train.add_argument(
        "--torch",
        action=argparse.BooleanOptionalAction,
        help="let PyTorch take part (default: where it is installed)",
    )
    for command in (kernels, train):
        _add_common(command)
    return parser


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--models",
        nargs="+",
        choices=list(MODELS),
        default=list(MODELS),
        help="which of the three (default: all)",
    )
    command.add_argument("--batch-size", type=_positive, default=32, help="default: 32")
    command.add_argument("--threads", type=_positive, help="of convkit and PyTorch")
    command.add_argument(
        "--rounds", type=_positive, default=5, help="alternating runs of each side (default: 5)"
    )
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    command.add_argument("--chart", type=Path, metavar="FILE", help="save a bar chart, e.g. a PNG")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, received {value}")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
