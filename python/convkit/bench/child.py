"""What the benchmark measures in processes of their own; its source is run by `python -c`.

    child.py import MODULE        seconds that `import MODULE` takes
    child.py memory SIDE BATCH    peak resident set, in bytes, of some training steps of a library

It knows nothing of convkit, since importing it would change what is measured. The model is that of
`convkit.zoo.mnist_cnn`, written for each library as its users write it.
"""

from __future__ import annotations

import sys
import time
from typing import Any

STEPS = 10


def main(arguments: list[str]) -> float:
    """The value that the arguments ask for."""
    if arguments[0] == "import":
        return import_seconds(arguments[1])
    name, batch_size = arguments[1], int(arguments[2])
    import numpy as np

    step = SIDES[name]()
    generator = np.random.default_rng(0)
    for _ in range(STEPS):
        images = generator.random((batch_size, 28, 28, 1), dtype=np.float32)
        step(images, generator.integers(0, 10, batch_size))
    return peak_bytes()


def import_seconds(module: str) -> float:
    """How long the first import takes."""
    start = time.perf_counter()
    __import__(module)
    return time.perf_counter() - start


def peak_bytes() -> int:
    """The largest resident set this process has had.

    Linux's VmHWM belongs to this program alone; `ru_maxrss`, which other systems have, would there
    begin with that of the process that started it.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("VmHWM:"):
                    return 1024 * int(line.split()[1])
    except OSError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def convkit_step() -> Any:
    """A training step in convkit."""
    import convkit

    model = convkit.zoo.mnist_cnn()
    model.compile("adam", "sparse_categorical_crossentropy")
    return model.train_on_batch


def torch_step(channels_last: bool) -> Any:
    """A training step in PyTorch."""
    import torch

    memory = torch.channels_last if channels_last else torch.contiguous_format
    network: Any = torch_network().to(memory_format=memory)
    optimizer = torch.optim.Adam(network.parameters(), eps=1e-7)
    loss_function = torch.nn.CrossEntropyLoss()

    def step(x: Any, labels: Any) -> float:
        images = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=memory)
        optimizer.zero_grad()
        loss = loss_function(network(images), torch.from_numpy(labels))
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def torch_network() -> Any:
    """The model in PyTorch, up to its logits."""
    from torch import nn

    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()),
        nn.MaxPool2d(2),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()),
        nn.MaxPool2d(2),
        nn.Flatten(),
        *(nn.Linear(3136, 128), nn.ReLU(), nn.Linear(128, 10), nn.ReLU()),
        *(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


def keras_step() -> Any:
    """A training step in Keras."""
    model = keras_network()
    model.compile("adam", "sparse_categorical_crossentropy")
    return model.train_on_batch


def keras_network() -> Any:
    """The model in Keras."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


SIDES = {
    "convkit": convkit_step,
    "torch nchw": lambda: torch_step(False),
    "torch channels_last": lambda: torch_step(True),
    "keras": keras_step,
}

if __name__ == "__main__":
    print(main(sys.argv[1:]))
