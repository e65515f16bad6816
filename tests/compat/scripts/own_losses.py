"""Losses as functions and classes of a script's own: dice, focal, weighted, and sums of several."""

import warnings

import numpy as np
import tensorflow as tf
from tensorflow.keras import backend as K
from tensorflow.keras.layers import Conv2D, Dense
from tensorflow.keras.losses import binary_crossentropy
from tensorflow.keras.models import Sequential, load_model


np.random.seed(0)
tf.random.set_seed(0)


def dice_coef(y_true, y_pred, smooth=1.0):
    y_true_f, y_pred_f = K.flatten(y_true), K.flatten(y_pred)
    intersection = K.sum(y_true_f * y_pred_f)
    return (2.0 * intersection + smooth) / (K.sum(y_true_f) + K.sum(y_pred_f) + smooth)


def dice_loss(y_true, y_pred):
    return 1 - dice_coef(y_true, y_pred)


def bce_dice_loss(y_true, y_pred):
    return binary_crossentropy(y_true, y_pred) + dice_loss(y_true, y_pred)


def focal_loss(gamma=2.0, alpha=0.25):
    def focal_loss_fixed(y_true, y_pred):
        pt_1 = tf.where(tf.equal(y_true, 1), y_pred, tf.ones_like(y_pred))
        pt_0 = tf.where(tf.equal(y_true, 0), y_pred, tf.zeros_like(y_pred))
        return -K.mean(alpha * K.pow(1.0 - pt_1, gamma) * K.log(pt_1 + K.epsilon())) - K.mean(
            (1 - alpha) * K.pow(pt_0, gamma) * K.log(1.0 - pt_0 + K.epsilon())
        )

    return focal_loss_fixed


class Tversky(tf.keras.losses.Loss):
    def __init__(self, beta=0.7):
        super().__init__(name="tversky")
        self.beta = beta

    def call(self, y_true, y_pred):
        axes = [1, 2, 3]
        both = tf.reduce_sum(y_true * y_pred, axis=axes)
        missed = tf.reduce_sum(y_true * (1 - y_pred), axis=axes)
        added = tf.reduce_sum((1 - y_true) * y_pred, axis=axes)
        return 1 - (both + 1) / (both + self.beta * missed + (1 - self.beta) * added + 1)


images = np.random.rand(8, 8, 8, 1).astype("float32")
masks = (images > 0.5).astype("float32")
for loss in (dice_loss, bce_dice_loss, focal_loss(), Tversky(), [dice_loss]):
    model = Sequential([Conv2D(4, 3, padding="same", activation="relu", input_shape=(8, 8, 1))])
    model.add(Conv2D(1, 1, activation="sigmoid"))
    model.compile(tf.keras.optimizers.Adam(0.02), loss=loss, metrics=[dice_coef, "accuracy"])
    losses = model.fit(images, masks, epochs=40, batch_size=4, verbose=0).history["loss"]
    assert losses[-1] < 0.95 * losses[0], loss
    evaluated = model.evaluate(images, masks, verbose=0)[0]
warnings.filterwarnings("ignore", message=".*compile it again after loading")
model.save("segmentation.h5")
tf.keras.losses.dice_loss = dice_loss
again = load_model("segmentation.h5", custom_objects={"dice_loss": dice_loss}, compile=False)
assert np.allclose(again.predict(images), model.predict(images), atol=1e-6)


def weighted_categorical_crossentropy(weights):
    weights = K.variable(weights)

    def loss(y_true, y_pred):
        y_pred /= K.sum(y_pred, axis=-1, keepdims=True)
        y_pred = K.clip(y_pred, K.epsilon(), 1 - K.epsilon())
        return -K.sum(y_true * K.log(y_pred) * weights, -1)

    return loss


def distance(y_true, y_pred):
    if not K.is_tensor(y_pred):
        y_pred = K.constant(y_pred)
    y_true = K.cast(y_true, y_pred.dtype)
    return K.sqrt(K.maximum(K.sum(K.square(y_pred - y_true), axis=-1, keepdims=True), 1e-9))


x, y = np.random.rand(40, 6), np.eye(3)[np.arange(40) % 3]
for loss in (
    weighted_categorical_crossentropy([1.0, 2.0, 0.5]),
    distance,
    lambda t, p: tf.reduce_mean(tf.abs(t - p) + 0.5 * tf.nn.softmax(p) ** 2, axis=-1),
    lambda t, p: K.categorical_crossentropy(t, p) + 0.1 * tf.keras.losses.Huber()(t, p),
):
    model = Sequential([Dense(3, activation="softmax", input_dim=6)])
    model.compile(loss=loss, optimizer="sgd")
    assert np.isfinite(model.fit(x, y, epochs=1, verbose=0).history["loss"][0])

judge = Sequential([Dense(1, activation="sigmoid", input_dim=6)])
judge.compile("adam", "binary_crossentropy", metrics=["accuracy"])
noisy = np.ones((40, 1)) + 0.3 * (np.random.rand(40, 1) - 0.5)
assert np.isfinite(judge.train_on_batch(x, noisy)[0])
