"""Conversions try what they have made: what they find, what they allow, what they leave alone."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit import interop, layers
from convkit.operators import verify as subject
from some_models import ZOO, images, of_line, small_cnn, trained

torch = pytest.importorskip("torch", reason="needs PyTorch")
nn = torch.nn


def network() -> Any:
    torch.manual_seed(3)
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Flatten(), nn.Linear(4 * 4 * 4, 3)),
    )


# What is found.


def test_a_class_that_computes_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The class itself was changed, so that nothing about the module tells."""
    monkeypatch.setattr(nn.ReLU, "forward", lambda self, x: torch.relu(x) + 0.01)
    with pytest.raises(
        ValueError,
        match=r"does not compute what the PyTorch module computes: .* apart, .* verify=False",
    ):
        interop.from_torch(network(), (2, 6, 6))
    assert len(interop.from_torch(network(), (2, 6, 6), verify=False).layers) == 6


def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let models compute something else than their weights and arguments say."""
    right = convkit.Model.predict_on_batch
    monkeypatch.setattr(convkit.Model, "predict_on_batch", lambda self, x: 1.001 * right(self, x))


def prepared(name: str, model: convkit.Sequential, path: Path) -> Callable[..., Any]:
    """One of the conversions, with all that it needs made before."""
    if name in ("export", "load"):
        pytest.importorskip("onnx", reason="needs the package onnx")
        if name == "load":
            convkit.onnx.export(model, path / "model.onnx")
            return partial(convkit.onnx.load, path / "model.onnx")
        return partial(convkit.onnx.export, model, path / "exported")
    if name == "from_torch":
        return partial(interop.from_torch, network(), (2, 6, 6))
    if name == "from_keras":
        from peer_keras import keras

        return partial(
            interop.from_keras, keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        )
    if name == "to_keras":
        import peer_keras  # noqa: F401 (skips where Keras is missing)
    return partial(getattr(interop, name), model)


CONVERSIONS = ("from_torch", "from_keras", "to_torch", "to_keras", "export", "load")


@pytest.mark.parametrize("name", CONVERSIONS)
@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
def test_every_conversion_tries_its_result(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = prepared(name, small_cnn(), tmp_path)
    convert()
    (tmp_path / "exported").unlink(missing_ok=True)
    broken(monkeypatch)
    with pytest.raises(ValueError, match=r"does not compute what .* computes: on random images"):
        convert()
    assert not (tmp_path / "exported").exists()
    convert(verify=False)


def test_another_shape_is_found() -> None:
    model = convkit.Sequential([convkit.Input((3,)), layers.Dense(2)])
    with pytest.raises(ValueError, match=r"gives shape \(2, 2\) where theirs gives \(2, 3\)"):
        subject.verify(model, lambda x: x, "theirs")


def test_what_pytorch_itself_refuses_is_no_module_for_such_images() -> None:
    with pytest.raises(ValueError, match=r"PyTorch does not take images of shape \(2, 3\): "):
        interop.from_torch(nn.Sequential(nn.BatchNorm2d(3)), (3,))


@pytest.mark.parametrize("factor", [0.9995, 1.0005])
@pytest.mark.parametrize("name", ZOO)
def test_a_weight_that_is_off_by_a_little_is_found(name: str, factor: float) -> None:
    """A two-thousandth in one layer, such as another epsilon makes, of models after training."""
    model = trained(name)
    twin = convkit.Sequential.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    for parameter in twin.layers[0].weights:
        parameter.value *= factor
    with pytest.raises(ValueError, match="does not compute"):
        subject.verify(model, twin.predict_on_batch, "the twin")


# What is allowed.


@pytest.mark.parametrize("isa", convkit.runtime.available_isas())
@pytest.mark.parametrize("name", ZOO)
def test_rounding_is_not_mistaken_for_an_error(name: str, isa: str) -> None:
    """All instruction sets, each with algorithms of its own, against PyTorch."""
    before = convkit.runtime.isa()
    model = trained(name)
    try:
        convkit.runtime.set_isa(isa)
        interop.to_torch(model)
    finally:
        convkit.runtime.set_isa(before)


def cancelling() -> Any:
    """Almost all digits of the first layer's results are taken away again by the second."""
    torch.manual_seed(1)
    first, second = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
    with torch.no_grad():
        first.bias.fill_(1e4)
        second.running_mean.fill_(1e4)
        second.running_var.fill_(1e-3)
    return nn.Sequential(first, second, nn.ReLU(), nn.Conv2d(8, 4, 3)).eval()


def test_digits_that_the_network_loses_are_not_missed() -> None:
    model = interop.from_torch(cancelling(), (3, 9, 9))
    x = images(model, 2)
    with torch.no_grad():
        theirs = cancelling()(torch.from_numpy(np.moveaxis(x, -1, 1).copy())).numpy()
        exact = cancelling().double()(torch.from_numpy(np.moveaxis(x, -1, 1).astype(np.float64)))
    ours = np.moveaxis(model.predict(x, verbose=0), -1, 1)
    scale = np.abs(theirs).max()
    # Rounding alone takes them further apart than is allowed without looking at the weights.
    assert np.abs(theirs - ours).max() > scale * 2.0**-17
    assert np.abs(exact.numpy() - theirs).max() > scale * 2.0**-17


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_weights_that_are_no_numbers_come_along(value: float) -> None:
    there = network()
    with torch.no_grad():
        there[0].weight[1, 0, 1, 1] = value
    model = interop.from_torch(there, (2, 6, 6))
    np.testing.assert_array_equal(model.get_weights()[0][1, 1, 0, 1], np.float32(value))


def test_nan_where_there_should_be_a_number_is_found() -> None:
    model = convkit.Sequential([convkit.Input((3,)), layers.Dense(2)])
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match="outputs lie inf apart"):
            subject.verify(model, lambda x, v=value: np.full((len(x), 2), v, np.float32), "theirs")


# What is left alone.


def states() -> list[Any]:
    return [
        random.getstate(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002
        torch.get_rng_state().tolist(),
        layers.Dense(3).kernel_initializer((2, 2)).tolist(),
        torch.is_grad_enabled(),
    ]


@pytest.mark.parametrize("name", CONVERSIONS)
@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
def test_nobodys_random_numbers_change(name: str, tmp_path: Path) -> None:
    convert = prepared(name, small_cnn(), tmp_path)
    results = []
    for converts in (False, True):
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.manual_seed(1)
        convkit.utils.set_random_seed(1)
        if converts:
            convert()
        results.append(states())
    assert results[0] == results[1]


def test_modes_and_gradients_are_as_before() -> None:
    there = network().train()
    there[3].eval()
    before = [module.training for module in there.modules()]
    weights = {k: v.clone() for k, v in there.state_dict().items()}
    interop.from_torch(there, (2, 6, 6))
    assert [module.training for module in there.modules()] == before
    assert all(parameter.grad is None for parameter in there.parameters())
    for key, value in there.state_dict().items():
        assert torch.equal(value, weights[key]), key
    with pytest.raises(ValueError, match="PyTorch does not take"):
        interop.from_torch(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU()).train(), (3,))
    assert torch.is_grad_enabled()


def test_a_model_that_trains_goes_on_as_if_nobody_had_looked() -> None:
    results = []
    for convert in (False, True):
        model = small_cnn()
        x, y = images(model, 24), np.arange(24) % 3
        for _ in range(2):
            model.fit(x, y, batch_size=8, epochs=1, verbose=0)
            if convert:
                interop.to_torch(model)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_compiled_networks_are_run_as_they_are() -> None:
    there = network()

    def never(*_: Any) -> Any:
        raise AssertionError("it was compiled")

    there[0].compile(backend=never)
    assert len(interop.from_torch(there, (2, 6, 6)).layers) == 6


def test_pytorchs_shortened_products_are_not_used() -> None:
    there = network()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        interop.from_torch(there, (2, 6, 6))
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    with torch.autocast("cpu", torch.bfloat16):
        interop.from_torch(there, (2, 6, 6))


# Who runs an ONNX file, and what that may cost.


@pytest.fixture
def onnx() -> Any:
    return pytest.importorskip("onnx", reason="needs the package onnx")


@pytest.mark.parametrize("limit", ["_MOST_PRODUCTS_IN_NUMPY", "_MOST_COLUMNS_IN_NUMPY"])
def test_without_onnxruntime_the_package_onnx_runs_the_file(
    onnx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    model, path = of_line("groups and dilation"), tmp_path / "m.onnx"
    convkit.onnx.export(model, path)
    convkit.onnx.load(path)
    from convkit.onnx import runner

    monkeypatch.setattr(runner, limit, 0)
    broken(monkeypatch)
    convkit.onnx.export(model, path)  # nobody is asked
    convkit.onnx.load(path)


def test_a_file_with_a_batch_of_its_own_is_run_with_that(onnx: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 20]> test (float[3, 4] x) => (float[3, 4] y)'
        "{ s = Constant<value_ints = [3, 4, 1]>() r = Reshape(x, s) "
        "t = Constant<value_ints = [3, 4]>() z = Reshape(r, t) y = Relu(z) }"
    )
    path.write_bytes(proto.SerializeToString())
    assert convkit.onnx.load(path).output_shape == (None, 4)


def test_a_small_file_that_asks_for_much_is_not_tried(
    onnx: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnx_graphs import graph_of, node, saved

    def never(*_: Any, **__: Any) -> Array:
        raise AssertionError("it was run")

    monkeypatch.setattr(convkit.Sequential, "predict_on_batch", never)
    path = saved(graph_of([node("Relu")], ["N", 1, 4096, 4096]), tmp_path)
    assert convkit.onnx.load(path).output_shape == (None, 4096, 4096, 1)
    many = graph_of([node("Relu")], [1 << 40, 4])
    assert convkit.onnx.load(saved(many, tmp_path)).output_shape == (None, 4)
    with pytest.raises(AssertionError, match="it was run"):
        convkit.onnx.load(saved(graph_of([node("Relu")], ["N", 4]), tmp_path))


def test_what_the_output_does_not_depend_on_is_not_run(onnx: Any, tmp_path: Path) -> None:
    """Nodes beside the chain may ask for anything: they are taken out, or nothing is run."""
    from convkit.onnx.runner import essential

    def parsed(body: str) -> Any:
        return onnx.parser.parse_model(
            f'<ir_version: 8, opset_import: ["" : 20]> test (float[N, 4] x) => (float[N, 4] y)'
            f"{{ {body} }}"
        )

    beside = parsed(
        "s = Constant<value_ints = [100000, 100000]>() "
        "huge = ConstantOfShape(s) y = Relu(x) z = Relu(huge)"
    )
    slim = essential(beside)
    assert slim is not None
    assert [each.op_type for each in slim.graph.node] == ["Relu"]
    doubling = " ".join(f"c{i + 1} = Concat<axis = 0>(c{i}, c{i})" for i in range(40))
    size = f"c0 = Constant<value_ints = [1]>() {doubling} n = Size(c40)"
    assert essential(parsed(f"{size} s = Concat<axis = 0>(n, n) y = Reshape(x, s)")) is None
    fine = "s = Shape(x) y = Reshape(x, s)"
    assert essential(parsed(fine)) is not None
    assert essential(parsed("s = Shape(x) t = Expand(s, s) y = Reshape(x, t)")) is None


def test_weights_in_another_file_are_not_opened_again(onnx: Any, tmp_path: Path) -> None:
    """onnxruntime gets them in memory, and no path that it would open by itself."""
    model, path = of_line("nothing but dense"), tmp_path / "m.onnx"
    convkit.onnx.export(model, path)
    onnx.save(
        onnx.load(path), tmp_path / "e.onnx", save_as_external_data=True, location="w.bin",
        size_threshold=0,
    )  # fmt: skip
    here = os.getcwd()
    os.chdir("/")
    try:
        copy = convkit.onnx.load(tmp_path / "e.onnx")
    finally:
        os.chdir(here)
    for mine, theirs in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
