"""Metrics as functions of arrays with the backend's functions: precision, recall, f1."""

import numpy as np
from keras import backend as K
from keras.layers import Dense
from keras.models import Sequential


def recall_m(y_true, y_pred):
    true_positives = K.sum(K.round(K.clip(y_true * y_pred, 0, 1)))
    possible_positives = K.sum(K.round(K.clip(y_true, 0, 1)))
    return true_positives / (possible_positives + K.epsilon())


def precision_m(y_true, y_pred):
    true_positives = K.sum(K.round(K.clip(y_true * y_pred, 0, 1)))
    predicted_positives = K.sum(K.round(K.clip(y_pred, 0, 1)))
    return true_positives / (predicted_positives + K.epsilon())


def f1_m(y_true, y_pred):
    precision, recall = precision_m(y_true, y_pred), recall_m(y_true, y_pred)
    return 2 * ((precision * recall) / (precision + recall + K.epsilon()))


x, y = np.random.rand(32, 4), (np.arange(32) % 2).astype("float32")
model = Sequential([Dense(1, activation="sigmoid", input_dim=4)])
model.compile(
    loss="binary_crossentropy", optimizer="adam", metrics=["acc", f1_m, precision_m, recall_m]
)
hist = model.fit(x, y, epochs=1, verbose=0, validation_data=(x, y))
assert {"f1_m", "val_recall_m", "acc"} <= set(hist.history)
loss, accuracy, f1, precision, recall = model.evaluate(x, y, verbose=0)
assert 0 <= f1 <= 1
