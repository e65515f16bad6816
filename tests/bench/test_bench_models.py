"""The benchmark's models: every contender predicts and trains as convkit does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compare import Array, direct_convolutions
from convkit import Sequential, layers, utils, zoo
from convkit.bench import child, peers
from convkit.bench.contenders import numpy_indexed
from convkit.bench.contenders import numpy_plain as plain
from convkit.bench.contenders.mirror import mirror, plain_mirror
from convkit.bench.infer import PREDICTOR, infer_cases
from convkit.bench.isolated import IsolatedStep
from convkit.bench.kernels import NUMPY, Side, kernel_cases
from convkit.bench.measure import CONVKIT
from convkit.bench.shapes import MODELS, LayerShape, layer_shapes, training_steps
from convkit.bench.train import random_batches, sample_shape, train_cases


def small_model(rate: float = 0.0) -> Sequential:
    """Every kind of layer, and a ReLU of its own; without dropout unless it is asked for."""
    return Sequential(
        [
            layers.Input((9, 8, 3)),
            layers.Conv2D(8, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Dropout(rate),
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


@pytest.mark.parametrize("convolution", [plain.Conv2D, numpy_indexed.Conv2D])
def test_numpy_models_train_alike(convolution: type[plain.Conv2D]) -> None:
    utils.set_random_seed(3)
    model = small_model()
    for x, labels in random_batches(sample_shape(model), 6, count=3):
        tuned, clear = mirror(model, batch_size=6), plain_mirror(model, convolution)
        loss = clear.train_step(x, labels)
        assert loss == pytest.approx(tuned.train_step(x, labels), rel=1e-5)
        gradients = np.concatenate([g.ravel() for layer in clear.layers for g in layer.gradients])
        largest = np.abs(gradients).max()
        np.testing.assert_allclose(tuned.gradients, gradients, rtol=1e-4, atol=1e-5 * largest)
        parameters = [p for layer in clear.layers for p in layer.parameters]
        assert {p.dtype for p in parameters} == {np.dtype(np.float32)}
        certain = np.abs(gradients) > 1e-4 * largest  # see assert_trains_alike
        assert certain.any()
        wanted = np.concatenate([p.ravel() for p in parameters])
        np.testing.assert_allclose(tuned.parameters[certain], wanted[certain], atol=2e-6)


def skip_without(peer: str) -> None:
    if reason := peers.missing(peer):
        pytest.skip(reason)


# Each peer's sides, and how far their losses may be off.
SIDES: dict[str, tuple[list[str], float]] = {
    "numpy-tuned": (["numpy, tuned"], 1e-4),
    "numpy": (["numpy"], 1e-4),
    "numpy-indexed": (["numpy, indexed"], 1e-4),
    "torch": (["torch nchw", "torch channels_last"], 1e-3),
    "torch-bf16": (["torch nchw bf16", "torch channels_last bf16"], 5e-2),
    "keras": (["keras"], 1e-3),
    "torch-compile": (["torch-compile nchw", "torch-compile channels_last"], 1e-3),
    "keras-jax": (["keras-jax"], 1e-3),
    "keras-tensorflow": (["keras-tensorflow"], 1e-3),
}
SLOW = [pytest.param("torch-compile", marks=pytest.mark.slow)]  # compiles for a minute


@pytest.fixture
def steps_of() -> Iterator[Callable[..., dict[str, Callable[..., Any]]]]:
    """Makes a peer's steps, and closes those in processes of their own."""
    children = ExitStack()

    def make(
        peer: str, direction: str, model: Sequential, batch_size: int
    ) -> dict[str, Callable[..., Any]]:
        steps = getattr(peers.PEERS[peer], direction)(model, batch_size, 1)
        for step in steps.values():
            if isinstance(step, IsolatedStep):
                children.callback(step.close)
        return dict(steps)

    with children:
        yield make


@pytest.mark.parametrize(
    "peer", [*(name for name in peers.TRAINING if name != "torch-compile"), *SLOW]
)
@pytest.mark.parametrize("make", [small_model, zoo.mnist_cnn])
@pytest.mark.filterwarnings("ignore")  # of the peers, which are not ours
def test_peers_train_as_convkit_does(
    peer: str, make: Callable[[], Sequential], steps_of: Callable[..., dict[str, Any]]
) -> None:
    skip_without(peer)
    utils.set_random_seed(3)
    model = make()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=[])
    steps = steps_of(peer, "train", model, 6)
    names, tolerance = SIDES[peer]
    assert [name.removesuffix(f" {os.environ.get('KERAS_BACKEND')}") for name in steps] == names
    for x, labels in random_batches(sample_shape(model), 6, count=2):
        # The second loss shows that the first step was the same.
        loss = loss_of(model.train_on_batch(x, labels))
        for step in steps.values():
            assert step(x, labels) == pytest.approx(loss, rel=tolerance)


@pytest.mark.parametrize("peer", peers.PREDICTING)
@pytest.mark.filterwarnings("ignore")
def test_peers_predict_as_convkit_does(peer: str, steps_of: Callable[..., dict[str, Any]]) -> None:
    skip_without(peer)
    utils.set_random_seed(3)
    model = small_model(rate=0.5)
    generator = np.random.default_rng(0)  # moving statistics and biases that are not at their start
    model.set_weights(
        [w + generator.uniform(0, 0.2, w.shape) * (w.ndim == 1) for w in model.get_weights()]
    )
    images = random_batches(sample_shape(model), 5, count=1)[0][0]
    wanted = model.predict_on_batch(images)
    assert np.ptp(wanted, axis=0).max() > 1e-3, "the images must give different answers"
    for step in steps_of(peer, "predict", model, 5).values():
        atol = 2e-2 if peer == "torch-bf16" else 1e-5
        np.testing.assert_allclose(step(images.copy()), wanted, rtol=1e-3, atol=atol)


def test_bfloat16_is_what_it_says() -> None:
    torch = pytest.importorskip("torch")
    from convkit.bench.contenders import torch_model

    model = small_model()
    images = random_batches(sample_shape(model), 5, count=1)[0][0]
    threads = torch.get_num_threads()
    exact = torch_model.predict_steps(model, threads)["torch nchw"](images)
    rounded = torch_model.predict_steps(model, threads, bfloat16=True)["torch nchw bf16"](images)
    assert 1e-5 < np.abs(rounded - exact).max() < 2e-2


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


def sides() -> dict[str, Side]:
    """NumPy, and PyTorch where it is installed."""
    if peers.missing("torch"):
        return dict(NUMPY)
    from convkit.bench.contenders.torch_kernels import torch_sides

    return {**NUMPY, **torch_sides(1)}


@pytest.mark.parametrize("shape", SMALL_SHAPES, ids=lambda shape: shape.name)
def test_all_sides_of_a_kernel_case_compute_the_same(shape: LayerShape) -> None:
    cases = list(kernel_cases([shape], sides()))
    assert cases[0].direction == "forward"
    assert len(cases) == (3 if shape.w_shape else 2)
    for case in cases:
        assert (case.facts.flops, case.facts.nbytes) == (shape.flops, shape.nbytes)
        wanted = _first(case.calls[CONVKIT](), case.direction)
        assert len(case.calls) > 1
        for call in case.calls.values():
            got = _first(call(), case.direction)
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def _first(result: object, direction: str) -> Array:
    """Some return (dw, db), some (y, what backward needs): the first counts, as NHWC."""
    value = result[0] if isinstance(result, tuple) else result
    if isinstance(value, np.ndarray):
        return value
    array: Array = value.detach().numpy()  # type: ignore[attr-defined]
    if direction == "backward_weights":
        return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def test_compulsory_bytes() -> None:
    # 2 * 6 * 5 inputs of 8 channels and outputs of 4, 9 * 8 * 4 weights, four bytes each.
    assert SMALL_SHAPES[0].nbytes == 4 * (60 * 8 + 60 * 4 + 288)
    assert SMALL_SHAPES[4].nbytes == 4 * (2 * 24 * 3 + 2 * 6 * 3)


def test_train_cases_start_from_the_same_weights() -> None:
    (case,) = train_cases(["mnist"], batch_size=4)
    assert (case.name, case.direction, case.facts.images) == ("mnist", "step", 4)
    assert list(case.calls) == [CONVKIT, "numpy, tuned", "numpy", "numpy, indexed"]
    ours, *theirs = (loss_of(call()) for call in case.calls.values())
    assert theirs == pytest.approx([ours] * 3, rel=1e-5)


def test_infer_cases_predict_the_same() -> None:
    cases = list(infer_cases(["cifar10"], batch_sizes=(1, 3)))
    assert [case.name for case in cases] == ["cifar10, batch 1", "cifar10, batch 3"]
    for case, count in zip(cases, (1, 3), strict=True):
        assert case.facts.images == count
        assert list(case.calls)[:2] == [CONVKIT, PREDICTOR]
        ours, *theirs = (np.asarray(call()) for call in case.calls.values())
        assert ours.shape == (count, 10)
        for probabilities in theirs:
            np.testing.assert_allclose(probabilities, ours, atol=1e-5)


@pytest.mark.parametrize("peer", ["torch", "keras"])
@pytest.mark.filterwarnings("ignore")
def test_memory_is_measured_on_the_same_model(peer: str) -> None:
    skip_without(peer)
    if peer == "torch":
        count = sum(p.numel() for p in child.torch_network().parameters())
    else:
        count = child.keras_network().count_params()
    assert count == zoo.mnist_cnn().count_params()


class TestWhoIsHere:
    """`peers.missing`, on machines that have other things installed than this one."""

    @pytest.fixture
    def machine_with(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> Callable[..., dict[str, str]]:
        def machine(*installed: str, **environment: str) -> dict[str, str]:
            copy = {"KERAS_HOME": str(tmp_path), **environment}
            monkeypatch.setattr(peers.os, "environ", copy)
            monkeypatch.setattr(peers, "_installed", lambda module: module in installed)
            return copy

        return machine

    def test_nothing(self, machine_with: Callable[..., dict[str, str]]) -> None:
        machine_with()
        here, reasons = peers.present(list(peers.PEERS))
        assert here == ["numpy-tuned", "numpy", "numpy-indexed"]
        assert reasons == {
            "torch": "torch is not installed",
            "torch-bf16": "torch is not installed",
            "keras": "keras is not installed",
            "torch-compile": "torch is not installed",
            "keras-jax": "keras is not installed",
            "keras-tensorflow": "keras is not installed",
            "onnxruntime": "onnx is not installed",
            "openvino": "onnx is not installed",
            "ncnn": "onnx is not installed",
            "mnn": "onnx is not installed",
        }

    def test_all_packages_are_needed(self, machine_with: Callable[..., dict[str, str]]) -> None:
        machine_with("onnx", "ncnn", "MNN", "keras", "jax")
        here, reasons = peers.present(["ncnn", "mnn", "openvino", "keras-jax", "keras-tensorflow"])
        assert here == ["mnn", "keras-jax"]
        assert reasons == {
            "ncnn": "pnnx is not installed",
            "openvino": "openvino is not installed",
            "keras-tensorflow": "tensorflow is not installed",
        }
        assert peers.modules(["mnn", "keras-jax", "numpy"]) == ["onnx", "MNN", "keras", "jax"]

    def test_compiling_needs_a_compiler(
        self, machine_with: Callable[..., dict[str, str]], tmp_path: Path
    ) -> None:
        machine_with("torch", CXX=str(tmp_path / "c++"))
        assert peers.missing("torch-compile") == (
            f"torch.compile needs a C++ compiler, and there is no {tmp_path / 'c++'}"
        )
        (tmp_path / "c++").write_text("")
        (tmp_path / "c++").chmod(0o755)
        assert peers.missing("torch-compile") is None

    def test_keras_takes_the_backend_there_is(
        self, machine_with: Callable[..., dict[str, str]], tmp_path: Path
    ) -> None:
        environment = machine_with("keras", "torch")
        (tmp_path / "keras.json").write_text('{"backend": "tensorflow"}')
        assert peers.missing("keras") is None
        assert environment["KERAS_BACKEND"] == "torch"
        environment = machine_with("keras", "torch", "jax", "tensorflow")
        (tmp_path / "keras.json").write_text('{"backend": "jax"}')
        assert peers.missing("keras") is None
        assert environment["KERAS_BACKEND"] == "jax"

    def test_keras_keeps_to_the_backend_that_was_named(
        self, machine_with: Callable[..., dict[str, str]]
    ) -> None:
        machine_with("keras", "torch", KERAS_BACKEND="jax")
        assert "'jax' is not installed" in str(peers.missing("keras"))
        machine_with("keras", "openvino", KERAS_BACKEND="openvino")
        assert "cannot train with Keras on 'openvino'" in str(peers.missing("keras"))
        machine_with("keras")
        assert "'tensorflow' is not installed" in str(peers.missing("keras"))


def test_a_folder_of_that_name_is_not_a_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a_folder_of_pictures").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not peers._installed("a_folder_of_pictures")
    assert peers._installed("numpy")


def test_graphs_are_measured_beside_pytorch() -> None:
    skip_without("torch")
    (case,) = train_cases(["resnet20"], batch_size=4, contenders=["torch"])
    losses = {side: [loss_of(call()) for _ in range(2)] for side, call in case.calls.items()}
    assert list(losses) == [CONVKIT, "torch nchw", "torch channels_last"]
    for side in losses:
        np.testing.assert_allclose(losses[side][0], losses[CONVKIT][0], rtol=1e-4)
        assert losses[side][1] != losses[side][0], "it does not train"
    with pytest.raises(ValueError, match="only chains of layers are unrolled for NumPy"):
        list(train_cases(["resnet20"], batch_size=4, contenders=["numpy-tuned"]))
