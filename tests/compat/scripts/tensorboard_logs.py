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
