"""Data sets of tensorflow_datasets that are image files, in parts, of any size, with their info."""

import os

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

KINDS = ("dandelion", "daisy", "tulips", "sunflowers", "roses")
for number, kind in enumerate(KINDS):
    os.makedirs(f"data/tf_flowers/train/{kind}")
    for i in range(8):
        pixels = np.full((30 + i, 40 - i, 3), 40 * number, np.uint8)
        Image.fromarray(pixels).save(f"data/tf_flowers/train/{kind}/{i}.png")

(train, val, test), info = tfds.load(
    "tf_flowers",
    split=["train[:80%]", "train[80%:90%]", "train[90%:]"],
    data_dir="data",
    with_info=True,
    as_supervised=True,
)
assert (len(train), len(val), len(test)) == (32, 4, 4)
assert info.features["label"].num_classes == 5 and info.splits["train"].num_examples == 40
assert info.features["image"].shape == (None, None, 3)
seen = set()
for image, label in train:
    assert image.dtype == tf.uint8 and image.shape[0] + image.shape[1] == 70
    name = info.features["label"].int2str(label)
    assert KINDS.index(name) == int(label) == int(image[0, 0, 0]) // 40
    seen.add(int(label))
assert seen == set(range(5))
assert [int(y) for _, y in train] == [int(y) for _, y in train]


def prepared(dataset):
    sized = dataset.map(lambda x, y: (tf.image.resize(tf.cast(x, tf.float32), [16, 16]) / 255, y))
    return sized.batch(8).prefetch(tf.data.AUTOTUNE)


model = tf.keras.Sequential(
    [tf.keras.layers.Conv2D(4, 3, activation="relu"), tf.keras.layers.Flatten(),
     tf.keras.layers.Dense(5)]
)  # fmt: skip
loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile("adam", loss, metrics=["accuracy"])
model.fit(prepared(train), validation_data=prepared(val), epochs=1, verbose=0)
plain = tfds.load("tf_flowers", split="train", data_dir="data", shuffle_files=True)
assert sorted(next(iter(plain))) == ["image", "label"]
