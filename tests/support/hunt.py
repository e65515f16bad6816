"""Feed a target of `hostile.py` with any number of inputs, and survive what they do.

`python hunt.py load_model --count 100000` runs inputs 0, 1, 2 ... in a child process, with a
limit on its address space. A child that dies or hangs is replaced, and goes on behind the input
that it had. Each finding is printed once, with the number of an input that shows it:
`--start 4711 --count 1 --keep FOLDER` runs that one again and writes it into a folder.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import hostile

HANG = 60.0  # seconds without an input being done
ADDRESS_SPACE = 2**30  # bytes that a child may have beside what it has once it is ready
_MOST = 20  # kinds of findings, with which it is of no use to go on
_FINDING = "finding: "  # how a child tells its parent; targets may print, too


@dataclass
class Findings:
    """What was found.

    Attributes:
        done: how many inputs were run.
        first: the first input of each kind of finding, by what it did.
        times: how often each kind occurred.
    """

    done: int = 0
    first: dict[str, int] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)

    def add(self, index: int, problem: str) -> None:
        # Numbers and quoted texts differ from input to input.
        kind = re.sub(r"0x[0-9a-f]+|'[^']*'|\"[^\"]*\"|-?\d+(\.\d+)?", "_", problem)[:160]
        kind += re.sub(r".*(\(\w+\.py:\d+\))$|.*", r" \1", problem, flags=re.DOTALL)
        self.times[kind] = self.times.get(kind, 0) + 1
        if kind not in self.first:
            self.first[kind] = index
            print(f"  input {index}: {problem}", flush=True)


def child(
    target: hostile.Target, seed: int, start: int, count: int, shared: str, keep: str | None
) -> None:
    """Run inputs one after the other; the one that is run stands in the shared file."""
    import resource

    target.corpus()
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ADDRESS_SPACE, used + ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open(shared, "r+b") as file, mmap.mmap(file.fileno(), 8) as place:
        for index in range(start, start + count):
            place[:] = struct.pack("<q", index)
            data = target.input(seed, index)
            if keep:
                (Path(keep) / f"{target.name}-{seed}-{index}").write_bytes(data)
            problem = target.offer(data)
            if problem:
                print(_FINDING + json.dumps([index, problem]), flush=True)
        place[:] = struct.pack("<q", start + count)


def hunt(
    name: str,
    count: int,
    *,
    seed: int = 0,
    start: int = 0,
    seconds: float = float("inf"),
    hang: float = HANG,
    keep: str | None = None,
    script: Sequence[str] = (__file__,),
) -> Findings:
    """Run inputs `start` to `start + count` of a target, for at most so many seconds.

    Args:
        hang: seconds after which an input that is not done counts as hanging.
        keep: a folder that every input is written to.
        script: what a child runs; tests have targets of their own.
    """
    found, index, end = Findings(), start, start + count
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="convkit-hunt-") as folder:
        shared, output = os.path.join(folder, "index"), os.path.join(folder, "output")
        while index < end and time.monotonic() < deadline and len(found.first) < _MOST:
            Path(shared).write_bytes(struct.pack("<q", index - 1))
            command = [sys.executable, *script, name, "--child", shared, "--seed", str(seed)]
            command += ["--start", str(index), "--count", str(end - index)]
            command += ["--keep", keep] if keep else []
            with open(output, "wb") as stdout:
                process = subprocess.Popen(command, stdout=stdout, stderr=subprocess.STDOUT)
                verdict = _watch(process, shared, deadline, hang)
            last = _index(shared)
            text = Path(output).read_text(errors="replace")
            for line in text.splitlines():
                if line.startswith(_FINDING):
                    found.add(*json.loads(line.removeprefix(_FINDING)))
            if verdict == "done" and last == end:
                index = end
            elif verdict == "stopped":
                index = max(last, index)
                break
            else:
                if last < index:
                    raise RuntimeError(f"the target {name} cannot be started:\n{text}")
                found.add(last, verdict if verdict != "done" else f"it died: {text[-300:]}")
                index = last + 1
    found.done = index - start
    return found


def _index(shared: str) -> int:
    number: int = struct.unpack("<q", Path(shared).read_bytes())[0]
    return number


def _watch(process: subprocess.Popen[bytes], shared: str, deadline: float, hang: float) -> str:
    """Wait for a child; kill it where it hangs, or when time is over. Returns what became of it."""
    last, moved = _index(shared), time.monotonic()
    while True:
        try:
            code = process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            now, index = time.monotonic(), _index(shared)
            if index != last:
                last, moved = index, now
            verdict = "stopped" if now > deadline else f"it hangs ({hang:.0f} s)"
            if now > deadline or now - moved > hang:
                process.kill()
                process.wait()
                return verdict
            continue
        if code == 0:
            return "done"
        what = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return f"it ends the process: {what}" if code < 0 else "done"


def main(
    arguments: Sequence[str] | None = None, targets: Mapping[str, hostile.Target] | None = None
) -> int:
    """Hunt in the targets that were asked for; 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="all if none is named")
    parser.add_argument("--count", type=int, default=1000, help="inputs of each")
    parser.add_argument("--start", type=int, default=0, help="number of the first input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each target")
    parser.add_argument("--keep", help="write every input into this folder")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        (name,) = options.targets
        target = (targets or hostile.TARGETS)[name]
        child(target, options.seed, options.start, options.count, options.child, options.keep)
        return 0
    wrong = 0
    for name in options.targets or hostile.TARGETS:
        begin = time.monotonic()
        found = hunt(
            name,
            options.count,
            seed=options.seed,
            start=options.start,
            seconds=options.seconds,
            keep=options.keep,
        )
        wrong += len(found.first)
        seconds = time.monotonic() - begin
        print(f"{name}: {found.done} inputs in {seconds:.0f} s, {len(found.first)} findings")
        for kind, first in found.first.items():
            print(f"  {found.times[kind]} times, first with input {first}: {kind}")
        sys.stdout.flush()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
