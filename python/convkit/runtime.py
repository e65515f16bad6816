"""The instruction set and the threads that convkit uses.

``CONVKIT_ISA=avx2`` in the environment forces an instruction set; ``OMP_NUM_THREADS`` lowers the
default number of threads, which otherwise is what the process may use: its CPU affinity, or the
places that OpenMP is told to bind threads to (``OMP_PLACES``), and the smallest quota of its
cgroups and those around them.

A wheel of convkit brings an OpenMP runtime of its own, which makes its threads; where PyTorch is
imported first on Linux, the loader gives convkit PyTorch's. How the threads wait does not depend on
it, nor on ``OMP_WAIT_POLICY``: they look out for work for at most a tenth of a millisecond, for
less where others want the cores, and then sleep.
"""

from __future__ import annotations

import operator
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


@contextmanager
def _whole_affinity() -> Iterator[None]:
    """Shows the OpenMP runtime that is loaded inside every core that this process may use.

    Where the environment asks for bound threads, a runtime that was loaded before, such as another
    package's own, has bound this thread to a single core. One more takes that for all there is, and
    puts all its threads there. Other threads of the process, such as those that NumPy's library has
    started before, still know.
    """
    affinity = getattr(os, "sched_getaffinity", None) if _BOUND else None
    if affinity is None:
        yield
        return
    own = affinity(0)
    whole = set(own)
    with suppress(OSError):  # no /proc, or a thread that has just ended
        for task in os.listdir("/proc/self/task"):
            whole |= affinity(int(task))
    with suppress(OSError):
        os.sched_setaffinity(0, whole)
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, affinity(0) & own or own)


# Whether the user asks for threads bound to cores; OpenMP reads it once, when it is loaded.
_BOUND = any(
    name in os.environ
    for name in ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
)

with _whole_affinity():
    from convkit import _core

__all__ = [
    "available_isas",
    "get_conv2d_algorithm",
    "get_num_threads",
    "isa",
    "multiply_add_peak",
    "set_conv2d_algorithm",
    "set_isa",
    "set_num_threads",
    "show_config",
    "usable_cpus",
]


def __dir__() -> list[str]:
    return __all__


def available_isas() -> list[str]:
    """The instruction sets that this build holds and this CPU runs, best first."""
    return _core.available_isas()


def isa() -> str:
    """The active instruction set: "avx512", "avx2", "neon" or "baseline"."""
    return _core.isa()


def set_isa(name: str) -> None:
    """Makes ``name`` the instruction set of operations and training steps that begin from now on.

    Raises:
        ValueError: the name is unknown or this CPU lacks it; the message lists the available ones.
    """
    if not isinstance(name, str) or not name.isascii():
        raise ValueError(f"an instruction set is named by a string of ASCII, received {name!r}")
    _core.select_isa(name)


def get_num_threads() -> int:
    """The most threads that an operation uses.

    Python threads that compute at the same time share them.
    """
    return _core.num_threads()


def set_num_threads(n: int) -> None:
    """Sets the number of threads to ``n``. Results do not depend on it, to the bit.

    Raises:
        ValueError: ``n`` is not between 1 and 4096.
        TypeError: ``n`` is no integer.
    """
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"the number of threads must be an integer, received {n!r}") from None
    if not 1 <= n <= 4096:
        raise ValueError(f"the number of threads must be between 1 and 4096, but is {n!r}")
    _core.set_num_threads(n)


def one_thread_in_a_pool() -> None:
    """Sets one thread in a worker of a `multiprocessing` pool, where nobody shares the cores out.

    In a process of its own, joblib's loky has set ``OMP_NUM_THREADS`` to the worker's share, and
    convkit has read it. Threads of one process that compute at the same time share its threads
    anyway.
    """
    import multiprocessing  # not above: importing convkit does not need it

    if multiprocessing.current_process().daemon:
        set_num_threads(1)


def get_conv2d_algorithm() -> str:
    """ "auto" or "direct": how convolutions choose their algorithm."""
    return "direct" if _core.conv2d_direct() else "auto"


def set_conv2d_algorithm(name: str) -> None:
    """Chooses how convolutions are computed.

    "auto", the default, takes Winograd's minimal filtering for 3 x 3 stride-1 convolutions with
    enough channels: several times faster, with rounding errors two to ten times those of the
    direct sum, and up to twenty in the weights' gradient of planes of five. "direct" takes the
    direct sum for all; ``Conv2D(..., algorithm="direct")`` for one layer. docs/accuracy.md has the
    bounds, ``convkit.ops.conv2d_algorithm`` tells what a shape gets.

    Raises:
        ValueError: another name.
    """
    if not isinstance(name, str) or name not in ("auto", "direct"):
        raise ValueError(f"the convolution algorithm must be 'auto' or 'direct', but is {name!r}")
    _core.set_conv2d_direct(name == "direct")


def multiply_add_peak(rounds: int) -> float:
    """Runs ``rounds`` of register multiply-adds on every thread; returns the operations done.

    Divided by the time it took, this is the peak that benchmarks compare with, in FLOP/s.
    """
    try:
        rounds = operator.index(rounds)
    except TypeError:
        raise TypeError(f"rounds must be an integer, received {rounds!r}") from None
    if not 0 <= rounds < 2**63:
        raise ValueError(f"rounds must be an integer of at least 0, received {rounds!r}")
    return _core.multiply_add_peak(rounds)


def start_trace(one_thread: bool = False) -> None:
    """Records from now on which thread does which task when, of all operations of the process.

    With ``one_thread`` the calling one does all tasks, which are cut for as many as ever.
    """
    _core.start_trace(one_thread)


def trace_step(number: int) -> None:
    """Says which step of something the tasks that come belong to."""
    _core.trace_step(number)


def stop_trace() -> npt.NDArray[np.int64]:
    """Ends the record and returns it: int64 (n, 6), as ``cpp/ops/trace.h`` has the columns."""
    return np.frombuffer(_core.stop_trace(), np.int64).reshape(-1, 6)


def show_config() -> None:
    """Prints the version, the platform, the instruction set and the threads."""
    from convkit import __version__
    from convkit.core.warn import say

    names = ", ".join(available_isas())
    say(
        f"convkit           {__version__}\n"
        f"Python            {platform.python_version()}, NumPy {np.__version__}\n"
        f"platform          {platform.system()} {platform.machine()}\n"
        f"instruction set   {isa()} (available: {names})\n"
        f"convolutions      {get_conv2d_algorithm()}\n"
        f"threads           {get_num_threads()} (usable CPUs: {usable_cpus()})"
    )


def usable_cpus() -> int:
    """CPUs this process may use: affinity, then the cgroup's quota, rounded up."""
    # Once OpenMP binds threads, this one's own affinity is a single core.
    cpus = _core.bound_processors() if _BOUND else 0
    if not cpus:
        affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
        cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = _cgroup_quota("/")
    return max(1, cpus if quota is None else min(cpus, quota))


def _cgroup_quota(root: str | os.PathLike[str]) -> int | None:
    """The smallest CPU quota of this process's cgroups and those around them, or None.

    In whole CPUs, rounded up. A service's quota may stand in its own cgroup, a container's in one
    above it: so all are asked from the process's own up to the topmost that is mounted.

    Args:
        root: the folder that proc and sys are in, "/" but for tests.
    """
    quotas = [
        quota
        for folder, version in _cgroup_folders(root)
        if (quota := _quota_of(folder, version)) is not None
    ]
    return min(quotas, default=None)


def _cgroup_folders(root: str | os.PathLike[str]) -> Iterator[tuple[str, int]]:
    """Every folder that may have a quota of this process, and its version of cgroups."""
    mounts = list(_cgroup_mounts(root))
    if not mounts:  # no /proc
        yield os.path.join(root, "sys/fs/cgroup"), 2
        yield os.path.join(root, "sys/fs/cgroup/cpu"), 1
        return
    own = {}  # by version; lines are number:controllers:path
    for line in _read(root, "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            own[2] = path
        elif "cpu" in controllers.split(","):
            own[1] = path
    for top, place, version in mounts:
        path = own.get(version, "/")
        inside = path == top or path.startswith(top.rstrip("/") + "/")
        # A path outside what is mounted is of another namespace; then the mount is our own cgroup.
        names = path[len(top) :].strip("/").split("/") if inside and ".." not in path else []
        for depth in range(len(names), -1, -1):
            yield os.path.join(root, place.lstrip("/"), *names[:depth]), version


def _cgroup_mounts(root: str | os.PathLike[str]) -> Iterator[tuple[str, str, int]]:
    """Of every mounted hierarchy with CPU quotas: the cgroup at its top, where it is, version."""
    try:
        lines = _read(root, "proc/self/mountinfo").splitlines()
        _read(root, "proc/self/cgroup")
    except (OSError, ValueError):
        return
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2" or (kind[0] == "cgroup" and "cpu" in kind[2].split(",")):
            top, place = (each.replace("\\040", " ") for each in fields[3:5])
            yield top, place, 2 if kind[0] == "cgroup2" else 1


def _quota_of(folder: str, version: int) -> int | None:
    """The quota of one cgroup in whole CPUs, rounded up, or None."""
    try:
        if version == 2:
            quota, period = _read(folder, "cpu.max").split()[:2]
        else:
            quota = _read(folder, "cpu.cfs_quota_us")
            period = _read(folder, "cpu.cfs_period_us")
        microseconds, window = int(quota), int(period)
    except (OSError, ValueError):  # no such file, or "max": no quota
        return None
    if microseconds <= 0 or window <= 0:
        return None
    return -(-microseconds // window)


def _read(root: str | os.PathLike[str], *names: str) -> str:
    # Not pathlib's read_text: its import would take a sixth of convkit's.
    with open(os.path.join(root, *names), encoding="utf-8") as file:
        return file.read()


def _default_threads() -> int:
    usable = usable_cpus()
    # OpenMP allows a list, one number a nesting level; the first is ours.
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if wanted.isdigit() and int(wanted) > 0:
        return min(usable, int(wanted))
    return usable


def _configure() -> None:
    """Applies the environment once, at import."""
    forced = os.environ.get("CONVKIT_ISA", "")
    if forced:
        try:
            set_isa(forced)
        except ValueError as error:
            raise ValueError(f"CONVKIT_ISA: {error}") from None
    set_num_threads(min(_default_threads(), 4096))


_configure()
