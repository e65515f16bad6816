"""Callbacks of one's own: stop_training by logs.get("acc"), batch hooks, params, model.predict."""

import numpy as np
import tensorflow as tf
from tensorflow import keras


class Stop(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs={}):
        if logs.get("acc") > 0 and logs["val_accuracy"] >= 0:
            print("Reached the accuracy, so cancelling training!")
            self.model.stop_training = True


class Losses(keras.callbacks.Callback):
    def on_train_begin(self, logs={}):
        self.losses, self.epochs = [], self.params["epochs"]

    def on_batch_end(self, batch, logs={}):
        self.losses.append(logs.get("loss"))

    def on_train_end(self, logs=None):
        self.shape = self.model.predict(np.zeros((2, 4)), verbose=0).shape


x, y = np.random.rand(32, 4), np.arange(32) % 2
model = tf.keras.Sequential([tf.keras.layers.Dense(2, activation="softmax", input_shape=[4])])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
losses = Losses()
hist = model.fit(
    x, y, batch_size=8, epochs=9, validation_data=(x, y), verbose=0, callbacks=[losses, Stop()]
)
assert len(losses.losses) % 4 == 0 and losses.epochs == 9 and losses.shape == (2, 2)
assert len(hist.epoch) < 9
printing = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs["loss"]))
model.fit(x, y, epochs=1, verbose=0, callbacks=printing)
model.fit(x, y, verbose=0, callbacks=[keras.callbacks.CSVLogger("log.csv", append=True)])
