"""Some thousands of random problems each run; `random_problems.py` computes any number of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import random_problems
from convkit import ops, runtime
from drawn import Draw, Outputs

# Another seed computes others: problems 0, 1, 2 ... of it.
SEED = int(os.environ.get("CONVKIT_RANDOM_SEED", "0"))
EACH = 250  # about two seconds
PARTS = 20


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """Give back what the problems set."""
    former = runtime.isa(), runtime.get_num_threads(), runtime.get_conv2d_algorithm()
    yield
    runtime.set_isa(former[0])
    runtime.set_num_threads(former[1])
    runtime.set_conv2d_algorithm(former[2])


@pytest.mark.parametrize("part", range(PARTS))
def test_random_problems(part: int) -> None:
    wrong = [
        failure
        for index in range(part * EACH, (part + 1) * EACH)
        for failure in random_problems.failures(SEED, index, runtime.available_isas())
    ]
    assert not wrong, "\n".join(wrong)


def test_a_problem_can_be_had_again_alone() -> None:
    """Whatever was computed before it, its number makes the same one, and every kind occurs."""
    kinds = set()
    for index in range(0, 500, 7):
        one, two = (random_problems.problem(SEED, index) for _ in range(2))
        assert one.text == two.text
        runtime.set_conv2d_algorithm("direct")
        for got, other in zip(one.run(Outputs()), two.run(Outputs()), strict=True):
            np.testing.assert_array_equal(got, other)
        runtime.set_conv2d_algorithm("auto")
    for index in range(500):
        kinds.add(Draw(SEED, index).one_of(random_problems.KINDS))
    assert kinds == set(random_problems.KINDS)
    assert random_problems.problem(SEED + 1, 0).text != random_problems.problem(SEED, 0).text


# What gives sizes, types and names, and three names for losses of rows.
NOT_DRAWN = {
    *("conv2d_algorithm", "conv2d_output_shape", "max_pool2d_index_dtype", "pool2d_output_shape"),
    *("binary_cross_entropy", "mean_absolute_error", "mean_squared_error"),
}


def test_every_op_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was added to the ops is to be added to the problems."""
    missing = set(ops.__all__) - NOT_DRAWN

    def seen(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            missing.discard(name)
            return function(*arguments, **options)

        return call

    for name in tuple(missing):
        monkeypatch.setattr(ops, name, seen(name, getattr(ops, name)))
    for index in range(4000):
        drawn = random_problems.problem(SEED, index)
        runtime.set_conv2d_algorithm("direct" if drawn.direct else "auto")
        drawn.run(Outputs())
        if not missing:
            break
    assert not missing, f"of no random problem: {sorted(missing)}"


def test_a_wrong_number_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """In each result of each kind, at its last place, where tails are; and a number beside one."""
    seen = set()
    isa = runtime.isa()
    for index in range(300):
        drawn = random_problems.problem(SEED, index)
        kind = Draw(SEED, index).one_of(random_problems.KINDS)
        runtime.set_conv2d_algorithm("direct" if drawn.direct else "auto")
        results = [np.array(each) for each in drawn.run(Outputs())]
        for place, result in enumerate(results):
            if result.dtype != np.float32 or (kind, place) in seen:
                continue
            seen.add((kind, place))
            spoilt = [each.copy() for each in results]
            spoilt[place].reshape(-1)[-1] = 77  # as if it had not been written
            with pytest.raises(AssertionError):
                drawn.check(spoilt)
    assert {kind for kind, _ in seen} == set(random_problems.KINDS)

    real = Outputs.__call__

    def beside(self: Outputs, *arguments: object) -> np.ndarray:
        array = real(self, *arguments)  # type: ignore[arg-type]
        self._guards[-1]._buffer[-1] = 5
        return array

    monkeypatch.setattr(Outputs, "__call__", beside)
    assert list(random_problems.failures(SEED, 0, [isa]))
