"""The account of a training step: what its parts must do, whose time is taken, how it is told."""

from __future__ import annotations

import dataclasses
import functools
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from compare import direct_convolutions
from convkit import Sequential, layers, ops, utils
from convkit.bench import chart, report
from convkit.bench.bounds import BACKWARD, FORWARD, Roofs, Work, step_work, winograd_points
from convkit.bench.machine import machine
from convkit.bench.measure import Pace, Spread
from convkit.bench.profile import Account, Part, account
from convkit.bench.train import compiled, random_batches
from convkit.plan import Plan, lower

QUICK = Pace(rounds=2, run_seconds=0.0, settle_seconds=0.0)


@functools.cache
def fewest_points(outputs: int, sizes: tuple[int, ...]) -> float:
    """Over all ways to make up the outputs of tiles of these sizes."""
    if outputs == 0:
        return 0
    return min(
        (size + 2 + fewest_points(outputs - size, sizes) for size in sizes if size <= outputs),
        default=float("inf"),
    )


def test_winograd_points_are_the_fewest() -> None:
    for n in range(2, 16):
        assert winograd_points(n) == fewest_points(n, (5, 4, 3, 2))
    for n in range(16, 66):
        assert winograd_points(n) == fewest_points(n, (4, 3, 2))
    for n in range(2, 66, 2):
        assert winograd_points(n, pooled=True) == fewest_points(n, (4, 2))


def mnist_plan(n: int = 32) -> Plan:
    model = compiled("mnist")
    return lower(model.graph, n, training=True, loss=model.loss)


def cifar10_plan() -> Plan:
    model = compiled("cifar10")
    return lower(model.graph, 32, training=True, loss=model.loss)


def test_work_of_a_winograd_convolution() -> None:
    # 28x28 positions of 32 channels to 32, ReLU, pooled: seven tiles of four either way.
    step = mnist_plan().steps[1]
    direct = 2.0 * 32 * 28 * 28 * 9 * 32 * 32
    tiles = 32 * 7 * 7
    x, y, weights = 32 * 28 * 28 * 32, 32 * 14 * 14 * 32, 9 * 32 * 32 + 32
    forward = step_work(step, 32, FORWARD)
    assert forward == Work(
        direct_flops=direct,
        flops=direct * 36 / 144,
        nbytes=4 * (x + y + weights) + y,  # the indices of the maxima are bytes
        cache_bytes=2 * 4 * tiles * 36 * (32 + 32),
    )
    backward = step_work(step, 32, BACKWARD)
    assert backward.direct_flops == 2 * direct
    assert backward.flops == 2 * forward.flops
    # x and dx, y and dy, the weights and their gradient, the indices.
    assert backward.nbytes == 4 * 2 * (x + y + weights) + y


def test_winograd_wastes_some_of_an_uneven_plane() -> None:
    step = mnist_plan().steps[3]  # 14x14, pooled: tiles of 4, 4, 4 and 2
    work = step_work(step, 32, FORWARD)
    assert work.flops / work.direct_flops == (6 + 6 + 6 + 4) ** 2 / (9 * 14 * 14)
    # On the way back tiles of 5, 5 and 4.
    work = step_work(step, 32, BACKWARD)
    assert work.flops / work.direct_flops == (7 + 7 + 6) ** 2 / (9 * 14 * 14)


def test_winograd_leaves_out_what_no_window_of_a_pool_holds() -> None:
    step = next(step for step in cifar10_plan().steps if step.input_sizes == (7, 7, 128))
    work = step_work(step, 32, FORWARD)  # 5x5, pooled: a tile of 4
    assert work.flops / work.direct_flops == 6**2 / (9 * 5 * 5)


def test_work_of_the_direct_sum_and_of_matrix_products() -> None:
    first = mnist_plan().steps[0]
    work = step_work(first, 32, BACKWARD)
    # The first layer has no input gradient, and 28x28x1 to 32 is no case for Winograd.
    assert work.flops == work.direct_flops == 2.0 * 32 * 28 * 28 * 9 * 32
    assert work.cache_bytes == 0
    dense = mnist_plan().steps[5]
    assert dense.input_sizes == (3136,)
    assert step_work(dense, 32, FORWARD).flops == 2.0 * 32 * 3136 * 128
    assert step_work(dense, 32, BACKWARD).flops == 2 * 2.0 * 32 * 3136 * 128
    with direct_convolutions():
        work = step_work(mnist_plan().steps[1], 32, FORWARD)
    assert work.flops == work.direct_flops
    assert work.cache_bytes == 0


def test_the_slowest_roof_is_the_bound() -> None:
    top = Roofs(peak=100.0, memory=10.0, cache=20.0)
    for work, bound, limit in [
        (Work(1000.0, 500.0, 40.0, 90.0), 5.0, "multiply-adds"),
        (Work(1000.0, 500.0, 60.0, 90.0), 6.0, "memory"),
        (Work(1000.0, 500.0, 40.0, 140.0), 7.0, "L2"),
    ]:
        assert (top.bound(work), top.limit(work)) == (bound, limit)
    assert Work(1, 2, 3, 4) + Work(10, 20, 30, 40) == Work(11, 22, 33, 44)


def small() -> Sequential:
    utils.clear_session()
    model = Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(16, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[])
    return model


def test_every_part_of_a_step_is_there_in_its_order() -> None:
    model = small()
    model.train_on_batch(*random_batches((8, 8, 3), 4, count=1)[0])
    plan = model._engine.training_plan
    bound = plan.bind(4)
    before = list(bound.steps)
    found = account("small", model, 4, QUICK)
    assert bound.steps == before  # nothing of the clock stays behind
    assert sys.getprofile() is None
    kinds = [(part.name.split()[-1].split("_")[0], part.direction) for part in found.parts]
    order = ["conv2d", "conv2d", "dropout", "dense"]
    assert kinds == [
        ("gather", ""),
        *((name, "forward") for name in order),
        ("softmax", ""),
        *((name, "backward") for name in reversed(order)),
        ("adam", ""),
    ]
    assert all(part.seconds.low > 0 for part in found.parts)
    assert all(part.work.nbytes > 0 for part in found.parts)
    assert found.native < found.watched.high
    assert 0 < found.bound < found.whole.high


def test_native_time_is_taken_and_pythons_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrapper that sleeps makes the step longer, and no part of it."""
    nap = 0.1  # so long that what other processes take, some milliseconds a step, is no part of it
    gather = ops.gather

    def sleepy(*arguments: Any, **options: Any) -> Any:
        time.sleep(nap)
        return gather(*arguments, **options)

    monkeypatch.setattr(ops, "gather", sleepy)
    slow = account("small", small(), 4, QUICK)
    assert slow.whole.low > nap
    assert slow.python > 0.8 * nap
    (part,) = (p for p in slow.parts if p.name == "gather")
    assert part.seconds.low < 0.5 * nap


def test_the_models_steps_are_mostly_native() -> None:
    found = account("mnist", compiled("mnist"), 32, QUICK)
    assert found.native > 0.5 * found.watched.low
    assert found.work.direct_flops == pytest.approx(3.575e9, rel=1e-3)


def three(milliseconds: float) -> Spread:
    return Spread(1e-3 * milliseconds, 1e-3 * milliseconds, 1e-3 * milliseconds)


ACCOUNT = Account(
    "model",
    32,
    whole=three(10.0),
    watched=three(10.5),
    parts=[
        Part("gather", "", "images into the plan", three(0.05), Work(nbytes=1e5)),
        Part("0 conv2d", "forward", "winograd", three(6.0), Work(8e8, 2e8, 1e6, 3e8)),
        Part("0 conv2d", "backward", "winograd", three(3.0), Work(8e8, 2e8, 1e6, 1e6)),
        Part("other", "", "", three(0.05), Work()),
    ],
    roofs=Roofs(peak=2e11, memory=1e10, cache=1e11),
    working_set=20_000_000,
)


def test_profile_as_a_table() -> None:
    lines = report.profile(ACCOUNT).splitlines()
    assert lines[0] == "model, batch 32: 3200 images/s, 10.500 ms a step while it was watched"
    assert "multiply-adds 200 GFLOP/s, memory 10 GB/s (over the 20 MB of a step)" in lines[1]
    rows = [" ".join(line.split()) for line in lines[5:]]
    assert rows == [
        "gather images into the plan 0.050 0.5 % 0.10 0.010 memory 5.00",
        "0 conv2d forward winograd 6.000 60.0 % 0.800 0.200 1.00 300.0 3.000 L2 2.00 133",
        "0 conv2d backward winograd 3.000 30.0 % 0.800 0.200 1.00 1.0 1.000 multiply-adds 3.00 267",
        "other 0.050 0.5 %",
        "sum 9.100 91.0 % 1.600 0.400 2.10 301.0 4.010 2.27 176",
        "Python 0.900 9.0 %",
        "step 10.000 100.0 %",
    ]


def test_profile_as_json() -> None:
    document = json.loads(report.as_json([ACCOUNT], machine()))
    (result,) = document["results"]
    assert result["native"] == pytest.approx(9.1e-3)
    assert result["python"] == pytest.approx(0.9e-3)
    assert result["whole"]["median"] == 1e-2
    assert result["roofs"] == {"peak": 2e11, "memory": 1e10, "cache": 1e11}
    conv2d = result["parts"][1]
    assert conv2d["work"]["direct_flops"] == 8e8
    assert conv2d["bounds"] == {"multiply-adds": 1e-3, "memory": 1e-4, "L2": 3e-3}


def test_profile_as_a_picture(tmp_path: Path) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    one, two = (
        chart.save_profile(accounts, tmp_path / f"{len(accounts)}.png", title="T", note="on it")
        for accounts in ([ACCOUNT], [ACCOUNT, dataclasses.replace(ACCOUNT, model="other")])
    )
    assert pyplot.imread(two).shape[0] > pyplot.imread(one).shape[0] > 200
    assert 0.2 < pyplot.imread(one)[..., :3].mean() < 0.999


def test_small_parts_share_a_bar() -> None:
    rows = {name: (seconds, bound) for name, seconds, bound in chart._profile_rows(ACCOUNT)}
    assert list(rows) == ["0 conv2d forward", "0 conv2d backward", "2 parts below 1%", "Python"]
    assert rows["2 parts below 1%"] == (pytest.approx(1e-4), pytest.approx(1e-5))
    assert rows["Python"][0] == pytest.approx(0.9e-3)
