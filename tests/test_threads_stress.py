"""Threads, forks, signals and exits: the scenarios beside this file, each in a process of its own.

`CONVKIT_STRESS_SECONDS` says how long each of them goes on; a moment, if it is not set.
"""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType

import pytest

import stress_processes
import stress_threads

SECONDS = float(os.environ.get("CONVKIT_STRESS_SECONDS", "0.3"))
# For the beginning and the end, which sanitizers make long on a busy machine.
LIMIT = 120 + 4 * SECONDS

CASES = [
    pytest.param(module, each.__name__, id=each.__name__)
    for module in (stress_threads, stress_processes)
    for each in module.SCENARIOS
]


@pytest.mark.parametrize(("module", "scenario"), CASES)
def test_threads(module: ModuleType, scenario: str) -> None:
    if scenario.startswith("fork") and not hasattr(os, "fork"):
        pytest.skip("no fork on this system")
    done = subprocess.run(
        [sys.executable, str(module.__file__), scenario, str(SECONDS), str(LIMIT)],
        capture_output=True,
        text=True,
        timeout=LIMIT + 30,
        check=False,
    )
    assert done.returncode == 0, f"ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    # An error in a finalizer, or in a function at exit, is only printed.
    assert "Exception ignored" not in done.stderr, done.stderr
