"""Stateless augmentation with a Counter, tf.random.Generator, make_seeds, random.split."""

import numpy as np
import tensorflow as tf

images, labels = np.random.rand(6, 16, 16, 3).astype("float32"), np.arange(6)
base = tf.data.Dataset.from_tensor_slices((images, labels))


def augment(image_label, seed):
    image, label = image_label
    image = tf.image.resize_with_crop_or_pad(image, 20, 20)
    new_seed = tf.random.split(seed, num=1)[0, :]
    image = tf.image.stateless_random_crop(image, size=[16, 16, 3], seed=seed)
    image = tf.image.stateless_random_brightness(image, max_delta=0.5, seed=new_seed)
    return tf.clip_by_value(image, 0, 1), label


counter = tf.data.experimental.Counter()
pairs = tf.data.Dataset.zip((base, (counter, counter)))
ds = pairs.shuffle(10).map(augment, num_parallel_calls=tf.data.AUTOTUNE).batch(3)
assert [batch.shape for batch, _ in ds] == [(3, 16, 16, 3)] * 2
rng = tf.random.Generator.from_seed(123, alg="philox")


def f(x, y):
    return augment((x, y), rng.make_seeds(1)[:, 0])


assert next(iter(base.map(f).batch(2)))[0].shape == (2, 16, 16, 3)
