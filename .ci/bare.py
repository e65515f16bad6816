"""Train in an environment that holds a wheel of convkit and what it requires, but no extra."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path

import numpy as np

import convkit

for optional in ("PIL", "h5py", "keras", "matplotlib", "onnx", "sklearn", "tensorboardX", "torch"):
    assert importlib.util.find_spec(optional) is None, f"{optional} is installed"

convkit.runtime.set_num_threads(2)
model = convkit.zoo.mnist_cnn()
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
x = np.random.default_rng(0).random((64, 28, 28, 1), np.float32)
history = model.fit(x, np.arange(64) % 10, epochs=2, verbose=0)
assert np.isfinite(history.history["loss"]).all()

h5 = Path(tempfile.mkdtemp()) / "model.h5"
h5.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(600))

# What needs a package that is not here says how to install it.
NEEDS = {
    'pip install "convkit[examples]"': (
        lambda: convkit.plots.history(history),
        lambda: convkit.plots.confusion_matrix([0, 1], [0, 1]),
        lambda: convkit.datasets.digits.load_data(),
    ),
    'pip install "convkit[images]"': (lambda: convkit.utils.load_img(h5),),
    'pip install "convkit[keras]"': (lambda: convkit.models.load_model(h5),),
    'pip install "convkit[tensorboard]"': (lambda: convkit.callbacks.TensorBoard("logs"),),
    'pip install "convkit[onnx]"': (
        lambda: convkit.onnx.export(model, "model.onnx"),
        lambda: convkit.onnx.load("model.onnx"),
    ),
    'pip install "convkit[sklearn]"': (lambda: convkit.sklearn.ConvClassifier(),),
    "pip install keras": (lambda: convkit.interop.to_keras(model),),
    "pip install torch": (lambda: convkit.interop.to_torch(model),),
}
for command, uses in NEEDS.items():
    for use in uses:
        try:
            use()
        except ImportError as error:
            if command not in str(error):
                raise
        else:
            sys.exit(f"something worked without {command}")

runtimes = {
    line.split()[-1]
    for line in Path("/proc/self/maps").read_text().splitlines()
    if "libgomp" in line
}
assert len(runtimes) == 1, runtimes
assert "/convkit.libs/libgomp-" in runtimes.pop(), "not the OpenMP runtime of the wheel"
convkit.runtime.show_config()
