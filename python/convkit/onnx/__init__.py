"""ONNX files: `export` a model for deployment, `load` one to train it further.

    >>> convkit.onnx.export(model, "model.onnx")
    >>> model = convkit.onnx.load("model.onnx")

The package onnx comes with `pip install "convkit[onnx]"` and is imported when one of them is
called. `convkit.onnx.backend` runs ONNX's own tests against convkit's kernels.
"""

from __future__ import annotations

import os

from ..core.packages import package
from ..models import Model

__all__ = ["export", "load"]


def __dir__() -> list[str]:
    return __all__


def export(model: Model, path: str | os.PathLike[str], *, verify: bool = True) -> None:
    """Write a model as an ONNX file that computes what `model.predict` computes.

    The file takes what `predict` takes: float32 images (N, H, W, C), for any N, as the input
    `input`; the result is `output`. The inputs and outputs of a model with several are called as
    the model calls them. ONNX's operators are channels-first: a Transpose at the beginning, and one
    at the end where images come out, makes them so. Every layer is a node or a few, and what is
    called several times is as many nodes with the same weights; models that are layers are taken
    apart. Batch normalisation uses its moving statistics, dropout and noise are left out, paddings
    are written in numbers, activations are nodes of their own (SiLU two: a Sigmoid, and a Mul with
    it), and so are the planes of a GroupNormalization; all are operators of version 20, which
    onnxruntime runs since 1.17. The file is checked with ONNX's checker and written atomically:
    whatever happens, `path` is the old file or the whole new one.

    Args:
        model: built, with weights.
        path: of the file; one that is there is replaced.
        verify: whether the file and the model are tried on the same random batch, before anything
            is written. The file is run by onnxruntime, or, where that is missing, by the package
            onnx itself, which is slow: models of more than half a billion multiplications an image
            are then not tried.

    Raises:
        ValueError: the model is not built, or has a layer without a counterpart in ONNX; or what
            the file gives for the random batch is further from what the model gives than rounding
            explains.
        ImportError: the package onnx is missing; the message says how to install it.
    """
    package("onnx")
    from .exporter import write

    write(model, path, verify)


def load(path: str | os.PathLike[str], *, verify: bool = True) -> Model:
    """Make a model of an ONNX file, with its weights, to predict with or to train further.

    The file may come from `export`, or from a library such as PyTorch, whose images are
    channels-first. The model is a `Sequential` where each node is fed by the one before it, else a
    `Model` with the file's inputs and outputs in their order. It takes channels-last images
    (N, H, W, C) in any case, and gives them where the file gives images; what the file has given
    other axes keeps them. The weights, and the order of flattened images, are rearranged to fit;
    where a file turns axes otherwise, there is a `Permute`. Nodes that read the same weights are
    one layer, called several times, unless these are all of one number, as new ones are.

    Understood are the operators Conv and ConvTranspose (1-D and 2-D), Gemm, MatMul with a constant;
    Add, Sub, Mul and Div with constants; Add, Sub, Mul, Max, Min, Sum, Mean and Concat of tensors;
    BatchNormalization, LayerNormalization, GroupNormalization, InstanceNormalization; MaxPool,
    AveragePool, GlobalAveragePool, GlobalMaxPool, ReduceMean and ReduceMax over the image; Flatten,
    Reshape, Squeeze and Unsqueeze of each sample, Transpose, Resize and Upsample to whole multiples
    of the pixels; Pad with zeros or negative pads, Slice and Split of rows and columns; Dropout,
    Identity, Relu, Clip from 0, ThresholdedRelu, LeakyRelu, PRelu, Elu, Selu, Gelu, Sigmoid, Tanh,
    Softplus, Softsign, HardSigmoid as Keras and PyTorch have it, HardSwish, Mish, Swish, Exp,
    Softmax and LogSoftmax, of the versions 9 and later; and SiLU, GELU, Mish, hard sigmoid and hard
    SiLU spelt out in others.

    Args:
        path: of the file. Weights in other files must lie in its folder or below.
        verify: whether the file and the model are tried on the same random batch of two images, or
            as many as the file is for. It is run as by `export`; not tried are models with arrays
            of more than 16 MiB, or of more than 40 billion multiplications, which a small file may
            ask for.

    Raises:
        ValueError: not an ONNX file, or it asks for what convkit does not have; the message names
            the node. Nothing is allocated that the file does not hold the data for, but for those
            arrays of 16 MiB at most. Or what the model gives for the random batch is further from
            what the file gives than rounding explains.
        OSError: the file cannot be read.
        ImportError: the package onnx is missing; the message says how to install it.
    """
    package("onnx")
    from .importer import read

    return read(path, verify)
