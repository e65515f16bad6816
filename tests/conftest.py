"""Fixtures: every instruction set of this machine, several thread counts, one random generator.

And what the README counts: tests say what they are counted as, the end of the run prints the sums.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import numpy as np
import pytest

from convkit import runtime

_SLOW = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sample",
        type=int,
        metavar="N",
        help="run at most N of each test's cases, the same ones every time (for slow builds)",
    )
    parser.addoption("--slow", action="store_true", help="run the tests that take minutes, too")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes minutes; runs with --slow alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep a sample of each test function's cases, and their order; slow ones if asked to."""
    if not config.getoption("--slow"):
        slow = {item for item in items if item.get_closest_marker("slow")}
        config.hook.pytest_deselected(items=list(slow))
        config.stash[_SLOW] = len(slow)
        items[:] = [item for item in items if item not in slow]
    most = config.getoption("--sample")
    if most is None:
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.split("[")[0], []).append(item)
    kept: set[pytest.Item] = set()
    for each in cases.values():
        # By a hash, for every n-th case might be those of one instruction set or number of threads.
        kept.update(sorted(each, key=lambda item: crc32(item.nodeid.encode()))[:most])
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


@pytest.fixture(params=runtime.available_isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test on one instruction set; the one in use before comes back afterwards."""
    former = runtime.isa()
    name = str(request.param)
    runtime.set_isa(name)
    # A test that silently ran on another instruction set would prove nothing about this one.
    assert runtime.isa() == name
    yield name
    runtime.set_isa(former)


@pytest.fixture
def restore_threads() -> Iterator[None]:
    """Give the number of threads back that the test found."""
    former = runtime.get_num_threads()
    yield
    runtime.set_num_threads(former)


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest, restore_threads: None) -> int:
    """Run the test with one, two and three threads."""
    count = int(request.param)
    runtime.set_num_threads(count)
    assert runtime.get_num_threads() == count
    return count


@pytest.fixture
def one_thread(restore_threads: None) -> None:
    """Run the test with one thread: for thousands of tiny calls, where threads would only wait."""
    runtime.set_num_threads(1)


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Keep PyTorch's threads from waiting, at full speed, beside those of convkit."""
    torch = pytest.importorskip("torch")
    former = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(former)


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator with a fixed seed."""
    return np.random.default_rng(20150711)


@pytest.fixture
def count(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Count this test's outcome under a name, or, if it passes, the numbers that it gives."""

    def tell(what: str, numbers: Mapping[str, int] | None = None) -> None:
        request.node.user_properties.append(("count", (what, numbers)))

    return tell


@pytest.fixture
def keras(monkeypatch: pytest.MonkeyPatch, count: Callable[..., None]) -> Any:
    """Keras on PyTorch; the test is counted as a comparison with it."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    module = pytest.importorskip("keras", reason="Keras is not installed")
    count("comparisons with Keras")
    return module


@pytest.fixture
def keras_float64(keras: Any) -> Iterator[None]:
    """Let Keras compute in float64."""
    former = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy(former)


@pytest.fixture
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder."""
    monkeypatch.setenv("CONVKIT_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def no_pooch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing pooch, the way to the network, is an error."""
    monkeypatch.setitem(sys.modules, "pooch", None)


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A web server: `files` maps paths to contents, `asked` lists the paths asked for."""
    files: dict[str, bytes] = {}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            content = files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            announced = len(content) + (1000 if "/cut/" in self.path else 0)
            self.send_header("Content-Length", str(announced))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield SimpleNamespace(
        url=f"http://127.0.0.1:{server.server_address[1]}", files=files, asked=asked
    )
    server.shutdown()
    server.server_close()
    thread.join()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts as rows of the README's table, against which .ci/counts.py holds them."""
    if left_out := terminalreporter.config.stash.get(_SLOW, 0):
        terminalreporter.write_line(f"{left_out} tests take minutes, and run with --slow alone")
    table: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            # A module that is skipped as a whole has no properties.
            for name, value in getattr(report, "user_properties", ()):
                if name == "count":
                    what, numbers = value
                    given = numbers if numbers and outcome == "passed" else {outcome: 1}
                    table.setdefault(what, Counter()).update(given)
    if table:
        terminalreporter.section("counts for the README")
    for what, numbers in sorted(table.items()):
        figures = ", ".join(f"{number} {outcome}" for outcome, number in numbers.items())
        terminalreporter.write_line(f"| {what} | {figures} |")
