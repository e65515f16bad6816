"""What to do instead of what older Keras or TensorFlow has and convkit has not."""

from __future__ import annotations

# By the beginning of a name; the longest that fits counts.
_ADVICE: dict[str, str] = {
    "keras.backend.gradients": "training is `fit` and `train_on_batch`; gradients stay inside",
    "keras.backend.placeholder": "`keras.Input`",
    "keras.layers.Bidirectional": "images only",
    "keras.layers.Conv1D": "`Conv2D` with one row",
    "keras.layers.Conv3D": "two dimensions only",
    "keras.layers.ConvLSTM2D": "images only",
    "keras.layers.CuDNNLSTM": "images only",
    "keras.layers.Embedding": "images only",
    "keras.layers.GRU": "images only",
    "keras.layers.LSTM": "images only",
    "keras.layers.LocallyConnected2D": "`Conv2D`, whose weights all places share",
    "keras.layers.MaxoutDense": "`Dense` layers and `Maximum` of them",
    "keras.layers.SimpleRNN": "images only",
    "keras.layers.TimeDistributed": "images only",
    "keras.preprocessing.sequence": "images only",
    "keras.preprocessing.text": "images only",
    "keras.utils.HDF5Matrix": "h5py's own data sets, as arrays",
    "keras.utils.multi_gpu_model": "the model itself: it runs on this machine's cores",
    "keras.wrappers": "`convkit.sklearn.Classifier`",
    "tensorflow.Graph": "models are built and run at once",
    "tensorflow.GradientTape": "`fit` and `train_on_batch`; gradients are not given out",
    "tensorflow.Module": "`keras.Model`",
    "tensorflow.Variable": "`keras.layers.Layer` with layers as attributes; NumPy for the rest",
    "tensorflow.contrib": "the names of `tensorflow.keras`",
    "tensorflow.estimator": "`keras.Model` and its `fit`",
    "tensorflow.gradients": "`fit` and `train_on_batch`; gradients are not given out",
    "tensorflow.lite": "`convkit.onnx.export(model, path)`, and ONNX Runtime",
    "tensorflow.nn.conv2d": "`keras.layers.Conv2D`",
    "tensorflow.nn.max_pool": "`keras.layers.MaxPooling2D`",
    "tensorflow.placeholder": "`keras.Input`",
    "tensorflow.saved_model.save": "`model.save`, or `convkit.onnx.export(model, path)`",
    "tensorflow.summary": "`keras.callbacks.TensorBoard`",
    "tensorflow.tpu": "everything runs on this machine's cores",
    "tensorflow.train.Checkpoint": "`model.save_weights`",
    "tensorflow.train.CheckpointManager": "`keras.callbacks.ModelCheckpoint`",
    "tensorflow.train.latest_checkpoint": "the path itself",
}


def advice(path: str) -> str:
    """What to do instead of a name: the end of a message, or ""."""
    from ..absent import advice as of_keras  # here: only for an error

    found = ""
    for name in sorted(_ADVICE, key=len, reverse=True):
        if path == name or path.startswith(f"{name}."):
            found = _ADVICE[name]
            break
    if found:
        return (
            f"; TensorFlow has it, convkit does not: {found}"
            if "tensor" in path
            else (f"; Keras has it, convkit does not: {found}")
        )
    return of_keras(path.removeprefix("keras.")) if path.startswith("keras.") else ""
