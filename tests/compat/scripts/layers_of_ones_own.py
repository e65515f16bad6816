"""Patterns: layers with `add_weight` and `call`, a sampling layer with random numbers, a variational
autoencoder trained by its `train_step`."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

tf.random.set_seed(0)
rows = np.random.default_rng(0).random((60, 6)).astype("float32")
classes = rows.argmax(axis=1) % 3


class Linear(keras.layers.Layer):
    def __init__(self, units=32, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, input_shape):
        self.w = self.add_weight(
            shape=(input_shape[-1], self.units), initializer="random_normal", trainable=True
        )
        self.b = self.add_weight(shape=(self.units,), initializer="zeros", trainable=True)

    def call(self, inputs):
        return tf.matmul(inputs, self.w) + self.b


class Projected(layers.Layer):
    def build(self, input_shape):
        self.kernel = self.add_weight("kernel", (input_shape[-1], 3))
        super().build(input_shape)

    def call(self, inputs):
        return tf.matmul(inputs, self.kernel)


inputs = keras.Input((6,))
model = keras.Model(inputs, layers.Softmax()(Projected()(inputs)))
assert len(model.trainable_weights) == 1
before = model.get_weights()[0].copy()
model.compile("sgd", "sparse_categorical_crossentropy")
model.fit(rows, classes, epochs=1, verbose=0)
assert (model.get_weights()[0] != before).any()


class Scale(layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight("scale", (input_shape[-1],), initializer="ones")
        super().build(input_shape)

    def call(self, inputs, training=None):
        return inputs * self.scale if training else inputs * self.scale * 1.0


class Block(layers.Layer):
    def __init__(self, units):
        super().__init__()
        self.dense, self.norm = layers.Dense(units), layers.BatchNormalization()

    def call(self, inputs, training=None):
        return tf.nn.relu(self.norm(self.dense(inputs), training=training)) + inputs


model = keras.Sequential([keras.Input((6,)), Linear(8), layers.ReLU(), Scale(), Block(8)])
model.add(layers.Dense(3, activation="softmax"))
assert model.layers[0].output_shape == (None, 8)
assert len(model.trainable_weights) == 2 + 1 + 4 + 2
before = model.get_weights()
model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"])
losses = model.fit(rows, classes, epochs=30, verbose=0).history["loss"]
assert losses[-1] < 0.7 * losses[0]
assert all((old != new).any() for old, new in zip(before, model.get_weights()))
assert Linear(4)(rows).shape == (60, 4)


class Sampler(layers.Layer):
    def call(self, z_mean, z_log_var):
        return z_mean + tf.exp(0.5 * z_log_var) * tf.random.normal(tf.shape(z_mean))


assert Sampler()(tf.zeros((4, 2)), tf.zeros((4, 2))).shape == (4, 2)
pair = keras.Input((2,)), keras.Input((2,))
assert keras.Model(pair, Sampler()(*pair)).output_shape == (None, 2)


class Sampling(layers.Layer):
    def call(self, inputs):
        z_mean, z_log_var = inputs
        epsilon = tf.random.normal(shape=(tf.shape(z_mean)[0], tf.shape(z_mean)[1]))
        return z_mean + tf.exp(0.5 * z_log_var) * epsilon


encoder_inputs = keras.Input(shape=(6,))
x = layers.Dense(8, activation="relu")(encoder_inputs)
z_mean, z_log_var = layers.Dense(2, name="z_mean")(x), layers.Dense(2, name="z_log_var")(x)
encoder = keras.Model(encoder_inputs, [z_mean, z_log_var, Sampling()([z_mean, z_log_var])])
decoder = keras.Sequential([keras.Input((2,)), layers.Dense(6, activation="sigmoid")])


class Autoencoder(keras.Model):
    def __init__(self, encoder, decoder, **kwargs):
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.loss_tracker = keras.metrics.Mean(name="loss")

    @property
    def metrics(self):
        return [self.loss_tracker]

    def train_step(self, data):
        with tf.GradientTape() as tape:
            mean, log_var, z = self.encoder(data)
            made = self.decoder(z)
            loss = tf.reduce_mean(6 * keras.losses.binary_crossentropy(data, made))
            divergence = -0.5 * (1 + log_var - tf.square(mean) - tf.exp(log_var))
            loss += 0.1 * tf.reduce_mean(tf.reduce_sum(divergence, axis=1))
        grads = tape.gradient(loss, self.trainable_weights)
        assert all(np.any(each) for each in grads[:2])
        self.optimizer.apply_gradients(zip(grads, self.trainable_weights))
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}


vae = Autoencoder(encoder, decoder)
vae.compile(optimizer=keras.optimizers.Adam(0.02))
losses = vae.fit(rows, epochs=10, batch_size=20, verbose=0).history["loss"]
assert losses[-1] < losses[0]
assert vae.encoder.predict(rows)[0].shape == (60, 2)
assert vae.decoder.predict(np.zeros((1, 2))).shape == (1, 6)
