"""How fast do the networks of keras.applications predict, beside PyTorch?

Each is made by Keras with random weights, converted to convkit, and from there to PyTorch, which
runs it in its better memory format, in eager mode. Runs alternate; the ratio is the median of
theirs. Keras does not make NASNetMobile on PyTorch, so that it is made by what Keras would call.
Prints a table in Markdown. Needs Keras and PyTorch; takes some minutes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

import convkit
from convkit.bench.machine import machine
from convkit.bench.measure import CONVKIT, Call, Case, Pace, measure

NETWORKS = (
    *("VGG16", "ResNet50", "ResNet50V2", "MobileNet", "MobileNetV2", "MobileNetV3Small"),
    *("DenseNet121", "InceptionV3", "InceptionResNetV2", "Xception", "NASNetMobile"),
    *("EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny"),
)
# Keras's function of that name calls another one with these numbers.
NASNET_MOBILE = {
    "penultimate_filters": 1056,
    "num_blocks": 4,
    "stem_block_filters": 32,
    "skip_reduction": False,
    "filter_multiplier": 2,
    "default_size": 224,
}


def calls_of(name: str, side: int, batch_size: int, threads: int) -> dict[str, Call]:
    """Predictions of one batch of random images, by each side."""
    import torch

    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras

    options: dict[str, Any] = {"input_shape": (side, side, 3), "weights": None}
    if name == "NASNetMobile":
        from keras.src.applications.nasnet import NASNet

        made = NASNet(**NASNET_MOBILE, **options)
    else:
        made = getattr(keras.applications, name)(**options)
    model = convkit.interop.from_keras(made, verify=False)
    network: Any = convkit.interop.to_torch(model, verify=False)
    torch.set_num_threads(threads)
    x = np.random.default_rng(0).random((batch_size, side, side, 3), np.float32)
    calls: dict[str, Call] = {CONVKIT: lambda: model.predict_on_batch(x)}
    formats = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
    for label, memory in formats.items():

        def predict(memory: Any = memory) -> Any:
            images = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=memory)
            with torch.inference_mode():
                return network(images).numpy()

        calls[label] = predict
    return calls


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), help="(all)")
    add("--batch-sizes", type=int, nargs="+", default=[1, 8], help="(1 8)")
    add("--side", type=int, default=128, help="of the images (%(default)s)")
    add("--rounds", type=int, default=7, help="alternating runs of each side (%(default)s)")
    options = parser.parse_args(arguments)
    print("\n".join(machine().lines()) + "\n")
    threads = convkit.runtime.get_num_threads()
    print("| network | batch | convkit | PyTorch | PyTorch's time / convkit's |")
    print("| --- | --- | --- | --- | --- |")
    for name in options.networks:
        for batch_size in options.batch_sizes:
            calls = calls_of(name, options.side, batch_size, threads)
            case = Case(f"{name}, batch {batch_size}", "predict", calls)
            seconds = measure(case, Pace(options.rounds)).values
            better = min((key for key in calls if key != CONVKIT), key=lambda k: median(seconds[k]))
            pairs = zip(seconds[better], seconds[CONVKIT], strict=True)
            ratio = median(theirs / ours for theirs, ours in pairs)
            ours, theirs = (1e3 * median(seconds[key]) for key in (CONVKIT, better))
            cells = (name, batch_size, f"{ours:.1f} ms", f"{theirs:.1f} ms ({better})")
            print("| " + " | ".join(map(str, (*cells, f"{ratio:.2f}"))) + " |", flush=True)


if __name__ == "__main__":
    main()
