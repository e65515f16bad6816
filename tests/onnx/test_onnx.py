"""ONNX files: what onnxruntime makes of ours, and what we make of ours and of PyTorch's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit import layers
from some_models import KERAS_LINES, LINES, ZOO, every_layer, images, of_line, trained

onnx = pytest.importorskip("onnx", reason="needs the package onnx")
runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime to compare with")


def run(path: Path, x: Array) -> Array:
    """What onnxruntime makes of x."""
    session = runtime.InferenceSession(path)
    (result,) = session.run(None, {session.get_inputs()[0].name: x})
    return np.asarray(result)


def model_of(name: str) -> convkit.Sequential:
    return trained(name) if name in ZOO else of_line(name)


# Out.


@pytest.mark.parametrize("name", [*ZOO, *LINES, *KERAS_LINES])
def test_onnxruntime_computes_what_predict_computes(name: str, tmp_path: Path) -> None:
    model, path = model_of(name), tmp_path / "model.onnx"
    convkit.onnx.export(model, path)
    for count in (1, 7):
        x = images(model, count)
        expected = model.predict(x, verbose=0)
        assert np.ptp(expected) > 0.05  # a constant would be equal for the wrong reason
        np.testing.assert_allclose(run(path, x), expected, rtol=1e-5, atol=1e-5)


def test_the_lines_have_every_layer() -> None:
    public = {kind for kind in vars(layers).values() if isinstance(kind, type)}
    layers_of_chains = {k for k in public if issubclass(k, layers.Layer) and not k.merges}
    of_batches = {layers.CutMix, layers.MixUp}
    assert every_layer() == layers_of_chains - {layers.Layer, layers.InputLayer} - of_batches


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    model, path = trained("fashion_mnist_cnn"), tmp_path / "model.onnx"
    convkit.onnx.export(model, path)
    proto = onnx.load(path)
    onnx.checker.check_model(proto, full_check=True)
    assert [(each.domain, each.version) for each in proto.opset_import] == [("", 20)]
    assert (proto.producer_name, proto.producer_version) == ("convkit", convkit.__version__)
    assert "float32 (N, 28, 28, 1), channels last, to (N, 10)" in proto.doc_string
    ops = [node.op_type for node in proto.graph.node]
    block = ["Conv", "Relu", "Conv", "Relu", "MaxPool"]
    head = ["Flatten", "Gemm", "Relu", "Gemm", "Softmax"]
    assert ops == ["Transpose", *block, *block, *head]
    batch = [
        value.type.tensor_type.shape.dim[0] for value in (*proto.graph.input, *proto.graph.output)
    ]
    assert [each.dim_param for each in batch] == ["N", "N"]


def test_a_model_of_nothing_but_dropout_is_the_identity(tmp_path: Path) -> None:
    model = convkit.Sequential([convkit.Input((3,)), layers.Dropout(0.5)])
    convkit.onnx.export(model, tmp_path / "model.onnx")
    x = images(model, 2)
    np.testing.assert_array_equal(run(tmp_path / "model.onnx", x), x)


def test_an_interrupted_export_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"the old one")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            convkit.onnx.export(of_line("signals"), path)
    assert path.read_bytes() == b"the old one"
    assert os.listdir(tmp_path) == ["model.onnx"]
    convkit.onnx.export(of_line("signals"), path)
    assert os.listdir(tmp_path) == ["model.onnx"]
    assert convkit.onnx.load(path).count_params() == of_line("signals").count_params()


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not built: begin it with Input"):
        convkit.onnx.export(convkit.Sequential([layers.Dense(3)]), tmp_path / "m.onnx")

    class Twice(layers.Flatten):
        """A user's own layer, which computes something else than its base."""

    both = layers.ReLU(negative_slope=0.5, threshold=0.5, name="both")
    for convert in (
        lambda m: convkit.onnx.export(m, tmp_path / "m.onnx"),
        convkit.interop.to_torch,
    ):
        with pytest.raises(
            ValueError, match=r'layer "both" .* both a negative_slope and a thresho'
        ):
            convert(convkit.Sequential([convkit.Input((3,)), both]))
    model = convkit.Sequential([convkit.Input((3,)), Twice(name="twice")])
    with pytest.raises(ValueError, match=r'layer "twice" \(Twice\): it has no counterpart'):
        convkit.onnx.export(model, tmp_path / "m.onnx")
    assert not os.listdir(tmp_path)


# And in again.


@pytest.mark.parametrize("name", [*ZOO, *LINES, *KERAS_LINES])
def test_a_loaded_file_is_the_same_model(name: str, tmp_path: Path) -> None:
    model, path = model_of(name), tmp_path / "model.onnx"
    convkit.onnx.export(model, path)
    copy = convkit.onnx.load(path)
    assert copy.input_shape == model.input_shape
    if name in ZOO:  # all but dropout comes back under its name
        kept = [layer for layer in model.layers if not isinstance(layer, layers.Dropout)]
        assert [layer.name for layer in copy.layers] == [layer.name for layer in kept]
        assert [type(layer) for layer in copy.layers] == [type(layer) for layer in kept]
        for mine, theirs in zip(model.get_weights(), copy.get_weights(), strict=True):
            np.testing.assert_array_equal(theirs, mine)
    x = images(model, 5)
    np.testing.assert_allclose(
        copy.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-6, atol=1e-6
    )


def test_a_loaded_model_goes_on_learning_like_the_first(tmp_path: Path) -> None:
    """The CIFAR-10 model without its dropout, whose normalisations have momenta of their own."""
    kept = [
        layer for layer in trained("cifar10_cnn").layers if not isinstance(layer, layers.Dropout)
    ]
    model = convkit.Sequential(
        [convkit.Input((32, 32, 3))]
        + [type(layer).from_config(layer.get_config()) for layer in kept]
    )
    model.set_weights(trained("cifar10_cnn").get_weights())
    convkit.onnx.export(model, tmp_path / "model.onnx")
    copy = convkit.onnx.load(tmp_path / "model.onnx")
    x, labels = images(model, 32), np.arange(32) % 10
    for each in (model, copy):
        each.compile("adam", "sparse_categorical_crossentropy")
        convkit.utils.set_random_seed(1)
        each.fit(x, labels, batch_size=8, epochs=2, verbose=0)
    for mine, theirs in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(theirs, mine)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    for use in (
        lambda: convkit.onnx.export(of_line("signals"), tmp_path / "m.onnx"),
        lambda: convkit.onnx.load(tmp_path / "m.onnx"),
    ):
        with pytest.raises(ImportError, match=r'pip install "convkit\[onnx\]"'):
            use()


def test_nothing_of_others_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, convkit, convkit.onnx, convkit.interop\n"
        "convkit.onnx.export, convkit.interop.from_torch\n"
        "early = {'onnx', 'torch', 'keras', 'google.protobuf'} & set(sys.modules)\n"
        "assert not early, early\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# From PyTorch.


def exported(network: Any, shape: tuple[int, ...], path: Path, *, dynamo: bool) -> None:
    """Write a network as PyTorch does, in evaluation mode, for any batch."""
    torch = pytest.importorskip("torch", reason="needs PyTorch to export from")
    if dynamo:
        pytest.importorskip("onnxscript", reason="PyTorch's newer exporter needs onnxscript")
        options = {"dynamic_shapes": ({0: torch.export.Dim("N")},)}
    else:
        options = {"dynamic_axes": {"x": {0: "N"}}}
    example = (torch.zeros(2, *shape),)
    torch.onnx.export(
        network.eval(), example, path, input_names=["x"], dynamo=dynamo, verbose=False, **options
    )


def networks() -> dict[str, tuple[tuple[int, ...], Any]]:
    """Typical networks as functions that make them, each with the shape of a sample."""
    torch = pytest.importorskip("torch", reason="needs PyTorch to export from")
    nn = torch.nn

    class Functional(nn.Module):
        """In the style of PyTorch's own examples: modules in __init__, functions in forward."""

        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 6, 5)
            self.norm = nn.BatchNorm2d(6)
            self.conv2 = nn.Conv2d(6, 8, 3)
            self.fc1 = nn.Linear(8 * 2 * 3, 12)
            self.fc2 = nn.Linear(12, 4)

        def forward(self, x: Any) -> Any:
            x = nn.functional.max_pool2d(torch.relu(self.norm(self.conv1(x))), 2)
            x = nn.functional.max_pool2d(nn.functional.leaky_relu(self.conv2(x)), (2, 2))
            x = x.view(x.size(0), -1)
            return self.fc2(nn.functional.dropout(torch.tanh(self.fc1(x)), training=self.training))

    class Averaged(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 6, 3, stride=2, padding=1, bias=False)
            self.fc = nn.Linear(6, 3)

        def forward(self, x: Any) -> Any:
            return torch.softmax(self.fc(nn.functional.elu(self.conv(x)).mean(dim=(2, 3))), dim=-1)

    return {
        "functional": ((3, 16, 20), Functional),
        "averaged": ((2, 9, 9), Averaged),
        "sequential": (
            (1, 14, 14),
            lambda: nn.Sequential(
                *(nn.Conv2d(1, 4, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)),
                *(nn.Conv2d(4, 8, 3, groups=2), nn.BatchNorm2d(8), nn.GELU()),
                *(nn.AvgPool2d(2, ceil_mode=True), nn.Flatten(), nn.Dropout(0.2)),
                *(nn.Linear(72, 10), nn.Sigmoid()),
            ),
        ),
        "pooled": (
            (2, 8, 8),
            lambda: nn.Sequential(
                *(nn.Conv2d(2, 5, 3, stride=2, padding=1), nn.AdaptiveAvgPool2d(1)),
                *(nn.Flatten(), nn.Linear(5, 3)),
            ),
        ),
        # Equal weights come as an Identity of the first of them.
        "twins": (
            (3, 9, 9),
            lambda: nn.Sequential(
                *(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4, affine=False), nn.ReLU()),
                *(nn.Conv2d(4, 4, 3, bias=False), nn.BatchNorm2d(4, affine=False), nn.ReLU()),
                *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)),
            ),
        ),
        "bounded": (
            (3, 8, 8),
            lambda: nn.Sequential(
                *(nn.Conv2d(3, 4, 3), nn.ReLU6(), nn.Conv2d(4, 6, 1), nn.Hardtanh(0.0, 0.5)),
                *(nn.Flatten(), nn.Linear(6 * 6 * 6, 4), nn.ReLU6()),
            ),
        ),
        "vectors": (
            (6,),
            lambda: nn.Sequential(nn.Linear(6, 4, bias=False), nn.BatchNorm1d(4), nn.Linear(4, 2)),
        ),
    }


@pytest.mark.parametrize("dynamo", [False, True], ids=["traced", "dynamo"])
@pytest.mark.parametrize(
    "name", ["functional", "averaged", "sequential", "pooled", "vectors", "twins", "bounded"]
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")  # PyTorch's, about its own exporters
def test_networks_from_pytorch(name: str, dynamo: bool, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="needs PyTorch to export from")
    torch.manual_seed(2)
    shape, make = networks()[name]
    network, path = make(), tmp_path / "network.onnx"
    with torch.no_grad():
        for _ in range(5):  # running statistics that are not the first ones
            network(torch.randn(16, *shape) * 2 + 1)
    exported(network, shape, path, dynamo=dynamo)
    model = convkit.onnx.load(path)
    x = torch.rand(3, *shape)
    with torch.no_grad():
        expected = network(x).numpy()
    first = np.moveaxis(x.numpy(), 1, -1) if len(shape) > 1 else x.numpy()
    result = model.predict(np.ascontiguousarray(first), verbose=0)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(run(path, x.numpy()), result, rtol=1e-5, atol=1e-5)
