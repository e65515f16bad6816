"""What a layer is.

A layer knows its parameters and its mathematics, and nothing of memory: whoever runs it hands it
the arrays to read and the arrays to write. `convkit.plan` decides which. So a layer has three
faces:

- to the user: a name, weights, `count_params()`, `compute_output_shape()`, `get_config()`;
- to the model: `build()`, which makes the parameters once the input shape is known;
- to the plan: `stages()`, `saved_arrays()`, `forward()`, `backward()`, and flags that say which
  arrays backward reads again and which may share memory.

Shapes have the batch in front, as in Keras: `(None, 28, 28, 1)`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

import numpy as np

from ..core.changes import Capturable, restructure
from ..core.config import Configurable, argument_names, flag
from ..core.parameters import Array, Parameter, Shape, assign
from ..initializers import Initializer
from ..regularizers import Regularizer
from . import composite
from .attributes import are_same, check_constraint, check_constraints, lowered_from, pass_on
from .calling import call
from .checks import ShapeChecks, check_sample_shape, refuse_options
from .graph import Graph, Operation
from .naming import layer_name
from .step_context import SavedArray, StepContext

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ..constraints import Constraint

# Gives a parameter's first value in place of its initializer, by its path and shape.
WeightSource = Callable[[str, tuple[int, ...]], Array]


class LayerOptions(TypedDict, total=False):
    """The keyword arguments that every layer takes."""

    name: str | None
    trainable: bool
    input_shape: Sequence[int] | None


class _NoOptions(TypedDict):
    """No further ones: type checkers refuse them, and `Layer` says which it received."""


class Layer(ShapeChecks, Operation, Capturable, Configurable):
    """Base class of all layers.

    Args:
        name: unique in the model; by default made from the class, as in Keras: `conv2d`,
            `conv2d_1`, ...
        trainable: whether training changes the weights.
        input_shape: of one sample, without the batch; only for the first layer of a model, and
            only where no `Input` stands before it.

    A layer of your own makes others in its constructor, or in `build(self, input_shape)`, keeps
    them as attributes, and connects them in `call(self, inputs)`, as in Keras; or it computes, by
    `compute_output_shape`, `create_parameters`, `forward` and `backward`.

    Attributes:
        keeps_input: `backward` reads x again.
        keeps_output: `backward` reads y again.
        in_place: `forward` may write y over x, and `backward` dx over dy.
        dx_over_x: `backward` may write dx over x, for it has read of x by then what it needs.
        adds_to_dx: `backward` takes `add_to_dx=True`, to add to what dx, or dx[0], holds.
        capturable: `forward` and `backward` are native calls that depend on nothing but the arrays,
            those of the run among them, the layer's attributes and whether the pass is one of
            training, so that a plan may capture them. Not inherited.
        epilogues: the activations that `forward` can apply while it writes y.
        operation: what a plan calls it.
        has_phases: whether it does something else in training than otherwise.
        is_composite: whether it is made of other layers, which its method `call` connects.
        shaping: the arguments that cannot be set once the layer is built, for shapes, parameters or
            their names depend on them. All others take effect at once.
        weight_source: where `build` takes the weights from, None for the initializers.
    """

    keeps_input: bool = False
    keeps_output: bool = False
    in_place: bool = False
    dx_over_x: bool = False
    adds_to_dx: bool = False
    summand: int | None = None  # this and the next one: of a plan's fused stages alone, see
    recomputes: bool = False  # `convkit.plan.values`
    epilogues: ClassVar[frozenset[str]] = frozenset()
    operation: ClassVar[str] = "layer"
    shaping: ClassVar[frozenset[str]] = frozenset({"name"})
    _unsettable: ClassVar[Mapping[str, str]] = {
        "input_shape": "give it to the constructor of a new layer"
    }
    has_phases: ClassVar[bool] = False
    is_composite: ClassVar[bool] = False
    _composition: composite.Composition | None = None
    _given: tuple[tuple[Any, ...], dict[str, Any]]
    _set_at: dict[str, int]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.is_composite = hasattr(cls, "call")
        if cls.is_composite and cls.forward is not Layer.forward:
            raise TypeError(
                f"{cls.__name__} has a call and, from one of its bases, a forward; what is made of "
                f"layers derives from convkit.layers.Layer and has them as attributes"
            )

    def __new__(cls, *arguments: Any, **options: Any) -> Self:
        """An object; a composite knows its arguments and when its attributes were set."""
        made = super().__new__(cls)
        made.__dict__.update(_given=(arguments, options), _set_at={})
        return made

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        input_shape: Sequence[int] | None = None,
        **unknown: Unpack[_NoOptions],
    ) -> None:
        refuse_options(self, unknown)
        self.name = layer_name(name, type(self).__name__)
        self._inbound_nodes = []
        self.index = 0  # the position in the model, which sets apart the layers' random numbers
        self.built = False
        self.input_shape: Shape | None = None
        self.output_shape: Shape | None = None
        self.first_input_shape = (
            None if input_shape is None else check_sample_shape(input_shape, self)
        )
        self.weight_source: WeightSource | None = None
        self._parameters: list[Parameter] = []
        self._trainable = flag(trainable, "trainable", self)

    # What subclasses define.

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the output; ValueError if the layer cannot take such an input."""
        if self.is_composite:
            return composite.composed_shape(self, input_shape)  # type: ignore[no-any-return]
        raise NotImplementedError

    def create_parameters(self, input_shape: Shape) -> None:
        """Make the parameters with `add_parameter`. Called once, by `build`."""

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """Compute y from x; write what `saved_arrays` declares."""
        raise NotImplementedError

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """Write dx, unless it is None, and the gradients of the parameters, unless frozen.

        x is only to be read if `keeps_input`, y only if `keeps_output`. dy may be overwritten.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as a small dictionary that JSON can hold."""
        config = super().get_config()
        if self.first_input_shape is None:
            config.pop("input_shape", None)
        return config

    def _arguments(self, kind: type[Any]) -> dict[str, Any]:
        # The attribute of that name is the shape that the layer was built for, batch included.
        if self.is_composite:
            return composite.given_arguments(self)
        own = {name: getattr(self, name) for name in argument_names(kind)}
        return {**own, "input_shape": self.first_input_shape} if "input_shape" in own else own

    if not TYPE_CHECKING:  # checkers would let any attribute be set

        def __setattr__(self, name: str, value: Any) -> None:
            if isinstance(self.__dict__.get(name), Parameter) and self.built:
                raise self._refusal(
                    name, f"give it other numbers by layer.{name}.value = array, or by set_weights"
                )
            if self.is_composite:
                composite.note_attribute(self, name, value)
            super().__setattr__(name, value)

    def _set(self, name: str, value: Any) -> None:
        if self.is_composite:
            if self.built and name != "trainable":
                raise self._refusal(name, "the layer is built: make a new one, in a new model")
            object.__setattr__(self, name, value)
            return
        if not self.built:
            super()._set(name, value)
            return
        before = lowered_from(self)
        super()._set(name, value)
        pass_on(self, name)
        if lowered_from(self) != before:
            restructure(self)

    def _check_change(self, name: str, twin: Any) -> None:
        old, new = getattr(self, name), getattr(twin, name)
        if not self.built or self.input_shape is None or are_same(old, new):
            return
        check_constraints(self, name, new)
        built_for = None
        if name in self.shaping:
            built_for = f"with shapes and parameters for {name}={old!r}"
        elif type(twin) is type(self):
            shape = twin.compute_output_shape(self.input_shape)
            if shape != self.output_shape:
                built_for = f"for outputs of shape {self.output_shape}, which would become {shape}"
        if built_for is not None:
            advice = f"the layer is built {built_for}: make a new layer, in a new model"
            raise self._refusal(name, advice)

    def argument_of(self, parameter: Parameter, kind: str) -> str:
        """The argument that a parameter's "regularizer" or "constraint" came from."""
        return f"{parameter.name}_{kind}"

    # What subclasses may define.

    def is_view(self, training: bool) -> bool:
        """Whether the output is the memory of the input, perhaps under another shape."""
        return False

    def stages(self) -> tuple[Layer, ...]:
        """The steps that this layer stands for: itself, then its activation if it has one."""
        return (self,)

    def saved_arrays(self, input_shape: tuple[int, ...]) -> tuple[SavedArray, ...]:
        """The arrays that `forward` writes for `backward`, besides y."""
        return ()

    def next_step(self) -> int:
        """What a call on arrays, as in training, counts as among the training steps."""
        return 0

    def describe(self, input_shape: tuple[int, ...], training: bool) -> str:
        """The operation that runs, and its algorithm where there is a choice."""
        return self.operation

    # What all layers share.

    @property
    def names(self) -> tuple[str, ...]:
        """The layer's name, as a plan lists it."""
        return (self.name,)

    def output_sizes(self, input_sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one output sample, given that of one input sample."""
        shape = self.compute_output_shape((None, *input_sizes))[1:]
        return tuple(size for size in shape if size is not None)

    def build(self, input_shape: Shape) -> None:
        """Make the parameters for inputs of that shape; nothing happens the second time.

        Raises:
            ValueError: the layer cannot take such inputs, or was built for others before.
        """
        if self.is_composite:
            composite.compose(self, input_shape, by_build=True)
            return
        output_shape = self.compute_output_shape(input_shape)
        if self.built:
            if self.input_shape is not None and self.input_shape[1:] != tuple(input_shape)[1:]:
                raise self.error(
                    f"it was built for inputs of shape {self.input_shape} and cannot take "
                    f"{input_shape}; use a new layer"
                )
            return
        self._parameters = []
        self.create_parameters(input_shape)
        self.__dict__.update(input_shape=tuple(input_shape), output_shape=output_shape)
        self.trainable = self._trainable
        self.built = True

    def add_parameter(
        self,
        name: str,
        shape: Sequence[int],
        initializer: Initializer,
        regularizer: Regularizer | None = None,
        constraint: Constraint | None = None,
        *,
        trainable: bool = True,
    ) -> Parameter:
        """Make a parameter and count it among the layer's weights."""
        check_constraint(self, name, constraint, tuple(shape))
        path = f"{self.name}/{name}"
        source = self.weight_source
        try:
            if 8 * math.prod(shape) > sys.maxsize:  # NumPy's own error would not name it
                raise MemoryError
            value = np.asarray(initializer(shape) if source is None else source(path, tuple(shape)))
        except MemoryError as error:
            raise MemoryError(
                f"{self.error(f'no memory for the {name} of shape {tuple(shape)}')}, "
                f"{4 * math.prod(shape):,} bytes as float32; make it smaller, for example with "
                f"pooling before it"
            ) from error
        if value.shape != tuple(shape):
            raise self.error(
                f"{type(initializer).__name__} returned shape {value.shape} for the {name} "
                f"of shape {tuple(shape)}"
            )
        given: Any = {"regularizer": regularizer, "constraint": constraint, "trainable": trainable}
        parameter = Parameter(name, value, path=path, **given)
        self._parameters.append(parameter)
        return parameter

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights.

        Can be set at any time, and takes effect with the next step: `compile` need not be called
        again. A frozen layer's gradients are not computed, and the optimizer's moments rest.
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = flag(value, "trainable", self)
        for _, part in composite.parts_of(self) if self.is_composite else ():
            part.trainable = self._trainable
        for parameter in self._parameters:
            parameter.frozen = not self._trainable

    @property
    def weights(self) -> list[Parameter]:
        """All parameters, in the order of their creation."""
        return list(self._parameters)

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The parameters that training changes by their gradients."""
        return [p for p in self._parameters if p.trainable]

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """The parameters that training leaves alone, or that only the layer itself updates."""
        return [p for p in self._parameters if not p.trainable]

    def get_weights(self) -> list[Array]:
        """Copies of all parameters."""
        return [parameter.numpy() for parameter in self._parameters]

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Replace all parameters; ValueError if the number or a shape is not the layer's own."""
        assign(self._parameters, weights, f'layer "{self.name}"', self.built)

    def count_params(self) -> int:
        """The number of elements in all parameters; ValueError before the layer is built."""
        if not self.built:
            raise self.error("it has no parameters yet; build the model first")
        return sum(parameter.size for parameter in self._parameters)

    def error(self, message: str) -> ValueError:
        """A ValueError that names this layer."""
        return ValueError(f"{self._title}: {message}")

    @property
    def _title(self) -> str:
        return f'layer "{self.name}" ({type(self).__name__})'

    @property
    def _inner(self) -> Graph | None:  # type: ignore[override]
        return getattr(self._composition, "graph", None)

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """Become part of a model, or compute at once.

        Args:
            inputs: a symbolic tensor, as `Input` and other layers give it, or a list of them: then
                a tensor is returned. Or one batch of arrays, whose result is an array.
            training: of arrays, whether to do what is done in training. Of tensors it is what
                `call` was given as `training`, or None: a model trains in `fit`.

        Raises:
            ValueError: the layer cannot take such inputs.
        """
        return call(self, inputs, training)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_inbound_nodes": [], "_composition": None}

    if not TYPE_CHECKING:  # to type checkers, every attribute would be there

        def __getattr__(self, name: str) -> Any:
            from ..absent import advice  # here: only for an error

            kind = type(self).__name__
            raise AttributeError(
                f"{kind!r} object has no attribute {name!r}{advice(f'Dense.{name}')}"
            )

    def __repr__(self) -> str:
        state = f"{self.output_shape}" if self.built else "not built"
        return f"<{type(self).__name__} {self.name}, {state}>"
