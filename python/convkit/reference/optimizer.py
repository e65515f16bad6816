"""One step of an optimizer over a parameter array, in place, with Keras 3's formulas."""

from __future__ import annotations

import math
import operator

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, expect_shape, floating


def _state(value: Array, name: str, shape: tuple[int, ...] | None = None) -> Array:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise TypeError(f"{name} is updated in place and must be a floating-point NumPy array")
    if shape is not None:
        expect_shape(value, shape, name)
    return value


def sgd_update(
    w: Array,
    g: ArrayLike,
    velocity: Array | None,
    *,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> None:
    """Update w (any shape) and velocity (same shape) from the gradient g.

    velocity = momentum * velocity - learning_rate * g; w += velocity, or with Nesterov's form
    w += momentum * velocity - learning_rate * g (Sutskever et al., 2013). Without momentum,
    w -= learning_rate * g and velocity may be None. Weight decay comes first:
    w -= learning_rate * weight_decay * w.
    """
    w = _state(w, "w")
    g = floating(g, "g")
    expect_shape(g, w.shape, "g")
    if momentum != 0 and velocity is None:
        raise ValueError("velocity must be an array when momentum is not 0, received None")
    if velocity is not None:
        _state(velocity, "velocity", w.shape)
    w -= learning_rate * weight_decay * w
    if momentum == 0 or velocity is None:
        w -= learning_rate * g
        return
    velocity[...] = momentum * velocity - learning_rate * g
    w += momentum * velocity - learning_rate * g if nesterov else velocity


def rmsprop_update(
    w: Array,
    g: ArrayLike,
    v: Array,
    momentum_buffer: Array | None,
    mean: Array | None = None,
    *,
    learning_rate: float,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> None:
    """Update w, v, momentum_buffer and mean (any shape, all equal) from the gradient g.

    T. Tieleman and G. Hinton, lecture 6.5 of "Neural networks for machine learning", 2012, as Keras
    3 writes it: v = rho * v + (1 - rho) * g**2, step = learning_rate * g / sqrt(v + epsilon),
    w -= step. With momentum, momentum_buffer = momentum * momentum_buffer + step is taken instead.
    With mean = rho * mean + (1 - rho) * g, v - mean**2 is taken for v under the root (A. Graves,
    "Generating sequences with recurrent neural networks", 2013, equations 38 to 45). Weight decay
    comes first: w -= learning_rate * weight_decay * w.
    """
    w = _state(w, "w")
    v = _state(v, "v", w.shape)
    g = floating(g, "g")
    expect_shape(g, w.shape, "g")
    if momentum != 0 and momentum_buffer is None:
        raise ValueError("momentum_buffer must be an array when momentum is not 0, received None")
    w -= learning_rate * weight_decay * w
    v[...] = rho * v + (1 - rho) * g * g
    centre: float | Array = 0.0
    if mean is not None:
        _state(mean, "mean", w.shape)
        mean[...] = rho * mean + (1 - rho) * g
        centre = mean * mean
    step = learning_rate * g / np.sqrt(v - centre + epsilon)
    if momentum_buffer is not None:
        _state(momentum_buffer, "momentum_buffer", w.shape)
        momentum_buffer[...] = momentum * momentum_buffer + step
        step = momentum_buffer
    w -= step


def adam_update(
    w: Array,
    g: ArrayLike,
    m: Array,
    v: Array,
    peak: Array | None = None,
    *,
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    step: int,
    weight_decay: float = 0.0,
) -> None:
    """Update w, m, v and peak (any shape, all equal) from the gradient g; `step` counts from 1.

    Kingma and Ba, "Adam", 2014, in the form at the end of its section 2, so that epsilon is the
    paper's "epsilon hat": alpha = learning_rate * sqrt(1 - beta_2**step) / (1 - beta_1**step),
    w -= alpha * m / (sqrt(v) + epsilon). With peak = max(peak, v), that is taken for v (S. Reddi,
    S. Kale and S. Kumar, "On the convergence of Adam and beyond", 2018). Weight
    decay is decoupled (Loshchilov and Hutter, "AdamW", 2017) and comes first:
    w -= learning_rate * weight_decay * w.
    """
    w = _state(w, "w")
    m, v = _state(m, "m", w.shape), _state(v, "v", w.shape)
    g = floating(g, "g")
    expect_shape(g, w.shape, "g")
    _check_step(step)
    w -= learning_rate * weight_decay * w
    alpha = learning_rate * math.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    m += (g - m) * (1 - beta_1)
    v += (g * g - v) * (1 - beta_2)
    root = v
    if peak is not None:
        _state(peak, "peak", w.shape)
        np.maximum(peak, v, out=peak)
        root = peak
    w -= alpha * m / (np.sqrt(root) + epsilon)


def _check_step(step: int) -> None:
    if operator.index(step) < 1:
        raise ValueError(f"step counts from 1, received {step!r}")


def _checked(w: Array, g: ArrayLike, **state: Array) -> Array:
    """The gradient, once all arrays have w's shape."""
    _state(w, "w")
    for name, array in state.items():
        _state(array, name, w.shape)
    g = floating(g, "g")
    expect_shape(g, w.shape, "g")
    return g


def adagrad_update(
    w: Array,
    g: ArrayLike,
    accumulator: Array,
    *,
    learning_rate: float,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> None:
    """Update w and accumulator (any shape, both equal) from the gradient g.

    J. Duchi, E. Hazan and Y. Singer, "Adaptive subgradient methods", 2011, with epsilon under the
    root: accumulator += g**2, w -= learning_rate * g / sqrt(accumulator + epsilon). Weight decay
    comes first, as of all: w -= learning_rate * weight_decay * w.
    """
    g = _checked(w, g, accumulator=accumulator)
    w -= learning_rate * weight_decay * w
    accumulator += g * g
    w -= learning_rate * g / np.sqrt(accumulator + epsilon)


def adadelta_update(
    w: Array,
    g: ArrayLike,
    v: Array,
    u: Array,
    *,
    learning_rate: float,
    rho: float = 0.95,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> None:
    """Update w, v and u (any shape, all equal) from the gradient g.

    M. Zeiler, "ADADELTA", 2012, algorithm 1, with a learning rate: v = rho * v + (1 - rho) * g**2,
    step = sqrt(u + epsilon) / sqrt(v + epsilon) * g, u = rho * u + (1 - rho) * step**2,
    w -= learning_rate * step.
    """
    g = _checked(w, g, v=v, u=u)
    w -= learning_rate * weight_decay * w
    v[...] = rho * v + (1 - rho) * g * g
    step = np.sqrt(u + epsilon) * g / np.sqrt(v + epsilon)
    u[...] = rho * u + (1 - rho) * step * step
    w -= learning_rate * step


def adamax_update(
    w: Array,
    g: ArrayLike,
    m: Array,
    u: Array,
    *,
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    step: int,
    weight_decay: float = 0.0,
) -> None:
    """Update w, m and u (any shape, all equal) from the gradient g; `step` counts from 1.

    Kingma and Ba, "Adam", 2014, algorithm 2, with an epsilon: m = beta_1 * m + (1 - beta_1) * g,
    u = max(beta_2 * u, abs(g)), w -= learning_rate / (1 - beta_1**step) * m / (u + epsilon).
    """
    g = _checked(w, g, m=m, u=u)
    _check_step(step)
    w -= learning_rate * weight_decay * w
    m[...] = beta_1 * m + (1 - beta_1) * g
    u[...] = np.maximum(beta_2 * u, np.abs(g))
    w -= learning_rate / (1 - beta_1**step) * m / (u + epsilon)


def nadam_update(
    w: Array,
    g: ArrayLike,
    m: Array,
    v: Array,
    *,
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    step: int,
    weight_decay: float = 0.0,
) -> None:
    """Update w, m and v (any shape, all equal) from the gradient g; `step` counts from 1.

    T. Dozat, "Incorporating Nesterov momentum into Adam", 2016, algorithm 2, with the momenta
    mu(t) = beta_1 * (1 - 0.96**t / 2) of its section 3 as Keras takes them:
    m_hat = mu(t + 1) * m / (1 - prod(mu(1 .. t + 1))) + (1 - mu(t)) * g / (1 - prod(mu(1 .. t))),
    w -= learning_rate * m_hat / (sqrt(v / (1 - beta_2**t)) + epsilon).
    """
    g = _checked(w, g, m=m, v=v)
    _check_step(step)
    momenta = beta_1 * (1 - 0.5 * 0.96 ** np.arange(1.0, step + 2))
    so_far = np.prod(momenta[:-1])
    w -= learning_rate * weight_decay * w
    m[...] = beta_1 * m + (1 - beta_1) * g
    v[...] = beta_2 * v + (1 - beta_2) * g * g
    m_hat = momenta[-1] * m / (1 - so_far * momenta[-1]) + (1 - momenta[-2]) * g / (1 - so_far)
    w -= learning_rate * m_hat / (np.sqrt(v / (1 - beta_2**step)) + epsilon)


def lion_update(
    w: Array,
    g: ArrayLike,
    m: Array,
    *,
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
    weight_decay: float = 0.0,
) -> None:
    """Update w and m (any shape, both equal) from the gradient g.

    X. Chen et al., "Symbolic discovery of optimization algorithms", 2023, algorithm 2:
    w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g), m = beta_2 * m + (1 - beta_2) * g.
    """
    g = _checked(w, g, m=m)
    w -= learning_rate * weight_decay * w
    w -= learning_rate * np.sign(beta_1 * m + (1 - beta_1) * g)
    m[...] = beta_2 * m + (1 - beta_2) * g


def ftrl_update(
    w: Array,
    g: ArrayLike,
    accumulator: Array,
    linear: Array,
    *,
    learning_rate: float,
    power: float = 0.5,
    l1: float = 0.0,
    l2: float = 0.0,
    shrinkage: float = 0.0,
    beta: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """Update w, accumulator and linear (any shape, all equal) from the gradient g.

    H. B. McMahan et al., "Ad click prediction", 2013, algorithm 1, as Keras writes it:
    n = accumulator + g**2, sigma = (n**power - accumulator**power) / learning_rate,
    linear += g + 2 * shrinkage * w - sigma * w,
    w = (clip(linear, -l1, l1) - linear) / (n**power / learning_rate + 2 * l2 + beta /
    learning_rate), accumulator = n. Where the divisor is 0, w becomes 0.
    """
    g = _checked(w, g, accumulator=accumulator, linear=linear)
    w -= learning_rate * weight_decay * w
    n = accumulator + g * g
    sigma = (n**power - accumulator**power) / learning_rate
    linear += g + 2 * shrinkage * w - sigma * w
    divisor = n**power / learning_rate + 2 * l2 + beta / learning_rate
    value = np.clip(linear, -l1, l1) - linear
    w[...] = np.where(divisor == 0, 0.0, value / np.where(divisor == 0, 1.0, divisor))
    accumulator[...] = n


def muon_update(
    w: Array,
    g: ArrayLike,
    m: Array,
    *,
    learning_rate: float,
    momentum: float = 0.95,
    nesterov: bool = True,
    rounds: int = 5,
    coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    scale: float = 1.0,
    weight_decay: float = 0.0,
) -> None:
    """Update w and m (rows, columns) from the gradient g.

    K. Jordan et al., "Muon", 2024: m = momentum * m + g, X = g + momentum * m with Nesterov's form,
    else m; X /= norm(X) + 1e-7 (Frobenius); `rounds` times X = a X + b X X^T X + c X (X^T X)**2;
    w -= learning_rate * scale * X.
    """
    g = _checked(w, g, m=m)
    if w.ndim != 2:
        raise ValueError(f"w must be a matrix, its shape is {w.shape}")
    a, b, c = coefficients
    m[...] = momentum * m + g
    x = g + momentum * m if nesterov else m.copy()
    x = x / (np.linalg.norm(x) + 1e-7)
    for _ in range(operator.index(rounds)):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    w -= learning_rate * weight_decay * w
    w -= learning_rate * scale * x
