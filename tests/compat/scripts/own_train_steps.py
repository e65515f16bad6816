"""Patterns: models with a `train_step` of their own in `fit`, two networks against each other, a
teacher and a student, `compiled_loss`, `compute_loss`, callbacks that hear what a step returns."""

import numpy as np
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers

(x_train, y_train), (x_test, y_test) = keras.datasets.fashion_mnist.load_data()
x_train = np.expand_dims(x_train, -1).astype("float32") / 255
x_test = np.expand_dims(x_test, -1).astype("float32") / 255
tf.random.set_seed(0)


class Plain(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compiled_loss(y, y_pred, regularization_losses=self.losses)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        self.compiled_metrics.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics} | {"loss": loss}


inputs = keras.Input((28, 28, 1))
x = layers.Conv2D(4, 3, strides=2, activation="relu")(inputs)
outputs = layers.Dense(10, activation="softmax")(layers.Flatten()(x))
model = Plain(inputs, outputs)
model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    x_train, y_train, batch_size=32, epochs=5, validation_data=(x_test, y_test), verbose=2
)
assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
assert history.history["loss"][-1] < history.history["loss"][0]

generator = keras.Sequential(
    [keras.Input((8,)), layers.Dense(49), layers.LeakyReLU(alpha=0.2), layers.Reshape((7, 7, 1))]
)
generator.add(layers.Conv2DTranspose(2, 4, strides=2, padding="same", activation="relu"))
generator.add(layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid"))
discriminator = keras.Sequential(
    [keras.Input((28, 28, 1)), layers.Conv2D(4, 3, strides=2), layers.GlobalMaxPooling2D()]
)
discriminator.add(layers.Dense(1))


class Against(keras.Model):
    def __init__(self, discriminator, generator):
        super().__init__()
        self.discriminator, self.generator = discriminator, generator
        self.d_tracker = keras.metrics.Mean(name="d_loss")

    def compile(self, d_optimizer, g_optimizer, loss_fn):
        super().compile()
        self.d_optimizer, self.g_optimizer, self.loss_fn = d_optimizer, g_optimizer, loss_fn

    @property
    def metrics(self):
        return [self.d_tracker]

    def train_step(self, real):
        count = tf.shape(real)[0]
        noise = tf.random.normal(shape=(count, 8))
        mixed = tf.concat([self.generator(noise), real], axis=0)
        labels = tf.concat([tf.ones((count, 1)), tf.zeros((count, 1))], axis=0)
        with tf.GradientTape() as tape:
            d_loss = self.loss_fn(labels, self.discriminator(mixed))
        grads = tape.gradient(d_loss, self.discriminator.trainable_weights)
        self.d_optimizer.apply_gradients(zip(grads, self.discriminator.trainable_weights))
        before = self.discriminator.get_weights()[0]
        with tf.GradientTape() as tape:
            g_loss = self.loss_fn(tf.zeros((count, 1)), self.discriminator(self.generator(noise)))
        grads = tape.gradient(g_loss, self.generator.trainable_weights)
        self.g_optimizer.apply_gradients(zip(grads, self.generator.trainable_weights))
        assert np.array_equal(before, self.discriminator.get_weights()[0])
        self.d_tracker.update_state(d_loss)
        return {"d_loss": self.d_tracker.result(), "g_loss": g_loss}


class Monitor(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        made = self.model.generator(tf.random.normal(shape=(1, 8)))
        made *= 255
        keras.preprocessing.image.array_to_img(made.numpy()[0])
        assert set(logs) == {"d_loss", "g_loss"}


gan = Against(discriminator, generator)
gan.compile(
    d_optimizer=keras.optimizers.Adam(3e-4),
    g_optimizer=keras.optimizers.Adam(3e-4),
    loss_fn=keras.losses.BinaryCrossentropy(from_logits=True),
)
dataset = tf.data.Dataset.from_tensor_slices(x_train).shuffle(96).batch(32)
gan.fit(dataset, epochs=2, callbacks=[Monitor()])


class Student(keras.Model):
    def __init__(self, student, teacher):
        super().__init__()
        self.teacher, self.student = teacher, student

    def train_step(self, data):
        x, y = data
        taught = self.teacher(x, training=False)
        with tf.GradientTape() as tape:
            learnt = self.student(x, training=True)
            loss = self.compute_loss(y=y, y_pred=learnt) + keras.losses.KLDivergence()(
                tf.nn.softmax(taught / 3, axis=1), tf.nn.softmax(learnt / 3, axis=1)
            )
        weights = self.student.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights))
        return {"loss": loss, **self.compute_metrics(x, y, learnt)}

    def test_step(self, data):
        x, y = data
        y_pred = self.student(x, training=False)
        self.compiled_metrics.update_state(y, y_pred)
        return {m.name: m.result() for m in self.metrics}


small = keras.Sequential([keras.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10)])
distiller = Student(small, keras.models.clone_model(small))
distiller.compile(
    keras.optimizers.Adam(0.01),
    keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[keras.metrics.SparseCategoricalAccuracy()],
)
losses = distiller.fit(x_train, y_train, epochs=3).history["loss"]
assert losses[-1] < losses[0]
assert 0 <= distiller.evaluate(x_test, y_test)[-1] <= 1


class Weighted(keras.Model):
    def train_step(self, data):
        x, y, sample_weight = data
        assert sample_weight.shape == (32,) and set(sample_weight.numpy()) <= {1.0, 3.0}
        with tf.GradientTape() as tape:
            loss = self.compute_loss(
                y=y, y_pred=self(x, training=True), sample_weight=sample_weight
            )
        self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
        return {"loss": loss}


inputs = keras.Input((28, 28, 1))
weighted = Weighted(inputs, layers.Dense(10, activation="softmax")(layers.Flatten()(inputs)))
weighted.compile("sgd", "sparse_categorical_crossentropy")
weighted.fit(x_train, y_train, batch_size=32, class_weight={3: 3.0}, verbose=0)
