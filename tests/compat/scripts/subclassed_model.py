"""A subclass of tf.keras.Model whose call connects its layers, trained by fit."""

import numpy as np
import tensorflow as tf


class Net(tf.keras.Model):
    def __init__(self, classes=3):
        super().__init__()
        self.conv = tf.keras.layers.Conv2D(4, 3, activation="relu")
        self.flatten = tf.keras.layers.Flatten()
        self.dense = tf.keras.layers.Dense(classes, activation="softmax")

    def call(self, x):
        x = self.conv(x)
        x = self.flatten(x)
        return self.dense(x)


model = Net()
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
x, y = np.random.rand(12, 8, 8, 1), np.arange(12) % 3
model.fit(x, y, epochs=2, batch_size=4, verbose=0)
assert model.predict(x, verbose=0).shape == (12, 3)
assert model(x[:2]).numpy().shape == (2, 3)
model.save_weights("weights/net.weights.h5")
