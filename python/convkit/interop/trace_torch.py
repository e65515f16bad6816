"""Any PyTorch module as a convkit model, by way of PyTorch's own exporter to ONNX."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.packages import package
from ..core.parameters import Array
from ..models import Model
from ..operators.verify import verify as compare
from .run_torch import compute, evaluating

_BATCH = 2  # that the module is traced with
_OPSET = 20


def from_module(module: Any, shapes: Sequence[tuple[int, ...]], verify: bool) -> Model:
    """See `convkit.interop.from_torch`.

    Args:
        module: any nn.Module.
        shapes: of one sample of each input, as the module takes it.
        verify: whether both are tried on the same random batch.
    """
    onnx = package("onnx")
    from ..onnx import importer  # here, for it imports that package

    what = f"the PyTorch module {type(module).__name__}"
    proto = onnx.load_from_string(_exported(module, shapes, what))
    try:
        read = importer.read_proto(proto, None)
    except ValueError as error:
        raise ValueError(f"{what}, as PyTorch exports it to ONNX: {error}") from None
    model: Model = read.model

    def run(x: Any) -> list[Array]:
        given = x if isinstance(x, list) else [x]
        outputs: list[Array] = importer.from_file(
            read, compute(module, importer.to_file(read, given))
        )
        return outputs

    if verify:
        compare(model, run, what)
    return model


def _exported(module: Any, shapes: Sequence[tuple[int, ...]], what: str) -> bytes:
    """The module in evaluation mode, with nothing folded into anything, as an ONNX file."""
    torch = package("torch")
    if any(t.device.type != "cpu" for t in (*module.parameters(), *module.buffers())):
        module = copy.deepcopy(module).cpu()
    names = [f"input_{index}" for index in range(len(shapes))] if len(shapes) > 1 else ["input"]
    examples = tuple(torch.from_numpy(np.zeros((_BATCH, *shape), np.float32)) for shape in shapes)
    file = io.BytesIO()
    with evaluating(module), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about how it is done
        try:
            torch.onnx.export(
                module,
                examples,
                file,
                dynamo=False,  # the other exporter spells out more, and folds normalisations
                input_names=names,
                dynamic_axes={name: {0: "N"} for name in names},
                training=torch.onnx.TrainingMode.PRESERVE,
                do_constant_folding=False,
                opset_version=_OPSET,
            )
        except Exception as error:  # RuntimeError, TypeError and classes of the exporter's own
            raise ValueError(
                f"{what} cannot be exported to ONNX by PyTorch for inputs of shape "
                f"{', '.join(str(tuple(each.shape)) for each in examples)}: {error}"
            ) from error
    return file.getvalue()
