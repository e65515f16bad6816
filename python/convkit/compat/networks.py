"""Networks of `keras.applications`: made by Keras, and read from it as convkit's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..interop.read_keras import Reader
from ..layers import InputLayer
from ..layers.graph import Tensor as Symbolic
from . import notes
from .models import older
from .serving import aside

# What Keras's networks take by default with their top, where it is not 224.
_SIZES = {
    "EfficientNetB1": 240,
    "EfficientNetB2": 260,
    "EfficientNetB3": 300,
    "EfficientNetB4": 380,
    "EfficientNetB5": 456,
    "EfficientNetB6": 528,
    "EfficientNetB7": 600,
    "EfficientNetV2B1": 240,
    "EfficientNetV2B2": 260,
    "EfficientNetV2B3": 300,
    "EfficientNetV2L": 480,
    "EfficientNetV2M": 480,
    "EfficientNetV2S": 384,
    "InceptionResNetV2": 299,
    "InceptionV3": 299,
    "NASNetLarge": 331,
    "Xception": 299,
}


def network(name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A network of Keras's, as a model of convkit's.

    Args:
        name: of the function of `keras.applications`.
        arguments: of that function, by place.
        options: of that function, by name. Without `include_top` and `input_shape` the network is
            made for images of Keras's default size; it predicts of others, and layers share its
            weights where it is called on them.

    Raises:
        ImportError: Keras is not installed.
        ValueError: `input_tensor` is no Input; or as `interop.from_keras`.
    """
    with aside():
        make = _function(name)
        given = dict(inspect.signature(make).bind(*arguments, **options).arguments)
        tensor = given.pop("input_tensor", None)
        if tensor is None and given.get("include_top", True) is False:
            shape = given.get("input_shape")
            if shape is None or None in tuple(shape):
                return _of_any_size(name, make, given)
        if tensor is not None:
            if not (isinstance(tensor, Symbolic) and isinstance(tensor.layer, InputLayer)):
                raise ValueError(
                    f"{name}: input_tensor must be an Input; give input_shape, and call the "
                    f"network on the tensor"
                )
            given["input_shape"] = tuple(tensor.shape[1:])
        return _read(make(**given), tensor)


def _function(name: str) -> Callable[..., Any]:
    from ..bench.peers import missing  # which chooses a backend for Keras that is installed

    if (reason := missing("keras")) is not None:
        raise ImportError(
            f"{name}: the model is Keras's, and {reason}: pip install keras torch; or take one of "
            f"convkit.zoo"
        )
    import keras

    made: Callable[..., Any] = getattr(keras.applications, name)
    return made


class _Reader(Reader):
    """Reads a network of one input, which may be there already."""

    def __init__(self, tensor: Symbolic | None) -> None:
        import keras

        super().__init__(keras)
        self._tensor = tensor

    def _input(self, given: Any) -> Symbolic:
        return super()._input(given) if self._tensor is None else self._tensor


def _read(made: Any, tensor: Symbolic | None = None) -> Any:
    reader = _Reader(tensor)
    model = reader.model(made)
    reader.copy_weights(made)
    return older(model)


def _of_any_size(name: str, make: Callable[..., Any], given: dict[str, Any]) -> Any:
    """A network for images of Keras's default size, which predicts of others, too."""
    side = _SIZES.get(name, 224)
    model = _read(make(**{**given, "input_shape": (side, side, 3)}))
    model.takes_any_size = True
    notes.ignored(
        f"{name}(include_top=False) without input_shape",
        f"its own input is ({side}, {side}, 3); it can be called on images of other sizes",
    )
    return model
