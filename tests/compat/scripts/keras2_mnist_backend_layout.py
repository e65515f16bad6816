"""backend.image_data_format, losses as functions, Adadelta, keras.utils.to_categorical."""

from __future__ import print_function

import keras
from keras import backend as K
from keras.datasets import mnist
from keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Sequential

rows, columns, classes = 28, 28, 10
(x_train, y_train), (x_test, y_test) = mnist.load_data()
if K.image_data_format() == "channels_first":
    x_train = x_train.reshape(x_train.shape[0], 1, rows, columns)
    x_test = x_test.reshape(x_test.shape[0], 1, rows, columns)
    shape = (1, rows, columns)
else:
    x_train = x_train.reshape(x_train.shape[0], rows, columns, 1)
    x_test = x_test.reshape(x_test.shape[0], rows, columns, 1)
    shape = (rows, columns, 1)
x_train, x_test = x_train.astype("float32") / 255, x_test.astype("float32") / 255
y_train = keras.utils.to_categorical(y_train, classes)
y_test = keras.utils.to_categorical(y_test, classes)
model = Sequential()
model.add(Conv2D(4, kernel_size=(3, 3), activation="relu", input_shape=shape))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(classes, activation="softmax"))
model.compile(
    loss=keras.losses.categorical_crossentropy,
    optimizer=keras.optimizers.Adadelta(),
    metrics=["accuracy"],
)
model.fit(x_train, y_train, batch_size=32, epochs=1, verbose=1, validation_data=(x_test, y_test))
score = model.evaluate(x_test, y_test, verbose=0)
print("Test loss:", score[0], "accuracy:", score[1])
assert len(score) == 2
