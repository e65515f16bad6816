"""PyTorch modules that are no chain of modules, read by way of PyTorch's own exporter."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import interop, layers

torch = pytest.importorskip("torch", reason="needs PyTorch")
pytest.importorskip("onnx", reason="needs the package onnx")
nn = torch.nn
functional = nn.functional


class Block(nn.Module):
    """A residual block, with a convolution on the way around where sizes differ."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(filters)
        around = (nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))
        self.around = nn.Sequential(*around) if channels != filters else nn.Identity()

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.around(x))


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        first = (nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.stem = nn.Sequential(*first, nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(Block(8, 8, 1), Block(8, 16, 2))
        self.pool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(16, 5)

    def forward(self, x: Any) -> Any:
        return self.fc(torch.flatten(self.pool(self.blocks(self.stem(x))), 1))


class Gated(nn.Module):
    """Squeeze and excitation, behind a group normalisation and SiLU."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.GroupNorm(2, 8)
        self.down, self.up = nn.Linear(8, 2), nn.Linear(2, 8)

    def forward(self, x: Any) -> Any:
        x = self.norm(functional.silu(self.conv(x)))
        gate = torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class MobileNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Hardswish()),
            *(nn.Conv2d(8, 8, 3, 1, 1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU6()),
            nn.Conv2d(8, 12, 1),
        )
        self.gate = nn.Sequential(
            *(nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, 4, 1), nn.ReLU(), nn.Conv2d(4, 12, 1)),
            nn.Hardsigmoid(),
        )
        self.drop, self.fc = nn.Dropout(0.2), nn.Linear(12, 4)

    def forward(self, x: Any) -> Any:
        x = self.features(x)
        return self.fc(self.drop((x * self.gate(x)).mean([2, 3])))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.deep = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 12, 3, padding=1)
        self.up, self.last = nn.ConvTranspose2d(12, 8, 2, 2), nn.Conv2d(16, 8, 3, padding=1)
        self.larger, self.end = nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(8, 2, 1)

    def forward(self, x: Any) -> Any:
        skipped = torch.relu(self.down(x))
        x = functional.gelu(self.deep(functional.max_pool2d(skipped, 2)))
        x = torch.cat([self.up(x), skipped], 1)
        return self.end(self.larger(functional.mish(self.last(x))))


class ConvNext(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches, self.conv = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 7, padding=3, groups=8)
        self.norm, self.wide, self.back = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(16, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        x = self.patches(x)
        y = self.norm(self.conv(x).permute(0, 2, 3, 1))
        y = self.back(functional.gelu(self.wide(y))).permute(0, 3, 1, 2)
        return self.head((x + y).mean((2, 3)))


class Residual(nn.Sequential):
    def forward(self, x: Any) -> Any:
        return x + super().forward(x)


class Backwards(nn.Sequential):
    def __iter__(self) -> Any:
        return reversed(list(self._modules.values()))


NETWORKS: dict[str, tuple[tuple[int, ...], Callable[[], Any]]] = {
    "ResNet": ((3, 32, 32), ResNet),
    "squeeze and excitation": ((3, 9, 8), Gated),
    "MobileNet": ((3, 16, 16), MobileNet),
    "U-Net": ((3, 16, 16), UNet),
    "ConvNeXt": ((3, 32, 32), ConvNext),
    "a module alone": ((5,), lambda: nn.Linear(5, 3)),
    "a Sequential of blocks": (
        (3, 9, 9),
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), Residual(nn.Conv2d(4, 4, 1), nn.ReLU())),
    ),
    "another order": ((4, 6, 6), lambda: Backwards(nn.Conv2d(4, 4, 1), nn.Tanh())),
}


def trained(make: Callable[[], Any], shape: tuple[int, ...]) -> Any:
    """A network whose normalisations have seen images."""
    torch.manual_seed(3)
    network = make()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(4, *shape) * 2 + 1)
    return network


def outputs(network: Any, model: convkit.Model, shape: tuple[int, ...]) -> tuple[Any, Any]:
    x = torch.randn(3, *shape)
    with torch.no_grad():
        expected = network.eval()(x).numpy()
    y = model.predict(np.moveaxis(x.numpy(), 1, -1), verbose=0)
    return np.moveaxis(y, -1, 1), expected


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str) -> None:
    shape, make = NETWORKS[name]
    network = trained(make, shape)
    modes = [module.training for module in network.modules()]
    model = interop.from_torch(network, shape)
    assert [module.training for module in network.modules()] == modes
    y, expected = outputs(network, model, shape)
    assert y.shape == expected.shape
    assert np.abs(y - expected).max() <= 1e-5 * np.abs(expected).max()
    # All that PyTorch would train is trained here.
    ours = sum(each.size for each in model.trainable_weights)
    assert ours == sum(each.numel() for each in network.parameters())


def test_normalisations_are_layers_with_statistics_of_their_own() -> None:
    network = trained(ResNet, (3, 32, 32))
    model = interop.from_torch(network, (3, 32, 32))
    norms = [each for each in model.layers if isinstance(each, layers.BatchNormalization)]
    assert len(norms) == 6
    (norm,) = (each for each in model.layers if each.name == "stem.1")
    np.testing.assert_array_equal(norm.get_weights()[2], network.stem[1].running_mean.numpy())
    names = [layer.name for layer in model.layers]
    assert {"stem.0", "blocks.0.conv1", "blocks.1.around.0", "fc"} <= set(names)


def test_a_traced_network_goes_on_learning() -> None:
    network = trained(Gated, (3, 9, 8))
    model = interop.from_torch(network, (3, 9, 8))
    x = torch.rand(4, 3, 9, 8)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    loss = functional.mse_loss(network.train()(x), torch.ones(4, 8, 9, 8))
    loss.backward()
    optimizer.step()
    model.compile(convkit.optimizers.SGD(0.1), "mse")
    images = np.ascontiguousarray(np.moveaxis(x.numpy(), 1, -1))
    ours = model.train_on_batch(images, np.ones((4, 9, 8, 8), np.float32))
    np.testing.assert_allclose(ours, loss.item(), rtol=1e-5)
    y, expected = outputs(network, model, (3, 9, 8))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5)


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tower, self.end = nn.Linear(4, 3), nn.Linear(3, 2)

    def forward(self, left: Any, right: Any) -> Any:
        a, b = torch.tanh(self.tower(left)), torch.tanh(self.tower(right))
        return self.end(a - b), a


def test_several_inputs_and_outputs_and_a_shared_module() -> None:
    torch.manual_seed(1)
    network = Siamese()
    model = interop.from_torch(network, [(4,), (4,)])
    assert model.count_params() == 15 + 8
    x = [torch.rand(3, 4), torch.rand(3, 4)]
    with torch.no_grad():
        expected = [each.numpy() for each in network(*x)]
    y = model.predict([each.numpy() for each in x], verbose=0)
    for mine, theirs in zip(y, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


def test_hooks_are_part_of_what_is_traced() -> None:
    network = Siamese()
    network.tower.register_forward_hook(lambda module, inputs, output: 2 * output)
    model = interop.from_torch(network, [(4,), (4,)])
    assert any(isinstance(layer, layers.Rescaling) for layer in model.layers)


class Of(nn.Module):
    """A module that computes a function."""

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        super().__init__()
        self.compute = compute

    def forward(self, x: Any) -> Any:
        return self.compute(x)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a function that convkit lacks": (
        lambda: Of(torch.cos), "Of, as PyTorch exports it to ONNX: Cos .*cannot make a layer"
    ),
    "a quotient": (lambda: Of(lambda x: x / (x + 1)), "convkit divides by constants alone"),
    "channels cut out": (lambda: Of(lambda x: x[:, 1:]), "cuts rows and columns off"),
    "images of another size": (
        lambda: nn.Sequential(Residual(nn.Conv2d(3, 3, 3))), "cannot be exported to ONNX by PyTorch"
    ),
    "float64": (lambda: Residual(nn.Conv2d(4, 4, 1)).double(), "cannot be exported|float32"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        interop.from_torch(make(), (4, 6, 6))


def test_the_module_itself_is_left_alone() -> None:
    network = trained(ResNet, (3, 32, 32)).train()
    before = copy.deepcopy(network.state_dict())
    model = interop.from_torch(network, (3, 32, 32))
    for parameter in model.weights:
        parameter.value[...] = 7.0
    assert network.training
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.grad is None for parameter in network.parameters())
