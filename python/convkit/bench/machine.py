"""What the figures were measured on, and the roofs they are to be seen against."""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import os
import platform
import time
import timeit
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from .. import __version__, ops, runtime

PEAK = "multiply-add peak GFLOP/s"
BANDWIDTH = "memory GB/s"


@dataclass(frozen=True)
class Machine:
    """What the figures were measured on.

    Attributes:
        cpu: the processor's name.
        date: of the measurements, as ISO 8601 has it.
        cores: the cores this process may use.
        isa: convkit's instruction set.
        threads: convkit's threads.
        blas: NumPy's BLAS and its version.
        blas_threads: how many threads the BLAS uses.
        versions: of Python, NumPy, convkit, and the peers that take part.
        peaks: what the machine can do, by name (GFLOP/s and GB/s), measured in this process. The
            roofs that the effective GFLOP/s are to be seen against.
        load: cores that other processes kept busy before the measurements began.
    """

    cpu: str
    date: str
    cores: int
    isa: str
    threads: int
    blas: str
    blas_threads: int
    versions: Mapping[str, str]
    peaks: Mapping[str, float] = field(default_factory=dict)
    load: float = 0.0

    def lines(self) -> list[str]:
        """The same, for people."""
        lines = [
            f"{self.cpu}, {self.cores} cores, {self.date}",
            f"convkit {self.versions['convkit']}: {self.isa}, {self.threads} threads",
            f"NumPy {self.versions['numpy']}: {self.blas}, {self.blas_threads} threads",
        ]
        others = [name for name in self.versions if name not in ("python", "numpy", "convkit")]
        if others:
            named = ", ".join(f"{name} {self.versions[name]}" for name in others)
            lines.append(f"{named}: {self.threads} threads")
        if self.peaks:
            lines.append(", ".join(f"{name} {value:.0f}" for name, value in self.peaks.items()))
        if self.blas_threads != self.threads:
            lines.append(
                f"The sides have different numbers of threads: install threadpoolctl, or set "
                f"OPENBLAS_NUM_THREADS={self.threads} (or your BLAS's own variable) before "
                f"starting Python."
            )
        if self.load > 0.2:
            lines.append(
                f"Other processes keep {self.load:.1f} cores busy: these figures say little, since "
                f"a thread that waits for another may lose whole time slices."
            )
        return lines


def machine(peers: Iterable[str] = ()) -> Machine:
    """Describe this machine and measure its peaks (half a second).

    Args:
        peers: other packages whose versions count; they are not imported.
    """
    versions = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "convkit": __version__,
    }
    for name in peers:
        versions[name] = _version(name)
    return Machine(
        cpu=_cpu_name(),
        date=datetime.date.today().isoformat(),
        cores=_cores(),
        isa=runtime.isa(),
        threads=runtime.get_num_threads(),
        blas=_blas_name(),
        blas_threads=_blas_threads(),
        versions=versions,
        peaks=peaks(),
        load=other_load(),
    )


def peaks() -> dict[str, float]:
    """What the machine reaches here, without anything that only a network needs.

    Multiply-adds in registers and one pass over arrays larger than the caches (64 MB read, 64 MB
    written), both on convkit's instruction set and threads; a large matrix product in NumPy.
    """
    # BLAS comes last: its threads wait at full speed for a while, and would take a core from ours.
    multiply_adds, bandwidth = multiply_add_rate(), stream_rate(128 << 20)
    n = 1024
    a, b, c = (np.ones((n, n), np.float32) for _ in range(3))
    product = _fastest(lambda: np.matmul(a, b, out=c))
    return {
        PEAK: multiply_adds / 1e9,
        "BLAS GFLOP/s": 2 * n**3 / product / 1e9,
        BANDWIDTH: bandwidth / 1e9,
    }


def multiply_add_rate() -> float:
    """Operations a second of multiply-adds in registers, 2 each, on convkit's threads."""
    rounds = 1_000_000
    operations = runtime.multiply_add_peak(rounds)
    return operations / _fastest(lambda: runtime.multiply_add_peak(rounds))


def sustained_multiply_add_rate(seconds: float = 0.04) -> float:
    """The same as a mean over so long, as kernels are timed, not at its best."""
    operations, start = 0.0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        operations += runtime.multiply_add_peak(100_000)
    return operations / elapsed


def stream_rate(nbytes: int) -> float:
    """Bytes a second of a pass over so many, half read and half written, on convkit's threads."""
    source, target = np.ones(nbytes // 8, np.float32), np.zeros(nbytes // 8, np.float32)
    stream = _fastest(lambda: ops.relu_forward(source, out=target))
    return 2 * source.nbytes / stream


def copy_rate(nbytes: int) -> float:
    """The same of NumPy's copies on one core, times convkit's threads: for a core's own cache."""
    source, target = np.ones(nbytes // 8, np.float32), np.zeros(nbytes // 8, np.float32)
    repeats = 200

    def copies() -> None:
        for _ in range(repeats):
            np.copyto(target, source)

    return runtime.get_num_threads() * repeats * 2 * source.nbytes / _fastest(copies)


def other_load(seconds: float = 0.3) -> float:
    """The cores that other processes keep busy, watched that long; 0 where there is no /proc."""
    try:
        busy, own = _busy_seconds(), time.process_time()
        start = time.perf_counter()
        time.sleep(seconds)
        others = _busy_seconds() - busy - (time.process_time() - own)
    except (OSError, ValueError):
        return 0.0
    return max(0.0, others / (time.perf_counter() - start))


def _busy_seconds() -> float:
    """Seconds that all cores together have worked, from Linux's /proc/stat (see proc(5))."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    ticks = user + nice + system + irq + softirq + steal
    return float(ticks) / float(os.sysconf("SC_CLK_TCK"))


def _fastest(call: Callable[[], object]) -> float:
    """The seconds of the best of five calls, after one to warm up."""
    return min(timeit.repeat(call, number=1, repeat=6)[1:])


def _version(package: str) -> str:
    """From its metadata; Keras's with its backend, which `peers.missing` has settled."""
    # TensorFlow, for one, is also distributed by other names.
    named = importlib.metadata.packages_distributions().get(package, [package])
    try:
        version = importlib.metadata.version(named[0])
    except importlib.metadata.PackageNotFoundError:
        version = "of unknown version"
    if package == "keras" and (backend := os.environ.get("KERAS_BACKEND")):
        version += f" on {backend}"
    return version


def _cpu_name() -> str:
    """The processor's name from Linux's /proc/cpuinfo, or what Python knows of it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _blas_name() -> str:
    try:
        config = np.show_config(mode="dicts")
    except TypeError:  # NumPy before 1.25 can only print it
        return "BLAS"
    assert config is not None
    blas = config["Build Dependencies"]["blas"]
    return f"{blas['name']} {blas['version']}"


def set_blas_threads(n: int) -> None:
    """Give NumPy's BLAS n threads, for the rest of the process; does nothing without threadpoolctl.

    `Machine.lines` tells the user where the numbers of threads then differ.
    """
    if importlib.util.find_spec("threadpoolctl") is not None:
        import threadpoolctl

        threadpoolctl.threadpool_limits(n, user_api="blas")


def _blas_threads() -> int:
    """The BLAS's threads: asked, or OpenBLAS's variables in the order it reads them."""
    if importlib.util.find_spec("threadpoolctl") is not None:
        import threadpoolctl

        for pool in threadpoolctl.threadpool_info():
            if pool["user_api"] == "blas":
                return int(pool["num_threads"])
    for variable in ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(variable, "")
        if value.isdecimal() and int(value) > 0:
            return min(int(value), _cores())
    return _cores()
