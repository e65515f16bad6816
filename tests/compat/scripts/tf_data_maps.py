"""Dataset.map with tf.cast, tf.one_hot, tf.expand_dims and tf.image, filter, zip, enumerate."""

import numpy as np
import tensorflow as tf


def prepare(image, label):
    image = tf.cast(image, tf.float32) / 255.0
    image = tf.expand_dims(image, -1)
    image = tf.image.resize(image, [14, 14])
    return image, tf.one_hot(label, 10)


(x, y), _ = tf.keras.datasets.mnist.load_data()
ds = tf.data.Dataset.from_tensor_slices((x, y))
ds = ds.map(prepare, num_parallel_calls=tf.data.AUTOTUNE).batch(16, drop_remainder=True)
images, labels = next(iter(ds))
assert images.shape == (16, 14, 14, 1) and labels.shape == (16, 10)
assert ds.element_spec[0].shape == (16, 14, 14, 1)
even = tf.data.Dataset.from_tensor_slices(y).filter(lambda label: label % 2 == 0)
assert all(int(label) % 2 == 0 for label in even)
pairs = tf.data.Dataset.zip((tf.data.Dataset.range(3), tf.data.Dataset.range(3, 6)))
assert [(int(a), int(b)) for a, b in pairs] == [(0, 3), (1, 4), (2, 5)]
numbers = np.random.normal(size=(10, 16))
shaped = tf.data.Dataset.from_tensor_slices(numbers).map(lambda row: tf.reshape(row, (4, 4)))
for i, element in enumerate(shaped):
    assert element.shape == (4, 4)
    if i >= 2:
        break
