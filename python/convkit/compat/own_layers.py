"""Layers of a script's own, with weights by `add_weight`, and with calls that work on numbers."""

from __future__ import annotations

from typing import Any

from .. import constraints, initializers, layers, regularizers
from ..layers.composite import parts_of
from ..layers.graph import Tensor as Symbolic
from .adapted import Adapted
from .function_layers import Function
from .old_names.initializers import modern
from .tensor import as_tensor
from .variables import Variable

__all__ = ["Layer"]


class OwnLayer(layers.Layer):
    """Base class of a script's own layers: see `convkit.layers.Layer`.

    A `call` that cannot be traced, for it needs numbers or weights of its own, is run on numbers
    in every step.
    """

    _on_numbers: Any = None

    def add_weight(
        self,
        name: Any = None,
        shape: Any = (),
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: Any = True,
        constraint: Any = None,
        **options: Any,
    ) -> Any:
        """Make a weight; Keras 3 has the shape before the name."""
        if name is not None and not isinstance(name, str):
            name, shape = shape if isinstance(shape, str) else None, name
        name = f"weight_{len(self._parameters)}" if name is None else name
        sizes = (shape,) if isinstance(shape, int) else tuple(int(each) for each in shape)
        first = initializers.get(modern(initializer or "glorot_uniform"))
        made = self.add_parameter(
            name,
            sizes,
            first,
            regularizers.get(regularizer),
            constraints.get(constraint),
            trainable=bool(trainable is None or trainable),
        )
        self.__dict__.setdefault("_own_weights", []).append(made)
        return made

    add_variable = add_weight

    def build(self, input_shape: Any) -> None:
        """Be traced, if the call can be traced."""
        try:
            super().build(input_shape)
        except (AttributeError, TypeError) as error:
            if not _is_of_tracing(error):
                raise

    def __call__(self, inputs: Any, *arguments: Any, training: Any = None, **options: Any) -> Any:
        """The outputs: symbolic of symbolic tensors, numbers of numbers."""
        if arguments:  # of a call with several
            return self._spread(inputs, *arguments)
        several = inputs if isinstance(inputs, list | tuple) else [inputs]
        is_symbolic = any(isinstance(each, Symbolic) for each in several)
        if self._on_numbers is None and self.is_composite:
            try:
                made = super().__call__(inputs, training)
                if "_own_weights" not in vars(self):
                    return made
            except (AttributeError, TypeError) as error:
                if not _is_of_tracing(error):
                    raise
            self._compute_on_numbers()
        if self._on_numbers is None:
            return super().__call__(inputs, training)
        if is_symbolic:
            made = self._on_numbers(inputs)
            parts = [weight for _, part in parts_of(self) for weight in part.weights]
            weights = list(dict.fromkeys([*self._parameters, *parts]))
            made.layer.take(weights)
            layer: Any = made.layer
            self.__dict__.update(input_shape=layer.input_shape, output_shape=layer.output_shape)
            return made
        given = [as_tensor(each) for each in several] if several is inputs else as_tensor(inputs)
        return self.call(given, **({"training": training} if self._on_numbers.phased else {}))  # type: ignore[attr-defined]

    def _spread(self, *tensors: Any) -> Any:
        """The outputs of a call that takes its inputs one by one."""
        if not any(isinstance(each, Symbolic) for each in tensors):
            return self.call(*map(as_tensor, tensors))  # type: ignore[attr-defined]
        together = Function(lambda values: self.call(*values), name=self.name)  # type: ignore[attr-defined]
        return together(list(tensors))

    def _compute_on_numbers(self) -> None:
        if any(isinstance(each, Variable) and each.trainable for each in vars(self).values()):
            raise self.error("it has a tf.Variable as a weight; make it by self.add_weight")
        # What was traced, if it could be, has the weights as constants.
        self.__dict__.update(_composition=None, _inbound_nodes=[])
        self.__dict__.update(_parameters=vars(self).get("_own_weights", []))
        own = Function(self.call, name=self.name)  # type: ignore[attr-defined]
        self.__dict__.update(_on_numbers=own, built=True)


def _is_of_tracing(error: BaseException) -> bool:
    return "call could not be traced" in str(error)


class _AnyLayer(Adapted):
    """Stands for the base class of all layers: subclasses are layers of a script's own."""

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, layers.Layer)

    def __subclasscheck__(self, kind: type[Any]) -> bool:
        return issubclass(kind, layers.Layer)

    def __eq__(self, other: object) -> bool:
        return other is layers.Layer or other is self

    def __hash__(self) -> int:
        return hash(layers.Layer)


def _weights(name: str) -> Any:
    def get(layer: Any) -> Any:
        return getattr(layer, name)

    return property(get)


# Those of layers by their names in TensorFlow.
for _kind in ("", "trainable_", "non_trainable_"):
    setattr(layers.Layer, f"{_kind}variables", _weights(f"{_kind}weights"))

Layer = _AnyLayer(OwnLayer, lambda arguments, options: (arguments, options), "Layer")
