"""mixed_precision: the policy is noted, and everything is float32."""

import tensorflow as tf
from keras import mixed_precision
from tensorflow.keras.mixed_precision import experimental

mixed_precision.set_global_policy("mixed_float16")
experimental.set_policy(experimental.Policy("mixed_float16"))
tf.keras.backend.set_floatx("float32")
model = tf.keras.Sequential(
    [
        tf.keras.layers.Dense(4, input_shape=(3,)),
        tf.keras.layers.Activation("softmax", dtype="float32"),
    ]
)
opt = mixed_precision.LossScaleOptimizer(tf.keras.optimizers.Adam(1e-3))
model.compile(opt, "mse")
assert model.predict(tf.zeros((2, 3)), verbose=0).dtype == "float32"
