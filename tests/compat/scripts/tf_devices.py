"""list_physical_devices, memory growth, threads, strategies, is_gpu_available, device_lib."""

import tensorflow as tf
from tensorflow.python.client import device_lib

gpus = tf.config.list_physical_devices("GPU")
gpus += tf.config.experimental.list_physical_devices("GPU")
for gpu in gpus:
    tf.config.experimental.set_memory_growth(gpu, True)
print("Num GPUs Available:", len(gpus), device_lib.list_local_devices())
assert not gpus and not tf.test.is_gpu_available() and tf.test.gpu_device_name() == ""
assert not tf.config.list_logical_devices("GPU") and not tf.test.is_built_with_cuda()
before = tf.config.threading.get_intra_op_parallelism_threads()
tf.config.threading.set_intra_op_parallelism_threads(1)
assert tf.config.threading.get_intra_op_parallelism_threads() == 1
tf.config.threading.set_intra_op_parallelism_threads(before)
tf.config.threading.set_inter_op_parallelism_threads(2)
try:
    strategy = tf.distribute.TPUStrategy(tf.distribute.cluster_resolver.TPUClusterResolver())
except ValueError:
    strategy = tf.distribute.MirroredStrategy()
print("REPLICAS:", strategy.num_replicas_in_sync)
with strategy.scope():
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(3,))])
    model.compile("adam", "mse", run_eagerly=False, jit_compile=True, steps_per_execution=1)
model.fit(tf.ones((8, 3)), tf.zeros((8, 1)), verbose=0)
tf.config.run_functions_eagerly(True)
