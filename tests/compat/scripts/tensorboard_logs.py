"""TensorBoard with the arguments of Keras 2, beside other callbacks."""

import os

import numpy as np
from keras.callbacks import TensorBoard
from keras.layers import Dense
from keras.models import Sequential

x, y = np.random.rand(16, 4), np.random.rand(16, 1)
model = Sequential([Dense(1, input_dim=4)])
model.compile("adam", "mse")
board = TensorBoard(
    log_dir="./logs",
    histogram_freq=0,
    write_graph=True,
    write_images=False,
    embeddings_freq=0,
    embeddings_layer_names=None,
    embeddings_metadata=None,
)
model.fit(x, y, epochs=2, verbose=0, validation_data=(x, y), callbacks=[board])
assert os.path.isdir("logs")

import tensorflow as tf

writer = tf.summary.create_file_writer("logs/loop")
with writer.as_default():
    for step in range(3):
        assert tf.summary.scalar("loss", tf.constant(1.0) / (step + 1), step=step)
    tf.summary.image("first", tf.random.uniform((2, 8, 8, 3)), step=0)
    tf.summary.histogram("weights", model.get_weights()[0], step=tf.Variable(0))
assert os.listdir("logs/loop")
