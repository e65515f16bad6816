"""tf.add_n, tf.sigmoid, tf.math.tanh, losses as functions of keras.metrics, the logger of tf."""

import logging

import keras
import numpy as np
import tensorflow as tf

tf.get_logger().setLevel(logging.ERROR)
assert tf.get_logger().name == "tensorflow"
assert keras.config.image_data_format() == "channels_last"
numbers = tf.constant([[0.0, 1.0], [2.0, 3.0]])
assert np.allclose(tf.add_n([numbers, numbers, numbers]), 3 * numbers)
assert np.allclose(tf.sigmoid(numbers), 1 / (1 + np.exp(-numbers)))
assert np.allclose(tf.tanh(numbers), np.tanh(numbers)) and tf.math.sigmoid(0.0).numpy() == 0.5

image = keras.Input((8, 8, 1))
branches = [keras.layers.Conv2D(2, size, padding="same")(image) for size in (1, 3, 5)]
hidden = keras.layers.Flatten()(tf.sigmoid(tf.math.add_n(branches)))
model = keras.Model(image, keras.layers.Dense(1, activation="sigmoid")(hidden))
model.compile(
    optimizer="adam",
    loss=keras.losses.binary_crossentropy,
    metrics=[keras.metrics.binary_crossentropy, keras.metrics.mean_squared_error, "mse"],
)
x, y = np.random.rand(20, 8, 8, 1), np.arange(20) % 2
history = model.fit(x, y, epochs=2, verbose=0).history
assert np.allclose(history["loss"], history["binary_crossentropy"], rtol=1e-4)
assert np.all(np.array(history["mean_squared_error"]) < 1)
predicted = model.predict(x)
means = keras.metrics.mean_squared_error(y[:, None].astype("float32"), predicted)
assert np.allclose(np.mean(means), np.mean((y[:, None] - predicted) ** 2), rtol=1e-4)
