"""Every operation of ``convkit.ops`` in plain NumPy: slow, obvious, and right.

The signatures are those of ``convkit.ops``; the results are computed in the dtype of the
floating-point inputs, so float64 arrays give float64 results and integers are taken as float64.
Finite differences check this package, and this package checks every compiled kernel. It imports
NumPy alone.

The letters of the shapes: N batch, H and W rows and columns of a plane, C channels, KH and KW the
kernel or window, OH, OW and OC those of the output. Images are NHWC, convolution weights are
``(KH, KW, C // groups, OC)``, dense weights ``(C, OC)``. The gradient of ``y`` is called ``dy``.
"""

from __future__ import annotations

from .activation import (
    elu_backward,
    elu_forward,
    exponential_backward,
    exponential_forward,
    gelu_backward,
    gelu_forward,
    hard_sigmoid_backward,
    hard_sigmoid_forward,
    hard_silu_backward,
    hard_silu_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    log_softmax_backward,
    log_softmax_forward,
    mish_backward,
    mish_forward,
    relu_backward,
    relu_forward,
    selu_backward,
    selu_forward,
    sigmoid_backward,
    sigmoid_forward,
    silu_backward,
    silu_forward,
    softmax_backward,
    softmax_forward,
    softplus_backward,
    softplus_forward,
    softsign_backward,
    softsign_forward,
    tanh_backward,
    tanh_forward,
)
from .batchnorm import (
    batchnorm_apply,
    batchnorm_backward,
    batchnorm_forward,
    batchnorm_inference,
)
from .concatenate import concatenate, concatenate_backward
from .constraint import constrain_norms
from .conv2d import (
    conv2d_backward,
    conv2d_backward_input,
    conv2d_backward_weights,
    conv2d_forward,
    conv2d_output_shape,
)
from .conv2d_batchnorm import (
    conv2d_batchnorm_backward,
    conv2d_batchnorm_forward,
    conv2d_batchnorm_inference,
)
from .conv2d_max_pool2d import conv2d_max_pool2d_backward, conv2d_max_pool2d_forward
from .dense import (
    bias_backward,
    bias_forward,
    bias_relu_backward,
    dense_backward_input,
    dense_backward_weights,
    dense_forward,
)
from .dropout import dropout_backward, dropout_forward
from .gather import gather
from .gaussian_noise import (
    gaussian_dropout_backward,
    gaussian_dropout_forward,
    gaussian_noise_backward,
    gaussian_noise_forward,
)
from .global_pool2d import (
    global_average_pool2d_backward,
    global_average_pool2d_forward,
    global_max_pool2d_backward,
    global_max_pool2d_forward,
)
from .gradient import (
    accumulate,
    clip_by_norm,
    clip_by_value,
    lookahead,
    moving_average,
    sum_of_squares,
)
from .groupnorm import groupnorm_backward, groupnorm_forward
from .layernorm import layernorm_backward, layernorm_forward
from .loss import (
    binary_cross_entropy,
    categorical_focal_cross_entropy,
    count_correct,
    cross_entropy,
    mean_absolute_error,
    mean_squared_error,
    row_loss,
    softmax_cross_entropy,
)
from .merge import (
    add,
    add_backward,
    average,
    maximum,
    maximum_backward,
    minimum,
    multiply,
    multiply_backward,
    subtract,
)
from .normalization import normalization_backward, normalization_forward
from .optimizer import (
    adadelta_update,
    adagrad_update,
    adam_update,
    adamax_update,
    ftrl_update,
    lion_update,
    muon_update,
    nadam_update,
    rmsprop_update,
    sgd_update,
)
from .permute import permute
from .pool2d import (
    average_pool2d_backward,
    average_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
    pool2d_output_shape,
)
from .prelu import prelu_backward_alpha, prelu_backward_input, prelu_forward
from .regularizer import regularize
from .rescaling import rescaling_backward, rescaling_forward
from .spatial_dropout2d import spatial_dropout2d_backward, spatial_dropout2d_forward
from .transform_images import affine_transform, resize, transform_images, uniform
from .upsampling2d import upsampling2d_backward, upsampling2d_forward
from .zero_padding2d import zero_padding2d_backward, zero_padding2d_forward

__all__ = [
    "accumulate",
    "adadelta_update",
    "adagrad_update",
    "adam_update",
    "adamax_update",
    "add",
    "add_backward",
    "affine_transform",
    "average",
    "average_pool2d_backward",
    "average_pool2d_forward",
    "batchnorm_apply",
    "batchnorm_backward",
    "batchnorm_forward",
    "batchnorm_inference",
    "bias_backward",
    "bias_forward",
    "bias_relu_backward",
    "binary_cross_entropy",
    "categorical_focal_cross_entropy",
    "clip_by_norm",
    "clip_by_value",
    "concatenate",
    "concatenate_backward",
    "constrain_norms",
    "conv2d_backward",
    "conv2d_backward_input",
    "conv2d_backward_weights",
    "conv2d_batchnorm_backward",
    "conv2d_batchnorm_forward",
    "conv2d_batchnorm_inference",
    "conv2d_forward",
    "conv2d_max_pool2d_backward",
    "conv2d_max_pool2d_forward",
    "conv2d_output_shape",
    "count_correct",
    "cross_entropy",
    "dense_backward_input",
    "dense_backward_weights",
    "dense_forward",
    "dropout_backward",
    "dropout_forward",
    "elu_backward",
    "elu_forward",
    "exponential_backward",
    "exponential_forward",
    "ftrl_update",
    "gather",
    "gaussian_dropout_backward",
    "gaussian_dropout_forward",
    "gaussian_noise_backward",
    "gaussian_noise_forward",
    "gelu_backward",
    "gelu_forward",
    "global_average_pool2d_backward",
    "global_average_pool2d_forward",
    "global_max_pool2d_backward",
    "global_max_pool2d_forward",
    "groupnorm_backward",
    "groupnorm_forward",
    "hard_sigmoid_backward",
    "hard_sigmoid_forward",
    "hard_silu_backward",
    "hard_silu_forward",
    "layernorm_backward",
    "layernorm_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "lion_update",
    "log_softmax_backward",
    "log_softmax_forward",
    "lookahead",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "maximum",
    "maximum_backward",
    "mean_absolute_error",
    "mean_squared_error",
    "minimum",
    "mish_backward",
    "mish_forward",
    "moving_average",
    "multiply",
    "multiply_backward",
    "muon_update",
    "nadam_update",
    "normalization_backward",
    "normalization_forward",
    "permute",
    "pool2d_output_shape",
    "prelu_backward_alpha",
    "prelu_backward_input",
    "prelu_forward",
    "regularize",
    "relu_backward",
    "relu_forward",
    "rescaling_backward",
    "rescaling_forward",
    "resize",
    "rmsprop_update",
    "row_loss",
    "selu_backward",
    "selu_forward",
    "sgd_update",
    "sigmoid_backward",
    "sigmoid_forward",
    "silu_backward",
    "silu_forward",
    "softmax_backward",
    "softmax_cross_entropy",
    "softmax_forward",
    "softplus_backward",
    "softplus_forward",
    "softsign_backward",
    "softsign_forward",
    "spatial_dropout2d_backward",
    "spatial_dropout2d_forward",
    "subtract",
    "sum_of_squares",
    "tanh_backward",
    "tanh_forward",
    "transform_images",
    "uniform",
    "upsampling2d_backward",
    "upsampling2d_forward",
    "zero_padding2d_backward",
    "zero_padding2d_forward",
]


def __dir__() -> list[str]:
    return __all__
