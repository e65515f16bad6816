"""Precision, Recall, AUC and BinaryAccuracy: in compile, and updated by hand over batches."""

import numpy as np
import tensorflow as tf
from tensorflow.keras.metrics import AUC, BinaryAccuracy, Precision, Recall

x, y = np.random.rand(40, 4), np.arange(40) % 2
model = tf.keras.Sequential([tf.keras.layers.Dense(1, activation="sigmoid", input_shape=(4,))])
model.compile(
    "adam",
    loss=tf.losses.BinaryCrossentropy(),
    metrics=["accuracy", Precision(name="precision"), Recall(), AUC(name="auc")],
)
model.fit(x, y, epochs=1, verbose=0)
assert {"precision", "recall", "auc"} <= set(model.evaluate(x, y, verbose=0, return_dict=True))
pre, re, acc = Precision(), Recall(), BinaryAccuracy()
test = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
for batch in test.as_numpy_iterator():
    X, target = batch
    yhat = model.predict(X, verbose=0)
    pre.update_state(target, yhat)
    re.update_state(target, yhat)
    acc.update_state(target, yhat)
print(pre.result(), re.result(), acc.result())
assert 0 <= float(acc.result()) <= 1
