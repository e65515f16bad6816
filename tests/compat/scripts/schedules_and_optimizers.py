"""Optimizers by name, schedules, gradient clipping, legacy paths, tf.train of TensorFlow 1."""

import numpy as np
import tensorflow as tf
from tensorflow.keras.optimizers.schedules import ExponentialDecay, InverseTimeDecay

x, y = np.random.rand(16, 4), np.random.rand(16, 1)
decay = ExponentialDecay(initial_learning_rate=1e-2, decay_steps=10, decay_rate=0.9)
for optimizer in (
    "sgd",
    "adam",
    "rmsprop",
    "adagrad",
    "adadelta",
    "adamax",
    "nadam",
    tf.keras.optimizers.SGD(learning_rate=decay, momentum=0.9),
    tf.keras.optimizers.Adam(InverseTimeDecay(1e-2, 1, 0.5), clipnorm=1.0),
    tf.keras.optimizers.legacy.Adam(learning_rate=1e-3, amsgrad=True),
    tf.train.AdamOptimizer(1e-3),
    tf.optimizers.RMSprop(learning_rate=1e-4, clipvalue=0.5),
):
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(4,))])
    model.compile(optimizer=optimizer, loss=tf.keras.losses.MeanSquaredError())
    model.fit(x, y, epochs=1, verbose=0)
    assert model.optimizer.learning_rate.numpy() > 0
