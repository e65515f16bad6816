"""A table of pixels: pandas to images, to_categorical of a column, a file of predictions."""

import numpy as np
import pandas as pd
from keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D
from keras.models import Sequential
from keras.optimizers import RMSprop
from keras.utils.np_utils import to_categorical
from sklearn.model_selection import train_test_split

train, test = pd.read_csv("digits/train.csv"), pd.read_csv("digits/test.csv")
Y_train = train["label"]
X_train = train.drop(labels=["label"], axis=1)
X_train, test = X_train / 255.0, test / 255.0
X_train, test = X_train.values.reshape(-1, 28, 28, 1), test.values.reshape(-1, 28, 28, 1)
Y_train = to_categorical(Y_train, num_classes=10)
X_train, X_val, Y_train, Y_val = train_test_split(X_train, Y_train, test_size=0.1, random_state=2)
model = Sequential()
model.add(
    Conv2D(
        filters=4, kernel_size=(5, 5), padding="Same", activation="relu", input_shape=(28, 28, 1)
    )
)
model.add(MaxPool2D(pool_size=(2, 2), strides=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(10, activation="softmax"))
optimizer = RMSprop(lr=0.001, rho=0.9, epsilon=1e-08, decay=0.0)
model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
model.fit(X_train, Y_train, batch_size=16, epochs=1, validation_data=(X_val, Y_val), verbose=2)
results = pd.Series(np.argmax(model.predict(test), axis=1), name="Label")
submission = pd.concat([pd.Series(range(1, len(results) + 1), name="ImageId"), results], axis=1)
submission.to_csv("submission.csv", index=False)
frame = pd.DataFrame(np.random.rand(12, 4))
small = Sequential([Dense(1, input_dim=4)])
small.compile("sgd", "mse")
small.fit(frame, frame[0], verbose=0)
