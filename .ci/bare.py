"""Train in an environment that holds a wheel of convkit and what it requires, but no extra."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np

import convkit

for optional in ("matplotlib", "onnx", "sklearn", "torch"):
    assert importlib.util.find_spec(optional) is None, f"{optional} is installed"

convkit.runtime.set_num_threads(2)
model = convkit.zoo.mnist_cnn()
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
x = np.random.default_rng(0).random((64, 28, 28, 1), np.float32)
history = model.fit(x, np.arange(64) % 10, epochs=2, verbose=0)
assert np.isfinite(history.history["loss"]).all()

try:
    convkit.plots.history(history)
except ImportError as error:
    advice = str(error)
else:
    sys.exit("a picture was drawn without matplotlib")
assert 'pip install "convkit[examples]"' in advice, advice

runtimes = {
    line.split()[-1]
    for line in Path("/proc/self/maps").read_text().splitlines()
    if "libgomp" in line
}
assert len(runtimes) == 1, runtimes
assert "/convkit.libs/libgomp-" in runtimes.pop(), "not the OpenMP runtime of the wheel"
convkit.runtime.show_config()
