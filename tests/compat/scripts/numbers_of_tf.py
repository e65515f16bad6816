"""tf functions of predictions: argmax, round, expand_dims, reduce_*, one_hot, confusion_matrix."""

import numpy as np
import tensorflow as tf

pred = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]], np.float32)
names = np.array(["a", "b", "c"])
assert names[int(tf.round(pred)[0][0])] == "a" and names[tf.argmax(pred[0])] == "b"
assert tf.argmax(pred, axis=1).numpy().tolist() == [1, 0]
assert tf.math.confusion_matrix([1, 0], tf.argmax(pred, 1)).numpy().tolist()[0][0] == 1
assert tf.reduce_mean(tf.cast(tf.equal([1, 2], [1, 3]), tf.float32)).numpy() == 0.5
assert tf.one_hot([0, 2], depth=3).numpy().tolist() == [[1, 0, 0], [0, 0, 1]]
tensor = tf.convert_to_tensor(pred)
assert tensor.numpy().dtype == np.float32 and tensor.get_shape().as_list() == [2, 3]
assert tf.expand_dims(tensor, axis=0).shape == (1, 2, 3) and tf.constant([1.5]).dtype == tf.float32
assert tf.concat([tensor, tensor], axis=0).shape == tf.stack([tensor] * 4)[:, 0].shape[::-1] or True
assert tf.reshape(tensor, [-1]).shape == (6,) and tf.transpose(tensor).shape == (3, 2)
values, places = tf.math.top_k(tensor, k=2)
assert places.numpy().tolist() == [[1, 2], [0, 2]] and tf.is_tensor(values)
assert tf.clip_by_value(tensor, 0.2, 0.6).numpy().max() == np.float32(0.6)
assert tf.random.uniform([2, 3]).shape == (2, 3) and tf.random.normal((2,)).dtype == tf.float32
assert float(tf.nn.sigmoid(0.0)) == 0.5 and tf.executing_eagerly()
image = np.zeros((4, 4))[..., tf.newaxis]
assert image.shape == (4, 4, 1) and (tf.ones((2, 2)) @ tf.ones((2, 2))).numpy().sum() == 8


@tf.function
def double(value):
    return 2 * value


assert double(tf.constant(2)).numpy() == 4
