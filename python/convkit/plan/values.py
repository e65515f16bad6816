"""What a plan is made of: stages, and the values that they hand each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..core.parameters import Array, Parameter
from ..layers.graph import Graph, Tensor
from ..layers.image_layer import ImageChain
from ..layers.step_context import SavedArray, StepContext

Sizes = tuple[int, ...]


class Stage(Protocol):
    """What a plan needs of a layer, or of several layers fused into one.

    Where `merges` is set, x and dx are tuples, and so are the shapes of the inputs.

    A stage's `summand` is the number of an input that is added to the output, at most with an
    activation behind the sum: y may be written over it, its gradient is written over dy, and
    `backward` does not read it. One that `recomputes` can write y once more in one pass over what
    it saved, as `Recomputing` has it.
    """

    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def merges(self) -> bool: ...
    @property
    def keeps_input(self) -> bool: ...
    @property
    def keeps_output(self) -> bool: ...
    @property
    def in_place(self) -> bool: ...
    @property
    def dx_over_x(self) -> bool: ...
    @property
    def adds_to_dx(self) -> bool: ...
    @property
    def summand(self) -> int | None: ...
    @property
    def recomputes(self) -> bool: ...
    @property
    def capturable(self) -> bool: ...
    @property
    def trainable_weights(self) -> list[Parameter]: ...
    def is_view(self, training: bool) -> bool: ...
    def output_sizes(self, input_sizes: Any) -> Sizes: ...
    def saved_arrays(self, input_shape: Any) -> tuple[SavedArray, ...]: ...
    def forward(self, x: Any, y: Array, saved: tuple[Array, ...], context: StepContext) -> None: ...
    def backward(
        self, x: Any, y: Array, dy: Array, dx: Any, saved: tuple[Array, ...], context: StepContext
    ) -> None: ...
    def describe(self, input_shape: Any, training: bool) -> str: ...


class Recomputing(Stage, Protocol):
    """A stage that `recomputes`."""

    def recompute(self, y: Array, saved: tuple[Array, ...], context: StepContext) -> None: ...


class Value:
    """An array that one stage writes and others read.

    Attributes:
        sizes: of one sample.
        producer: who writes it, None for an input of the model.
        consumers: who reads it, in their order; twice whoever reads it twice.
        is_output: whether it is an output of the model.
    """

    __slots__ = ("consumers", "is_output", "producer", "sizes")

    def __init__(self, sizes: Sizes, producer: Op | None = None) -> None:
        self.sizes = sizes
        self.producer = producer
        self.consumers: list[Op] = []
        self.is_output = False

    def release(self) -> None:
        """Hold nobody any more, who would hold it."""
        self.producer, self.consumers = None, []

    @property
    def follower(self) -> Op | None:
        """The one who reads it, once, where nobody else does."""
        if len(self.consumers) != 1 or self.is_output:
            return None
        return self.consumers[0]


class Op:
    """A stage with what it reads and writes."""

    __slots__ = ("inputs", "output", "stage")

    def __init__(self, stage: Stage, inputs: Sequence[Value], sizes: Sizes) -> None:
        self.stage = stage
        self.inputs = list(inputs)
        self.output = Value(sizes, self)
        for value in inputs:
            value.consumers.append(self)

    @property
    def input_sizes(self) -> Any:
        """The sizes of its input, or of its inputs."""
        sizes = tuple(value.sizes for value in self.inputs)
        return sizes if self.stage.merges else sizes[0]

    def shape(self, n: int) -> Any:
        """The shape of its input, or of its inputs, for n samples."""
        sizes = self.input_sizes
        return tuple((n, *each) for each in sizes) if self.stage.merges else (n, *sizes)

    def keeps(self, value: Value) -> bool:
        """Whether the stage's backward pass reads that input again."""
        numbers = [i for i, each in enumerate(self.inputs) if each is value]
        return self.stage.keeps_input and numbers != [self.stage.summand]

    @property
    def replaceable(self) -> list[int]:
        """The numbers of the inputs that the output may be written over, and dx of one over dy."""
        if self.stage.summand is not None:
            return [self.stage.summand]
        if not self.stage.in_place:
            return []
        return [i for i, value in enumerate(self.inputs) if value.sizes == self.output.sizes]

    def replace(self, run: Sequence[Op], stage: Stage) -> None:
        """Become one stage for itself and the ops of a run behind it, with all that they read."""
        for each in run:
            for value in each.inputs:
                if value is not self.output:
                    value.consumers[value.consumers.index(each)] = self
                    self.inputs.append(value)
            self.output.release()
            self.output = each.output
        self.output.producer = self
        self.stage = stage

    def remove(self) -> None:
        """Let its readers read its input; its own output is nobody's any more."""
        (value,) = self.inputs
        value.consumers.remove(self)
        for reader in self.output.consumers:
            reader.inputs = [value if each is self.output else each for each in reader.inputs]
        value.consumers += self.output.consumers
        value.is_output = value.is_output or self.output.is_output
        self.output.release()


class Trace:
    """The stages of a graph of layers, those of nested models in their place.

    Attributes:
        ops: in the order in which they run.
        inputs, outputs: the values of the model's inputs and outputs.
    """

    def __init__(self, graph: Graph) -> None:
        self.ops: list[Op] = []
        self.inputs = [Value(tensor.sizes) for tensor in graph.inputs]
        self.outputs = self._follow(graph, self.inputs)
        for value in self.outputs:
            value.is_output = True

    def take_leading(self) -> list[ImageChain | None]:
        """Take from each input the layers in front that transform images one by one.

        They are done where images are gathered; what the last of them gives is the input then.
        """
        taken: list[ImageChain | None] = []
        for index, value in enumerate(self.inputs):
            sizes = value.sizes
            stages: list[Any] = []
            while len(value.sizes) == 3 and (op := value.follower) is not None:
                if not vars(type(op.stage)).get("transforms_images"):
                    break
                stages.append(op.stage)
                self.ops.remove(op)
                value.release()
                value = op.output
                value.producer = None
            self.inputs[index] = value
            taken.append(ImageChain(stages, sizes) if stages else None)
        return taken

    def release(self) -> None:
        """Take the graph apart, whose values and ops hold each other and the layers."""
        for op in self.ops:
            op.output.release()
        for value in self.inputs:
            value.release()

    def _follow(self, graph: Graph, given: Sequence[Value]) -> list[Value]:
        values = {_key(tensor): value for tensor, value in zip(graph.inputs, given, strict=True)}
        for node in graph.nodes:
            inputs = [values[_key(tensor)] for tensor in node.inputs]
            inner = node.layer._inner
            if inner is None:
                made = [self._stages(node.layer.stages(), inputs)]
            else:
                made = self._follow(inner, inputs)
            values.update({(id(node), index): value for index, value in enumerate(made)})
        return [values[_key(tensor)] for tensor in graph.outputs]

    def _stages(self, stages: Sequence[Stage], inputs: Sequence[Value]) -> Value:
        values = list(inputs)
        for stage in stages:
            sizes = [value.sizes for value in values]
            made = stage.output_sizes(sizes if stage.merges else sizes[0])
            self.ops.append(Op(stage, values, made))
            values = [self.ops[-1].output]
        (value,) = values
        return value


def _key(tensor: Tensor) -> tuple[int, int]:
    return id(tensor.node), tensor.index
