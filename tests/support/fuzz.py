"""Fuzz the targets of `hostile.py` with atheris, which looks for inputs that reach new code.

`python fuzz.py --seconds 120` divides the time among the targets; naming some runs those
alone. atheris watches the Python code of convkit and mutates what found something new, by
`mutations.py` and by its own means. An input that does harm is left in the folder `--keep`, and
`--again FILE` runs a target on it. Where atheris is not installed (`pip install atheris`, Linux and
CPython 3.11 to 3.13), `hunt.py` runs random mutations for the same time instead, and says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# The native side has no coverage to go by: calls are `hunt.py`'s alone.
GUIDED = ("load_model", "load_weights", "keras_model", "keras_weights", "onnx", "idx", "gzip")
GUIDED += ("archive",)
RANDOM = ("use_model", "hdf5", "core", "ops", "classes", "models")
TIMEOUT = 30  # seconds that one input may take
_PEAK = 3000  # MiB that a process may have at most; `hostile.py` measures each input


def guided(name: str, folder: str, seconds: int, seed: int, keep: str) -> None:
    """Let atheris run a target in this process; it ends the process itself."""
    import atheris

    with atheris.instrument_imports(include=["convkit"]):
        import hostile
    target = hostile.TARGETS[name]
    for number, data in enumerate(target.corpus()):
        (Path(folder) / f"{number}").write_bytes(data)

    def one_input(data: bytes) -> None:
        problem = target.offer(data)
        if problem:
            raise hostile.Wrong(problem)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.2:
            return bytes(atheris.Mutate(data, most))
        return target.mutate(rng, data)[:most]

    # Linux counts what the process that started this one had before.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={TIMEOUT}",
        f"-rss_limit_mb={_PEAK + before}",
        f"-seed={seed + 1}",
        f"-artifact_prefix={keep}/{name}-",
        "-max_len=65536",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, folder], one_input, custom_mutator=mutate)
    atheris.Fuzz()


def again(name: str, path: str) -> int:
    """Run one input of a file."""
    import hostile

    problem = hostile.TARGETS[name].offer(Path(path).read_bytes())
    print(problem or "nothing is wrong with it")
    return 1 if problem else 0


def _run_guided(name: str, seconds: int, seed: int, keep: str) -> bool:
    with tempfile.TemporaryDirectory(prefix="convkit-fuzz-") as folder:
        command = [sys.executable, __file__, name, "--inside", folder, "--seconds", str(seconds)]
        command += ["--seed", str(seed), "--keep", keep]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            timeout=seconds + 20 * TIMEOUT,
        )  # fmt: skip
        lines = done.stdout.splitlines()
        runs = [line.split()[-1] for line in lines if "number_of_executed_units" in line]
        grown = len(os.listdir(folder))
    print(f"{name}: {runs[-1] if runs else 'no'} inputs by atheris, {grown} of them in the corpus")
    if done.returncode or not runs:
        print("\n".join(lines[-40:]), f"\n{name}: FAILED with exit status {done.returncode}")
    return done.returncode == 0 and bool(runs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz for so many seconds in all; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *GUIDED, *RANDOM])
    parser.add_argument("--seconds", type=int, default=120, help="in all targets together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", default=".", help="folder for inputs that do harm")
    parser.add_argument("--again", help="run the target on this file alone")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.again or options.inside:
        (name,) = options.targets
        if options.again:
            return again(name, options.again)
        guided(name, options.inside, options.seconds, options.seed, options.keep)
    names = options.targets or (*GUIDED, *RANDOM)
    each = max(1, options.seconds // len(names))
    found = importlib.util.find_spec("atheris") is not None
    if not found:
        print("atheris is not installed: random mutations of the corpus instead, without coverage")
    right = True
    for name in names:
        if found and name in GUIDED:
            right &= _run_guided(name, each, options.seed, options.keep)
        else:
            import hunt

            common = ["--count", str(10**9), "--seconds", str(each), "--seed", str(options.seed)]
            right &= hunt.main([name, *common]) == 0
        sys.stdout.flush()
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
