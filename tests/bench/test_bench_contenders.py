"""Contenders in processes of their own take part in cases, if they do what convkit does."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import pytest

from convkit.bench import measure, peers, report
from convkit.bench.infer import PREDICTOR, infer_cases
from convkit.bench.isolated import IsolatedStep, Recipe
from convkit.bench.machine import machine
from convkit.bench.measure import CONVKIT, Facts, Pace, Result
from convkit.bench.train import train_cases

NO_WAITING = Pace(rounds=2, run_seconds=0.0, settle_seconds=0.0)


def made_up_peer(function: str, **options: object) -> peers.Peer:
    """Takes part under its function's name."""
    of_images, of_both = (
        {function: Recipe(f"made_up_contenders:{function}", labelled, options)}
        for labelled in (False, True)
    )
    return peers.Peer(
        "made up",
        train=partial(peers._isolated, of_both),
        predict=partial(peers._isolated, of_images),
    )


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    def add(function: str, **options: object) -> str:
        monkeypatch.setitem(peers.PEERS, function, made_up_peer(function, **options))  # type: ignore[arg-type]
        return function

    return add


def test_who_predicts_something_else_is_not_measured(made_up: Callable[..., str]) -> None:
    names = [
        made_up("right"),
        made_up("wrong", off=2e-3),
        made_up("of_another_shape"),
        made_up("failing"),
    ]
    (case,) = infer_cases(["mnist"], batch_sizes=[2], contenders=["numpy", *names])
    assert list(case.calls) == [CONVKIT, PREDICTOR, "numpy", "right"]
    assert case.absent == {
        "wrong": "its probabilities are not convkit's, but off by up to 0.002",
        "of_another_shape": "it gives probabilities (2, 1) in place of (2, 10)",
        "failing": "ValueError: this library has no convolutions",
    }
    child = case.calls["right"]
    assert isinstance(child, IsolatedStep)
    (process,) = child._process
    result = measure.measure(case, NO_WAITING)
    assert list(result.values) == [CONVKIT, PREDICTOR, "numpy", "right"]
    assert list(result.absent) == list(case.absent)
    assert process.returncode == 0


def test_a_rounding_error_is_no_disagreement(made_up: Callable[..., str]) -> None:
    (case,) = infer_cases(["mnist"], batch_sizes=[2], contenders=[made_up("wrong", off=5e-4)])
    case.close()
    assert case.absent == {}
    (case,) = infer_cases(
        ["mnist"], batch_sizes=[2], contenders=[made_up("wrong", off=float("nan"))]
    )
    assert "off by up to nan" in case.absent["wrong"]


def test_who_trains_as_convkit_does_is_measured(made_up: Callable[..., str]) -> None:
    (case,) = train_cases(["mnist"], batch_size=4, contenders=[made_up("training")])
    result = measure.measure(case, NO_WAITING)
    assert (list(result.values), result.absent) == ([CONVKIT, "training"], {})


def test_who_trains_otherwise_is_not_measured(made_up: Callable[..., str]) -> None:
    (case,) = train_cases(
        ["mnist"], batch_size=4, contenders=[made_up("training", optimizer="sgd")]
    )
    assert list(case.calls) == [CONVKIT]
    assert "its loss is" in case.absent["training"]


def test_peers_that_do_only_one_thing() -> None:
    assert "onnxruntime" in peers.PREDICTING
    assert "keras-jax" in peers.TRAINING
    with pytest.raises(ValueError, match="onnxruntime takes no part in training"):
        next(train_cases(["mnist"], contenders=["onnxruntime"]))
    with pytest.raises(ValueError, match="keras-jax takes no part in predictions"):
        next(infer_cases(["mnist"], contenders=["keras-jax"]))


def test_ratios_to_a_second_base() -> None:
    values = {CONVKIT: [2.0, 2.0], PREDICTOR: [1.0, 2.0], "onnxruntime": [4.0, 4.0]}
    result = Result("m", "predict", values, Facts(images=1, second_base=PREDICTOR))
    assert [result.second_ratio(name) for name in (CONVKIT, PREDICTOR)] == [None, None]
    lines = report.listing([result]).splitlines()
    assert lines[0].split() == ["value", "images/s", "ratio", "ratio"]
    assert lines[-2].endswith("0.75 (0.50 to 1.00) of convkit")
    assert "2.00 (2.00 to 2.00) of convkit  3.00 (2.00 to 4.00) of convkit predictor" in lines[-1]
    (record,) = json.loads(report.as_json([result], machine()))["results"]
    assert record["second_ratios"] == {
        "onnxruntime": {"to": PREDICTOR, "median": 3.0, "low": 2.0, "high": 4.0}
    }
    assert set(record["ratios"]) == {PREDICTOR, "onnxruntime"}
