"""from_generator with types, TensorSpec, as_numpy_iterator, unbatch, concatenate, reduce."""

import numpy as np
import tensorflow as tf


def samples():
    for i in range(12):
        yield np.full((4, 4, 1), i, np.float32), i % 2


ds = tf.data.Dataset.from_generator(samples, (tf.float32, tf.int64), ((4, 4, 1), ()))
batch, labels = next(iter(ds.batch(5)))
assert batch.shape == (5, 4, 4, 1) and labels.numpy().tolist() == [0, 1, 0, 1, 0]
spec = (tf.TensorSpec((4, 4, 1), tf.float32), tf.TensorSpec((), tf.int32))
ds = tf.data.Dataset.from_generator(samples, output_signature=spec)
model = tf.keras.Sequential(
    [tf.keras.layers.Flatten(input_shape=(4, 4, 1)), tf.keras.layers.Dense(1, activation="sigmoid")]
)
model.compile("adam", "binary_crossentropy")
model.fit(ds.batch(4), epochs=2, verbose=0)
iterator = ds.batch(3).as_numpy_iterator()
assert iterator.next()[0].shape == (3, 4, 4, 1)
both = ds.concatenate(ds.batch(3).unbatch())
assert sum(1 for _ in both) == 24
assert int(tf.data.Dataset.range(5).reduce(0, lambda total, each: total + each)) == 10
