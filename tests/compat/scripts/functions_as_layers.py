"""Patterns: Lambda layers of any function (distances of twins, unit vectors, resized images), functions
and operators of `tf` between layers, slices of channels, saved in a checkpoint."""

import numpy as np
import tensorflow as tf
from tensorflow.keras import Input, Model, Sequential, layers
from tensorflow.keras import backend as K
from tensorflow.keras.callbacks import ModelCheckpoint
from tensorflow.keras.models import load_model

np.random.seed(0)
tf.random.set_seed(0)
left, right = np.random.rand(2, 48, 8, 8, 1).astype("float32")
same = (np.arange(48) % 2).astype("float32")
right[same == 1] = left[same == 1] + 0.01


def euclidean_distance(vectors):
    x, y = vectors
    sum_square = K.sum(K.square(x - y), axis=1, keepdims=True)
    return K.sqrt(K.maximum(sum_square, K.epsilon()))


def contrastive_loss(y_true, y_pred):
    y_true = tf.cast(y_true, y_pred.dtype)
    margin = K.square(K.maximum(1 - y_pred, 0))
    return K.mean(y_true * K.square(y_pred) + (1 - y_true) * margin)


network = Sequential([Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten()])
network.add(layers.Dense(8))
network.add(layers.Lambda(lambda t: K.l2_normalize(t, axis=1)))
assert np.allclose(np.linalg.norm(network.predict(left), axis=1), 1, atol=1e-5)
input_a, input_b = Input((8, 8, 1)), Input(shape=(8, 8, 1))
distance = layers.Lambda(euclidean_distance, output_shape=(1,), name="distance")(
    [network(input_a), network(input_b)]
)
twins = Model([input_a, input_b], distance)
twins.compile("adam", contrastive_loss)
losses = twins.fit([left, right], same, epochs=15, verbose=0).history["loss"]
assert losses[-1] < 0.8 * losses[0]
assert twins.get_layer("distance").output_shape == (None, 1)
found = twins.predict([left, right])
assert found[same == 1].mean() < found[same == 0].mean()

model = Sequential()
model.add(layers.Lambda(lambda image: tf.image.resize(image, (4, 4)), input_shape=(8, 8, 1)))
model.add(layers.Conv2D(4, 3, activation="relu", padding="same"))
model.add(layers.Flatten())
model.add(layers.Dense(2))
model.add(layers.Lambda(tf.nn.softmax))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
checkpoint = ModelCheckpoint("best.h5", monitor="loss", save_best_only=True)
model.fit(left, same, epochs=2, callbacks=[checkpoint], verbose=0)
assert load_model("best.h5").predict(left).shape == (48, 2)

inputs = Input((8, 8, 3))
first, rest = inputs[..., :1], inputs[..., 1:]
x = first / (1.0 + tf.abs(rest)) - tf.reduce_mean(inputs, axis=[1, 2], keepdims=True)[..., :2]
x = layers.Flatten()(tf.sqrt(x**2 + 1e-3) * np.linspace(0, 1, 2, dtype="float32"))
outputs = layers.Dense(1)(tf.concat([x, tf.exp(-x)], axis=-1))
model = Model(inputs, outputs)
model.compile("adam", "mse")
images = np.random.rand(32, 8, 8, 3)
losses = model.fit(images, images.mean(axis=(1, 2, 3)), epochs=10, verbose=0).history["loss"]
assert losses[-1] < losses[0]
