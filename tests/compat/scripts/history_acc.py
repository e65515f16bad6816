"""A history that answers to acc and to accuracy, whichever the metric was called."""

import keras
import matplotlib.pyplot as plt
import numpy as np

x, y = np.random.rand(40, 6).astype("float32"), np.random.randint(0, 3, 40)
for metric in ("acc", "accuracy"):
    model = keras.Sequential([keras.layers.Dense(3, activation="softmax", input_shape=(6,))])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=[metric])
    hist = model.fit(x, y, epochs=2, validation_split=0.25, verbose=0)
    assert hist.history["acc"] == hist.history["accuracy"]
    assert hist.history["val_acc"] == hist.history["val_accuracy"]
    assert "val_acc" in hist.history and "val_accuracy" in hist.history
    assert sorted(hist.history) == sorted(["loss", metric, "val_loss", f"val_{metric}"])
    plt.plot(hist.epoch, hist.history["acc"])
    plt.plot(range(len(hist.history["val_acc"])), hist.history["val_acc"])
plt.title("model accuracy")
plt.show()
