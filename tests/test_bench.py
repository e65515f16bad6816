"""The benchmark: its contenders compute the same as convkit, and its arithmetic is right."""

from __future__ import annotations

import dataclasses
import gc
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from compare import Array, assert_close, direct_convolutions, random_array
from convkit import Sequential, layers, reference, utils, zoo
from convkit.bench import __main__ as command_line
from convkit.bench import chart, report
from convkit.bench.contenders.mirror import mirror
from convkit.bench.contenders.numpy_conv2d import Conv2D
from convkit.bench.contenders.numpy_layers import BatchNorm, Dense, Dropout, MaxPool2D, ReLU
from convkit.bench.contenders.numpy_model import Adam, softmax_cross_entropy
from convkit.bench.kernels import kernel_cases
from convkit.bench.machine import machine, other_load
from convkit.bench.measure import CONVKIT, Case, Pace, Result, Spread, measure, measure_all
from convkit.bench.shapes import MODELS, LayerShape, layer_shapes, training_steps
from convkit.bench.train import random_batches, train_cases

NO_WAITING = Pace(rounds=1, run_seconds=0.0, settle_seconds=0.0)


def float64(*arrays: Array) -> tuple[Array, ...]:
    return tuple(array.astype(np.float64) for array in arrays)


# (x_shape, (KH, KW), OC, padding, whether backward_input is by col2im)
CONVOLUTIONS = [
    ((2, 7, 6, 1), (3, 3), 5, "same", True),  # few channels: the matrix is built transposed
    ((2, 7, 6, 3), (3, 3), 4, "valid", True),
    ((3, 6, 5, 8), (3, 3), 8, "same", False),
    ((2, 9, 10, 9), (3, 3), 7, "valid", False),
    ((2, 5, 5, 16), (3, 3), 16, "valid", True),
    ((2, 8, 9, 8), (5, 2), 7, "same", False),
    ((1, 4, 4, 8), (1, 1), 16, "valid", True),
]


@pytest.mark.parametrize(("x_shape", "kernel", "oc", "padding", "col2im"), CONVOLUTIONS)
@pytest.mark.parametrize("relu", [False, True])
def test_numpy_conv2d(
    x_shape: tuple[int, ...],
    kernel: tuple[int, int],
    oc: int,
    padding: str,
    col2im: bool,
    relu: bool,
) -> None:
    x, w = random_array("x", x_shape), random_array("w", (*kernel, x_shape[-1], oc))
    b = random_array("b", (oc,))
    layer = Conv2D(x_shape, w, b, padding=padding, relu=relu)
    dy = random_array("dy", layer.output_shape)
    terms = int(np.prod(w.shape[:3]))
    activation = "relu" if relu else None
    x64, w64, b64, dy64 = float64(x, w, b, dy)
    y = reference.conv2d_forward(x64, w64, b64, padding=padding, activation=activation)
    for _ in range(2):  # what a call leaves in the buffers must not reach the next
        assert_close(layer.forward(x), y, terms=terms)
        if relu:
            dy64 = reference.relu_backward(dy64, y)
        dx = layer.backward(dy.copy())
        assert dx is not None
        wanted = reference.conv2d_backward_input(dy64, w64, x_shape, padding=padding)
        assert_close(dx, wanted, terms=oc * kernel[0] * kernel[1])
        count = int(np.prod(layer.output_shape[:3]))
        wanted = reference.conv2d_backward_weights(x64, dy64, w.shape, padding=padding)
        assert_close(layer.dw, wanted, terms=count)
        assert_close(layer.db, reference.bias_backward(dy64), terms=count)
    assert layer._use_col2im is col2im
    assert layer.backward(dy, need_dx=False) is None


@pytest.mark.parametrize("x_shape", [(2, 6, 4, 5), (3, 5, 7, 2)])
def test_numpy_max_pool2d_takes_the_first_of_equal_values(x_shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).integers(0, 3, x_shape).astype(np.float32)
    layer = MaxPool2D(x_shape)
    y, indices = reference.max_pool2d_forward(x)
    np.testing.assert_array_equal(layer.forward(x), y)
    dy = random_array("dy", y.shape)
    wanted = reference.max_pool2d_backward(dy, indices, x_shape)
    np.testing.assert_array_equal(layer.backward(dy), wanted)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("x_shape", [(4, 3, 5, 6), (9, 7)])
def test_numpy_batchnorm(x_shape: tuple[int, ...], relu: bool) -> None:
    x = np.float32(3) + np.float32(2) * random_array("x", x_shape)
    gamma, beta, dy = (random_array(n, x_shape[-1:]) for n in ("g", "b", "m"))
    moving = np.zeros(x_shape[-1:], np.float32), np.ones(x_shape[-1:], np.float32)
    expected_moving = float64(*moving)
    dy = random_array("dy", x_shape)
    layer = BatchNorm(
        x_shape, gamma, beta, moving_mean=moving[0], moving_variance=moving[1], relu=relu
    )
    activation = "relu" if relu else None
    x64, gamma64, beta64, dy64 = float64(x, gamma, beta, dy)
    y, mean, rstd = reference.batchnorm_forward(
        x64, gamma64, beta64, *expected_moving, activation=activation
    )
    count = int(np.prod(x_shape[:-1]))
    assert_close(layer.forward(x), y, terms=count)
    for own, wanted in zip(moving, expected_moving, strict=True):
        assert_close(own, wanted, terms=count)
    dx, dgamma, dbeta = reference.batchnorm_backward(
        dy64, x64, gamma64, beta64, mean, rstd, activation=activation
    )
    got = layer.backward(dy)
    assert got is not None
    # Terms of the size of dy * gamma * rstd cancel in dx, so that is its scale.
    assert_close(got, dx, terms=count, scale=float(np.max(np.abs(gamma64 * rstd))))
    assert_close(layer.dgamma, dgamma, terms=count)
    assert_close(layer.dbeta, dbeta, terms=count)


@pytest.mark.parametrize("relu", [False, True])
def test_numpy_dense(relu: bool) -> None:
    x, w, b, dy = (random_array(n, s) for n, s in zip("xwby", _DENSE, strict=True))
    layer = Dense(x.shape, w, b, relu=relu)
    x64, w64, b64, dy64 = float64(x, w, b, dy)
    y = reference.dense_forward(x64, w64, b64, activation="relu" if relu else None)
    assert_close(layer.forward(x), y, terms=w.shape[0])
    if relu:
        dy64 = reference.relu_backward(dy64, y)
    dx = layer.backward(dy)
    assert dx is not None
    assert_close(dx, reference.dense_backward_input(dy64, w64), terms=w.shape[1])
    assert_close(layer.dw, reference.dense_backward_weights(x64, dy64), terms=len(x))
    assert_close(layer.db, reference.bias_backward(dy64), terms=len(x))


_DENSE = [(6, 13), (13, 9), (9,), (6, 9)]


def test_numpy_relu_works_in_place() -> None:
    x, dy = np.array([-1.0, 0.0, 2.0], np.float32), np.array([3.0, 4.0, 5.0], np.float32)
    layer = ReLU((3,))
    assert layer.forward(x) is x
    np.testing.assert_array_equal(x, [0.0, 0.0, 2.0])
    np.testing.assert_array_equal(layer.backward(dy), [0.0, 0.0, 5.0])


def test_numpy_dropout_drops_the_share_and_keeps_the_mean() -> None:
    layer = Dropout((400, 100), 0.3)
    y = layer.forward(np.ones((400, 100), np.float32)).copy()
    kept = y != 0
    assert abs(kept.mean() - 0.7) < 0.02  # eight standard deviations
    np.testing.assert_allclose(y[kept], 1 / 0.7, rtol=1e-6)
    dx = layer.backward(np.ones((400, 100), np.float32))
    np.testing.assert_array_equal(dx, y)
    assert (layer.forward(np.ones((400, 100), np.float32)) != y).any()


def test_numpy_loss_and_adam() -> None:
    logits, labels = np.float32(3) * random_array("logits", (5, 4)), np.array([0, 3, 1, 1, 2])
    losses, _, dlogits = reference.softmax_cross_entropy(logits.astype(np.float64), labels)
    loss, got = softmax_cross_entropy(logits, labels, np.arange(5))
    assert loss == pytest.approx(float(losses.mean()), rel=1e-6)
    assert_close(got, dlogits, terms=4)

    w = random_array("w", (50,))
    expected, m, v = w.astype(np.float64), np.zeros(50), np.zeros(50)
    adam = Adam(50, 1e-3, 0.9, 0.999, 1e-7)
    for step in range(1, 6):
        gradient = random_array(f"gradient {step}", (50,))
        adam.update(w, gradient)
        gradient64 = gradient.astype(np.float64)
        reference.adam_update(expected, gradient64, m, v, learning_rate=1e-3, step=step)
    assert_close(w, expected)


def small_model() -> Sequential:
    """Every kind of layer but dropout, and a ReLU of its own."""
    return Sequential(
        [
            layers.Input((9, 8, 3)),
            layers.Conv2D(8, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Dropout(0.0),
            layers.Flatten(),
            layers.Dense(12, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


@pytest.mark.parametrize("make", [small_model, zoo.mnist_cnn])
def test_mirrored_model_trains_as_convkit_does(make: Callable[[], Sequential]) -> None:
    # The direct sum, as the contender's, and fixed weights: where an activation is zero but for
    # rounding, the two sides may disagree about a whole gradient.
    utils.set_random_seed(3)
    with direct_convolutions():
        assert_trains_alike(make())


def assert_trains_alike(model: Sequential) -> None:
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[])
    for number, (x, labels) in enumerate(random_batches(sample_shape(model), 6, count=3)):
        contender = mirror(model, batch_size=6)
        loss = contender.train_step(x, labels)
        assert loss == pytest.approx(loss_of(model.train_on_batch(x, labels)), rel=1e-5)
        gradients = np.concatenate([w.gradient.ravel() for w in model.trainable_weights])
        largest = np.abs(gradients).max()
        np.testing.assert_allclose(contender.gradients, gradients, rtol=1e-4, atol=1e-5 * largest)
        if number == 0:  # afterwards convkit's Adam has a past that the new copy's has not
            weights = np.concatenate([w.numpy().ravel() for w in model.trainable_weights])
            # Adam's step has the size of the learning rate whatever the gradient's, so where that
            # is next to nothing, rounding decides the sign.
            clear = np.abs(gradients) > 1e-4 * largest
            assert clear.any()
            np.testing.assert_allclose(contender.parameters[clear], weights[clear], atol=2e-6)


def sample_shape(model: Sequential) -> list[int]:
    assert model.input_shape is not None
    return [size or 0 for size in model.input_shape[1:]]


def loss_of(result: object) -> float:
    """What `train_on_batch` returned: the loss, alone or first."""
    return float(np.ravel(np.asarray(result))[0])


def test_mirror_says_what_the_contender_does_not_have() -> None:
    def with_layer(layer: layers.Layer) -> Sequential:
        head = [layers.Flatten(), layers.Dense(10, activation="softmax")]
        return Sequential([layers.Input((8, 8, 2)), layer, *head])

    for layer, words in [
        (layers.Conv2D(4, 3, strides=2), "strides"),
        (layers.Conv2D(4, 3, use_bias=False), "bias"),
        (layers.MaxPooling2D(3), "2x2"),
        (layers.BatchNormalization(scale=False), "gamma"),
        (layers.AveragePooling2D(), "such a layer"),
    ]:
        with pytest.raises(ValueError, match=words):
            mirror(with_layer(layer), 4)
    with pytest.raises(ValueError, match="softmax"):
        training_steps(Sequential([layers.Input((4,)), layers.Dense(3)]))


@pytest.mark.parametrize("make", [small_model, zoo.mnist_cnn])
def test_torch_model_starts_as_convkit_does(make: Callable[[], Sequential]) -> None:
    torch = pytest.importorskip("torch")
    from convkit.bench.contenders.torch_model import torch_steps

    utils.set_random_seed(3)
    model = make()
    contender = mirror(model, batch_size=6)
    batches = random_batches(sample_shape(model), 6, count=2)
    steps = torch_steps(model, 6, torch.get_num_threads())
    assert list(steps) == ["torch nchw", "torch channels_last"]
    for x, labels in batches:  # the second loss shows that the first step was the same
        loss = contender.train_step(x, labels)
        for step in steps.values():
            assert step(x, labels) == pytest.approx(loss, rel=1e-3)


def test_layer_shapes_of_the_models() -> None:
    shapes = layer_shapes([MODELS[name]() for name in MODELS])
    assert len(set(shapes)) == len(shapes)
    by_name = {shape.name: shape for shape in shapes}
    # MNIST's second convolution: 28x28 positions of 32 images, 3x3x32 products for 32 channels.
    assert by_name["conv2d 28x28x32 > 32 same relu"].flops == 2 * 32 * 28 * 28 * 9 * 32 * 32
    assert by_name["conv2d 16x16x64 > 64 valid"].y_shape == (32, 14, 14, 64)
    assert by_name["dense 3136 > 128 relu"].flops == 2 * 32 * 3136 * 128
    assert by_name["batchnorm 16x16x64 relu"].flops is None
    # CIFAR-10 normalises its first two convolutions alike, so its four have three shapes.
    counts = {name: sum(s.operation == name for s in shapes) for name in ("conv2d", "batchnorm")}
    assert counts == {"conv2d": 10, "batchnorm": 3}


SMALL_SHAPES = [
    LayerShape("conv2d", (2, 6, 5, 8), (2, 6, 5, 4), (3, 3, 8, 4), "same", relu=True),
    LayerShape("conv2d", (2, 6, 5, 3), (2, 4, 3, 4), (3, 3, 3, 4), "valid"),
    LayerShape("dense", (4, 9), (4, 7), (9, 7), relu=True),
    LayerShape("batchnorm", (4, 3, 3, 5), (4, 3, 3, 5), relu=True),
    LayerShape("max_pool2d", (2, 4, 6, 3), (2, 2, 3, 3)),
    LayerShape("relu", (2, 3, 4, 5), (2, 3, 4, 5)),
]


@pytest.mark.parametrize("shape", SMALL_SHAPES, ids=lambda shape: shape.name)
def test_both_sides_of_a_kernel_case_compute_the_same(shape: LayerShape) -> None:
    cases = list(kernel_cases([shape]))
    assert cases[0].direction == "forward"
    assert len(cases) == (3 if shape.w_shape else 2)
    for case in cases:
        # Some return (dw, db), some (y, what backward needs): the first counts.
        ours, theirs = (_first(call()) for call in case.calls.values())
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def _first(result: object) -> Array:
    value = result[0] if isinstance(result, tuple) else result
    assert isinstance(value, np.ndarray)
    return value


def test_train_cases_start_from_the_same_weights() -> None:
    (case,) = train_cases(["mnist"], batch_size=4, torch=False)
    assert (case.name, case.direction, case.images) == ("mnist", "step", 4)
    ours, theirs = (loss_of(call()) for call in case.calls.values())
    assert ours == pytest.approx(theirs, rel=1e-5)


def test_measure_alternates_and_counts_neither_warm_up_nor_collections() -> None:
    log: list[str] = []
    collecting: list[bool] = []

    def ours() -> None:
        log.append("ours")

    def theirs() -> None:
        log.append("theirs")
        collecting.append(gc.isenabled())

    result = measure(Case("c", "forward", {CONVKIT: ours, "numpy": theirs}), Pace(3, 0.0, 0.0))
    assert {name: len(values) for name, values in result.seconds.items()} == {
        CONVKIT: 3,
        "numpy": 3,
    }
    # Two calls each to learn how long one takes; then, in every round, one to settle and one timed.
    assert log == [*["ours"] * 2, *["theirs"] * 2, *(["ours"] * 2 + ["theirs"] * 2) * 3]
    assert collecting[2:] == [False] * 6
    assert gc.isenabled()


def test_measure_repeats_short_calls() -> None:
    calls = [0]

    def call() -> None:
        calls[0] += 1

    (result,) = measure_all([Case("c", "forward", {CONVKIT: call})], Pace(1, 0.01, 0.0))
    assert calls[0] > 100
    assert 0 < result.time().median < 1e-4


@pytest.mark.parametrize("pace", [(0, 0.1, 0.1), (1, -0.1, 0.1), (1, 0.1, float("nan"))])
def test_pace_rejects_what_makes_no_sense(pace: tuple[int, float, float]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        Pace(*pace)


RESULTS = [
    Result(
        "conv2d a", "forward", {CONVKIT: [1e-3, 2e-3, 4e-3], "numpy": [5e-3, 6e-3, 4e-3]}, 8e9, 32
    ),
    Result("conv2d a", "backward_input", {CONVKIT: [1e-3], "numpy": [2e-3]}, 8e9, 32),
    Result("relu b", "forward", {CONVKIT: [1e-3], "torch": [3e-3]}),
]


def test_ratios_are_taken_within_a_round() -> None:
    first = RESULTS[0]
    assert first.ratio("numpy") == Spread(3.0, 1.0, 5.0)
    assert first.time("numpy").median == 5e-3
    assert first.gflops() == pytest.approx(4000)
    assert first.images_per_second() == pytest.approx(16000)
    assert RESULTS[2].gflops() is None


def test_table_and_json() -> None:
    lines = report.table(RESULTS).splitlines()
    assert " ".join(lines[0].split()) == "convkit ms GFLOP/s numpy ms ratio torch ms ratio"
    assert "2.000     4000     5.000  3.00 (1.00 to 5.00)" in lines[2]
    assert lines[4].startswith("relu b    forward")
    assert lines[4].endswith("3.000  3.00 (3.00 to 3.00)")
    document = json.loads(report.as_json(RESULTS, machine()))
    assert document["results"][0]["ratios"]["numpy"] == {"median": 3.0, "low": 1.0, "high": 5.0}
    assert document["results"][0]["seconds"]["numpy"] == [5e-3, 6e-3, 4e-3]
    assert document["machine"]["peaks"]["BLAS GFLOP/s"] > 0


def test_other_load_counts_other_processes_and_not_this_one() -> None:
    if not Path("/proc/stat").exists():
        assert other_load(0.01) == 0.0
        return
    program = "import time; end = time.monotonic() + 30\nwhile time.monotonic() < end: pass"
    with subprocess.Popen([sys.executable, "-c", program]) as busy:
        time.sleep(0.2)
        loaded = other_load(0.5)
        busy.kill()
    # At worst it shares one core with all other work on the machine.
    assert 0.1 < loaded <= (os.cpu_count() or 1) + 0.5


def test_notes_warn_of_what_spoils_a_comparison() -> None:
    here = machine()
    alike = dataclasses.replace(here, threads=2, blas_threads=2, load=0.0)
    assert len(alike.lines()) == 4
    unlike = dataclasses.replace(alike, blas_threads=1, load=1.5)
    assert "OPENBLAS_NUM_THREADS=2" in unlike.lines()[4]
    assert "1.5 cores busy" in unlike.lines()[5]


def test_chart_is_a_picture(tmp_path: Path) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    path = chart.save_chart(RESULTS, tmp_path / "chart.png", title="Title", note="on a machine")
    picture = pyplot.imread(path)
    assert picture.shape[0] > 200
    assert picture.shape[1] > 800
    assert 0.2 < picture[..., :3].mean() < 0.999  # neither all dark nor all white
    with pytest.raises(ValueError, match="no result"):
        chart.save_chart(RESULTS, path, title="Title", contenders=["keras"])


def test_chart_without_matplotlib_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "convkit\[examples\]"'):
        chart.save_chart(RESULTS, tmp_path / "chart.png", title="Title")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between runs: what is printed counts here, not how exact it is."""
    monkeypatch.setattr(command_line, "Pace", lambda rounds: NO_WAITING)


@pytest.mark.usefixtures("quick")
def test_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    small = ["--batch-size", "2", "--rounds", "1", "--models"]
    picture = tmp_path / "kernels.png"
    assert command_line.main(["kernels", *small, "cifar10", "--chart", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert "conv2d 16x16x64 > 64 valid" in printed
    assert "backward_weights" in printed
    assert picture.stat().st_size > 10_000

    assert command_line.main(["train", *small, "mnist", "--no-torch", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [r["name"] for r in document["results"]] == ["mnist"]
    assert list(document["results"][0]["seconds"]) == [CONVKIT, "numpy"]


def test_command_line_rejects_a_batch_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line.main(["kernels", "--batch-size", "0"])
    assert "must be at least 1" in capsys.readouterr().err


def _example() -> ModuleType:
    path = Path(__file__).parents[1] / "examples" / "compare_numpy.py"
    spec = importlib.util.spec_from_file_location("compare_numpy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_example_prints_tables_and_saves_charts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    example = _example()
    monkeypatch.setattr(example, "Pace", lambda rounds: NO_WAITING)
    example.main(["--batch-size", "2", "--models", "mnist", "--output", str(tmp_path)])
    printed = capsys.readouterr().out
    assert "mnist" in printed
    assert "max_pool2d 28x28x32" in printed
    assert (tmp_path / "training_step.png").stat().st_size > 5_000
    assert (tmp_path / "kernels.png").stat().st_size > 5_000
