"""layers.core, layers.convolutional, layers.normalization, utils.np_utils, optimizers by name."""

from keras.callbacks import ModelCheckpoint
from keras.datasets import cifar10
from keras.layers.advanced_activations import ELU, LeakyReLU
from keras.layers.convolutional import Conv2D, MaxPooling2D, ZeroPadding2D
from keras.layers.core import Activation, Dense, Dropout, Flatten
from keras.layers.normalization import BatchNormalization
from keras.layers.pooling import GlobalAveragePooling2D
from keras.models import Sequential
from keras.optimizers import SGD, Adam, RMSprop, adam
from keras.utils import np_utils

assert ModelCheckpoint and SGD and RMSprop and adam
(x, y), _ = cifar10.load_data()
y = np_utils.to_categorical(y, 10)
model = Sequential()
model.add(ZeroPadding2D((1, 1), input_shape=(32, 32, 3)))
model.add(Conv2D(4, (3, 3)))
model.add(LeakyReLU(alpha=0.1))
model.add(BatchNormalization(axis=-1))
model.add(MaxPooling2D((2, 2), strides=(2, 2)))
model.add(Conv2D(4, (3, 3)))
model.add(ELU())
model.add(GlobalAveragePooling2D())
model.add(Dropout(0.2))
model.add(Dense(10))
model.add(Activation("softmax"))
model.compile(loss="categorical_crossentropy", optimizer=Adam(lr=1e-3), metrics=["accuracy"])
model.fit(x / 255.0, y, batch_size=32, epochs=1, verbose=2)
assert Flatten
