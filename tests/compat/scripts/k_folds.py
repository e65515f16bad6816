"""A new model for each fold, clear_session between them, SGD(lr=), scores and their mean."""

import numpy as np
from keras import backend as K
from keras.datasets import mnist
from keras.layers import Conv2D, Dense, Flatten, MaxPooling2D
from keras.models import Sequential
from keras.optimizers import SGD
from keras.utils import to_categorical
from sklearn.model_selection import KFold


def define_model():
    model = Sequential()
    model.add(
        Conv2D(
            4, (3, 3), activation="relu", kernel_initializer="he_uniform", input_shape=(28, 28, 1)
        )
    )
    model.add(MaxPooling2D((2, 2)))
    model.add(Flatten())
    model.add(Dense(10, activation="softmax"))
    opt = SGD(lr=0.01, momentum=0.9)
    model.compile(optimizer=opt, loss="categorical_crossentropy", metrics=["accuracy"])
    return model


(x, y), _ = mnist.load_data()
x, y = x.reshape((x.shape[0], 28, 28, 1)).astype("float32") / 255.0, to_categorical(y)
scores, histories = [], []
for train, test in KFold(2, shuffle=True, random_state=1).split(x):
    K.clear_session()
    model = define_model()
    histories.append(
        model.fit(
            x[train],
            y[train],
            epochs=1,
            batch_size=32,
            validation_data=(x[test], y[test]),
            verbose=0,
        )
    )
    _, acc = model.evaluate(x[test], y[test], verbose=0)
    scores.append(acc)
print("Accuracy: mean=%.3f std=%.3f, n=%d" % (np.mean(scores) * 100, np.std(scores), len(scores)))
assert histories[1].history["val_accuracy"] == [scores[1]] and model.layers[0].name == "conv2d"
