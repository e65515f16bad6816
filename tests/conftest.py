"""Fixtures: every instruction set of this machine, several thread counts, one random generator."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from convkit import runtime


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


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run the test with one, two and three threads."""
    former = runtime.get_num_threads()
    count = int(request.param)
    runtime.set_num_threads(count)
    assert runtime.get_num_threads() == count
    yield count
    runtime.set_num_threads(former)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Run the test with one thread: for thousands of tiny calls, where threads would only wait."""
    former = runtime.get_num_threads()
    runtime.set_num_threads(1)
    yield
    runtime.set_num_threads(former)


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator with a fixed seed."""
    return np.random.default_rng(20150711)
