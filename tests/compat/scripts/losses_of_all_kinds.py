"""Losses as strings, functions and objects, with label smoothing and from_logits."""

import numpy as np
import tensorflow as tf
from keras import losses
from keras.losses import categorical_crossentropy

x, y = np.random.rand(12, 4), np.eye(3)[np.arange(12) % 3]
for loss in (
    "categorical_crossentropy",
    categorical_crossentropy,
    losses.CategoricalCrossentropy(),
    tf.keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
    "mse",
    "mean_absolute_error",
    losses.mean_squared_error,
    tf.keras.losses.Huber(),
    "kullback_leibler_divergence",
    tf.losses.BinaryCrossentropy(),
    losses.binary_crossentropy,
    "CategoricalCrossentropy",
):
    model = tf.keras.Sequential([tf.keras.layers.Dense(3, activation="softmax", input_shape=(4,))])
    model.compile("adam", loss, metrics=["accuracy"])
    model.fit(x, y, epochs=1, verbose=0)
value = tf.keras.losses.SparseCategoricalCrossentropy()([0, 1], [[0.9, 0.1], [0.2, 0.8]])
assert 0.1 < float(value) < 0.2
