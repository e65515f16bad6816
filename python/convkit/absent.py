"""What to do instead of what Keras has and convkit has not: the "absent" rows of docs/keras.md.

Read only where somebody asked for such a name, so that importing convkit does not need it. A test
holds it against the table.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import NoReturn

ABSENT: dict[str, str] = {
    "Sequential.train_step": "subclassing the training loop; `train_on_batch` is a step",
    "Sequential.export": "`convkit.onnx.export(model, path)`",
    "Dense.call": "call the layer itself",
    "Dense.add_weight": (
        "attributes that are layers, connected in `call`; or `add_parameter`, `forward` "
        "and `backward`"
    ),
    "Dense.add_loss": "a regularizer of a weight, or another output with a loss",
    "layers.Conv1D": "`Conv2D` with one row",
    "layers.Conv3D": "two dimensions only",
    "layers.Lambda": "apply the function to the data",
    "layers.Embedding": "images only",
    "layers.LSTM": "images only",
    "layers.MultiHeadAttention": "images only",
    "layers.TimeDistributed": "images only",
    "activations.glu": "a chain has no branches",
    "activations.hard_tanh": 'nearest: `"tanh"`',
    "activations.log_sigmoid": 'nearest: `"softplus"`, of -x and with the other sign',
    "activations.sparsemax": 'nearest: `"softmax"`',
    "activations.squareplus": 'nearest: `"softplus"`',
    "losses.Circle": (
        "a classifier with one of the cross-entropies; `predict` of its layer before the last"
    ),
    "losses.CTC": "images only",
    "optimizers.Adafactor": (
        "`Adam`: what Adafactor saves is memory, which the weights of a CNN hardly take"
    ),
    "initializers.Identity": "`set_weights`",
    "regularizers.OrthogonalRegularizer": "the initializer `Orthogonal`",
    "callbacks.RemoteMonitor": "a callback of one's own",
    "datasets.cifar100": "files of one's own, as arrays",
    "datasets.imdb": "images only",
    "datasets.boston_housing": "images only",
    "datasets.reuters": "images only",
    "datasets.california_housing": "images only",
    "utils.Progbar": "tqdm",
    "utils.timeseries_dataset_from_array": "images only",
    "backend.clear_session": "`utils.clear_session`",
    "applications.MobileNetV2": "`interop.from_keras` of Keras's, or `zoo.mobilenet_v2_cifar`",
    "mixed_precision.set_global_policy": "everything is float32",
}
# Modules of Keras that have no rows of their own, or only rows of what was in them.
MODULES: dict[str, str] = {
    "applications": "`convkit.interop.from_keras` of Keras's; `convkit.zoo` for small images",
    "backend": "`utils.clear_session`, and NumPy",
    "config": "`convkit.runtime`; everything is float32 with the channels last",
    "distribute": "use convkit.distribution, whose processes MPI starts",
    "dtype_policies": "everything is float32",
    "export": "`convkit.onnx.export`",
    "mixed_precision": "everything is float32",
    "ops": "NumPy",
    "preprocessing": "images alone: `preprocessing.image`",
    "quantizers": "everything is float32",
    "random": "`numpy.random`",
    "src": "the public names",
    "tree": "Python's own lists and dictionaries",
}
# Names of older versions of Keras, and what to take.
OLDER: dict[str, str] = {
    "Sequential.evaluate_generator": "`evaluate`, which takes generators",
    "Sequential.fit_generator": "`fit`, which takes generators",
    "Sequential.predict_classes": "`predict(x).argmax(axis=-1)`",
    "Sequential.predict_generator": "`predict`, which takes generators",
    "Sequential.predict_proba": "`predict`",
    "layers.advanced_activations": "`convkit.layers`",
    "layers.convolutional": "`convkit.layers`",
    "layers.core": "`convkit.layers`",
    "layers.pooling": "`convkit.layers`",
    "optimizers.legacy": "`convkit.optimizers`",
    "preprocessing.image.ImageDataGenerator": (
        "layers such as `RandomFlip` in front of the model, or that of `convkit.compat`"
    ),
    "utils.np_utils": "`convkit.utils`",
    "wrappers": "`convkit.sklearn`",
}
# Arguments and attributes of Keras, or of older versions of it, and what they are here.
ARGUMENTS: dict[str, str] = {
    "alpha": "negative_slope",
    "batch_input_shape": "input_shape, without the batch",
    "batch_shape": "shape, without the batch",
    "batch_size": "shape alone: batches may be of any size",
    "border_mode": "padding",
    "decay": "learning_rate=optimizers.schedules.ExponentialDecay(...)",
    "dtype": "nothing: everything is float32",
    "init": "kernel_initializer",
    "input_tensor": "shape; a Model may begin at a layer's output",
    "input_dim": "input_shape=(input_dim,)",
    "jit_compile": "nothing: a training step is compiled already",
    "lr": "learning_rate",
    "max_queue_size": "nothing: batches are made while the model trains",
    "nb_epoch": "epochs",
    "nb_filter": "filters",
    "nb_val_samples": "validation_steps, which counts batches",
    "optional": "nothing: every input is given",
    "output_dim": "units",
    "ragged": "nothing: samples have one shape",
    "run_eagerly": "nothing: a training step is compiled, and layers of one's own run as they are",
    "samples_per_epoch": "steps_per_epoch, which counts batches",
    "sparse": "nothing: arrays are dense",
    "steps_per_execution": "nothing: a step is one call already",
    "subsample": "strides",
    "tensor": "shape; a Model may begin at a layer's output",
    "use_multiprocessing": "nothing: batches are made while the model trains",
    "weighted_metrics": "metrics, which count every sample alike",
    "weights": "set_weights after building",
    "workers": "nothing: batches are made while the model trains",
}


def advice(name: str) -> str:
    """What to do instead of a name of Keras below `keras.`: the end of a message, or ""."""
    older = next((OLDER[old] for old in OLDER if f"{name}.".startswith(f"{old}.")), None)
    if older is not None:
        return f"; older versions of Keras have it, take {older}"
    found = ABSENT.get(name) or MODULES.get(name.partition(".")[0])
    names = list(ABSENT)
    while found == "likewise":  # as the name above it
        name = names[names.index(name) - 1]
        found = ABSENT[name]
    return f"; Keras has it, convkit does not: {found}" if found else ""


def renamed(argument: str) -> str:
    """What to write for an argument of Keras: the end of a message, or ""."""
    found = ARGUMENTS.get(argument)
    return f"; take {found}" if found else ""


def missing(module: str, name: str) -> NoReturn:
    """Raise the error of a module that has no such name, with what to do instead.

    Raises:
        AttributeError: of `getattr`.
        ImportError: of `from module import name`, which would drop an AttributeError's words.
    """
    inside = module.partition(".")[2]
    hint = advice(f"{inside}.{name}" if inside else name)
    if hint and is_import(sys._getframe(2)):
        raise ImportError(f"cannot import name {name!r} from {module!r}{hint}", name=name)
    raise AttributeError(f"module {module!r} has no attribute {name!r}{hint}")


def is_import(frame: FrameType) -> bool:
    """Whether a frame's current instruction is that of `from module import name`."""
    from dis import opmap  # here: only for an error

    code, at = frame.f_code.co_code, frame.f_lasti
    return 0 <= at < len(code) and code[at] == opmap["IMPORT_FROM"]


def no_module(name: str) -> None:
    """ModuleNotFoundError, with what to do instead, for a module below convkit that Keras has."""
    if hint := advice(name.partition(".")[2]):
        raise ModuleNotFoundError(f"No module named {name!r}{hint}", name=name)


def by_name(kind: str, received: str) -> str:
    """The advice for what is given by its name, such as the optimizer "nadam", or ""."""
    plain = received.replace("_", "").lower()
    for name in ABSENT:
        module, _, last = name.rpartition(".")
        if module == kind and last.lower() == plain:
            return advice(name)
    return ""
