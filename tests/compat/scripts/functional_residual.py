"""A residual network as functions of layers: Add, strides, l2, AveragePooling2D, he_normal."""

import keras
from keras.datasets import cifar10
from keras.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Flatten,
    Input,
)
from keras.models import Model
from keras.optimizers import Adam
from keras.regularizers import l2

(x, y), (x_test, y_test) = cifar10.load_data()
x, x_test = x.astype("float32") / 255, x_test.astype("float32") / 255
x_mean = x.mean(axis=0)
x, x_test = x - x_mean, x_test - x_mean
y, y_test = keras.utils.to_categorical(y, 10), keras.utils.to_categorical(y_test, 10)


def unit(inputs, filters=4, strides=1, activation="relu"):
    z = Conv2D(
        filters,
        kernel_size=3,
        strides=strides,
        padding="same",
        kernel_initializer="he_normal",
        kernel_regularizer=l2(1e-4),
    )(inputs)
    z = BatchNormalization()(z)
    return z if activation is None else Activation(activation)(z)


inputs = Input(shape=x.shape[1:])
z = unit(inputs)
for stack in range(2):
    strides = 2 if stack else 1
    filters = 4 * (stack + 1)
    branch = unit(unit(z, filters, strides), filters, activation=None)
    if stack:
        z = Conv2D(filters, 1, strides=strides, padding="same")(z)
    z = keras.layers.add([z, branch])
    z = Activation("relu")(z)
z = Flatten()(AveragePooling2D(pool_size=8)(z))
model = Model(inputs=inputs, outputs=Dense(10, activation="softmax")(z))
model.compile(loss="categorical_crossentropy", optimizer=Adam(lr=1e-3), metrics=["accuracy"])
model.summary()
model.fit(x, y, batch_size=32, epochs=1, validation_data=(x_test, y_test), shuffle=True, verbose=0)
