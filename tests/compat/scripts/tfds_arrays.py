"""tfds.as_numpy of one batch, dictionaries of samples, parts by percent, int2str."""

import numpy as np
import tensorflow_datasets as tfds

train = tfds.as_numpy(tfds.load("fashion_mnist", split="train", batch_size=-1))
x, y = train["image"], train["label"]
assert x.ndim == 4 and len(x) == len(y) and isinstance(x, np.ndarray)
first, second = tfds.load("cifar10", split=["train[:75%]", "train[75%:]"])
assert len(first) == 3 * len(second)
images = np.array([example["image"].numpy() for example in second])
labels = np.array([example["label"].numpy() for example in second])
assert images.shape[1:] == (32, 32, 3) and labels.ndim == 1
builder = tfds.builder("cifar10")
builder.download_and_prepare()
assert builder.info.features["label"].int2str(0) == "airplane"
try:
    tfds.load("food101", split="train")
    raise SystemExit("there are no flowers")
except ValueError as error:
    print(error)
