"""save and load_model: .h5, a folder of a SavedModel, .keras, in folders to be made; clone_model."""

import os
import pickle

import numpy as np
import tensorflow as tf
from tensorflow.keras.models import clone_model, load_model, save_model

x, y = np.random.rand(20, 4), np.arange(20) % 2
model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="sigmoid", input_shape=(4,))])
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
model.fit(x, y, verbose=0)
for path in ("model.h5", "saved_model/my_model", "export/", os.path.join("models", "one.keras")):
    model.save(path)
    again = tf.keras.models.load_model(path)
    assert np.allclose(again.predict(x, verbose=0), model.predict(x, verbose=0))
    again.fit_generator(iter([(x, y)]), steps_per_epoch=1, verbose=0)
    assert again.optimizer.lr > 0
save_model(model, "other.h5", include_optimizer=False)
assert load_model("other.h5", compile=False).evaluate is not None
copy = clone_model(model)
copy.set_weights(model.get_weights())
assert np.array_equal(copy.predict_classes(x), model.predict_classes(x))
assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(x), model.predict(x))
