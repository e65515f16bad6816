"""Patterns: a generator that is told a class (Embedding of labels), a discriminator with two outputs, one
frozen inside another model, `train_on_batch` in a loop; products of vectors by Dot."""

import numpy as np
from keras.layers import (
    Concatenate,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Dot,
    Dropout,
    Embedding,
    Flatten,
    Input,
    LeakyReLU,
    Reshape,
    multiply,
)
from keras.models import Model, Sequential
from keras.optimizers import Adam

np.random.seed(0)
images = np.random.rand(64, 8, 8, 1).astype("float32")
labels = np.random.randint(0, 5, (64, 1))


def build_generator():
    model = Sequential()
    model.add(Dense(2 * 2 * 8, activation="relu", input_dim=6))
    model.add(Reshape((2, 2, 8)))
    model.add(Conv2DTranspose(8, 4, strides=2, padding="same"))
    model.add(LeakyReLU(alpha=0.2))
    model.add(Conv2DTranspose(1, 4, strides=2, padding="same", activation="tanh"))
    noise, label = Input(shape=(6,)), Input(shape=(1,), dtype="int32")
    label_embedding = Flatten()(Embedding(5, 6)(label))
    return Model([noise, label], model(multiply([noise, label_embedding])))


def build_discriminator():
    image = Input(shape=(8, 8, 1))
    x = LeakyReLU(alpha=0.2)(Conv2D(4, 3, strides=2, padding="same")(image))
    x = Flatten()(Dropout(0.25)(x))
    return Model(image, [Dense(1, activation="sigmoid")(x), Dense(5, activation="softmax")(x)])


losses = ["binary_crossentropy", "sparse_categorical_crossentropy"]
discriminator = build_discriminator()
discriminator.compile(loss=losses, optimizer=Adam(0.0002, 0.5), metrics=["accuracy"])
generator = build_generator()
noise, label = Input(shape=(6,)), Input(shape=(1,))
discriminator.trainable = False
valid, target = discriminator(generator([noise, label]))
combined = Model([noise, label], [valid, target])
combined.compile(loss=losses, optimizer=Adam(0.0002, 0.5))
before = [each.copy() for each in generator.get_weights()]
judged = [each.copy() for each in discriminator.get_weights()]
for epoch in range(3):
    index = np.random.randint(0, 64, 16)
    z = np.random.normal(0, 1, (16, 6))
    sampled = np.random.randint(0, 5, (16, 1))
    made = generator.predict([z, sampled], verbose=0)
    d_real = discriminator.train_on_batch(images[index], [np.ones((16, 1)), labels[index]])
    d_fake = discriminator.train_on_batch(made, [np.zeros((16, 1)), sampled])
    kept = discriminator.get_weights()
    d_loss = 0.5 * np.add(d_real, d_fake)
    g_loss = combined.train_on_batch([z, sampled], [np.ones((16, 1)), sampled])
    assert np.isfinite(d_loss).all() and np.isfinite(g_loss).all()
    assert all((a == b).all() for a, b in zip(kept, discriminator.get_weights()))
assert all((a != b).any() for a, b in zip(before, generator.get_weights()))
assert all((a != b).any() for a, b in zip(judged, discriminator.get_weights()))
shared = Adam(0.01)  # by models that are trained one after the other
for fold in range(2):
    model = Sequential([Flatten(input_shape=(8, 8, 1)), Dense(5, activation="softmax")])
    model.compile(optimizer=shared, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(images, labels, epochs=1, verbose=0)
    assert model.optimizer.iterations == 2
several = Model(image := Input((8, 8, 1)), [Dense(1)(Flatten()(image)), Dense(1)(Flatten()(image))])
several.compile("sgd", "mse", metrics=["mae"])
assert len(several.train_on_batch(images, [labels, labels])) == 5

first, second = Input((4,)), Input((4,))
cosine = Dot(axes=1, normalize=True)([Dense(3)(first), Dense(3)(second)])
near = Model([first, second], Dense(1)(Concatenate()([cosine, first])))
near.compile("adam", "mse")
rows = np.random.rand(2, 20, 4)
assert np.isfinite(near.fit([*rows], rows[0, :, 0], verbose=0).history["loss"][0])
