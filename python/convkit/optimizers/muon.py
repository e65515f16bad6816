"""Muon: the steps of matrices, made orthogonal."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .. import ops
from ..core.config import as_number, flag, not_negative, real
from ..core.parameters import Array, Parameter
from .arguments import OptimizerOptions, share
from .optimizer import Optimizer
from .schedules import LearningRateSchedule

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Muon(Optimizer):
    """Momentum made orthogonal for the kernels of dense layers, and AdamW for all other weights.

    (K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024; the scale of
    the steps is that of J. Liu et al., "Muon is scalable for LLM training", 2025.) As in Keras, the
    kernels of convolutions are no matrices, and the last layer should be named in `exclude_layers`.

    Args:
        learning_rate: the step size, or a schedule of it.
        adam_beta_1, adam_beta_2, epsilon: as of `Adam`, for what is no matrix.
        adam_weight_decay: the weight decay of what is no matrix.
        weight_decay: that of the matrices.
        exclude_layers: patterns; a matrix in whose path (such as "dense_1/kernel") one is found is
            left to AdamW.
        exclude_embeddings: likewise those with "embedding" in it.
        muon_a, muon_b, muon_c: of the polynomial of the iteration.
        adam_lr_ratio: AdamW's learning rate over that of the matrices; above 0.
        momentum: how much of the momentum stays at each step.
        ns_steps: how often the polynomial is applied (Newton and Schulz).
        nesterov: look ahead by the momentum.
        rms_rate: a step is scaled by this times the root of the larger side; None for no scale.
        **options: as of `Optimizer`.
    """

    capturable = True
    slot_names = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        *,
        exclude_layers: Sequence[str] | None = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
        **options: Unpack[OptimizerOptions],
    ) -> None:
        super().__init__(learning_rate, weight_decay, **options)
        self.adam_beta_1 = share(adam_beta_1, "adam_beta_1", self)
        self.adam_beta_2 = share(adam_beta_2, "adam_beta_2", self)
        decay = 0.0 if adam_weight_decay is None else adam_weight_decay
        self.adam_weight_decay = not_negative(decay, "adam_weight_decay", self)
        self.epsilon = not_negative(epsilon, "epsilon", self)
        self.exclude_layers = self._patterns(exclude_layers)
        self.exclude_embeddings = flag(exclude_embeddings, "exclude_embeddings", self)
        self.muon_a = real(muon_a, "muon_a", self)
        self.muon_b = real(muon_b, "muon_b", self)
        self.muon_c = real(muon_c, "muon_c", self)
        self.adam_lr_ratio = not_negative(adam_lr_ratio, "adam_lr_ratio", self)
        if self.adam_lr_ratio == 0.0:
            raise self._error("adam_lr_ratio must be above 0")
        self.momentum = share(momentum, "momentum", self)
        number = as_number(ns_steps)
        if number is None or not number.is_integer() or not 0 <= number <= 1000:
            raise self._error(f"ns_steps must be an integer in 0 .. 1000, received {ns_steps!r}")
        self.ns_steps = int(number)
        self.nesterov = flag(nesterov, "nesterov", self)
        self.rms_rate = None if rms_rate is None else not_negative(rms_rate, "rms_rate", self)

    def _patterns(self, given: Sequence[str] | None) -> list[str]:
        several = isinstance(given, Iterable) and not isinstance(given, str)
        patterns = list(given) if several else []  # type: ignore[arg-type]
        if not (several or given is None) or not all(isinstance(each, str) for each in patterns):
            raise self._error(f"exclude_layers must be a list of texts, received {given!r}")
        try:
            for each in patterns:
                re.compile(each)
        except re.error as error:
            raise self._error(
                f"exclude_layers: {each!r} is no regular expression: {error}"
            ) from None
        return patterns

    def is_matrix(self, parameter: Parameter) -> bool:
        """Whether a parameter's step is made orthogonal; AdamW changes the others."""
        path = parameter.path
        return (
            len(parameter.shape) == 2
            and not (self.exclude_embeddings and "embedding" in path.lower())
            and not any(re.search(pattern, path) for pattern in self.exclude_layers)
        )

    def _kind(self, parameter: Parameter) -> tuple[Any, ...]:
        decay, multiplier = super()._kind(parameter)
        if self.is_matrix(parameter):
            return decay, multiplier, parameter  # each by itself
        # The decay goes by the learning rate of the matrices.
        decay = self.adam_weight_decay / self.adam_lr_ratio
        return decay if self.decays(parameter) else 0.0, multiplier * self.adam_lr_ratio

    def _view(self, array: Array, weights: list[Parameter]) -> Array:
        if len(weights) == 1 and self.is_matrix(weights[0]):
            return array[: weights[0].size].reshape(weights[0].shape)
        return array

    def _update_run(self, kind: tuple[Any, ...], views: list[Array]) -> None:
        if len(kind) == 3:
            self._decay, self._rate = kind[0], self._rates[kind[1]]
            self._orthogonal_step(*views[:3])
        else:
            super()._update_run(kind, views)

    def _orthogonal_step(self, w: Array, g: Array, momentum: Array) -> None:
        scale = 1.0 if self.rms_rate is None else self.rms_rate * math.sqrt(max(w.shape))
        ops.muon_update(
            w,
            g,
            momentum,
            learning_rate=self._rate,
            momentum=self.momentum,
            nesterov=self.nesterov,
            rounds=self.ns_steps,
            coefficients=(self.muon_a, self.muon_b, self.muon_c),
            scale=scale,
            weight_decay=self._decay,
        )

    def update(self, w: Array, g: Array, *slots: Array) -> None:
        """AdamW's step, of what is no matrix."""
        ops.adam_update(
            w,
            g,
            *slots,
            learning_rate=self._rate,
            beta_1=self.adam_beta_1,
            beta_2=self.adam_beta_2,
            epsilon=self.epsilon,
            step=self._step,
            weight_decay=self._decay,
        )
