"""layers.experimental.preprocessing: Rescaling, Resizing, CenterCrop, RandomFlip, Normalization."""

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers
from tensorflow.keras.layers.experimental import preprocessing

x = np.random.rand(4, 20, 18, 3).astype("float32") * 255
prepare = tf.keras.Sequential(
    [
        layers.experimental.preprocessing.Resizing(16, 16),
        layers.experimental.preprocessing.Rescaling(1.0 / 255),
    ]
)
result = prepare(x)
assert result.shape == (4, 16, 16, 3) and float(tf.reduce_max(result)) <= 1.0
assert prepare(x[0]).shape == (16, 16, 3)
flip = preprocessing.RandomFlip("horizontal_and_vertical", input_shape=(20, 18, 3))
assert flip(x).shape == x.shape
assert preprocessing.CenterCrop(10, 8)(x).shape == (4, 10, 8, 3)
normal = preprocessing.Normalization(axis=-1)
normal.adapt(x)
assert np.allclose(np.mean(normal(x), axis=(0, 1, 2)), 0, atol=1e-3)
