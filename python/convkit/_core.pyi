"""The native module. Shapes and meanings are those of convkit.ops, which is its only user."""

import enum
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float32]
_Pair = Sequence[int]
_Pads = Sequence[int]
_T = TypeVar("_T")
_Number = npt.NDArray[np.uint64]  # of shape (1,)

class Activation(enum.Enum):
    relu = 0
    sigmoid = 1
    tanh = 2
    gelu = 3
    gelu_tanh = 4
    leaky_relu = 5
    elu = 6
    bounded_relu = 7
    silu = 8
    selu = 9
    softplus = 10
    softsign = 11
    hard_sigmoid = 12
    hard_silu = 13
    exponential = 14
    mish = 15

_Epilogue = tuple[Activation, float, float, float] | None

class Merge(enum.Enum):
    add = 0
    subtract = 1
    multiply = 2
    maximum = 3
    minimum = 4

class Reduction(enum.Enum):
    sum_over_batch_size = 0
    sum = 1
    mean_with_sample_weight = 2

class RowLoss(enum.Enum):
    squared_error = 0
    absolute_error = 1
    absolute_percentage_error = 2
    squared_logarithmic_error = 3
    huber = 4
    log_cosh = 5
    hinge = 6
    squared_hinge = 7
    poisson = 8
    binary_cross_entropy = 9
    binary_focal_cross_entropy = 10
    kl_divergence = 11
    cosine_similarity = 12
    categorical_hinge = 13

class Calls:
    """The native calls that a thread makes while `capture` calls a function, to be replayed.

    They hold the arrays that they read and write. There are none after an error, where `refuse`
    was called, or where code from outside convkit, such as a signal's handler, made a call between
    them. `replay` makes them again as one operation, unchecked.
    """

    def capture(self, function: Callable[..., _T], keep_weights: bool, *arguments: Any) -> _T: ...
    @staticmethod
    def refuse() -> None: ...
    def replay(self) -> None: ...
    def __len__(self) -> int: ...

def on_ranks(
    exchange: object,
    rank: int,
    count: int,
    samples: int,
    exact: bool,
    function: object,
    *arguments: object,
) -> object:
    """What the function returns; its native calls are about a batch that processes share."""

def as_one_operation(function: object, *arguments: object) -> object:
    """What the function returns; its native calls all use the settings of now."""

class ModelLock:
    """A lock for the readers and writers of a model, and for the one thread that trains it.

    Each method returns function(*arguments, **options). Threads wait in the order in which they
    came. A thread that writes may enter again; one that reads may only read again.
    """

    def __init__(self, name: str) -> None: ...
    def read(self, function: Callable[..., _T], *arguments: Any, **options: Any) -> _T: ...
    def write(self, function: Callable[..., _T], *arguments: Any, **options: Any) -> _T: ...
    def train(self, function: Callable[..., _T], *arguments: Any, **options: Any) -> _T: ...
    def acquire(self, blocking: bool = True, timeout: float = -1.0) -> bool: ...
    def release(self) -> None: ...
    @property
    def is_training(self) -> bool: ...

def available_isas() -> list[str]: ...
def isa() -> str: ...
def select_isa(name: str) -> None: ...
def num_threads() -> int: ...
def bound_processors() -> int: ...
def set_num_threads(n: int) -> None: ...
def start_trace(one_thread: bool) -> None: ...
def trace_step(step: int) -> None: ...
def stop_trace() -> bytes: ...
def multiply_add_peak(rounds: int) -> float: ...
def read_small_files(
    paths: npt.NDArray[np.uint8], largest: int, sizes: npt.NDArray[np.int64]
) -> bytes: ...
def conv2d_forward(
    x: _Floats,
    w: _Floats,
    b: _Floats | None,
    strides: _Pair,
    pads: _Pads,
    dilation: _Pair,
    groups: int,
    direct: bool,
    activation: _Epilogue,
    z: _Floats | None,
    out: _Floats,
) -> None: ...
def conv2d_backward_input(
    dy: _Floats,
    w: _Floats,
    strides: _Pair,
    pads: _Pads,
    dilation: _Pair,
    groups: int,
    direct: bool,
    out: _Floats,
) -> None: ...
def conv2d_backward_weights(
    x: _Floats,
    dy: _Floats,
    strides: _Pair,
    pads: _Pads,
    dilation: _Pair,
    groups: int,
    direct: bool,
    out: _Floats,
) -> None: ...
def conv2d_backward(
    x: _Floats,
    w: _Floats,
    dy: _Floats,
    y: _Floats | None,
    activation: _Epilogue,
    strides: _Pair,
    pads: _Pads,
    dilation: _Pair,
    groups: int,
    direct: bool,
    add_to_dx: bool,
    dx: _Floats | None,
    dw: _Floats | None,
    db: _Floats | None,
) -> None: ...
def conv2d_algorithm(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    strides: _Pair,
    pads: _Pads,
    dilation: _Pair,
    groups: int,
    direct: bool,
    direction: str,
) -> str: ...
def conv2d_batchnorm_forward(
    x: _Floats,
    w: _Floats,
    b: _Floats | None,
    gamma: _Floats,
    beta: _Floats,
    moving_mean: _Floats,
    moving_variance: _Floats,
    strides: _Pair,
    pads: _Pads,
    dilation: _Pair,
    groups: int,
    direct: bool,
    momentum: float,
    epsilon: float,
    residual: _Floats | None,
    activation: _Epilogue,
    z: _Floats,
    mean: _Floats,
    rstd: _Floats,
    out: _Floats,
    indices: npt.NDArray[np.uint8] | None,
) -> None: ...
def conv2d_batchnorm_inference(
    x: _Floats,
    w: _Floats,
    b: _Floats | None,
    gamma: _Floats,
    beta: _Floats,
    moving_mean: _Floats,
    moving_variance: _Floats,
    strides: _Pair,
    pads: _Pads,
    dilation: _Pair,
    groups: int,
    direct: bool,
    epsilon: float,
    residual: _Floats | None,
    activation: _Epilogue,
    out: _Floats,
    indices: npt.NDArray[np.uint8] | None,
) -> None: ...
def conv2d_batchnorm_backward(
    x: _Floats,
    w: _Floats,
    z: _Floats,
    gamma: _Floats,
    beta: _Floats,
    mean: _Floats,
    rstd: _Floats,
    dy: _Floats,
    y: _Floats | None,
    indices: npt.NDArray[np.uint8] | None,
    strides: _Pair,
    pads: _Pads,
    dilation: _Pair,
    groups: int,
    direct: bool,
    activation: _Epilogue,
    dresidual: _Floats | None,
    add_to_dx: bool,
    dx: _Floats | None,
    dw: _Floats | None,
    db: _Floats | None,
    dgamma: _Floats,
    dbeta: _Floats,
) -> None: ...
def conv2d_max_pool2d_forward(
    x: _Floats,
    w: _Floats,
    b: _Floats | None,
    strides: _Pair,
    pads: _Pads,
    dilation: _Pair,
    groups: int,
    direct: bool,
    relu: bool,
    out: _Floats,
    indices: npt.NDArray[np.uint8],
) -> None: ...
def conv2d_max_pool2d_backward(
    x: _Floats,
    w: _Floats,
    y: _Floats,
    indices: npt.NDArray[np.uint8],
    dy: _Floats,
    strides: _Pair,
    pads: _Pads,
    dilation: _Pair,
    groups: int,
    direct: bool,
    relu: bool,
    dx: _Floats | None,
    dw: _Floats | None,
    db: _Floats | None,
) -> None: ...
def set_conv2d_direct(only: bool) -> None: ...
def conv2d_direct() -> bool: ...
def dense_forward(
    x: _Floats,
    w: _Floats,
    b: _Floats | None,
    activation: _Epilogue,
    z: _Floats | None,
    out: _Floats,
) -> None: ...
def dense_backward_input(dy: _Floats, w: _Floats, out: _Floats) -> None: ...
def dense_backward_weights(x: _Floats, dy: _Floats, out: _Floats) -> None: ...
def bias_forward(x: _Floats, b: _Floats | None, relu: bool, out: _Floats) -> None: ...
def bias_backward(dy: _Floats, out: _Floats) -> None: ...
def bias_relu_backward(dy: _Floats, y: _Floats, out: _Floats, db: _Floats) -> None: ...
def max_pool2d_forward(
    x: _Floats,
    pool_size: _Pair,
    strides: _Pair,
    pads: _Pads,
    out: _Floats,
    indices: npt.NDArray[Any],
) -> None: ...
def max_pool2d_backward(
    dy: _Floats,
    indices: npt.NDArray[Any],
    pool_size: _Pair,
    strides: _Pair,
    pads: _Pads,
    out: _Floats,
) -> None: ...
def average_pool2d_forward(
    x: _Floats, pool_size: _Pair, strides: _Pair, pads: _Pads, out: _Floats
) -> None: ...
def average_pool2d_backward(
    dy: _Floats, pool_size: _Pair, strides: _Pair, pads: _Pads, out: _Floats
) -> None: ...
def batchnorm_forward(
    x: _Floats,
    images: int,
    gamma: _Floats,
    beta: _Floats,
    moving_mean: _Floats,
    moving_variance: _Floats,
    momentum: float,
    epsilon: float,
    activation: _Epilogue,
    out: _Floats,
    mean: _Floats,
    rstd: _Floats,
) -> None: ...
def batchnorm_inference(
    x: _Floats,
    gamma: _Floats,
    beta: _Floats,
    moving_mean: _Floats,
    moving_variance: _Floats,
    epsilon: float,
    activation: _Epilogue,
    out: _Floats,
) -> None: ...
def batchnorm_apply(
    x: _Floats,
    gamma: _Floats,
    beta: _Floats,
    mean: _Floats,
    rstd: _Floats,
    activation: _Epilogue,
    out: _Floats,
) -> None: ...
def batchnorm_backward(
    dy: _Floats,
    x: _Floats,
    images: int,
    gamma: _Floats,
    beta: _Floats,
    mean: _Floats,
    rstd: _Floats,
    activation: _Epilogue,
    add_to_dx: bool,
    out: _Floats,
    dgamma: _Floats,
    dbeta: _Floats,
) -> None: ...
def activation_forward(
    kind: Activation,
    x: _Floats,
    slope: float,
    threshold: float,
    max_value: float,
    out: _Floats,
) -> None: ...
def activation_backward(
    kind: Activation,
    dy: _Floats,
    v: _Floats,
    slope: float,
    threshold: float,
    max_value: float,
    out: _Floats,
) -> None: ...
def softmax_forward(x: _Floats, out: _Floats) -> None: ...
def softmax_backward(dy: _Floats, y: _Floats, out: _Floats) -> None: ...
def log_softmax_forward(x: _Floats, out: _Floats) -> None: ...
def log_softmax_backward(dy: _Floats, y: _Floats, out: _Floats) -> None: ...
def prelu_forward(x: _Floats, alpha: _Floats, out: _Floats) -> None: ...
def prelu_backward_input(dy: _Floats, x: _Floats, alpha: _Floats, out: _Floats) -> None: ...
def prelu_backward_alpha(dy: _Floats, x: _Floats, out: _Floats) -> None: ...
def dropout(
    x: _Floats,
    rate: float,
    seed: _Number,
    step: _Number,
    offset: int,
    of_batch: bool,
    out: _Floats,
) -> None: ...
def softmax_cross_entropy(
    logits: _Floats,
    labels: npt.NDArray[Any],
    smoothing: float,
    ignored: int | None,
    sample_weight: _Floats | None,
    reduction: Reduction,
    probs: _Floats,
    dlogits: _Floats,
    losses: _Floats,
) -> None: ...
def cross_entropy(
    probs: _Floats,
    labels: npt.NDArray[Any],
    smoothing: float,
    ignored: int | None,
    sample_weight: _Floats | None,
    reduction: Reduction,
    dprobs: _Floats,
    losses: _Floats,
) -> None: ...
def categorical_focal_cross_entropy(
    y: _Floats,
    labels: npt.NDArray[Any],
    alpha: _Floats,
    gamma: float,
    smoothing: float,
    sample_weight: _Floats | None,
    reduction: Reduction,
    probs: _Floats | None,
    dy: _Floats,
    losses: _Floats,
) -> None: ...
def row_loss(
    kind: RowLoss,
    y: _Floats,
    target: _Floats,
    delta: float,
    smoothing: float,
    alpha: float,
    gamma: float,
    from_logits: bool,
    balanced: bool,
    sample_weight: _Floats | None,
    reduction: Reduction,
    dy: _Floats,
    losses: _Floats,
) -> None: ...
def count_correct(y: _Floats, labels: npt.NDArray[Any]) -> int: ...
def sgd_update(
    w: _Floats,
    g: _Floats,
    velocity: _Floats | None,
    learning_rate: npt.NDArray[np.float64],
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None: ...
def adam_update(
    w: _Floats,
    g: _Floats,
    m: _Floats,
    v: _Floats,
    peak: _Floats | None,
    learning_rate: npt.NDArray[np.float64],
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: npt.NDArray[np.int64],
    weight_decay: float,
) -> None: ...
def weights_changed() -> None: ...
def count_step(step: npt.NDArray[np.uint64], iterations: npt.NDArray[np.int64]) -> None: ...
def rmsprop_update(
    w: _Floats,
    g: _Floats,
    v: _Floats,
    momentum_buffer: _Floats | None,
    mean: _Floats | None,
    learning_rate: npt.NDArray[np.float64],
    rho: float,
    momentum: float,
    epsilon: float,
    weight_decay: float,
) -> None: ...
def adagrad_update(
    w: _Floats,
    g: _Floats,
    accumulator: _Floats,
    learning_rate: npt.NDArray[np.float64],
    epsilon: float,
    weight_decay: float,
) -> None: ...
def adadelta_update(
    w: _Floats,
    g: _Floats,
    v: _Floats,
    u: _Floats,
    learning_rate: npt.NDArray[np.float64],
    rho: float,
    epsilon: float,
    weight_decay: float,
) -> None: ...
def adamax_update(
    w: _Floats,
    g: _Floats,
    m: _Floats,
    u: _Floats,
    learning_rate: npt.NDArray[np.float64],
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: npt.NDArray[np.int64],
    weight_decay: float,
) -> None: ...
def nadam_update(
    w: _Floats,
    g: _Floats,
    m: _Floats,
    v: _Floats,
    learning_rate: npt.NDArray[np.float64],
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: npt.NDArray[np.int64],
    weight_decay: float,
) -> None: ...
def lion_update(
    w: _Floats,
    g: _Floats,
    m: _Floats,
    learning_rate: npt.NDArray[np.float64],
    beta_1: float,
    beta_2: float,
    weight_decay: float,
) -> None: ...
def ftrl_update(
    w: _Floats,
    g: _Floats,
    accumulator: _Floats,
    linear: _Floats,
    learning_rate: npt.NDArray[np.float64],
    power: float,
    l1: float,
    l2: float,
    shrinkage: float,
    beta: float,
    weight_decay: float,
) -> None: ...
def muon_update(
    w: _Floats,
    g: _Floats,
    m: _Floats,
    learning_rate: npt.NDArray[np.float64],
    momentum: float,
    nesterov: bool,
    rounds: int,
    a: float,
    b: float,
    c: float,
    scale: float,
    weight_decay: float,
) -> None: ...
def clip_by_value(g: _Floats, limit: float) -> None: ...
def sum_of_squares(g: _Floats, squares: npt.NDArray[np.float64], add: bool) -> None: ...
def clip_by_norm(g: _Floats, squares: npt.NDArray[np.float64], max_norm: float) -> None: ...
def accumulate(total: _Floats, g: _Floats, factor: float) -> None: ...
def moving_average(
    average: _Floats,
    w: _Floats,
    momentum: float,
    step: npt.NDArray[np.int64],
    overwrite_every: int,
) -> None: ...
def lookahead(
    slow: _Floats,
    w: _Floats,
    step_size: npt.NDArray[np.float64],
    step: npt.NDArray[np.int64],
    sync_period: int,
) -> None: ...
def regularize(w: _Floats, g: _Floats | None, l1: float, l2: float) -> float: ...
def gather(
    source: npt.NDArray[Any], indices: npt.NDArray[np.int64], scale: float, out: _Floats
) -> None: ...
def layernorm_forward(
    x: _Floats,
    gamma: _Floats | None,
    beta: _Floats | None,
    epsilon: float,
    out: _Floats,
    mean: _Floats,
    rstd: _Floats,
) -> None: ...
def layernorm_backward(
    dy: _Floats,
    x: _Floats,
    gamma: _Floats | None,
    mean: _Floats,
    rstd: _Floats,
    dx: _Floats | None,
    dgamma: _Floats | None,
    dbeta: _Floats | None,
) -> None: ...
def groupnorm_forward(
    x: _Floats,
    gamma: _Floats | None,
    beta: _Floats | None,
    epsilon: float,
    out: _Floats,
    mean: _Floats,
    rstd: _Floats,
) -> None: ...
def groupnorm_backward(
    dy: _Floats,
    x: _Floats,
    gamma: _Floats | None,
    mean: _Floats,
    rstd: _Floats,
    dx: _Floats | None,
    dgamma: _Floats | None,
    dbeta: _Floats | None,
) -> None: ...
def normalization(x: _Floats, mean: _Floats, scale: _Floats, out: _Floats) -> None: ...
def rescaling(x: _Floats, scale: _Floats, offset: _Floats | None, out: _Floats) -> None: ...
def zero_padding2d_forward(x: _Floats, pads: _Pads, out: _Floats) -> None: ...
def zero_padding2d_backward(dy: _Floats, pads: _Pads, out: _Floats) -> None: ...
def merge(
    kind: Merge,
    arrays: list[_Floats],
    divisor: float,
    indices: npt.NDArray[np.uint8] | None,
    out: _Floats,
) -> None: ...
def merge_backward(
    arrays: list[_Floats],
    divisor: float,
    indices: npt.NDArray[np.uint8] | None,
    index: int,
    out: _Floats,
) -> None: ...
def concatenate_forward(arrays: list[_Floats], axis: int, out: _Floats) -> None: ...
def concatenate_backward(dy: _Floats, axis: int, begin: int, out: _Floats) -> None: ...
def transform_images(
    source: npt.NDArray[Any],
    indices: npt.NDArray[np.int64] | None,
    steps: list[tuple[object, ...]],
    out: _Floats,
) -> None: ...
def transform_each(images: list[tuple[object, ...]], out: _Floats) -> None: ...
def uniform(
    seed: npt.NDArray[np.uint64], step: npt.NDArray[np.uint64], offset: int, out: _Floats
) -> None: ...
def upsampling2d_forward(x: _Floats, size: _Pair, bilinear: bool, out: _Floats) -> None: ...
def upsampling2d_backward(dy: _Floats, size: _Pair, bilinear: bool, out: _Floats) -> None: ...
def permute(x: _Floats, axes: Sequence[int], out: _Floats) -> None: ...
def spatial_dropout2d(
    x: _Floats, rate: float, seed: _Number, step: _Number, offset: int, out: _Floats
) -> None: ...
def gaussian_noise(
    x: _Floats,
    deviation: float,
    multiply: bool,
    seed: _Number,
    step: _Number,
    offset: int,
    out: _Floats,
) -> None: ...
def constrain_norms(
    w: _Floats, axes: Sequence[int], min_norm: float, max_norm: float, rate: float
) -> None: ...
def copy(x: _Floats, out: _Floats) -> None: ...
