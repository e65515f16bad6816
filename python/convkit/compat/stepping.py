"""Steps that a script makes by itself: `optimizer.apply_gradients(zip(gradients, weights))`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core.parameters import Parameter, ParameterStore
from ..optimizers import Optimizer
from .tape import GradientTape
from .variables import Variable


class Stepping:
    """The methods of an optimizer that take gradients."""

    def apply_gradients(self, grads_and_vars: Any, name: Any = None, **options: Any) -> Any:
        """Make one step.

        Args:
            grads_and_vars: pairs of a gradient and a weight or variable; a weight whose gradient is
                None keeps its value.

        Returns:
            The number of steps made.

        Raises:
            ValueError: there is no gradient at all.
        """
        pairs = [(g, weight) for g, weight in grads_and_vars if g is not None]
        if not pairs:
            raise ValueError(
                "No gradients provided for any variable: the loss does not depend on the weights, "
                "or was not computed within the GradientTape"
            )
        weights = [each.weight if isinstance(each, Variable) else each for _, each in pairs]
        store = _store_of(self, weights)
        for (g, _), weight in zip(pairs, weights, strict=True):
            np.copyto(weight.gradient, np.asarray(g), casting="unsafe")
        others = [each for each in store.parameters if each.trainable and not each.frozen]
        others = [each for each in others if each not in weights]
        for each in others:
            each.frozen = True
        try:
            Optimizer.apply(self, store)  # type: ignore[arg-type]
        finally:
            for each in others:
                each.frozen = False
        for (_, variable), weight in zip(pairs, weights, strict=True):
            if isinstance(variable, Variable):
                variable.assign(weight.array)
        return self.iterations  # type: ignore[attr-defined]

    def apply(self, grads: Any, trainable_variables: Any = None) -> Any:
        """Make one step by the gradients of weights, as Keras 3; of a store, as convkit."""
        if isinstance(grads, ParameterStore):
            return super().apply(grads)  # type: ignore[misc]
        return self.apply_gradients(zip(grads, trainable_variables, strict=True))

    def minimize(self, loss: Any, var_list: Any, tape: Any = None, **options: Any) -> Any:
        """Make one step that makes a loss smaller: a function of nothing, or a tape's result."""
        if tape is None:
            tape = GradientTape()
            with tape:
                loss = loss()
        weights = var_list() if callable(var_list) else var_list
        several = list(weights) if isinstance(weights, Iterable) else [weights]
        return self.apply_gradients(zip(tape.gradient(loss, several), several, strict=True))

    def build(self, variables: Any = None) -> None:
        """Nothing need be made beforehand."""


def _store_of(optimizer: Any, weights: list[Parameter]) -> ParameterStore:
    """The flat buffers in which the optimizer changes some weights, among others perhaps."""
    known: ParameterStore | None = optimizer._store
    if known is None:
        known = weights[0].store
    if known is None or not set(weights) <= set(known.parameters):
        known = _grown(optimizer, weights)
    if not known.is_current:
        known.bind_storage()
    return known


def _grown(optimizer: Any, weights: list[Parameter]) -> ParameterStore:
    """Buffers for more weights than before, where the optimizer remembers what it did."""
    former = optimizer._store
    if former is None:
        return ParameterStore(weights)
    steps = int(optimizer.steps_made[0])
    slots = {name: former.split(slot) for name, slot in optimizer.slots.items()}
    optimizer.unbind(former)
    store = ParameterStore(list(dict.fromkeys([*former.parameters, *weights])))
    optimizer.bind(store)
    optimizer.count_from(steps)
    for name, slot in optimizer.slots.items():
        for weight, values in store.split(slot).items():
            if weight in slots[name]:
                np.copyto(values, slots[name][weight])
    return store
