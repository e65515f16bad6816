"""The benchmark of convkit against itself: by threads and by batch size."""

from __future__ import annotations

import pytest

from convkit import runtime
from convkit.bench.scaling import THREADS_BATCH, powers, scaling_cases


@pytest.mark.parametrize(
    ("largest", "expected"),
    [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 4]), (12, [1, 2, 4, 8, 12])],
)
def test_powers(largest: int, expected: list[int]) -> None:
    assert powers(largest) == expected


def test_scaling_varies_the_threads_and_gives_them_back() -> None:
    former = runtime.get_num_threads()
    try:
        runtime.set_num_threads(3)
        cases = scaling_cases(["mnist"], threads=3, batch_sizes=(2, 4))
        threads = next(cases)
        names = ["1 thread", "2 threads", "3 threads"]
        adds = [f"multiply-adds, {name}" for name in names]
        assert list(threads.calls) == [*names, *adds]
        for place, call in enumerate(threads.calls.values()):
            call()
            assert runtime.get_num_threads() == place % 3 + 1
        runtime.set_num_threads(1)
        sizes = next(cases)
        assert runtime.get_num_threads() == 3
        assert next(cases, None) is None
    finally:
        runtime.set_num_threads(former)
    assert threads.facts.images == dict.fromkeys(names, THREADS_BATCH)
    assert threads.facts.bases == dict.fromkeys(adds, adds[0])
    assert sizes.facts.images == {"batch 2": 2, "batch 4": 4}
    assert sizes.facts.bases == {"batch 4": "batch 2"}
    for call in sizes.calls.values():
        assert isinstance(call(), float)
