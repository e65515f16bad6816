"""The command line: `python -m convkit.bench --help`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import runtime
from . import chart, report
from .infer import infer_cases
from .kernels import NUMPY, Side, kernel_cases, with_best
from .machine import BANDWIDTH, Machine, machine, set_blas_threads
from .measure import Case, Pace, Result, measure_all
from .peers import PEERS, PREDICTING, TRAINING, modules, present
from .processes import memory_cases, startup_cases
from .profile import accounts
from .ranks import rank_cases
from .roofline import save_roofline
from .scaling import scaling_cases
from .schedule import records, save_schedule, save_trace, speed_ups
from .shapes import GRAPHS, MODELS, layer_shapes
from .style import new_figure
from .train import compiled, train_cases


def _kernels(arguments: argparse.Namespace) -> Iterable[Case]:
    sides: dict[str, Side] = dict(NUMPY) if "numpy-tuned" in arguments.contenders else {}
    if "torch" in arguments.contenders:
        from .contenders.torch_kernels import torch_sides

        sides |= torch_sides(runtime.get_num_threads())
    models = [MODELS[name]() for name in arguments.models]
    return kernel_cases(layer_shapes(models, arguments.batch_size), sides)


def _train(arguments: argparse.Namespace) -> Iterable[Case]:
    return train_cases(
        arguments.models,
        batch_size=arguments.batch_size,
        threads=runtime.get_num_threads(),
        contenders=arguments.contenders,
    )


def _infer(arguments: argparse.Namespace) -> Iterable[Case]:
    return infer_cases(
        arguments.models,
        batch_sizes=arguments.batch_size,
        threads=runtime.get_num_threads(),
        contenders=arguments.contenders,
    )


def _scaling(arguments: argparse.Namespace) -> Iterable[Case]:
    return scaling_cases(
        arguments.models, threads=runtime.get_num_threads(), batch_sizes=arguments.batch_size
    )


def _ranks(arguments: argparse.Namespace) -> Iterable[Case]:
    return rank_cases(
        arguments.models, threads=runtime.get_num_threads(), batch_sizes=arguments.batch_size
    )


def _memory(arguments: argparse.Namespace) -> Iterable[Case]:
    return memory_cases(
        batch_size=arguments.batch_size,
        threads=runtime.get_num_threads(),
        contenders=arguments.contenders,
    )


def _startup(arguments: argparse.Namespace) -> Iterable[Case]:
    return startup_cases(contenders=arguments.contenders)


@dataclass(frozen=True)
class Command:
    """Something that can be measured.

    Attributes:
        title: of the chart.
        about: what it measures, for --help.
        cases: what to measure, for the given arguments; None for the profile, which is no
            comparison.
        contenders: who can take part.
        batch_sizes: the default, of one value where the command takes one; none where it has none.
        models: whether there is a choice of models.
        graphs: whether graphs are among them, beside contenders that are not of NumPy.
    """

    title: str
    about: str
    cases: Callable[[argparse.Namespace], Iterable[Case]] | None
    contenders: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = (32,)
    models: bool = True
    graphs: bool = False


COMMANDS: Mapping[str, Command] = {
    "kernels": Command(
        "Kernels",
        "each layer shape of the models, each direction: times, effective GFLOP/s, share of the "
        "multiply-add peak, ratios",
        _kernels,
        ("numpy-tuned", "torch"),
    ),
    "train": Command(
        "Training step", "whole training steps of the models", _train, TRAINING, graphs=True
    ),
    "infer": Command(
        "Prediction of a batch",
        "prediction of one batch: latency and images per second, ratios to predict_on_batch and to "
        "model.predictor",
        _infer,
        PREDICTING,
        (1, 32, 128),
        graphs=True,
    ),
    "profile": Command(
        "Where the time of a training step goes",
        "every part of convkit's training step against what the machine allows, and Python's share",
        None,
    ),
    "scaling": Command(
        "Scaling of the training step",
        "convkit's training step by threads and by batch size",
        _scaling,
        batch_sizes=(16, 32, 64, 128),
        graphs=True,
    ),
    "ranks": Command(
        "Training step of several processes",
        "convkit's training step in several processes, which MPI starts, against one with as many "
        "threads; needs mpi4py and an MPI",
        _ranks,
        batch_sizes=(32, 128),
        graphs=True,
    ),
    "trace": Command(
        "Schedule of a training step",
        "which thread does which task when, in one training step: a file of Chrome's trace format, "
        "which https://ui.perfetto.dev opens, and a picture",
        None,
        graphs=True,
    ),
    "memory": Command(
        "Peak memory of training",
        "peak resident set of a process that trains the MNIST model on random images",
        _memory,
        ("torch", "keras"),
        models=False,
    ),
    "startup": Command(
        "Startup and size",
        "import time in fresh processes and installed size without dependencies",
        _startup,
        ("numpy", "torch", "keras"),
        (),
        models=False,
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark that the arguments ask for; the exit status."""
    arguments = _parser().parse_args(argv)
    command = COMMANDS[arguments.command]
    if arguments.threads is not None:
        runtime.set_num_threads(arguments.threads)
    set_blas_threads(runtime.get_num_threads())
    arguments.contenders, skipped = present(arguments.contenders)
    for name, reason in skipped.items():
        print(f"without {name}: {reason}", file=sys.stderr if arguments.json else sys.stdout)
    here = machine(modules(arguments.contenders))
    if not arguments.json:
        print("\n".join(here.lines()), end="\n\n", flush=True)
    if arguments.command == "trace":
        _trace(command, arguments, here)
    elif getattr(arguments, "simulate", None):
        _simulate(arguments)
    elif command.cases is None:
        _profile(command, arguments, here)
    else:
        results = measure_all(command.cases(arguments), Pace(arguments.rounds))
        _show(command, arguments, here, results, skipped)
    return 0


def _show(
    command: Command,
    arguments: argparse.Namespace,
    here: Machine,
    results: Sequence[Result],
    skipped: Mapping[str, str],
) -> None:
    """Print a comparison, and draw it where that was asked for."""
    shown = with_best(results, "torch") if arguments.command == "kernels" else results
    if arguments.json:
        print(report.as_json(results, here, skipped))
    elif arguments.command == "kernels":
        print(report.table(shown), report.RATIOS, sep="\n\n")
    else:
        print(report.listing(shown), report.RATIOS, sep="\n\n")
    title = _title(command, arguments)
    note = "\n".join(here.lines())
    if arguments.chart is not None:
        chart.save_chart(shown, arguments.chart, title=title, note=note)
    if getattr(arguments, "roofline", None) is not None:
        save_roofline(
            shown, arguments.roofline, bandwidth=here.peaks[BANDWIDTH], title=title, note=note
        )


def _profile(command: Command, arguments: argparse.Namespace, here: Machine) -> None:
    """Measure, print and draw the parts of a training step."""
    made = []
    for each in accounts(
        arguments.models, batch_size=arguments.batch_size, pace=Pace(arguments.rounds)
    ):
        made.append(each)
        if not arguments.json:
            print(report.profile(each), end="\n\n", flush=True)
    print(report.as_json(made, here) if arguments.json else report.PROFILE)
    if arguments.chart is not None:
        note = "\n".join(here.lines())
        chart.save_profile(made, arguments.chart, title=_title(command, arguments), note=note)


def _trace(command: Command, arguments: argparse.Namespace, here: Machine) -> None:
    """Record a step of each model, the shortest of several, and save it."""
    for name in arguments.models:
        made = records(compiled(name), arguments.batch_size, arguments.rounds, one_thread=False)
        record = min(made, key=lambda each: each.seconds)
        title = f"{_title(command, arguments)}: {name}"
        trace = save_trace(record, f"{name}-{arguments.batch_size}.trace.json")
        print(f"{name}: {len(record.tasks)} tasks in {1e3 * record.seconds:.2f} ms, in {trace}")
        if arguments.chart is not None:
            chart_of = arguments.chart.with_stem(f"{arguments.chart.stem}-{name}")
            print(save_schedule(record, chart_of, title=title, note="\n".join(here.lines())))


def _simulate(arguments: argparse.Namespace) -> None:
    """Print bounds on the speed-up."""
    given = arguments.simulate, arguments.rounds
    rows = [
        (name, batch_size, dict(speed_ups(compiled(name), batch_size, *given)))
        for name in arguments.models
        for batch_size in arguments.batch_size
    ]
    if arguments.json:
        keys = ("model", "batch_size", "speed_up")
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows]))
        return
    print(
        "| model | batch | " + " | ".join(f"{count} threads" for count in arguments.simulate) + " |"
    )
    print("| --- | --- |" + " --- |" * len(arguments.simulate))
    for name, batch_size, bounds in rows:
        cells = [f"{bound:.2f} ({bound / count:.0%})" for count, bound in bounds.items()]
        print(f"| {name} | {batch_size} | " + " | ".join(cells) + " |")


def _title(command: Command, arguments: argparse.Namespace) -> str:
    """The chart's title; where there is one batch size, with it."""
    one = len(command.batch_sizes) == 1
    return f"{command.title}, batch {arguments.batch_size}" if one else command.title


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m convkit.bench",
        description="Measure convkit against NumPy and, where they are installed, PyTorch, Keras "
        "and runtimes for prediction: alternating runs, medians of ratios.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        about = f"Measure {command.about}."
        _add_options(commands.add_parser(name, help=command.about, description=about), command)
    commands.choices["scaling"].add_argument(
        "--simulate",
        type=_counts,
        metavar="T,T,...",
        help="instead, the most that so many threads could gain on the native part of a step, such "
        "as 2,4,6,8,12,16,32,64: the tasks are measured one by one, nobody waits for memory",
    )
    commands.choices["kernels"].add_argument(
        "--roofline",
        type=_picture,
        metavar="FILE",
        help="save effective GFLOP/s against flop per byte, under the roofs measured in this run",
    )
    return parser


def _add_options(options: argparse.ArgumentParser, command: Command) -> None:
    if command.models:
        options.add_argument(
            "--models",
            nargs="+",
            choices=[*MODELS, *(GRAPHS if command.graphs else ())],
            default=list(MODELS),
            help="which of them (default: the three chains)"
            if command.graphs
            else "(default: all)",
        )
    if command.batch_sizes:
        several = len(command.batch_sizes) > 1
        default = " ".join(map(str, command.batch_sizes))
        options.add_argument(
            "--batch-size",
            type=_positive,
            nargs="+" if several else None,
            default=list(command.batch_sizes) if several else command.batch_sizes[0],
            help=f"{'one or more; ' if several else ''}default: {default}",
        )
    if command.contenders:
        options.add_argument(
            "--contenders",
            nargs="*",
            choices=command.contenders,
            default=list(command.contenders),
            help="whom convkit meets (default: all of these that are installed): "
            + "; ".join(f"{name}: {PEERS[name].about}" for name in command.contenders),
        )
    else:
        options.set_defaults(contenders=[])
    options.add_argument(
        "--threads", type=_positive, help="of all sides (default: the cores that convkit may use)"
    )
    options.add_argument(
        "--rounds", type=_positive, default=5, help="alternating runs of each side (default: 5)"
    )
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options.add_argument(
        "--chart", type=_picture, metavar="FILE", help="save a bar chart, such as train.png"
    )


def _picture(text: str) -> Path:
    """A file that can be drawn: who cannot have it hears so before minutes of measuring."""
    try:
        formats = new_figure(1.0)[0].canvas.get_supported_filetypes()
    except ImportError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    path = Path(text)
    if path.suffix.lower()[1:] not in formats:
        known = ", ".join(f".{name}" for name in sorted(formats))
        raise argparse.ArgumentTypeError(f"must end with one of {known}; received {text}")
    if path.exists() and not path.is_file():
        raise argparse.ArgumentTypeError(f"{path} is there, and is no regular file")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.absolute().parent}")
    return path


def _counts(text: str) -> list[int]:
    return [_positive(each) for each in text.split(",")]


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, received {value}")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
