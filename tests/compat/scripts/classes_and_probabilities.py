"""predict_classes, predict_proba, evaluate with verbose=0, argmax and a confusion matrix."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from sklearn.metrics import classification_report, confusion_matrix

x, y = np.random.rand(30, 4), np.arange(30) % 3
model = Sequential()
model.add(Dense(3, input_dim=4, activation="softmax"))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=1, verbose=0)
classes = model.predict_classes(x, verbose=0)
assert np.array_equal(classes, model.predict_proba(x).argmax(axis=-1))
assert confusion_matrix(y, classes).sum() == 30
print(classification_report(y, classes, zero_division=0))
binary = Sequential([Dense(1, activation="sigmoid", input_shape=(4,))])
binary.compile("adam", "binary_crossentropy", metrics=["accuracy"])
assert binary.predict_classes(x).shape == (30, 1)
assert set(np.unique(binary.predict_classes(x))) <= {0, 1}
