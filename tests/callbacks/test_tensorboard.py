"""TensorBoard's files, read by TensorBoard; and the averages that evaluation is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import random_array
from convkit import callbacks, layers, optimizers
from convkit.callbacks.tensorboard import as_images

# Keras with PyTorch hands its tensors to NumPy in an old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

X, Y = random_array("x", (24, 6, 6, 1)), np.arange(24) % 3


def model() -> convkit.Sequential:
    convkit.utils.set_random_seed(2)
    made = convkit.Sequential(
        [
            convkit.Input((6, 6, 1)),
            layers.Conv2D(3, 3, name="a"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", name="b"),
        ]
    )
    made.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def read(folder: Path) -> Any:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="pip install tensorboard"
    )
    # 0: as many as there are.
    sizes = {accumulator.SCALARS: 0, accumulator.HISTOGRAMS: 0, accumulator.IMAGES: 0}
    return accumulator.EventAccumulator(str(folder), size_guidance=sizes).Reload()


def scalars(events: Any, tag: str) -> tuple[list[int], list[float]]:
    found = events.Scalars(tag)
    return [each.step for each in found], [each.value for each in found]


def test_epochs_and_batches(tmp_path: Path) -> None:
    made = model()
    board = callbacks.TensorBoard(tmp_path, update_freq=2, write_steps_per_second=True)
    history = made.fit(
        X, Y, batch_size=4, epochs=3, validation_split=1 / 3, verbose=0, callbacks=[board]
    ).history
    train, validation = read(tmp_path / "train"), read(tmp_path / "validation")
    for name in ("loss", "accuracy"):
        steps, values = scalars(train, f"epoch_{name}")
        assert steps == [0, 1, 2]
        np.testing.assert_allclose(values, history[name], rtol=1e-6)  # files hold float32
        steps, values = scalars(validation, f"epoch_{name}")
        assert steps == [0, 1, 2]
        np.testing.assert_allclose(values, history[f"val_{name}"], rtol=1e-6)
        steps, values = scalars(train, f"batch_{name}")
        assert steps == [2, 4, 6, 8, 10, 12]
        np.testing.assert_allclose(values[1::2], history[name], rtol=1e-6)
        steps, values = scalars(validation, f"evaluation_{name}_vs_iterations")
        assert steps == [4, 8, 12]
    np.testing.assert_allclose(scalars(train, "epoch_learning_rate")[1], [0.01] * 3, rtol=1e-6)
    assert min(scalars(train, "epoch_steps_per_second")[1]) > 0
    assert "model/text_summary" in train.Tags()["tensors"]
    assert "Conv2D" in str(train.Tensors("model/text_summary")[0].tensor_proto.string_val)


def test_weights(tmp_path: Path) -> None:
    made = model()
    board = callbacks.TensorBoard(tmp_path, histogram_freq=2, write_graph=False, write_images=True)
    made.fit(X, Y, epochs=3, verbose=0, callbacks=[board])
    events = read(tmp_path / "train")
    tags = events.Tags()
    assert tags["histograms"] == [f"{weight.path}/histogram" for weight in made.weights]
    found = events.Histograms("b/kernel/histogram")
    assert [each.step for each in found] == [0, 2]
    last = found[-1].histogram_value
    kernel = made.get_layer("b").kernel.value
    assert last.num == kernel.size
    assert (last.min, last.max) == pytest.approx((kernel.min(), kernel.max()))
    assert len(events.Images("b/kernel/image")) == 2
    assert "batch_loss" not in tags["scalars"]


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((5,), (1, 1, 5, 1)),
        ((2, 5), (1, 2, 5, 1)),
        ((5, 2), (1, 2, 5, 1)),
        ((3, 4, 1, 7), (7, 3, 4, 1)),
        ((1, 1, 1, 1), (1, 1, 1, 1)),
        ((3, 3, 2, 4), None),
    ],
)
def test_weights_as_images(shape: tuple[int, ...], wanted: tuple[int, ...] | None) -> None:
    images = as_images(random_array("w", shape))
    assert (None if images is None else images.shape) == wanted
    if images is not None and images.size > 1:
        assert (images.min(), images.max()) == (0.0, 1.0)


def test_counting_goes_on_after_a_backup(tmp_path: Path) -> None:
    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 4:
                raise KeyboardInterrupt

    def parts() -> list[callbacks.Callback]:
        board = callbacks.TensorBoard(tmp_path / "logs", update_freq="batch")
        return [board, callbacks.BackupAndRestore(tmp_path / "backup", save_freq=2)]

    stopped = Stop()
    with pytest.raises(KeyboardInterrupt):
        model().fit(X, Y, batch_size=4, verbose=0, callbacks=[stopped, *parts()])
    going = Stop()
    going.on_train_batch_end = lambda batch, logs=None: None  # type: ignore[method-assign]
    model().fit(X, Y, batch_size=4, verbose=0, callbacks=[going, *parts()])
    steps, _ = scalars(read(tmp_path / "logs" / "train"), "batch_loss")
    assert steps[-2:] == [5, 6]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"log_dir": ""}, "log_dir must be the path"),
        ({"histogram_freq": -1}, "histogram_freq must be an integer"),
        ({"update_freq": "often"}, "update_freq must be an integer of at least 1"),
        ({"update_freq": 0}, "update_freq must be an integer of at least 1"),
        ({"profile_batch": 3}, "convkit.bench profile"),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        callbacks.TensorBoard(**options)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"convkit\[tensorboard\]"):
        callbacks.TensorBoard()


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_evaluation_has_the_averages(swap_on_epoch: bool, keras: Any) -> None:
    histories, weights = [], []
    start = model().get_weights()
    for m in (convkit, keras):
        made = m.Sequential(
            [
                m.Input((6, 6, 1)),
                m.layers.Conv2D(3, 3),
                m.layers.Flatten(),
                m.layers.Dense(3, activation="softmax"),
            ]
        )
        optimizer = m.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.8)
        made.compile(optimizer, "sparse_categorical_crossentropy")
        made.set_weights(start)
        seen: list[Any] = []
        watch = m.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs, made=made, seen=seen: seen.append(made.get_weights())
        )
        history = made.fit(
            X, Y, batch_size=4, epochs=3, shuffle=False, verbose=0, validation_data=(X, Y),
            callbacks=[m.callbacks.SwapEMAWeights(swap_on_epoch), watch],
        ).history  # fmt: skip
        histories.append(history)
        weights.append([each for epoch in seen for each in epoch] + list(made.get_weights()))
    for key in ("loss", "val_loss"):
        np.testing.assert_allclose(histories[0][key], histories[1][key], rtol=2e-5)
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)


def test_averages_without_an_optimizer_that_keeps_them() -> None:
    with pytest.raises(ValueError, match="use_ema=True, received Adam"):
        model().fit(X, Y, verbose=0, validation_split=0.5, callbacks=[callbacks.SwapEMAWeights()])


def test_prediction_ends_with_the_weights_that_it_found() -> None:
    made = model()
    made.compile(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9), made.loss)
    seen: list[Any] = []

    class Watch(callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            before = made.get_weights()
            with_averages = made.predict(X, verbose=0, callbacks=[callbacks.SwapEMAWeights()])
            seen.append((with_averages, made.predict(X, verbose=0)))
            for one, two in zip(before, made.get_weights(), strict=True):
                np.testing.assert_array_equal(one, two)

    made.fit(X, Y, batch_size=4, verbose=0, callbacks=[Watch()])
    np.testing.assert_array_equal(made.predict(X, verbose=0), seen[0][0])
    assert not np.array_equal(*seen[0])


def test_one_bar_with_a_progress_logger(capsys: pytest.CaptureFixture[str]) -> None:
    for verbose in (0, 2):
        model().fit(X, Y, verbose=verbose, callbacks=[callbacks.ProgbarLogger()])
        assert capsys.readouterr().out.count("loss") == (verbose > 0)
