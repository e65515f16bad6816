"""Patterns: a training loop under `tf.GradientTape`, `@tf.function`, metrics that are called, penalties
in the loss, clipped gradients, a learning rate that is read."""

import tensorflow as tf
from tensorflow.keras import layers

(x_train, y_train), (x_test, y_test) = tf.keras.datasets.mnist.load_data()
x_train, x_test = x_train[..., tf.newaxis] / 255.0, x_test[..., tf.newaxis] / 255.0
train_ds = tf.data.Dataset.from_tensor_slices((x_train.astype("float32"), y_train))
train_ds = train_ds.shuffle(96).batch(32)
test_ds = tf.data.Dataset.from_tensor_slices((x_test.astype("float32"), y_test)).batch(32)


class Digits(tf.keras.Model):
    def __init__(self):
        super().__init__()
        self.conv1 = layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2")
        self.flatten = layers.Flatten()
        self.drop = layers.Dropout(0.2)
        self.d1 = layers.Dense(10)

    def call(self, x, training=False):
        return self.d1(self.drop(self.flatten(self.conv1(x)), training=training))


model = Digits()
loss_object = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = tf.keras.optimizers.Adam(0.01)
train_loss = tf.keras.metrics.Mean(name="train_loss")
train_accuracy = tf.keras.metrics.SparseCategoricalAccuracy(name="train_accuracy")
test_accuracy = tf.keras.metrics.SparseCategoricalAccuracy(name="test_accuracy")
step = tf.Variable(0, trainable=False)


@tf.function
def train_step(images, labels):
    with tf.GradientTape() as tape:
        predictions = model(images, training=True)
        loss = loss_object(labels, predictions)
        loss += tf.add_n(model.losses) + 1e-4 * tf.nn.l2_loss(model.trainable_weights[-2])
    gradients = tape.gradient(loss, model.trainable_variables)
    gradients, norm = tf.clip_by_global_norm(gradients, 5.0)
    assert norm > 0
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    step.assign_add(1)
    train_loss(loss)
    train_accuracy(labels, predictions)
    return loss


@tf.function
def test_step(images, labels):
    test_accuracy.update_state(labels, model(images, training=False))


first = None
for epoch in range(8):
    train_loss.reset_states()
    train_accuracy.reset_states()
    for images, labels in train_ds:
        loss = train_step(images, labels)
        first = float(loss) if first is None else first
    for test_images, test_labels in test_ds:
        test_step(test_images, test_labels)
    print(
        f"Epoch {epoch + 1}, Loss: {train_loss.result():.3f}, "
        f"Accuracy: {train_accuracy.result() * 100:.1f}, "
        f"Test Accuracy: {test_accuracy.result() * 100}, {loss.numpy():.3f}"
    )
assert train_loss.result().numpy() < first
assert int(step) == 24 and step.numpy() == 24
assert str(loss) == str(loss.numpy()) and f"{loss}" == f"{loss.numpy()}"
assert (
    optimizer.iterations == optimizer.iterations.numpy() == 24
    and optimizer.learning_rate.numpy() > 0
)
