"""The instruction set and the threads: the environment, forks, and what importing leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from convkit import runtime

HIGHEST = runtime.available_isas()[0]
TRAIN = """
import numpy as np
from convkit import ops
def work():
    x = np.ones((8, 28, 28, 32), np.float32)
    return ops.conv2d_forward(x, np.ones((3, 3, 32, 32), np.float32), padding="same").sum()
"""


def run(code: str, timeout: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs Python code in a process of its own, without convkit's variables but those given."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CONVKIT_", "OMP_", "GOMP_", "KMP_"))
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def output(code: str, **environment: str) -> str:
    done = run(code, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_best_instruction_set_is_taken() -> None:
    assert output("from convkit import runtime; print(runtime.isa())") == HIGHEST
    assert runtime.available_isas()[-1] == "baseline"


@pytest.mark.parametrize("name", runtime.available_isas())
def test_the_environment_forces_an_instruction_set(name: str) -> None:
    code = "from convkit import runtime; print(runtime.isa())"
    assert output(code, CONVKIT_ISA=name) == name


@pytest.mark.parametrize("name", ["avx1024", "AVX2", "neon" if HIGHEST != "neon" else "avx2"])
def test_an_instruction_set_that_is_not_there_raises(name: str) -> None:
    done = run("import convkit", CONVKIT_ISA=name)
    assert done.returncode == 1
    assert "ValueError: CONVKIT_ISA" in done.stderr
    assert f"'{name}'" in done.stderr
    assert HIGHEST in done.stderr
    with pytest.raises(ValueError, match=name):
        runtime.set_isa(name)
    assert runtime.isa() in runtime.available_isas()


@pytest.mark.parametrize(("value", "most"), [("1", 1), ("1,2", 1), ("100000", None), ("x", None)])
def test_omp_num_threads_lowers_the_default(value: str, most: int | None) -> None:
    code = "from convkit import runtime; print(runtime.get_num_threads())"
    usable = runtime.usable_cpus()
    assert int(output(code, OMP_NUM_THREADS=value)) == (usable if most is None else most)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity on this system")
def test_affinity_lowers_the_default() -> None:
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]);"
        "from convkit import runtime; print(runtime.get_num_threads())"
    )
    assert output(code) == "1"


BINDINGS = ["OMP_PROC_BIND=true", "OMP_PROC_BIND=close", "OMP_PROC_BIND=false", "OMP_PLACES=cores",
            "GOMP_CPU_AFFINITY=all"]  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity on this system")
@pytest.mark.parametrize(
    ("binding", "first"),
    [*((each, "") for each in BINDINGS), (BINDINGS[0], "torch"), (BINDINGS[0], "sklearn.ensemble")],
)
def test_openmp_binds_threads_to_all_cores(binding: str, first: str) -> None:
    """Whoever loads an OpenMP runtime before: the cores are counted, and each gets a thread."""
    if first:
        pytest.importorskip(first, reason=f"{first} would bring an OpenMP runtime of its own")
    cores = sorted(os.sched_getaffinity(0))
    usable = runtime.usable_cpus()
    if len(cores) != usable or usable < 2:
        pytest.skip(f"{usable} usable CPUs of {len(cores)}: a quota, or a single core")
    name, _, value = binding.partition("=")
    value = value.replace("all", f"{cores[0]}-{cores[-1]}")
    code = f"""
import os
{f"import {first}" if first else "import numpy"}
tasks = lambda: set(os.listdir("/proc/self/task"))
before = tasks()
from convkit import runtime
{TRAIN}
for _ in range(20):
    work()
mine = [os.sched_getaffinity(int(task)) for task in [*(tasks() - before), os.getpid()]]
print(runtime.get_num_threads(), len(set().union(*mine)), max(map(len, mine)))
"""
    threads, covered, most = map(int, output(code, **{name: value}).split())
    assert threads == covered == usable
    assert most == (usable if binding.endswith("false") else 1), "bound, as it was asked for"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity on this system")
def test_places_lower_the_default() -> None:
    core = min(os.sched_getaffinity(0))
    code = "from convkit import runtime; print(runtime.get_num_threads())"
    for name, value in (("OMP_PLACES", f"{{{core}}}"), ("GOMP_CPU_AFFINITY", f"{core}")):
        assert output(code, **{name: value}) == "1"


# /proc/self/cgroup, /proc/self/mountinfo, and the files with quotas, below sys/fs/cgroup.
V2 = "33 24 0:28 {top} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "32 31 0:29 {top} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "34 31 0:31 {top} /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
)
NOISE = "22 1 8:1 / / rw,relatime - ext4 /dev/root rw\nshort line\n"


def v1(folder: str, quota: int, period: int = 100000) -> dict[str, str]:
    return {
        f"cpu,cpuacct/{folder}cpu.cfs_quota_us": f"{quota}\n",
        f"cpu,cpuacct/{folder}cpu.cfs_period_us": f"{period}\n",
    }


QUOTAS: dict[str, tuple[str | None, str, dict[str, str], int | None]] = {
    "at the top": ("0::/\n", V2.format(top="/"), {"cpu.max": "150000 100000\n"}, 2),
    "less than one": ("0::/\n", V2.format(top="/"), {"cpu.max": "50000 100000\n"}, 1),
    "none": ("0::/\n", V2.format(top="/"), {"cpu.max": "max 100000\n"}, None),
    "of its own": (
        "0::/a.slice/b.service\n", V2.format(top="/"),
        {"a.slice/b.service/cpu.max": "300000 100000\n", "a.slice/cpu.max": "max 100000\n"}, 3,
    ),
    "the smallest is above": (
        "0::/a.slice/b.service\n", V2.format(top="/"),
        {"a.slice/b.service/cpu.max": "400000 100000\n", "a.slice/cpu.max": "200000 100000\n",
         "other/cpu.max": "100000 100000\n"}, 2,
    ),
    "a container that sees its own cgroup as the mount": (
        "0::/docker/abc\n", V2.format(top="/docker/abc"), {"cpu.max": "200000 100000\n"}, 2,
    ),
    "below the mounted one": (
        "0::/docker/abc/child\n", V2.format(top="/docker/abc"),
        {"cpu.max": "max 100000\n", "child/cpu.max": "250000 50000\n"}, 5,
    ),
    "another namespace": (
        "0::/../../other\n", V2.format(top="/"), {"cpu.max": "200000 100000\n"}, 2,
    ),
    "a name that only begins alike": (
        "0::/docker/abcdef\n", V2.format(top="/docker/abc"),
        {"cpu.max": "200000 100000\n", "def/cpu.max": "100000 100000\n"}, 2,
    ),
    "version 1": ("4:cpu,cpuacct:/\n3:cpuset:/x\n", V1.format(top="/"), v1("", 400000), 4),
    "version 1, nested": (
        "4:cpu,cpuacct:/a/b\n3:cpuset:/\n", V1.format(top="/"),
        {**v1("a/b/", 800000), **v1("a/", 300000), **v1("", -1)}, 3,
    ),
    "version 1, no quota": ("4:cpu,cpuacct:/\n", V1.format(top="/"), v1("", -1), None),
    "both versions": (
        "4:cpu,cpuacct:/a\n0::/u\n", V1.format(top="/") + V2.format(top="/"),
        {**v1("a/", 300000), "u/cpu.max": "200000 100000\n"}, 2,
    ),
    "not mounted": ("0::/a\n", "", {"cpu.max": "nonsense\n"}, None),
    "nonsense": ("no colons\n", V2.format(top="/"), {"cpu.max": "nonsense\n"}, None),
    "an empty file": ("0::/\n", V2.format(top="/"), {"cpu.max": ""}, None),
    "no /proc": (None, "", {"cpu.max": "150000 100000\n"}, 2),
    "no /proc, version 1": (
        None, "",
        {"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4,
    ),
    "nothing at all": (None, "", {}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", QUOTAS)
def test_cgroup_quota(name: str, tmp_path: Path) -> None:
    cgroup, mounts, files, expected = QUOTAS[name]
    texts = {f"sys/fs/cgroup/{path}": text for path, text in files.items()}
    if cgroup is not None:
        texts |= {"proc/self/cgroup": cgroup, "proc/self/mountinfo": NOISE + mounts}
    for path, text in texts.items():
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).write_text(text)
    assert runtime._cgroup_quota(tmp_path) == expected


@pytest.mark.parametrize("count", [0, -1, 4097, 2**40])
def test_thread_counts_out_of_range(count: int) -> None:
    before = runtime.get_num_threads()
    with pytest.raises(ValueError, match="between 1 and 4096"):
        runtime.set_num_threads(count)
    for wrong in ("2", 2.5, None):
        with pytest.raises(TypeError, match="number of threads must be an integer, received"):
            runtime.set_num_threads(wrong)  # type: ignore[arg-type]
    assert runtime.get_num_threads() == before


def test_convolution_algorithms() -> None:
    assert runtime.get_conv2d_algorithm() == "auto"
    with pytest.raises(ValueError, match="fastest"):
        runtime.set_conv2d_algorithm("fastest")
    assert runtime.get_conv2d_algorithm() == "auto"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to count threads")
def test_importing_starts_no_threads_and_leaves_the_environment() -> None:
    # NumPy's own library starts threads; those are counted first.
    code = (
        "import os, numpy; tasks = lambda: len(os.listdir('/proc/self/task'));"
        "before, environment = tasks(), dict(os.environ); import convkit, convkit.ops;"
        "print(tasks() - before, environment == dict(os.environ))"
    )
    assert output(code) == "0 True"


def test_importing_keeps_the_floating_point_state() -> None:
    # With -ffast-math a library would make the process flush subnormal numbers to zero.
    code = "import convkit; x = 5e-324; print(x / 1 == 5e-324, x * 0.5 == 0.0, 1e-310 / 10 > 0)"
    assert output(code) == "True True True"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_computes() -> None:
    """After its parent used threads: the child makes its own, and does not wait for the others."""
    code = TRAIN + (
        "import os\n"
        "from convkit import runtime\n"
        "runtime.set_num_threads(2); expected = work()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    same = work() == expected and runtime.get_num_threads() == 2\n"
        "    os._exit(0 if same else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), work() == expected)\n"
    )
    done = run(code, timeout=60)
    assert done.stdout.strip() == "0 True", done.stderr


OUT_OF_MEMORY = """
import resource, time
import numpy as np
from convkit import ops, runtime
runtime.set_num_threads(2)
rng = np.random.default_rng(0)
def arrays(images, channels):
    x = rng.standard_normal((images, 20, 20, channels), np.float32)
    return x, rng.standard_normal((3, 3, channels, channels), np.float32)
def results(x, w, out):
    y, dx, dw = out
    ops.conv2d_forward(x, w, padding="same", out=y)
    ops.conv2d_backward(x, w, y, padding="same", dx=dx, dw=dw)
# A heap may have some megabytes to spare, and a thread that comes late takes nothing: so what the
# large one needs is tens of megabytes, of any thread.
small, large = arrays(32, 16), arrays(8, 512)
for _ in range(20):  # the threads have their stacks and heaps
    results(*small, tuple(map(np.empty_like, (small[0], *small))))
outputs = [tuple(map(np.zeros_like, (large[0], *large))) for _ in range(2)]
pages = 0
while pages != (pages := int(open("/proc/self/statm").read().split()[0])):
    time.sleep(0.2)  # a thread that came late may still be making its heap
refused = 0
for megabytes in range(0, 16, 2):
    limit = pages * resource.getpagesize() + (megabytes << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        results(*large, outputs[0])
    except MemoryError:
        refused += 1
assert refused, "no attempt ran out of memory"
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
results(*large, outputs[0])
runtime.set_num_threads(1)
results(*large, outputs[1])
for two, one in zip(*outputs):
    np.testing.assert_array_equal(two, one)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory as Linux has")
def test_a_thread_that_finds_no_memory_raises_and_leaves_no_trace() -> None:
    done = run(OUT_OF_MEMORY, OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    runtime.show_config()
    text = capsys.readouterr().out
    assert f"{runtime.isa()} (available: {', '.join(runtime.available_isas())})" in text
    assert f"threads           {runtime.get_num_threads()} " in text


def test_the_multiply_add_peak_counts_its_operations(isa: str, threads: int) -> None:
    del isa
    one = runtime.multiply_add_peak(1)
    assert one > 0
    assert one % threads == 0
    assert runtime.multiply_add_peak(1000) == 1000 * one
