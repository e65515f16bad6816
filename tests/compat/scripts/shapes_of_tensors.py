"""Shapes of a model's tensors as lists, as TensorFlow's have them."""

import tensorflow as tf
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Conv2D, Dense, Flatten, GlobalAveragePooling2D, Input, Reshape

inputs = Input(shape=(8, 6, 3))
x = Conv2D(4, 3, strides=2, padding="same")(inputs)
assert x.shape.as_list() == [None, 4, 3, 4]
assert x.get_shape().as_list()[1:] == [4, 3, 4]
assert x.shape == (None, 4, 3, 4)
assert x.shape.rank == len(x.shape) == 4
assert K.int_shape(x)[-1] == x.shape[-1] == 4
rows, columns, channels = x.shape.as_list()[1:]
flat = Reshape((rows * columns, channels))(x)
assert tf.shape(flat).as_list() == flat.shape.as_list() == [None, 12, 4]
squeezed = Dense(x.shape.as_list()[-1] // 2)(GlobalAveragePooling2D()(x))
model = tf.keras.Model(inputs, [squeezed, Flatten()(flat)])
assert model.output[0].shape.as_list() == [None, 2]
assert model.layers[1].output.get_shape().as_list() == [None, 4, 3, 4]
