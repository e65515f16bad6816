"""Forward passes and gradients against PyTorch, where it is installed.

PyTorch shares neither code nor conventions with convkit: it is NCHW, its weights are OIHW, and its
gradients come from automatic differentiation.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest

from compare import DIRECT, EPS, WINOGRAD, Array, assert_close, assert_elementwise, random_array
from convkit import ops
from convkit.data.resize import resize

torch = pytest.importorskip("torch")
functional = torch.nn.functional


pytestmark = pytest.mark.usefixtures("one_torch_thread")

SEEDS = range(20)


def leaf(array: Array) -> Any:
    """Return a float64 tensor that collects its gradient: a judge more exact than the judged."""
    return torch.tensor(array, dtype=torch.float64, requires_grad=True)


def nchw(tensor: Any) -> Any:
    return tensor.permute(0, 3, 1, 2)


def numbers(tensor: Any) -> Array:
    array: Array = tensor.detach().numpy()
    return array


def random_layer(seed: int) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Return (x_shape, w_shape, options) of a random convolution that fits."""
    rng = np.random.default_rng(seed)
    kh, kw = (int(k) for k in rng.integers(1, 6, 2))
    dilation = tuple(int(d) for d in rng.integers(1, 4, 2))
    groups = int(rng.choice([1, 1, 2, 3]))
    channels, outputs = int(rng.integers(1, 20)) * groups, int(rng.integers(1, 40)) * groups
    pads = tuple(tuple(int(p) for p in row) for row in rng.integers(0, 4, (2, 2)))
    height = (kh - 1) * dilation[0] + int(rng.integers(1, 9))
    width = (kw - 1) * dilation[1] + int(rng.integers(1, 9))
    options = {
        "strides": tuple(int(s) for s in rng.integers(1, 4, 2)),
        "dilation": dilation,
        "groups": groups,
        "padding": pads,
    }
    return (
        (int(rng.integers(1, 4)), height, width, channels),
        (
            kh,
            kw,
            channels // groups,
            outputs,
        ),
        options,
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.usefixtures("isa")
def test_random_convolutions(seed: int) -> None:
    x_shape, w_shape, options = random_layer(seed)
    check_convolution(x_shape, w_shape, options)


@pytest.mark.parametrize("channels", [(1, 32), (32, 64), (19, 65)], ids=str)
@pytest.mark.parametrize("plane", [(28, 28), (7, 9), (1, 5)], ids=str)
@pytest.mark.usefixtures("isa")
def test_three_by_three_convolutions(channels: tuple[int, int], plane: tuple[int, int]) -> None:
    options = {"strides": (1, 1), "dilation": (1, 1), "groups": 1, "padding": ((1, 1), (1, 1))}
    check_convolution((2, *plane, channels[0]), (3, 3, *channels), options)


def check_convolution(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    x, w, b = (random_array(n, s) for n, s in (("x", x_shape), ("w", w_shape), ("b", w_shape[3:])))
    tensors = leaf(x), leaf(w), leaf(b)
    (top, bottom), (left, right) = options["padding"]
    y = functional.conv2d(
        functional.pad(nchw(tensors[0]), (left, right, top, bottom)),
        tensors[1].permute(3, 2, 0, 1),
        tensors[2],
        stride=options["strides"],
        dilation=options["dilation"],
        groups=options["groups"],
    ).permute(0, 2, 3, 1)
    dy = random_array("dy", y.shape)
    y.backward(torch.tensor(dy, dtype=torch.float64))
    kh, kw, group_channels, outputs = w_shape

    def factor(direction: str) -> float:
        name = ops.conv2d_algorithm(x_shape, w_shape, **options, direction=direction)
        return WINOGRAD if "winograd" in name else DIRECT

    assert_close(
        ops.conv2d_forward(x, w, b, **options),
        numbers(y),
        terms=kh * kw * group_channels + 1,
        factor=factor("forward"),
    )
    # Rounding grows with the size of the terms: it is judged by a full window's sum, not by the rms
    # of a plane that is mostly padding.
    terms = kh * kw * outputs // options["groups"]
    assert_close(
        ops.conv2d_backward_input(dy, w, x_shape, **options),
        numbers(tensors[0].grad),
        terms=terms,
        factor=factor("backward_input"),
        scale=math.sqrt(terms),
    )
    terms = dy.size // outputs
    assert_close(
        ops.conv2d_backward_weights(x, dy, w_shape, **options),
        numbers(tensors[1].grad),
        terms=terms,
        factor=factor("backward_weights"),
        scale=math.sqrt(terms),
    )
    assert_close(
        ops.bias_backward(dy), numbers(tensors[2].grad), terms=terms, scale=math.sqrt(terms)
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.usefixtures("isa")
def test_random_pools(seed: int) -> None:
    rng = np.random.default_rng(seed)
    window = tuple(int(k) for k in rng.integers(1, 6, 2))
    strides = tuple(int(s) for s in rng.integers(1, 4, 2))
    # PyTorch pads both sides alike, by half a window at most.
    pads = tuple(int(rng.integers(0, k // 2 + 1)) for k in window)
    shape = (2, *(k + int(rng.integers(0, 8)) for k in window), int(rng.integers(1, 40)))
    padding = tuple((p, p) for p in pads)
    options: dict[str, Any] = {"strides": strides, "padding": padding}
    x = random_array("x", shape)

    tensor = leaf(x)
    y = functional.max_pool2d(nchw(tensor), window, strides, pads).permute(0, 2, 3, 1)
    dy = random_array("dy", y.shape)
    y.backward(torch.tensor(dy, dtype=torch.float64))
    actual, indices = ops.max_pool2d_forward(x, window, **options)
    np.testing.assert_array_equal(actual, numbers(y).astype(np.float32))
    dx = ops.max_pool2d_backward(dy, indices, shape, window, **options)
    terms = window[0] * window[1]
    assert_close(dx, numbers(tensor.grad), terms=terms, scale=1)

    tensor = leaf(x)
    y = functional.avg_pool2d(nchw(tensor), window, strides, pads, count_include_pad=False)
    y = y.permute(0, 2, 3, 1)
    y.backward(torch.tensor(dy, dtype=torch.float64))
    assert_close(ops.average_pool2d_forward(x, window, **options), numbers(y), terms=terms, scale=1)
    dx = ops.average_pool2d_backward(dy, shape, window, **options)
    assert_close(dx, numbers(tensor.grad), terms=terms, scale=1)


@pytest.mark.usefixtures("isa")
def test_global_pools() -> None:
    x, dy = random_array("x", (3, 7, 5, 37)), random_array("dy", (3, 37))
    tensor = leaf(x)
    y = tensor.mean(dim=(1, 2))
    y.backward(torch.tensor(dy, dtype=torch.float64))
    assert_close(ops.global_average_pool2d_forward(x), numbers(y), terms=35, scale=1)
    assert_close(ops.global_average_pool2d_backward(dy, x.shape), numbers(tensor.grad))
    tensor = leaf(x)
    y = tensor.amax(dim=(1, 2))
    y.backward(torch.tensor(dy, dtype=torch.float64))
    actual, indices = ops.global_max_pool2d_forward(x)
    np.testing.assert_array_equal(actual, numbers(y).astype(np.float32))
    dx = ops.global_max_pool2d_backward(dy, indices, x.shape)
    np.testing.assert_array_equal(dx, numbers(tensor.grad).astype(np.float32))


@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("shape", [(4, 6, 5, 19), (33, 7), (2, 16, 16, 32)], ids=str)
@pytest.mark.usefixtures("isa")
def test_batchnorm(shape: tuple[int, ...], activation: str | None) -> None:
    x = 2 * random_array("x", shape) + 1
    channels = shape[-1:]
    gamma, beta = random_array("gamma", channels) * 0.2 + 1, random_array("beta", channels)
    dy = random_array("dy", shape)
    x_leaf, gamma_leaf, beta_leaf = leaf(x), leaf(gamma), leaf(beta)
    mean, variance = torch.zeros(channels, dtype=torch.float64), torch.ones(channels).double()
    flat = x_leaf.reshape(-1, channels[0])
    y = functional.batch_norm(
        flat, mean, variance, gamma_leaf, beta_leaf, training=True, momentum=0.1, eps=1e-3
    ).reshape(shape)
    if activation == "relu":
        # Where y is within rounding of zero the two may disagree on its sign: no gradient there.
        dy[np.abs(numbers(y)) < 1e-4] = 0
        y = torch.relu(y)
    y.backward(torch.tensor(dy, dtype=torch.float64))
    moving = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    actual, batch_mean, rstd = ops.batchnorm_forward(
        x, gamma, beta, *moving, momentum=0.9, epsilon=1e-3, activation=activation
    )
    count = x.size // channels[0]
    assert_close(actual, numbers(y), terms=count, scale=1)
    assert_close(moving[0], numbers(mean), terms=count, scale=1)
    # PyTorch averages the unbiased variance, Keras and convkit the population's.
    population = 0.9 + (numbers(variance) - 0.9) * (count - 1) / count
    assert_close(moving[1], population, terms=count, scale=1)
    dx, dgamma, dbeta = ops.batchnorm_backward(
        dy, x, gamma, beta, batch_mean, rstd, activation=activation
    )
    assert_close(dx, numbers(x_leaf.grad), terms=count, scale=1)
    assert_close(dgamma, numbers(gamma_leaf.grad), terms=count, scale=3 * math.sqrt(count))
    assert_close(dbeta, numbers(beta_leaf.grad), terms=count, scale=math.sqrt(count))
    inference = ops.batchnorm_inference(x, gamma, beta, *moving, activation=activation)
    wanted = functional.batch_norm(
        flat,
        torch.tensor(moving[0]).double(),
        torch.tensor(moving[1]).double(),
        gamma_leaf,
        beta_leaf,
        training=False,
        eps=1e-3,
    ).reshape(shape)
    wanted = torch.relu(wanted) if activation else wanted
    assert_close(inference, numbers(wanted), scale=10)


@pytest.mark.parametrize("sizes", [(1, 1, 1), (7, 33, 19), (32, 512, 128)], ids=str)
@pytest.mark.usefixtures("isa")
def test_dense(sizes: tuple[int, int, int]) -> None:
    n, c, oc = sizes
    x, w, b = random_array("x", (n, c)), random_array("w", (c, oc)), random_array("b", (oc,))
    dy = random_array("dy", (n, oc))
    tensors = leaf(x), leaf(w), leaf(b)
    y = functional.linear(tensors[0], tensors[1].T, tensors[2])
    y.backward(torch.tensor(dy, dtype=torch.float64))
    assert_close(ops.dense_forward(x, w, b), numbers(y), terms=c + 1)
    assert_close(ops.dense_backward_input(dy, w), numbers(tensors[0].grad), terms=oc)
    assert_close(ops.dense_backward_weights(x, dy), numbers(tensors[1].grad), terms=n)
    assert_close(ops.bias_backward(dy), numbers(tensors[2].grad), terms=n, scale=math.sqrt(n))


ACTIVATIONS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "relu": ("y", {}, torch.relu),
    "relu up to six": ("y", {"max_value": 6.0}, functional.relu6),
    "relu with a bound": ("y", {"max_value": 1.5}, lambda x: functional.hardtanh(x, 0.0, 1.5)),
    "relu with a slope": (
        "y",
        {"negative_slope": 0.3},
        lambda x: functional.leaky_relu(x, 0.3),
    ),
    "relu with a threshold": (
        "y",
        {"threshold": 0.75},
        lambda x: functional.threshold(x, 0.75, 0.0),
    ),
    "sigmoid": ("y", {}, torch.sigmoid),
    "tanh": ("y", {}, torch.tanh),
    "softmax": ("y", {}, lambda x: torch.softmax(x, -1)),
    "gelu": ("x", {}, functional.gelu),
    "gelu approximate": (
        "x",
        {"approximate": True},
        lambda x: functional.gelu(x, approximate="tanh"),
    ),
    "leaky_relu": ("x", {}, lambda x: functional.leaky_relu(x, 0.2)),
    "elu": ("y", {"alpha": 1.5}, lambda x: functional.elu(x, 1.5)),
    "silu": ("x", {}, functional.silu),
    "selu": ("y", {}, functional.selu),
    "softplus": ("y", {}, functional.softplus),
    "softsign": ("y", {}, functional.softsign),
    "hard_sigmoid": ("y", {}, functional.hardsigmoid),
    "hard_silu": ("x", {}, functional.hardswish),
    "exponential": ("y", {}, torch.exp),
    "mish": ("x", {}, functional.mish),
    "log_softmax": ("y", {}, lambda x: torch.log_softmax(x, -1)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.usefixtures("isa")
def test_activations(name: str) -> None:
    takes, options, function = ACTIVATIONS[name]
    x, dy = 2 * random_array("x", (9, 37)), random_array("dy", (9, 37))
    tensor = leaf(x)
    y = function(tensor)
    y.backward(torch.tensor(dy, dtype=torch.float64))
    stem = name.split()[0]
    actual = getattr(ops, f"{stem}_forward")(x, **options)
    assert_elementwise(actual, numbers(y), floor=4)
    # From the float32 output, a derivative like 1 - y**2 is known to a few eps, not relatively.
    other = actual if takes == "y" else x
    dx = getattr(ops, f"{stem}_backward")(dy, other, **options)
    assert_elementwise(dx, numbers(tensor.grad), floor=16)


@pytest.mark.parametrize("kind", ["integers", "distribution"])
@pytest.mark.usefixtures("isa")
def test_cross_entropy(kind: str) -> None:
    for shape in ((1, 2), (32, 10), (9, 37)):
        rng = np.random.default_rng(shape[1])
        logits = 3 * random_array("logits", shape)
        labels: Array = rng.integers(0, shape[1], shape[0])
        if kind == "distribution":
            labels = rng.dirichlet(np.ones(shape[1]), shape[0]).astype(np.float32)
        target = torch.tensor(labels)
        target = target if kind == "integers" else target.double()
        tensor = leaf(logits)
        wanted = functional.cross_entropy(tensor, target, reduction="none")
        wanted.mean().backward()
        losses, probs, dlogits = ops.softmax_cross_entropy(logits, labels)
        assert_elementwise(losses, numbers(wanted), ulps=8 * math.sqrt(shape[1]))
        assert_elementwise(probs, numbers(torch.softmax(tensor, -1)))
        assert np.abs(dlogits - numbers(tensor.grad)).max() <= 16 * EPS / shape[0]
        # Keras's from_logits=False, written out.
        tensor = leaf(probs)
        clipped = (tensor / tensor.sum(1, keepdim=True)).clamp(1e-7, 1 - 1e-7)
        one_hot = torch.eye(shape[1]).double()[target] if kind == "integers" else target
        wanted = -(one_hot * clipped.log()).sum(1)
        wanted.mean().backward()
        losses, dprobs = ops.cross_entropy(probs, labels)
        assert_elementwise(losses, numbers(wanted), ulps=8 * math.sqrt(shape[1]))
        gradient = numbers(tensor.grad)
        assert_close(dprobs, gradient, terms=shape[1], scale=float(np.abs(gradient).max()))


@pytest.mark.usefixtures("isa")
def test_mean_squared_error() -> None:
    y, target = random_array("y", (5, 4, 7)), random_array("target", (5, 4, 7))
    tensor = leaf(y)
    wanted = functional.mse_loss(tensor, torch.tensor(target).double())
    wanted.backward()
    losses, dy = ops.mean_squared_error(y, target)
    assert losses.mean() == pytest.approx(wanted.item(), rel=1e-6)
    assert_elementwise(dy, numbers(tensor.grad), floor=1 / 140)


def torch_steps(optimizer_of: Any, w: Array, gradients: list[Array], rescale: Any = None) -> Array:
    """Return w after PyTorch's optimizer took a step for each gradient."""
    tensor = leaf(w)
    optimizer = optimizer_of([tensor])
    for step, g in enumerate(gradients, start=1):
        if rescale is not None:
            optimizer.param_groups[0]["eps"] = rescale(step)
        tensor.grad = torch.tensor(g, dtype=torch.float64)
        with warnings.catch_warnings():
            # PyTorch's first optimizer step may warn about its own internals.
            warnings.simplefilter("ignore")
            optimizer.step()
    return numbers(tensor)


@pytest.mark.parametrize("weight_decay", [0.0, 0.05])
@pytest.mark.usefixtures("isa")
def test_adam(weight_decay: float) -> None:
    """Keras's epsilon is the paper's "epsilon hat": PyTorch's times sqrt(1 - beta_2**step)."""
    w = random_array("w", (101,))
    gradients = [random_array(f"g{step}", (101,)) for step in range(6)]
    epsilon = 1e-3  # large, so that its place in the formula shows
    wanted = torch_steps(
        lambda p: torch.optim.AdamW(p, lr=0.01, eps=epsilon, weight_decay=weight_decay),
        w,
        gradients,
        lambda step: epsilon / math.sqrt(1 - 0.999**step),
    )
    m, v = np.zeros_like(w), np.zeros_like(w)
    for step, g in enumerate(gradients, start=1):
        ops.adam_update(
            w,
            g,
            m,
            v,
            learning_rate=0.01,
            epsilon=epsilon,
            step=step,
            weight_decay=weight_decay,
        )
    assert_elementwise(w, wanted, ulps=32)


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
@pytest.mark.usefixtures("isa")
def test_sgd(momentum: float, nesterov: bool) -> None:
    """PyTorch's velocity is Keras's divided by -learning_rate; at a constant rate they agree."""
    w = random_array("w", (101,))
    gradients = [random_array(f"g{step}", (101,)) for step in range(6)]
    wanted = torch_steps(
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=momentum, nesterov=nesterov), w, gradients
    )
    velocity = np.zeros_like(w)
    for g in gradients:
        ops.sgd_update(w, g, velocity, learning_rate=0.05, momentum=momentum, nesterov=nesterov)
    assert_elementwise(w, wanted, ulps=32)


def test_the_nearest_pixels_of_resized_images() -> None:
    """Of all sizes up to 64: where an output lies on an edge of two pixels, rounding decides."""
    for before in range(1, 65):
        x = np.arange(before, dtype=np.float32)
        images = torch.tensor(x).reshape(1, 1, 1, -1)
        for after in range(1, 65):
            wanted = functional.interpolate(images, (1, after), mode="nearest-exact").reshape(-1)
            made = ops.resize(x.reshape(1, 1, -1, 1), (1, after), "nearest").reshape(-1)
            np.testing.assert_array_equal(made, numbers(wanted), f"{before} to {after}")
            read = resize(x.reshape(1, -1, 1), (1, after), "nearest").reshape(-1)
            np.testing.assert_array_equal(read, made)
