"""`keras.applications`: Keras's own models, where Keras is installed, as convkit's."""

from __future__ import annotations

from typing import Any

_MODELS = (
    "ConvNeXtBase",
    "ConvNeXtLarge",
    "ConvNeXtSmall",
    "ConvNeXtTiny",
    "ConvNeXtXLarge",
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "EfficientNetB0",
    "EfficientNetB1",
    "EfficientNetB2",
    "EfficientNetB3",
    "EfficientNetB4",
    "EfficientNetB5",
    "EfficientNetB6",
    "EfficientNetB7",
    "EfficientNetV2B0",
    "EfficientNetV2B1",
    "EfficientNetV2B2",
    "EfficientNetV2B3",
    "EfficientNetV2L",
    "EfficientNetV2M",
    "EfficientNetV2S",
    "InceptionResNetV2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "NASNetLarge",
    "NASNetMobile",
    "ResNet101",
    "ResNet101V2",
    "ResNet152",
    "ResNet152V2",
    "ResNet50",
    "ResNet50V2",
    "VGG16",
    "VGG19",
    "Xception",
)
__all__ = ["decode_predictions"]
LAZY = _MODELS


def __getattr__(name: str) -> Any:
    if name not in _MODELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = _maker(name)
    return made


def _maker(name: str) -> Any:
    def make(*arguments: Any, **options: Any) -> Any:
        from .networks import network

        return network(name, arguments, options)

    make.__name__ = make.__qualname__ = name
    return make


def decode_predictions(preds: Any, top: int = 5) -> Any:
    """The names of the likeliest of ImageNet's classes, which Keras downloads.

    Raises:
        ImportError: Keras is not installed.
    """
    from .serving import aside

    with aside():
        try:
            from keras.applications.imagenet_utils import decode_predictions as decode
        except ImportError as error:
            raise ImportError(
                f"decode_predictions: the names of ImageNet's classes come with Keras, which is "
                f"not installed: pip install keras torch; the numbers of the {top} likeliest are "
                f"numpy.argsort(-preds)[:, :{top}]"
            ) from error
        return decode(preds, top=top)
