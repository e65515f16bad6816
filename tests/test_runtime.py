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
    usable = runtime._usable_cpus()
    assert int(output(code, OMP_NUM_THREADS=value)) == (usable if most is None else most)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity on this system")
def test_affinity_lowers_the_default() -> None:
    code = (
        "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]);"
        "from convkit import runtime; print(runtime.get_num_threads())"
    )
    assert output(code) == "1"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu.max": "nonsense\n"}, None),
        ({}, None),
    ],
)
def test_cgroup_quota(files: dict[str, str], expected: int | None, tmp_path: Path) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
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
import resource
import numpy as np
from convkit import ops, runtime
runtime.set_num_threads(2)
rng = np.random.default_rng(0)
def arrays(channels):
    x = rng.standard_normal((32, 20, 20, channels), np.float32)
    return x, rng.standard_normal((3, 3, channels, channels), np.float32)
def results(x, w, out):
    y, dx, dw = out
    ops.conv2d_forward(x, w, padding="same", out=y)
    ops.conv2d_backward(x, w, y, padding="same", dx=dx, dw=dw)
small, large = arrays(16), arrays(160)
results(*small, tuple(map(np.empty_like, (small[0], *small))))  # the threads have their stacks
outputs = [tuple(map(np.zeros_like, (large[0], *large))) for _ in range(2)]
pages = int(open("/proc/self/statm").read().split()[0])
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
