"""tf.image: flips, crops, brightness, contrast, grayscale, rot90, padding, standardization."""

import numpy as np
import tensorflow as tf

image = tf.constant(np.random.randint(0, 256, (20, 24, 3)), tf.uint8)
grey = tf.image.rgb_to_grayscale(image)
assert tf.squeeze(grey).shape == (20, 24) and grey.dtype == tf.uint8
assert tf.image.grayscale_to_rgb(grey).shape == image.shape
assert np.array_equal(tf.image.flip_left_right(tf.image.flip_left_right(image)), image)
assert np.array_equal(tf.image.flip_up_down(image)[0], image[-1])
assert tf.image.rot90(image).shape == (24, 20, 3)
assert tf.image.central_crop(image, central_fraction=0.5).shape == (10, 12, 3)
assert tf.image.resize_with_crop_or_pad(image, 26, 16).shape == (26, 16, 3)
assert tf.image.random_crop(image, size=[8, 9, 3]).shape == (8, 9, 3)
for change in (
    tf.image.adjust_saturation(image, 3),
    tf.image.adjust_brightness(image, 0.4),
    tf.image.stateless_random_brightness(image, max_delta=0.95, seed=(1, 2)),
    tf.image.stateless_random_contrast(image, lower=0.1, upper=0.9, seed=(3, 0)),
    tf.image.random_hue(image, 0.1),
):
    assert change.shape == image.shape and change.dtype == tf.uint8
standard = tf.image.per_image_standardization(tf.cast(image, tf.float32))
assert abs(float(tf.reduce_mean(standard))) < 1e-4
assert tf.image.resize(image, [10, 12], method="nearest").dtype == tf.uint8
assert tf.image.resize(image / 255, (10, 12)).dtype == tf.float32
