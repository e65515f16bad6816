"""ConfigProto, GPUOptions, Session, set_session, set_random_seed, disable_eager_execution."""

import keras.backend as K
import tensorflow as tf
from keras.backend.tensorflow_backend import set_session

config = tf.ConfigProto(gpu_options=tf.GPUOptions(per_process_gpu_memory_fraction=0.3))
config.gpu_options.allow_growth = True
config.log_device_placement = False
sess = tf.Session(config=config)
set_session(sess)
tf.set_random_seed(7)
if "tensorflow" == K.backend():
    tf.compat.v1.disable_eager_execution()
    tf.compat.v1.keras.backend.set_session(tf.compat.v1.Session(graph=tf.get_default_graph()))
tf.logging.set_verbosity(tf.logging.ERROR)
tf.compat.v1.logging.set_verbosity(tf.compat.v1.logging.ERROR)
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    assert session.run(tf.constant(2) + tf.constant(3)) == 5
with tf.device("/gpu:0"), tf.name_scope("block"):
    assert tf.reduce_sum(tf.ones((2, 3))).eval() == 6
K.clear_session()
