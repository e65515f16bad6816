"""The recipes: their regimes beside PyTorch, their bits, and that they run to their end."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array, assert_same_bits, assert_threads_agree
from convkit import layers
from convkit.core import random
from convkit.layers.step_context import StepContext
from short_recipes import BATCH, COUNT, FOLDERS, bars, shorten

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

X, Y = bars(COUNT)


RECIPES = ("cifar10_94", "mnist_997", "fashion_mnist_95", "minute", "against_pytorch", "table")


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """What the recipes share, with a narrow network and made-up images."""
    for folder in FOLDERS:
        monkeypatch.syspath_prepend(folder)
    shorten(monkeypatch.setattr)
    threads = convkit.runtime.get_num_threads()
    yield importlib.import_module("regime")
    for name in (*RECIPES, "regime", "study"):
        sys.modules.pop(name, None)
    convkit.runtime.set_num_threads(threads)


def compiled(recipe: ModuleType, steps: int) -> convkit.Sequential:
    convkit.utils.clear_session()
    convkit.utils.set_random_seed(3)
    setting = importlib.import_module("cifar10_94").RECIPE
    model: convkit.Sequential = recipe.build(setting, X, BATCH)
    recipe.compile_for(model, steps, BATCH)
    return model


def fit(recipe: ModuleType, model: convkit.Sequential, epochs: int, *more: Any) -> Any:
    regime = recipe.Regime(model.get_layer("whitening").bias, 14)
    return model.fit(X, Y, BATCH, epochs, verbose=0, callbacks=[regime, *more])


@pytest.mark.usefixtures("recipe")
@pytest.mark.parametrize(
    ("name", "options", "views"),
    [
        ("cifar10_94", "--epochs 2", "six"),  # 9.5 steps
        ("mnist_997", "--epochs 2", "three"),
        ("fashion_mnist_95", "--epochs 2", "six"),
        ("minute", "--dataset cifar10 --steps 10", "six"),
        ("minute", "--dataset mnist --steps 10", "three"),
        ("minute", "--dataset fashion_mnist --steps 10", "six"),
    ],
)
def test_they_run_to_their_end(
    name: str, options: str, views: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = f"{options} --batch-size {BATCH} --seed 7 --threads 1 --output {tmp_path}"
    importlib.import_module(name).main(arguments.split())
    printed = capsys.readouterr().out
    assert "whitening" in printed  # the plan
    assert "10 steps, " in printed
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["steps"], metrics["epochs"], metrics["batch_size"]) == (10, 2, BATCH)
    assert f"test accuracy {metrics['test_accuracy']:.2%} by {views} views" in printed
    if "cifar10" in name + options:
        assert metrics["operations"] == 6 * 10 * BATCH * MULTIPLY_ADDS
    assert metrics["images_per_second"] > 0
    assert (tmp_path / "confusion_matrix.png").exists()


@pytest.mark.usefixtures("recipe")
@pytest.mark.parametrize("data_set", ["mnist", "cifar10"])
def test_a_minute_has_as_many_steps_as_fit(
    data_set: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And gives what as many steps give without a look at the clock."""
    minute = importlib.import_module("minute")
    arguments = f"--dataset {data_set} --batch-size {BATCH} --seed 7 --threads 1"
    arguments += f" --output {tmp_path}"
    begun = time.perf_counter()
    minute.main([*arguments.split(), "--seconds", "3"])
    assert time.perf_counter() - begun < 60
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["steps"] > 10
    assert found["train_seconds"] < 9
    capsys.readouterr()
    minute.main([*arguments.split(), "--steps", str(found["steps"])])
    again = json.loads((tmp_path / "metrics.json").read_text())
    assert again["test_accuracy"] == found["test_accuracy"]
    with pytest.raises(SystemExit):
        minute.main([*arguments.split(), "--epochs", "3"])
    with pytest.raises(SystemExit):
        minute.main([*arguments.split(), "--seconds", "0"])


# By hand: whitening, and two convolutions a block, on planes of 31, 15, 7 and 3 pixels.
MULTIPLY_ADDS = (
    31 * 31 * 12 * 24
    + 31 * 31 * 9 * 24 * 8
    + 15 * 15 * 9 * (8 * 8 + 8 * 16)
    + 7 * 7 * 9 * (16 * 16 + 16 * 16)
    + 3 * 3 * 9 * 16 * 16
    + 16 * 10
)


def test_the_network_of_the_paper() -> None:
    model = convkit.zoo.airbench()
    assert sum(w.size for w in model.trainable_weights) == 1_971_640
    planes = [layer.output_shape[1] for layer in model.layers if layer.name.startswith("conv2d")]  # type: ignore[index]
    assert planes == [31, 15, 15, 7, 7, 3]
    assert [layer.name for layer in model.layers][-1].startswith("rescaling")
    with pytest.raises(ValueError, match="too small for 3 blocks"):
        convkit.zoo.airbench(input_shape=(8, 8, 3))


def test_the_schedules_of_the_paper(recipe: ModuleType) -> None:
    rate, slow = recipe.Triangle(1.5, 476), recipe.SlowStep(476)
    turns = np.interp(np.arange(477), [0, int(0.23 * 476), 476], [0.2, 1, 0.07])
    np.testing.assert_allclose([rate(step) for step in range(477)], 1.5 * turns)
    alpha = 0.95**5 * (np.arange(477) / 476) ** 3
    np.testing.assert_allclose([1 - slow(step) for step in range(477)], alpha)


def test_threads_and_a_resume_give_the_same_bits(recipe: ModuleType, tmp_path: Path) -> None:
    def trained(*more: Any) -> tuple[Array, ...]:
        model = compiled(recipe, 14)
        fit(recipe, model, 3, *more)
        return tuple(model.get_weights())

    class Stop(convkit.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.model.optimizer.iterations == 8:
                raise KeyboardInterrupt

    class Never(Stop):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            pass

    Never.__name__ = "Stop"  # a resumed training has the same callbacks
    assert_threads_agree(trained, (1, 2, 3, 7))
    backup = convkit.callbacks.BackupAndRestore
    with pytest.raises(KeyboardInterrupt):
        trained(Stop(), backup(tmp_path, save_freq=3))
    assert_same_bits(trained(Never(), backup(tmp_path, save_freq=3)), trained())


def test_it_learns_as_in_pytorch(recipe: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """14 steps of the whole regime but the random shifts, from the same weights in float64.

    PyTorch's SGD keeps gradients, and Keras's keeps steps, which differ where the learning rate
    changes; so that update is written out.
    """
    monkeypatch.setattr(recipe, "WHITENING_EPOCHS", 2)
    monkeypatch.setattr(layers, "RandomTranslation", lambda *given: layers.Identity())
    model = compiled(recipe, 14)
    model.optimizer.sync_period = 5  # type: ignore[union-attr]
    peer = Peer(recipe, model)
    losses: list[float] = []
    note = convkit.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: losses.append(logs["loss"])
    )
    fit(recipe, model, 3, note)
    wanted = peer.train(model, 3, 14)
    np.testing.assert_allclose(losses, wanted, rtol=1e-5)
    assert losses[2] < losses[0]
    for weight, theirs in zip(model.weights, peer.weights(), strict=True):
        size = np.abs(theirs).max()
        np.testing.assert_allclose(weight.numpy(), theirs, atol=5e-5 * size, err_msg=weight.path)


class Peer:
    """airbench94's network and regime in PyTorch."""

    def __init__(self, recipe: ModuleType, model: convkit.Sequential) -> None:
        self.torch: Any = pytest.importorskip("torch")
        self.recipe = recipe
        self.values = {
            w.path: self.torch.tensor(w.numpy(), dtype=self.torch.float64) for w in model.weights
        }

    def weights(self) -> list[Array]:
        return [value.detach().numpy() for value in self.values.values()]

    def forward(self, x: Any, given: dict[str, Any], statistics: dict[str, Any]) -> Any:
        functional = self.torch.nn.functional
        convolutions = [path for path in given if path.endswith("kernel") and "conv2d" in path]
        betas = [path for path in given if path.endswith("beta")]

        def convolve(x: Any, path: str, padding: int = 0, bias: Any = None) -> Any:
            return functional.conv2d(x, given[path].permute(3, 2, 0, 1), bias, padding=padding)

        def normalized(x: Any, beta: str) -> Any:
            mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
            statistics[beta.replace("beta", "moving_mean")] = mean.detach()
            statistics[beta.replace("beta", "moving_variance")] = variance.detach()
            shape = (1, -1, 1, 1)
            scaled = (x - mean.view(shape)) / (variance.view(shape) + 1e-12).sqrt()
            return functional.gelu(scaled + given[beta].view(shape))

        x = convolve(x, "whitening/kernel", bias=given["whitening/bias"])
        x = functional.gelu(x)
        for first, second in zip(convolutions[::2], convolutions[1::2], strict=True):
            x = functional.max_pool2d(convolve(x, first, 1), 2)
            x = normalized(x, betas.pop(0))
            x = normalized(convolve(x, second, 1), betas.pop(0))
        (dense,) = [path for path in given if path.startswith("dense")]
        return x.amax((2, 3)) @ given[dense] / 9

    def train(self, model: convkit.Sequential, epochs: int, steps: int) -> list[float]:
        recipe, torch = self.recipe, self.torch
        flip = next(layer for layer in model.layers if isinstance(layer, layers.RandomFlip))
        mean, stddev = (np.round(np.float64(f(X, axis=(0, 1, 2))), 2) for f in (np.mean, np.std))
        momentum = 0.6 ** (BATCH / 1024)
        velocity = {path: torch.zeros_like(value) for path, value in self.values.items()}
        slow = {path: value.clone() for path, value in self.values.items()}
        losses, step = [], 0
        for epoch in range(epochs):
            order, total = random.permutation(COUNT, 3, epoch, step), 0.0
            count = 0
            for start in range(0, COUNT, BATCH):
                if step == steps:
                    break
                rows = order[start : start + BATCH]
                context = StepContext(True, 3)
                context.epoch, context.indices = epoch, rows
                flips = flip.draw(len(rows), X.shape[1:], context)["flips"]
                images = (X[rows] - mean) / stddev
                images[flips] = images[flips, :, ::-1]
                x = torch.tensor(images.transpose(0, 3, 1, 2).copy())
                given = {
                    path: value.clone().requires_grad_(self.learns(path, epoch))
                    for path, value in self.values.items()
                }
                statistics: dict[str, Any] = {}
                logits = self.forward(x, given, statistics)
                loss = torch.nn.functional.cross_entropy(
                    logits, torch.tensor(Y[rows].ravel().astype(np.int64)), label_smoothing=0.2
                )
                loss.backward()
                penalty = 0.0
                rate = recipe.Triangle(recipe.RATE * BATCH / 1024, steps)(step)
                for path, weight in given.items():
                    if not weight.requires_grad:
                        continue
                    scale = recipe.BIAS_SCALE if path.endswith("beta") else 1.0
                    decay = recipe.DECAY / scale
                    value = self.values[path]
                    penalty += float(decay / 2 * (value**2).sum())
                    gradient = weight.grad + decay * value
                    velocity[path] = recipe.MOMENTUM * velocity[path] - rate * scale * gradient
                    value += recipe.MOMENTUM * velocity[path] - rate * scale * gradient
                for path, own in statistics.items():
                    self.values[path] = momentum * self.values[path] + (1 - momentum) * own
                step += 1
                total += (float(loss.detach()) + penalty) * len(rows)
                count += len(rows)
                if step % 5 == 0:
                    share = recipe.SlowStep(steps)(step)
                    for path, value in self.values.items():
                        if self.learns(path, epoch) or "moving" in path:
                            slow[path] = slow[path] + share * (value - slow[path])
                            self.values[path] = slow[path].clone()
            losses.append(total / count)
        frozen = {path for path in slow if path.startswith("whitening")}
        self.values = {path: self.values[path] if path in frozen else slow[path] for path in slow}
        return losses

    def learns(self, path: str, epoch: int) -> bool:
        if path.startswith("whitening"):
            return path.endswith("bias") and epoch < self.recipe.WHITENING_EPOCHS
        return path.endswith(("kernel", "beta"))


@pytest.fixture
def torch_airbench() -> ModuleType:
    pytest.importorskip("torch")
    return importlib.import_module("convkit.bench.contenders.torch_airbench")


def test_pytorchs_network_is_the_same(torch_airbench: ModuleType, recipe: ModuleType) -> None:
    model = compiled(recipe, 14)
    model.fit(X, Y, BATCH, verbose=0)  # so that the statistics are no zeros and ones
    torch: Any = importlib.import_module("torch")
    network = torch_airbench.Airbench((8, 16, 16), model.get_layer("whitening").kernel.numpy())
    state = network.state_dict()
    names = ["whitening.weight", "whitening.bias"]
    for block in range(3):
        for half, convolution in enumerate(("first", "second")):
            norm = f"blocks.{block}.norms.{half}"
            names += [f"blocks.{block}.{convolution}.weight", f"{norm}.bias"]
            names += [f"{norm}.running_mean", f"{norm}.running_var"]
    names.append("head.weight")
    for name, weight in zip(names, model.weights, strict=True):
        values = weight.numpy()
        order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(values.ndim, (0,))
        state[name].copy_(torch.tensor(values.transpose(order).copy()))
    normalized = model.get_layer("normalization")(X)
    with torch.no_grad():
        logits = network.eval()(torch.tensor(normalized.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(logits.numpy(), model.predict(X, verbose=0), atol=2e-5)


@pytest.mark.parametrize("memory", ["contiguous_format", "channels_last"])
def test_pytorchs_regime_learns(torch_airbench: ModuleType, memory: str) -> None:
    torch: Any = importlib.import_module("torch")
    x, y = bars(480)
    whitening = convkit.initializers.whitening_kernel(X.astype(np.float32) / 90, 2, 5e-4)
    seen: list[Any] = []
    threads = torch.get_num_threads()
    train = torch_airbench.trainer(
        x, y, (8, 16, 16), whitening, mean=X.mean((0, 1, 2)), stddev=X.std((0, 1, 2)),
        batch_size=48, steps=120, threads=1, memory=getattr(torch, memory),
    )  # fmt: skip
    forward = torch_airbench.Airbench.forward

    def noted(network: Any, images: Any) -> Any:
        assert images.is_contiguous(memory_format=getattr(torch, memory))
        logits = forward(network, images)
        seen.append(logits.detach())
        return logits

    torch_airbench.Airbench.forward = noted
    labels: list[Any] = []
    loss = torch.nn.CrossEntropyLoss.forward

    def remembered(self: Any, logits: Any, wanted: Any) -> Any:
        labels.append(wanted)
        return loss(self, logits, wanted)

    torch.nn.CrossEntropyLoss.forward = remembered
    try:
        train(45)
        train(75)
    finally:
        torch_airbench.Airbench.forward = forward
        torch.nn.CrossEntropyLoss.forward = loss
        torch.set_num_threads(threads)
    right = [float((a.argmax(1) == b).float().mean()) for a, b in zip(seen, labels, strict=True)]
    assert len(right) == 120
    assert np.mean(right[-10:]) > 0.25 > 1.5 * np.mean(right[:10])


@pytest.mark.usefixtures("torch_airbench")
def test_pytorchs_epochs_are_timed_beside_ours(
    recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = importlib.import_module("against_pytorch")
    monkeypatch.setattr(script, "BATCH", BATCH)
    monkeypatch.setattr(script, "RECIPE", recipe.Recipe((8, 16, 16)))
    script.main(["--rounds", "2", "--steps", "3"])
    printed = capsys.readouterr().out
    assert printed.count("convkit: ") == 3
    assert "convkit: 3 steps in" in printed
    assert "1.00 times convkit's" in printed
    assert "torch channels_last: 3 steps in" in printed


@pytest.mark.usefixtures("recipe")
def test_runs_become_a_table_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [(0.94, 500.0, 2e14), (0.95, 700.0, 2e14), (0.93, 600.0, 2e14)]
    for number, (accuracy, seconds, operations) in enumerate(runs):
        (folder := tmp_path / str(number)).mkdir()
        metrics = {"test_accuracy": accuracy, "train_seconds": seconds, "parameters": 12345}
        if number < 2:
            metrics["operations"] = operations
        (folder / "metrics.json").write_text(json.dumps(metrics))
    table = importlib.import_module("table")
    a, b, c = (str(tmp_path / str(number)) for number in range(3))
    picture = tmp_path / "accuracy.png"
    options = ["--runs", "CIFAR-10", "recipe", a, b, "--runs", "CIFAR-10", "study", c]
    options += ["--point", "CIFAR-10", "Keras", "0.7404", "1500", "--picture", str(picture)]
    table.main(options)
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| CIFAR-10 | recipe | 2 | 94.50% (94.00% to 95.00%) | 12,345 | 2e+14 | 600 |",
        "| CIFAR-10 | study | 1 | 93.00% | 12,345 |  | 600 |",
    ]
    assert picture.stat().st_size > 10_000
    with pytest.raises(SystemExit):
        table.main(["--runs", "CIFAR-10", "recipe"])
