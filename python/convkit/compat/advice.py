"""What to do instead of what older Keras or TensorFlow has and convkit has not."""

from __future__ import annotations

import re

# By the beginning of a name; the longest that fits counts.
_ADVICE: dict[str, str] = {
    "keras.backend.gradients": "training is `fit` and `train_on_batch`; gradients stay inside",
    "keras.backend.placeholder": "`keras.Input`",
    "keras.layers.ActivityRegularization": "a `kernel_regularizer`",
    "keras.layers.AlphaDropout": "`Dropout`",
    "keras.layers.LocallyConnected2D": "`Conv2D`, whose weights all places share",
    "keras.layers.MaxoutDense": "`Dense` layers and `Maximum` of them",
    "keras.layers.RandomHeight": "`RandomZoom`, whose images keep their size",
    "keras.layers.RandomWidth": "`RandomZoom`, whose images keep their size",
    "keras.layers.recurrent": "images only",
    "keras.layers.embeddings": "images only",
    "keras.layers.wrappers": "images only",
    "keras.preprocessing.sequence": "images only",
    "keras.preprocessing.text": "images only",
    "keras.utils.HDF5Matrix": "h5py's own data sets, as arrays",
    "keras.utils.pad_sequences": "images only",
    "keras.utils.text_dataset_from_directory": "images only",
    "keras.utils.timeseries_dataset_from_array": "images only",
    "keras.utils.multi_gpu_model": "the model itself: it runs on this machine's cores",
    "tensorflow.Graph": "models are built and run at once",
    "tensorflow.contrib": "the names of `tensorflow.keras`",
    "tensorflow.estimator": "`keras.Model` and its `fit`",
    "tensorflow.gradients": "`tf.GradientTape`",
    "tensorflow.lite": "`convkit.onnx.export(model, path)`, and ONNX Runtime",
    "tensorflow.nn.conv2d": "`keras.layers.Conv2D`",
    "tensorflow.nn.max_pool": "`keras.layers.MaxPooling2D`",
    "tensorflow.placeholder": "`keras.Input`",
    "tensorflow.saved_model.save": "`model.save`, or `convkit.onnx.export(model, path)`",
    "tensorflow.tpu": "everything runs on this machine's cores",
}

# Layers of words and of other sequences, which all have the same answer.
_SEQUENCES = (
    *("AdditiveAttention", "Attention", "Bidirectional", "CategoryEncoding", "CuDNNGRU"),
    *("CuDNNLSTM", "Discretization", "GRU", "GRUCell", "Hashing", "IntegerLookup"),
    *("LSTM", "LSTMCell", "Masking", "MultiHeadAttention", "RNN", "RepeatVector", "SimpleRNN"),
    *("SimpleRNNCell", "StackedRNNCells", "StringLookup", "TextVectorization"),
    *("TimeDistributed", "Wrapper", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
)
_ADVICE.update({f"keras.layers.{name}": "images only" for name in _SEQUENCES})
_DIMENSIONS = re.compile(r"keras\.layers\.([A-Z]\w*)([13])D(Transpose)?")


def _of_dimensions(path: str) -> str:
    """The advice for a layer of one or three dimensions, or ""."""
    match = _DIMENSIONS.fullmatch(path)
    if match is None:
        return ""
    if match[2] == "1":
        return f"`{match[1]}2D{match[3] or ''}` of images with one row"
    return "two dimensions only"


def advice(path: str) -> str:
    """What to do instead of a name: the end of a message, or ""."""
    from ..absent import advice as of_keras  # here: only for an error

    found = _of_dimensions(path)
    for name in sorted(_ADVICE, key=len, reverse=True):
        if path == name or path.startswith(f"{name}."):
            found = found or _ADVICE[name]
            break
    if found:
        return (
            f"; TensorFlow has it, convkit does not: {found}"
            if "tensor" in path
            else (f"; Keras has it, convkit does not: {found}")
        )
    return of_keras(path.removeprefix("keras.")) if path.startswith("keras.") else ""
