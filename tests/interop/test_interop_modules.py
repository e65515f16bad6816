"""Every argument of every PyTorch module that `from_torch` reads, at values other than its default.

Each network is either refused, with the module's name, or computes what PyTorch computes. The
model is not allowed to compare itself with the network, so that what is tried is the reading alone.
The arguments are those of PyTorch's own constructors: one that is missing in the table fails.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from convkit import interop
from convkit.interop.read_torch import _READERS

torch = pytest.importorskip("torch", reason="needs PyTorch")
nn = torch.nn

IMAGES, VECTORS = (4, 7, 6), (5,)
POOL: dict[str, list[Any]] = {
    "kernel_size": [(2, 3), (7, 6), 1, (2,)],
    "stride": [1, (2, 1), (3,), 4],
    "padding": [1, (1, 0), (0, 1)],
    "ceil_mode": [True, {"ceil_mode": True, "stride": 2}, {"ceil_mode": True, "stride": (3, 4)}],
}
NORM: dict[str, list[Any]] = {
    "num_features": [],
    "eps": [0.1, 1e-3],
    "momentum": [0.5, 0.0, 1.0, None],
    "affine": [False],
    "bias": [False],  # of newer versions of PyTorch
    "track_running_stats": [False],
}
PADS: list[Any] = [(1, 0, 2, 1), (0, 0, 0, 1), 2, (-1, 0, 0, 0), (2, -1, 0, -2), (-4, -4, 0, 0)]
IN_PLACE: dict[str, list[Any]] = {"inplace": [True]}
# The shape of a sample, the arguments that a module cannot do without, and for each argument
# values that are not its default, alone or with others that they need.
MODULES: dict[str, tuple[tuple[int, ...], dict[str, Any], dict[str, list[Any]]]] = {
    "AdaptiveAvgPool2d": (
        IMAGES,
        {"output_size": 1},
        {"output_size": [(1, 1), 2, (1, None), (7, 6), None]},
    ),
    "AdaptiveMaxPool2d": (
        IMAGES,
        {"output_size": 1},
        {"output_size": [(1, 1), 2, (None, 1)], "return_indices": [True]},
    ),
    "AvgPool2d": (
        IMAGES,
        {"kernel_size": 3},
        {
            **POOL,
            "count_include_pad": [
                False,
                {"count_include_pad": False, "padding": 1},
                {"count_include_pad": False, "padding": 1, "ceil_mode": True},
                {"count_include_pad": True, "padding": 1, "ceil_mode": True, "stride": 2},
            ],
            "divisor_override": [1, 5],
        },
    ),
    "BatchNorm1d": (VECTORS, {"num_features": 5}, NORM),
    "BatchNorm2d": (IMAGES, {"num_features": 4}, NORM),
    "ConstantPad2d": (IMAGES, {"padding": 1, "value": 0.0}, {"padding": PADS, "value": [1.5]}),
    "Conv2d": (
        IMAGES,
        {"in_channels": 4, "out_channels": 6, "kernel_size": 3},
        {
            "in_channels": [],
            "out_channels": [1, 4],
            "kernel_size": [1, (2, 3), (7, 6)],
            "stride": [2, (1, 3)],
            "padding": [1, (2, 0), 3, "same", "valid", {"padding": 1, "stride": 2}],
            "dilation": [2, (1, 2), {"dilation": 2, "padding": "same"}],
            "groups": [2, {"groups": 4, "out_channels": 8}],
            "bias": [False],
            "padding_mode": [
                {"padding_mode": mode, "padding": 1}
                for mode in ("reflect", "replicate", "circular")
            ],
        },
    ),
    "Dropout": (VECTORS, {}, {"p": [0.0, 0.25, 1.0], **IN_PLACE}),
    "Dropout2d": (IMAGES, {}, {"p": [0.0, 0.25, 1.0], **IN_PLACE}),
    "ELU": (VECTORS, {}, {"alpha": [0.5, 2.0, 0.0, -1.0], **IN_PLACE}),
    "Flatten": (
        IMAGES,
        {},
        {"start_dim": [0, 2, {"start_dim": -3}], "end_dim": [2, 3, {"end_dim": -2}]},
    ),
    "GELU": (VECTORS, {}, {"approximate": ["tanh"]}),
    "Hardsigmoid": (VECTORS, {}, IN_PLACE),
    "Hardswish": (VECTORS, {}, IN_PLACE),
    "Hardtanh": (
        VECTORS,
        {"min_val": 0.0},
        {
            "min_val": [-1.0, 0.25, {"min_val": float("-inf"), "max_val": 0.5}],
            "max_val": [0.5, 6.0, float("inf")],
            **IN_PLACE,
        },
    ),
    "Identity": (VECTORS, {}, {}),
    "LeakyReLU": (VECTORS, {}, {"negative_slope": [0.5, 0.0, 1.0, -0.5], **IN_PLACE}),
    "Linear": (
        VECTORS,
        {"in_features": 5, "out_features": 3},
        {"in_features": [], "out_features": [1, 5], "bias": [False]},
    ),
    "LogSoftmax": (VECTORS, {"dim": 1}, {"dim": [0, -1, None]}),
    "MaxPool2d": (
        IMAGES,
        {"kernel_size": 3},
        {**POOL, "dilation": [2, (1, 2), (1,)], "return_indices": [True]},
    ),
    "Mish": (VECTORS, {}, IN_PLACE),
    "PReLU": (IMAGES, {}, {"num_parameters": [4], "init": [0.5, -0.5]}),
    "ReLU": (VECTORS, {}, IN_PLACE),
    "ReLU6": (VECTORS, {}, IN_PLACE),
    "SELU": (VECTORS, {}, IN_PLACE),
    "SiLU": (VECTORS, {}, IN_PLACE),
    "Sigmoid": (VECTORS, {}, {}),
    "Softmax": (VECTORS, {"dim": 1}, {"dim": [0, -1, None]}),
    "Softplus": (VECTORS, {}, {"beta": [0.5, 2.0], "threshold": [15.0, 30.0, 1.0]}),
    "Softsign": (VECTORS, {}, {}),
    "Tanh": (VECTORS, {}, {}),
    "Threshold": (
        VECTORS,
        {"threshold": 0.25, "value": 0.0},
        {"threshold": [0.0, 1.0, -0.5], "value": [0.5, -1.0], **IN_PLACE},
    ),
    "Unflatten": (
        (24,),
        {"dim": 1, "unflattened_size": (1, 4, 6)},
        {
            "dim": [-1, {"dim": 0, "unflattened_size": (1, 3)}],
            "unflattened_size": [(24, 1, 1), (2, 3, 4), (24,)],
        },
    ),
    "ZeroPad2d": (IMAGES, {"padding": 1}, {"padding": PADS}),
}
# Where the tensors are, and no more.
ELSEWHERE = {"device", "dtype", "self"}
# What keeps its input as it is, and so what leaves nothing to make a layer of by itself.
NOTHING = "there is nothing to make a layer of"


def arguments_of(name: str) -> set[str]:
    return set(inspect.signature(getattr(nn, name).__init__).parameters) - ELSEWHERE - {"args"}


def test_the_table_is_complete() -> None:
    assert set(MODULES) == set(_READERS)
    for name, (_, required, values) in MODULES.items():
        missing = arguments_of(name) - set(values)
        # These two are deprecated words for the bounds, and Identity takes anything.
        assert missing <= {"min_value", "max_value", "kwargs"}, (name, missing)
        assert set(required) <= set(values), name


def network(module: Any, shape: tuple[int, ...]) -> Any:
    """The module, and a dense layer behind what flattens, so that the order of values shows."""
    torch.manual_seed(7)
    parts = [module]
    if isinstance(module, nn.Flatten):
        flat = module(torch.zeros(3, *shape))
        parts.append(nn.Linear(flat.shape[-1], 2))
    built = nn.Sequential(*parts)
    for buffer in built.buffers():
        if buffer.dtype == torch.float32:
            buffer.uniform_(0.5, 1.5)
    return built.eval()


def outcome(module: Any, shape: tuple[int, ...]) -> str | None:
    """None if the model is what the network is, else why the network is refused."""
    there = network(module, shape)
    try:
        model = interop.from_torch(there, shape, verify=False)
    except ValueError as error:
        return str(error)
    x = torch.randn(3, *shape)
    last = np.ascontiguousarray(np.moveaxis(x.numpy(), 1, -1))
    with torch.no_grad():
        right = there(x.clone()).numpy()
    y = np.moveaxis(model.predict(last, verbose=0), -1, 1)
    assert y.shape == right.shape
    np.testing.assert_allclose(y, right, rtol=1e-5, atol=1e-5)
    return None


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
def test_arguments(name: str) -> None:
    shape, required, values = MODULES[name]
    kind: Callable[..., Any] = getattr(nn, name)
    plain = outcome(kind(**required), shape)
    assert plain is None or (name == "Identity" and plain.startswith(NOTHING)), plain
    refusals = {}
    for argument in sorted(arguments_of(name) & set(values)):
        for value in values[argument]:
            changes = value if isinstance(value, dict) else {argument: value}
            refusals[f"{argument}={value}"] = outcome(kind(**{**required, **changes}), shape)
    for given, refusal in refusals.items():
        named = refusal is None or refusal.startswith((f'module "0" ({name}(', NOTHING))
        assert named, (given, refusal)
    assert None in refusals.values() or not refusals or name in ("Flatten", "GELU")


def test_in_place_modules_leave_the_images_of_the_comparison_alone() -> None:
    """A first module that writes over its input would compare the model with other images."""
    there = nn.Sequential(nn.LeakyReLU(0.5, inplace=True), nn.Linear(3, 2))
    assert len(interop.from_torch(there, (3,)).layers) == 2


def test_an_attribute_that_was_changed_later_counts() -> None:
    """PyTorch reads them at every call, so they say what is computed."""
    pool, slope = nn.MaxPool2d(2), nn.LeakyReLU(0.1)
    pool.stride, slope.negative_slope = 1, 0.4
    assert outcome(pool, IMAGES) is None
    assert outcome(slope, VECTORS) is None
