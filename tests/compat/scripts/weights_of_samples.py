"""class_weight of scikit-learn, sample_weight, and steps by train_on_batch and test_on_batch."""

import numpy as np
from keras.layers import Dense
from keras.models import Sequential
from sklearn.utils import class_weight

x, y = np.random.rand(40, 4), (np.arange(40) % 4 == 0).astype(int)
weights = class_weight.compute_class_weight("balanced", classes=np.unique(y), y=y)
model = Sequential([Dense(2, input_dim=4, activation="softmax")])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, class_weight={i: weights[i] for i in range(2)}, epochs=1, verbose=0)
model.fit(x, y, class_weight=dict(enumerate(weights)), epochs=1, verbose=0)
model.fit(x, y, sample_weight=np.ones(40), epochs=1, verbose=0)
for start in range(0, 40, 10):
    loss, accuracy = model.train_on_batch(x[start : start + 10], y[start : start + 10])
assert len(model.test_on_batch(x, y)) == 2 and model.metrics_names[0] == "loss"
