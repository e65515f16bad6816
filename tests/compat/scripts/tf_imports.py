"""from tensorflow.keras import ..., and the paths of tensorflow.python.keras and compat."""

from tensorflow.keras import Input, Model, Sequential, callbacks, datasets, layers, models, utils
from tensorflow.keras.callbacks import EarlyStopping
from tensorflow.keras.initializers import HeNormal, he_normal
from tensorflow.keras.layers import BatchNormalization, Conv2D, Dense
from tensorflow.keras.models import load_model
from tensorflow.keras.optimizers import Adam
from tensorflow.keras.optimizers.legacy import Adam as Legacy
from tensorflow.keras.regularizers import l1, l2
from tensorflow.keras.utils import to_categorical
from tensorflow.python.keras.layers import Dense as Other
from tensorflow.python.keras.optimizer_v2.adam import Adam as AdamV2

import tensorflow.compat.v1 as tf1
import tensorflow.keras.backend as K
import tensorflow.keras.layers as L

assert Dense == Other == L.Dense == layers.Dense == tf1.keras.layers.Dense
assert Adam is Legacy is AdamV2 and models.Sequential is Sequential
assert isinstance(layers.Dense(1), Dense) and isinstance(Conv2D(1, 1), layers.Layer)
assert utils.to_categorical is to_categorical and K.epsilon() == 1e-7
assert Input and Model and callbacks.EarlyStopping is EarlyStopping and datasets.mnist
assert HeNormal and he_normal and l1 and l2 and load_model and BatchNormalization
