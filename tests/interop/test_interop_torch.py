"""Models and weights between convkit and PyTorch, in both directions."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit import interop, layers
from some_models import LINES, ZOO, images, of_line, trained

torch = pytest.importorskip("torch", reason="needs PyTorch")
nn = torch.nn


def run(network: Any, x: Array) -> Array:
    """What a network makes of channels-last images, as channels-last images."""
    with torch.no_grad():
        y = network(torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))).numpy()
    return np.asarray(np.moveaxis(y, 1, -1))


def close(a: Array, b: Array) -> None:
    assert np.ptp(b) > 1e-3  # a constant would be equal for the wrong reason
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ZOO)
def test_the_models_of_the_zoo_go_there_and_back(name: str) -> None:
    model = trained(name)
    x = images(model, 7)
    expected = model.predict(x, verbose=0)
    network = interop.to_torch(model)
    assert not network.training
    close(run(network, x), expected)
    back = interop.from_torch(network, (x.shape[-1], *x.shape[1:3]))
    assert [type(layer) for layer in back.layers] == [type(layer) for layer in model.layers]
    for mine, theirs in zip(model.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(theirs, mine)
    np.testing.assert_array_equal(back.predict(x, verbose=0), expected)


def test_a_trained_network_comes_here_and_goes_back() -> None:
    """Trained by PyTorch, with all that its own conventions make different."""
    torch.manual_seed(4)
    features = nn.Sequential(
        *(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6, eps=1e-4, momentum=0.3), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, stride=2), nn.LeakyReLU()),
    )
    network = nn.Sequential(
        features,
        *(nn.Flatten(), nn.BatchNorm1d(8 * 2 * 3), nn.Dropout(0.4)),
        *(nn.Linear(8 * 2 * 3, 5), nn.Identity(), nn.Softmax(dim=-1)),
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(5):
        loss = network(torch.randn(8, 3, 10, 14)).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    model = interop.from_torch(network, input_shape=(3, 10, 14))
    x = images(model, 4)
    close(model.predict(x, verbose=0), run(network, x))
    norm = model.layers[1]
    assert isinstance(norm, layers.BatchNormalization)
    assert (norm.momentum, norm.epsilon) == (0.7, 1e-4)
    close(run(interop.to_torch(model), x), run(network, x))


def test_batch_statistics_move_as_both_libraries_say() -> None:
    """The same means; variances that differ by n / (n - 1), as PyTorch's documentation says."""
    model = convkit.Sequential(
        [convkit.Input((3, 2, 4)), layers.BatchNormalization(momentum=0.8, epsilon=1e-3)]
    )
    network = interop.to_torch(model).train()
    x = images(model, 5)
    model.compile("sgd", "mse")
    model.fit(x, x, batch_size=5, epochs=1, verbose=0)
    run(network, x)
    _, _, mean, variance = model.get_weights()
    np.testing.assert_allclose(network[0].running_mean.numpy(), mean, rtol=1e-5)
    n = 5 * 3 * 2
    np.testing.assert_allclose(
        network[0].running_var.numpy() - 0.8, (variance - 0.8) * n / (n - 1), rtol=1e-4
    )


# Rescaling has no module, nor has a change of the order of values in memory.
UNLIKE_TORCH = {
    "slopes of places": "PyTorch's PReLU has one slope, or one for each channel",
}


# PyTorch exports an Unflatten with sizes that it computes of the batch's, and ONNX infers no shape.
ONE_WAY = ("vectors in", "images reshaped")


@pytest.mark.parametrize("name", LINES)
def test_every_layer_that_pytorch_has(name: str) -> None:
    convkit.utils.clear_session()
    model = of_line(name)
    if message := UNLIKE_TORCH.get(name):
        with pytest.raises(ValueError, match=message):
            interop.to_torch(model)
        return
    x = images(model, 3)
    expected = model.predict(x, verbose=0)
    network = interop.to_torch(model)
    close(run(network, x), expected)
    sizes = model.input_shape[1:]
    if name in ONE_WAY:
        with pytest.raises(ValueError, match="convkit reshapes each sample by itself"):
            interop.from_torch(network, (sizes[-1], *sizes[:-1]))
        return
    back = interop.from_torch(network, (sizes[-1], *sizes[:-1]))
    np.testing.assert_allclose(back.predict(x, verbose=0), expected, rtol=1e-6, atol=1e-6)


def test_noise_in_training_has_the_moments_that_the_layers_say() -> None:
    sizes, n, ones = (4, 5, 3), 4000, np.ones((4000, 4, 5, 3), np.float32)
    made = {
        "values": layers.GaussianNoise(0.25),
        "factors": layers.GaussianDropout(0.2),
        "samples": layers.Dropout(0.25, (None, 1, 1, 1)),
        "channels": layers.Dropout(0.25, (None, 1, 1, 3)),
    }
    found = {}
    for name, layer in made.items():
        network = interop.to_torch(convkit.Sequential([layers.Input(sizes), layer]))
        np.testing.assert_array_equal(run(network, ones), ones)
        torch.manual_seed(0)
        found[name] = run(network.train(), ones)
    # Six standard errors of a mean of `found[name].size` normal numbers, and of their deviation.
    bound = 6 / np.sqrt(n * 4 * 5 * 3)
    for name, deviation in (("values", 0.25), ("factors", 0.5)):
        assert abs(found[name].mean() - 1.0) < bound * deviation
        assert abs(found[name].std() / deviation - 1.0) < bound
    for name, axes, count in (("samples", (1, 2, 3), n), ("channels", (1, 2), 3 * n)):
        one_fate = found[name].max(axis=axes)
        np.testing.assert_array_equal(found[name].min(axis=axes), one_fate)
        np.testing.assert_array_equal(np.unique(one_fate), [0.0, np.float32(1 / 0.75)])
        assert abs((one_fate == 0.0).mean() - 0.25) < 6 * np.sqrt(0.25 * 0.75 / count)
    assert (found["channels"].max(axis=(1, 2)).std(axis=1) > 0).any()


MODULES: dict[str, tuple[tuple[int, ...], Callable[[], list[Any]]]] = {
    "even windows, stride 1": (
        (2, 7, 8),
        lambda: [nn.Conv2d(2, 3, (2, 4), padding="same", dilation=2), nn.Tanh()],
    ),
    "no padding by name": ((2, 7, 8), lambda: [nn.Conv2d(2, 3, 3, padding="valid", bias=False)]),
    "uneven padding": (
        (1, 9, 8),
        lambda: [nn.ZeroPad2d((2, 0, 1, 3)), nn.Conv2d(1, 4, 3, stride=(2, 3)), nn.ELU(0.5)],
    ),
    "padding that is neither": ((1, 8, 8), lambda: [nn.Conv2d(1, 2, 3, stride=2, padding=1)]),
    "padding in front of a mean": (
        (2, 6, 6),
        lambda: [nn.ReLU(), nn.AvgPool2d(3, 1, 1), nn.ConstantPad2d(1, 0.0)],
    ),
    "padding that does not count": (
        (2, 7, 7),
        lambda: [nn.AvgPool2d(3, 2, 1, count_include_pad=False)],
    ),
    "depthwise": (
        (3, 6, 6),
        lambda: [nn.Conv2d(3, 6, 3, groups=3), nn.ReLU(), nn.AdaptiveMaxPool2d((1, 1))],
    ),
    "flat at the end": ((3, 4, 5), lambda: [nn.Conv2d(3, 4, 1), nn.Flatten()]),
    "not affine": ((3, 4, 4), lambda: [nn.BatchNorm2d(3, affine=False), nn.GELU()]),
    "a vector as an image": (
        (24,),
        lambda: [nn.Unflatten(1, (1, 4, 6)), nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(16, 2)],
    ),
    "pooled, dropped, flattened": (
        (3, 4, 4),
        lambda: [
            *(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout()),
            *(nn.Linear(4, 2), nn.Sigmoid()),
        ],
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_settings_of_modules(name: str) -> None:
    torch.manual_seed(6)
    shape, make = MODULES[name]
    network = nn.Sequential(*make()).eval()
    model = interop.from_torch(network, shape)
    x = images(model, 3) - 0.5
    close(model.predict(x, verbose=0), run(network, x))


def test_modules_with_names_keep_them() -> None:
    network = nn.Sequential()
    network.add_module("first", nn.Linear(3, 2))
    network.add_module("second", nn.Linear(2, 2))
    names = [layer.name for layer in interop.from_torch(network, (3,)).layers]
    assert names == ["first", "second"]


def test_the_copies_share_no_memory() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    model = interop.from_torch(network, (3,))
    there = interop.to_torch(model)
    before = copy.deepcopy(network.state_dict())
    for parameter in model.weights:
        parameter.value[...] = 7.0
    for name, tensor in (*network.state_dict().items(), *there.state_dict().items()):
        assert torch.equal(tensor, before[name]), name


REFUSED: dict[str, tuple[Callable[[], Any], tuple[int, ...], str]] = {
    "LSTM": (lambda: nn.LSTM(3, 2), (3,), r'module "0" \(LSTM\(3, 2\)\): it has no counterpart'),
    "nested": (lambda: nn.Sequential(nn.Dropout3d()), (3, 4, 4), 'module "0.0" '),
    "reflected": (
        lambda: nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"),
        (1, 4, 4),
        "padding_mode must be 'zeros'",
    ),
    "float64": (lambda: nn.Linear(3, 2).double(), (3,), "must be float32, received torch.float64"),
    "no statistics": (
        lambda: nn.BatchNorm1d(3, track_running_stats=False),
        (3,),
        "it must have running statistics",
    ),
    "cumulative": (lambda: nn.BatchNorm1d(3, momentum=None), (3,), "no cumulative average"),
    "another size": (lambda: nn.AdaptiveAvgPool2d(2), (3, 4, 4), "over the whole image alone"),
    "divisor": (lambda: nn.AvgPool2d(2, divisor_override=3), (3, 4, 4), "no divisor_override"),
    "indices": (lambda: nn.MaxPool2d(2, return_indices=True), (3, 4, 4), "not return indices"),
    "dilated": (lambda: nn.MaxPool2d(2, dilation=2), (3, 4, 4), "pools have no dilation"),
    "half flat": (lambda: nn.Flatten(2), (3, 4, 4), "start_dim=1, end_dim=-1"),
    "softmax": (lambda: nn.Softmax(dim=2), (3, 4, 4), "along axis 1, the channels"),
    "ones around": (lambda: nn.ConstantPad2d(1, 1.0), (3, 4, 4), "with zeros alone, not 1.0"),
    "tanh GELU": (lambda: nn.GELU("tanh"), (3,), "received 'tanh'"),
    "max of anything": (lambda: nn.MaxPool2d(3, 2, 1), (3, 4, 4), "nor can zeros stand"),
    "wrong channels": (
        lambda: nn.Conv2d(3, 2, 3),
        (28, 28, 3),
        r"are for 3 channels, received \(N, 28, 28, 3\)",
    ),
    "wrong features": (lambda: nn.Linear(3, 2), (4,), r"need inputs \(N, 3\), received \(N, 4\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_refused(name: str) -> None:
    make, shape, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        interop.from_torch(nn.Sequential(make()), shape)


def test_classes_of_others_are_refused() -> None:
    class Conv2d(nn.Conv2d):
        """Called as PyTorch's, but it may compute anything."""

    with pytest.raises(ValueError, match="it has no counterpart in convkit"):
        interop.from_torch(nn.Sequential(Conv2d(3, 2, 3)), (3, 4, 4))
    with pytest.raises(TypeError, match=r"expected a torch\.nn\.Module, received function"):
        interop.from_torch(close, (3,))  # type: ignore[arg-type]


def test_a_module_without_weights_may_stand_twice() -> None:
    torch.manual_seed(8)
    relu, pool, drop = nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.3)
    block = nn.Sequential(nn.Tanh(), nn.AvgPool2d(2, 1))
    network = nn.Sequential(
        *(nn.Conv2d(2, 4, 3), relu, pool, block, nn.Conv2d(4, 3, 3), relu, block, drop),
        *(nn.Flatten(), nn.Linear(3 * 6 * 6, 5), drop, relu, nn.Linear(5, 2)),
    ).eval()
    model = interop.from_torch(network, (2, 22, 22))
    x = images(model, 3) - 0.5
    close(model.predict(x, verbose=0), run(network, x))
    kinds = [type(layer) for layer in model.layers]
    assert kinds.count(layers.AveragePooling2D) == kinds.count(layers.Dropout) == 2


def sharing() -> dict[str, tuple[Any, str]]:
    """Networks in which weights stand twice, each with where the second place is."""
    conv, norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4, affine=False)
    block = nn.Sequential(conv, nn.ReLU())
    tied, of_one_memory = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
    tied.weight = conv.weight
    of_one_memory.bias.data = conv.bias.data
    return {
        "a module": (nn.Sequential(conv, nn.Tanh(), conv), 'module "2" .*weight is that of .*"0"'),
        "a block": (nn.Sequential(block, block), 'module "1.0" .*weight is that of module "0.0"'),
        "statistics": (nn.Sequential(norm, norm), 'module "1" .*running_mean is that of'),
        "a parameter": (nn.Sequential(conv, tied), 'module "1" .*weight is that of module "0"'),
        "memory": (nn.Sequential(conv, of_one_memory), 'module "1" .*bias is that of module "0"'),
    }


@pytest.mark.parametrize("name", sharing())
def test_shared_weights_are_refused(name: str) -> None:
    network, message = sharing()[name]
    with pytest.raises(ValueError, match=message):
        interop.from_torch(network, (4, 6, 6))


def test_tensors_that_are_neighbours_in_one_buffer_are_not_shared() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    parameters = list(network.parameters())
    flat = torch.cat([each.detach().reshape(-1) for each in parameters])
    for each, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        each.data = part.view(each.shape)
    model = interop.from_torch(network, (3,))
    assert model.count_params() == 14


class Named(nn.Sequential):
    """As torchvision's blocks: a constructor of its own, and a Sequential's computation."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Conv2d(channels, channels, 1), nn.ReLU6())


def changed(change: Callable[[Any], Any]) -> Callable[[], Any]:
    """A maker of a network whose convolution was changed."""

    def make() -> Any:
        network = nn.Sequential(nn.Conv2d(4, 4, 1), nn.ReLU())
        change(network)
        return network

    return make


def replaced(name: str) -> Callable[[Any], None]:
    return lambda network: setattr(network[0], name, lambda x, *_: x)


PARAMETRIZE, PRUNE = nn.utils.parametrize, pytest.importorskip("torch.nn.utils.prune")
UNTRUE: dict[str, tuple[Callable[[], Any], str]] = {
    "a hook": (
        changed(lambda n: n[0].register_forward_hook(lambda *_: None)),
        r'module "0" .* it has hooks \(<lambda>\)',
    ),
    "a hook of a Sequential": (
        changed(lambda n: n.register_forward_hook(lambda *_: None)),
        r'module "" \(Sequential\( \.\.\. \)\): it has hooks',
    ),
    "a hook before": (
        changed(lambda n: n[1].register_forward_pre_hook(lambda *_: None)),
        'module "1" .* it has hooks',
    ),
    "old weight norm": (changed(lambda n: nn.utils.weight_norm(n[0])), r"hooks \(WeightNorm\)"),
    "old spectral norm": (
        changed(lambda n: nn.utils.spectral_norm(n[0])),
        r"hooks \(SpectralNorm\)",
    ),
    "pruning": (
        changed(lambda n: PRUNE.l1_unstructured(n[0], "weight", 0.5)),
        r"hooks \(L1Unstructured\)",
    ),
    "a parametrization": (
        changed(lambda n: PARAMETRIZE.register_parametrization(n[0], "weight", nn.Tanh())),
        'has no counterpart|module "0" .* its weight is computed by a parametrization',
    ),
    "weight norm": (
        changed(lambda n: nn.utils.parametrizations.weight_norm(n[0])),
        "remove_parametrizations",
    ),
    "forward of the object": (changed(replaced("forward")), 'module "0" .* has its own forward'),
    "a method of the object": (changed(replaced("_conv_forward")), "has its own _conv_forward"),
    "nothing": (changed(lambda n: n._modules.update({"0": None})), 'module "0" is None'),
    "itself": (changed(lambda n: n.add_module("2", n)), 'module "2" contains itself'),
    "float64": (changed(lambda n: n.double()), "must be float32, received torch.float64"),
    "half": (changed(lambda n: n.half()), "must be float32, received torch.float16"),
    "complex": (changed(lambda n: n.to(torch.complex64)), "float32, received torch.complex64"),
    "no values": (changed(lambda n: n.to("meta")), 'module "0" .* on the meta device'),
    "not made yet": (
        changed(lambda n: n.__setitem__(0, nn.LazyConv2d(4, 1))),
        'module "0" .LazyConv2d.* is lazy, without weights as yet',
    ),
    "quantized": (
        changed(lambda n: n.__setitem__(1, torch.ao.nn.quantized.ReLU6())),
        'module "1" .* has no counterpart',
    ),
}


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("name", UNTRUE)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_computes_something_else_than_its_class_says_is_refused(
    name: str, verify: bool
) -> None:
    make, message = UNTRUE[name]
    with pytest.raises(ValueError, match=message):
        interop.from_torch(make(), (4, 6, 6), verify=verify)


def test_hooks_of_the_whole_process_are_refused() -> None:
    network = nn.Sequential(nn.ReLU())
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    try:
        with pytest.raises(ValueError, match="hooks are registered for all modules"):
            interop.from_torch(network, (3,))
    finally:
        handle.remove()
    assert len(interop.from_torch(network, (3,)).layers) == 1


def test_a_class_that_changes_nothing_is_a_sequential() -> None:
    model = interop.from_torch(nn.Sequential(Named(3), Named(3)), (3, 5, 5))
    assert [layer.get_config()["activation"] for layer in model.layers] == ["relu6", "relu6"]


@pytest.mark.parametrize("make", [nn.Sequential, lambda: nn.Sequential(nn.Identity())])
def test_a_network_of_nothing_is_said_to_be_one(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="there is nothing to make a layer of"):
        interop.from_torch(make(), (3, 8, 8))


def test_a_mean_that_pytorch_does_not_have() -> None:
    model = convkit.Sequential(
        [convkit.Input((4, 4, 1)), layers.AveragePooling2D(2, 1, padding="same")]
    )
    with pytest.raises(ValueError, match="no mean over windows of even size with stride 1"):
        interop.to_torch(model)


def test_a_maximum_with_stride_one_and_an_even_window() -> None:
    model = convkit.Sequential(
        [convkit.Input((4, 5, 1)), layers.MaxPooling2D(2, 1, padding="same")]
    )
    x = images(model, 2) - 2
    np.testing.assert_array_equal(run(interop.to_torch(model), x), model.predict(x, verbose=0))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = of_line("nothing but dense")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="install it with: pip install torch"):
        interop.to_torch(model)
