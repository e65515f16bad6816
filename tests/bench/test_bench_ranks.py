"""The benchmark of several processes: who takes part, and what a process reports."""

from __future__ import annotations

import importlib.util

import pytest

from convkit.bench import ranks
from convkit.bench.ranks import rank_cases


def _needs_mpi() -> None:
    if importlib.util.find_spec("mpi4py") is None:
        pytest.skip("mpi4py is not installed")
    try:
        ranks.mpiexec()
    except ValueError as error:
        pytest.skip(str(error))


def test_one_process_meets_as_many_threads_in_several() -> None:
    _needs_mpi()
    first, second = rank_cases(["mnist"], threads=5, batch_sizes=(8, 16))
    assert list(first.calls) == [
        "1 process, 5 threads",
        "4 processes, fast",
        "4 processes, exact",
    ]
    assert first.facts.reports
    assert (first.facts.images, second.facts.images) == (8, 16)


def test_there_must_be_two_threads() -> None:
    with pytest.raises(ValueError, match="needs two threads at least"):
        next(rank_cases(["mnist"], threads=1))


@pytest.mark.parametrize("place", [0, 2], ids=["alone", "exact"])
def test_a_step_takes_some_time(place: int) -> None:
    _needs_mpi()
    (case,) = rank_cases(["mnist"], threads=2, batch_sizes=(8,))
    seconds = list(case.calls.values())[place]()
    assert isinstance(seconds, float)
    assert 1e-5 < seconds < 10
