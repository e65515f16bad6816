"""tf.keras from top to bottom: tf.random.set_seed, __version__, tf.nn.relu as an activation."""

import random

import numpy as np
import tensorflow as tf
from tensorflow import keras

random.seed(0)
np.random.seed(0)
tf.random.set_seed(0)
print(tf.__version__, keras.__version__)
(x, y), (x_test, y_test) = tf.keras.datasets.fashion_mnist.load_data()
x, x_test = x / 255.0, x_test / 255.0
model = tf.keras.models.Sequential(
    [
        tf.keras.layers.Flatten(input_shape=(28, 28)),
        tf.keras.layers.Dense(16, activation=tf.nn.relu),
        tf.keras.layers.Dense(10, activation=tf.nn.softmax),
    ]
)
model.compile(
    optimizer=tf.keras.optimizers.Adam(),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
)
model.fit(x, y, epochs=1)
test_loss, test_acc = model.evaluate(x_test, y_test, verbose=2)
assert 0 <= test_acc <= 1
