"""Augmentation layers called on batches and in Dataset.map, with and without training=True."""

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

images = np.random.randint(0, 256, (4, 12, 12, 3)).astype("float32")
augment = tf.keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)])
for _ in range(3):
    augmented = augment(images)
    assert augmented.shape == images.shape
    assert augmented[0].numpy().astype("uint8").shape == (12, 12, 3)
assert not np.array_equal(augment(images, training=True), images)
assert np.array_equal(augment(images, training=False), images)
ds = tf.data.Dataset.from_tensor_slices((images, np.arange(4))).batch(2)
ds = ds.map(lambda x, y: (augment(x, training=True), y), num_parallel_calls=tf.data.AUTOTUNE)
x, y = next(iter(ds))
assert x.shape == (2, 12, 12, 3)
steps = [layers.RandomFlip("horizontal"), layers.RandomZoom(0.2)]


def data_augmentation(batch, targets):
    for layer in steps:
        batch = layer(batch)
    return batch, targets


assert next(iter(ds.map(data_augmentation, num_parallel_calls=2)))[0].shape == x.shape
assert not np.array_equal(layers.RandomZoom(0.5)(images), images)
