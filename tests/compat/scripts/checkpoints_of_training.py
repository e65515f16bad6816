"""Patterns: `tf.train.Checkpoint` with its manager, modules with variables, losses without reduction."""

import os

import numpy as np
import tensorflow as tf

tf.random.set_seed(0)
model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3)])
optimizer = tf.keras.optimizers.Adam(0.1)
loss_object = tf.keras.losses.SparseCategoricalCrossentropy(
    from_logits=True, reduction=tf.keras.losses.Reduction.NONE
)
rows, classes = np.eye(4, dtype="float32"), np.array([0, 1, 2, 0])
checkpoint = tf.train.Checkpoint(step=tf.Variable(0), optimizer=optimizer, model=model)
manager = tf.train.CheckpointManager(checkpoint, "training_checkpoints", max_to_keep=2)
assert manager.latest_checkpoint is None
checkpoint.restore(manager.latest_checkpoint)
for _ in range(3):
    with tf.GradientTape() as tape:
        losses = loss_object(classes, model(rows, training=True))
        assert losses.shape == (4,)
        loss = tf.nn.compute_average_loss(losses, global_batch_size=4)
    grads = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(grads, model.trainable_variables))
    checkpoint.step.assign_add(1)
    print(f"Saved checkpoint for step {int(checkpoint.step)}: {manager.save()}")
trained = model.get_weights()
model.set_weights([0 * each for each in trained])
checkpoint.step.assign(0)
checkpoint.restore(tf.train.latest_checkpoint("training_checkpoints")).expect_partial()
assert all(np.array_equal(a, b) for a, b in zip(trained, model.get_weights()))
assert int(checkpoint.step) == 3 and optimizer.iterations == 3
assert len(manager.checkpoints) == 2 and manager.checkpoints[-1].endswith("ckpt-3")
prefix = os.path.join("other", "ckpt")
assert checkpoint.save(file_prefix=prefix) == prefix + "-4"


class Line(tf.Module):
    def __init__(self):
        super().__init__(name="line")
        self.w, self.b = tf.Variable(5.0), tf.Variable(0.0)
        self.seen = tf.Variable(0, trainable=False)

    @tf.function
    def __call__(self, x):
        self.seen.assign_add(1)
        return self.w * x + self.b


line, x = Line(), tf.linspace(-2.0, 2.0, 41)
y = 3.0 * x + 2.0
for _ in range(60):
    with tf.GradientTape() as tape:
        error = tf.reduce_mean(tf.square(y - line(x)))
    dw, db = tape.gradient(error, [line.w, line.b])
    line.w.assign_sub(0.1 * dw)
    line.b.assign_sub(0.1 * db)
assert abs(line.w.numpy() - 3) < 0.01 and abs(line.b.numpy() - 2) < 0.01
assert len(line.variables) == 3 and len(line.trainable_variables) == 2
assert line.seen == 60

numbers = np.arange(20.0)
straight = tf.keras.Sequential([tf.keras.layers.Dense(1)])
straight.compile(loss="mae", optimizer=tf.keras.optimizers.SGD(), metrics=["mae"])
straight.fit(numbers, numbers + 10, epochs=1, verbose=0)
assert straight.predict(numbers, verbose=0).shape == (20, 1)
