"""Parameter updates over flat arrays, in place and in one pass.

Moving averages below 1.2e-38, the smallest normal number (Adam's first moment below 1.2e-32),
become 0: those of a weight without gradient would end as denormal numbers, and slow processors
down.

What changes from one update to the next, the learning rate and the step, may be an array of one
number: a remembered call reads it anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_number, check_output, int64, real, truth

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
_INT64 = np.dtype(np.int64)

Rate = float | npt.NDArray[np.float64]  # an array is of shape (1,)
Step = int | npt.NDArray[np.int64]


def _check_like(w: Any, **arrays: Any) -> None:
    """w and every array are float32, in C order, of w's shape."""
    check_output("w", w, getattr(w, "shape", ()), _FLOAT32)
    for name, array in arrays.items():
        check_output(name, array, w.shape, _FLOAT32)


def _given(**arrays: Floats | None) -> dict[str, Floats]:
    """Those that are not None."""
    return {name: array for name, array in arrays.items() if array is not None}


def _rate(learning_rate: Rate) -> npt.NDArray[np.float64]:
    return as_number("learning_rate", learning_rate, _FLOAT64)


def sgd_update(
    w: Floats,
    g: Floats,
    velocity: Floats | None,
    *,
    learning_rate: Rate,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> None:
    """Stochastic gradient descent with momentum, as Keras computes it; updates w and velocity.

    w -= learning_rate * weight_decay * w; velocity = momentum * velocity - learning_rate * g;
    w += velocity, or with Nesterov w += momentum * velocity - learning_rate * g. Without momentum
    velocity may be None and w -= learning_rate * g.
    """
    if velocity is None and momentum != 0.0:
        raise ValueError("momentum needs a velocity array of w's shape")
    _check_like(w, g=g, **_given(velocity=velocity))
    numbers = (
        real("momentum", momentum),
        truth("nesterov", nesterov),
        real("weight_decay", weight_decay),
    )
    _core.sgd_update(w, g, velocity, _rate(learning_rate), *numbers)


def rmsprop_update(
    w: Floats,
    g: Floats,
    v: Floats,
    momentum_buffer: Floats | None,
    mean: Floats | None = None,
    *,
    learning_rate: Rate,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> None:
    """RMSprop (Tieleman and Hinton, 2012) as Keras computes it; updates all arrays but g.

    w -= learning_rate * weight_decay * w; v += (g^2 - v) * (1 - rho);
    step = learning_rate * g / sqrt(v + epsilon); w -= step, or with momentum
    momentum_buffer = momentum * momentum_buffer + step and w -= momentum_buffer. With mean (Graves,
    2013), mean += (g - mean) * (1 - rho) and v - mean^2 takes the place of v under the root.
    """
    if momentum_buffer is None and momentum != 0.0:
        raise ValueError("momentum needs a momentum_buffer array of w's shape")
    _check_like(w, g=g, v=v, **_given(momentum_buffer=momentum_buffer, mean=mean))
    given = {"rho": rho, "momentum": momentum, "epsilon": epsilon, "weight_decay": weight_decay}
    numbers = [real(name, value) for name, value in given.items()]
    _core.rmsprop_update(w, g, v, momentum_buffer, mean, _rate(learning_rate), *numbers)


def adam_update(
    w: Floats,
    g: Floats,
    m: Floats,
    v: Floats,
    peak: Floats | None = None,
    *,
    learning_rate: Rate,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    step: Step,
    weight_decay: float = 0.0,
) -> None:
    """Adam (Kingma and Ba, 2015) as Keras computes it; updates w, m, v and peak.

    m += (g - m) * (1 - beta_1); v += (g^2 - v) * (1 - beta_2);
    w -= learning_rate * sqrt(1 - beta_2^step) / (1 - beta_1^step) * m / (sqrt(v) + epsilon).

    Args:
        w, g, m, v: float32 arrays of one shape: parameters, gradient, first and second moment.
        peak: the largest v so far, which is taken in its place (AMSGrad; Reddi, Kale and Kumar,
            2018); None without.
        step: the number of this update, from 1.
        weight_decay: AdamW's decoupled decay (Loshchilov and Hutter, 2019), applied first:
            w -= learning_rate * weight_decay * w.
    """
    _check_like(w, g=g, m=m, v=v, **_given(peak=peak))
    numbers = _moments(beta_1, beta_2, epsilon, step, weight_decay)
    _core.adam_update(w, g, m, v, peak, _rate(learning_rate), *numbers)


def _moments(
    beta_1: float, beta_2: float, epsilon: float, step: Step, weight_decay: float
) -> tuple[float, float, float, npt.NDArray[np.int64], float]:
    """The numbers of Adam and its kin, in the order of the native functions."""
    first, second, third = real("beta_1", beta_1), real("beta_2", beta_2), real("epsilon", epsilon)
    return first, second, third, as_number("step", step, _INT64), real("weight_decay", weight_decay)


def adagrad_update(
    w: Floats,
    g: Floats,
    accumulator: Floats,
    *,
    learning_rate: Rate,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> None:
    """Adagrad (Duchi, Hazan and Singer, 2011) as Keras computes it; updates w and accumulator.

    w -= learning_rate * weight_decay * w; accumulator += g^2;
    w -= learning_rate * g / sqrt(accumulator + epsilon).
    """
    _check_like(w, g=g, accumulator=accumulator)
    numbers = real("epsilon", epsilon), real("weight_decay", weight_decay)
    _core.adagrad_update(w, g, accumulator, _rate(learning_rate), *numbers)


def adadelta_update(
    w: Floats,
    g: Floats,
    v: Floats,
    u: Floats,
    *,
    learning_rate: Rate,
    rho: float = 0.95,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> None:
    """Adadelta (Zeiler, 2012) as Keras computes it; updates w, v and u.

    w -= learning_rate * weight_decay * w; v += (g^2 - v) * (1 - rho);
    step = sqrt(u + epsilon) * g / sqrt(v + epsilon); u += (step^2 - u) * (1 - rho);
    w -= learning_rate * step.
    """
    _check_like(w, g=g, v=v, u=u)
    given = {"rho": rho, "epsilon": epsilon, "weight_decay": weight_decay}
    numbers = [real(name, value) for name, value in given.items()]
    _core.adadelta_update(w, g, v, u, _rate(learning_rate), *numbers)


def adamax_update(
    w: Floats,
    g: Floats,
    m: Floats,
    u: Floats,
    *,
    learning_rate: Rate,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    step: Step,
    weight_decay: float = 0.0,
) -> None:
    """Adamax (Kingma and Ba, 2015, section 7.1) as Keras computes it; updates w, m and u.

    w -= learning_rate * weight_decay * w; m += (g - m) * (1 - beta_1);
    u = max(beta_2 * u, abs(g)); w -= learning_rate / (1 - beta_1^step) * m / (u + epsilon). `step`
    counts from 1.
    """
    _check_like(w, g=g, m=m, u=u)
    numbers = _moments(beta_1, beta_2, epsilon, step, weight_decay)
    _core.adamax_update(w, g, m, u, _rate(learning_rate), *numbers)


def nadam_update(
    w: Floats,
    g: Floats,
    m: Floats,
    v: Floats,
    *,
    learning_rate: Rate,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    step: Step,
    weight_decay: float = 0.0,
) -> None:
    """Nadam (Dozat, 2016) as Keras computes it; updates w, m and v.

    With mu(t) = beta_1 * (1 - 0.96^t / 2) and M(t) the product of the first t of them,
    w -= learning_rate * weight_decay * w; m += (g - m) * (1 - beta_1);
    v += (g^2 - v) * (1 - beta_2);
    m_hat = mu(step + 1) * m / (1 - M(step + 1)) + (1 - mu(step)) * g / (1 - M(step));
    w -= learning_rate * m_hat / (sqrt(v / (1 - beta_2^step)) + epsilon). `step` counts from 1.
    """
    _check_like(w, g=g, m=m, v=v)
    numbers = _moments(beta_1, beta_2, epsilon, step, weight_decay)
    _core.nadam_update(w, g, m, v, _rate(learning_rate), *numbers)


def lion_update(
    w: Floats,
    g: Floats,
    m: Floats,
    *,
    learning_rate: Rate,
    beta_1: float = 0.9,
    beta_2: float = 0.99,
    weight_decay: float = 0.0,
) -> None:
    """Lion (Chen et al., 2023) as Keras computes it; updates w and m.

    w -= learning_rate * weight_decay * w; w -= learning_rate * sign(beta_1 * m + (1 - beta_1) * g);
    m = beta_2 * m + (1 - beta_2) * g. The sign of 0 is 0, that of NaN is NaN.
    """
    _check_like(w, g=g, m=m)
    given = {"beta_1": beta_1, "beta_2": beta_2, "weight_decay": weight_decay}
    numbers = [real(name, value) for name, value in given.items()]
    _core.lion_update(w, g, m, _rate(learning_rate), *numbers)


def ftrl_update(
    w: Floats,
    g: Floats,
    accumulator: Floats,
    linear: Floats,
    *,
    learning_rate: Rate,
    power: float = 0.5,
    l1: float = 0.0,
    l2: float = 0.0,
    shrinkage: float = 0.0,
    beta: float = 0.0,
    weight_decay: float = 0.0,
) -> None:
    """FTRL (McMahan et al., 2013) as Keras computes it; updates w, accumulator and linear.

    w -= learning_rate * weight_decay * w; n = accumulator + g^2;
    linear += g + 2 * shrinkage * w - (n^power - accumulator^power) / learning_rate * w;
    w = (clip(linear, -l1, l1) - linear) /
    (n^power / learning_rate + 2 * l2 + beta / learning_rate); accumulator = n. Where that divisor
    is 0, w becomes 0.
    """
    _check_like(w, g=g, accumulator=accumulator, linear=linear)
    given = {
        "power": power,
        "l1": l1,
        "l2": l2,
        "shrinkage": shrinkage,
        "beta": beta,
        "weight_decay": weight_decay,
    }
    numbers = [real(name, value) for name, value in given.items()]
    _core.ftrl_update(w, g, accumulator, linear, _rate(learning_rate), *numbers)


def muon_update(
    w: Floats,
    g: Floats,
    m: Floats,
    *,
    learning_rate: Rate,
    momentum: float = 0.95,
    nesterov: bool = True,
    rounds: int = 5,
    coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
    scale: float = 1.0,
    weight_decay: float = 0.0,
) -> None:
    """Muon (Jordan et al., 2024) of a matrix as Keras computes it; updates w and m.

    m = momentum * m + g; X is g + momentum * m with Nesterov's form, else m, over its Frobenius
    norm + 1e-7. Then `rounds` times X = a X + b X X^T X + c X (X^T X)^2, which takes its singular
    values near 1 (Newton and Schulz). w -= learning_rate * weight_decay * w;
    w -= learning_rate * scale * X.

    Args:
        w, g, m: float32 arrays of one shape (rows, columns).
        rounds: 0 to 1000.
        coefficients: a, b and c.
    """
    _check_like(w, g=g, m=m)
    if w.ndim != 2:
        raise ValueError(f"w must be a matrix, but its shape is {w.shape}")
    given = coefficients if isinstance(coefficients, Sequence | np.ndarray) else ()
    numbers = [real("every coefficient", each) for each in given]
    if len(numbers) != 3:
        raise ValueError(f"coefficients must be three numbers, but are {coefficients!r}")
    a, b, c = numbers
    _core.muon_update(
        w,
        g,
        m,
        _rate(learning_rate),
        real("momentum", momentum),
        truth("nesterov", nesterov),
        int64("rounds", rounds),
        *(a, b, c),
        real("scale", scale),
        real("weight_decay", weight_decay),
    )
