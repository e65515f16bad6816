"""One valid call of every op, for the tests that spoil a single argument at a time.

The arrays hold whole numbers from 1 to 3, so that every numeric type can represent them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from convkit import ops, reference
from convkit.ops._image_steps import Scale

_MERGES = ("add", "subtract", "multiply", "average", "maximum", "minimum")
_OF_Y = ("relu", "sigmoid", "tanh", "softmax", "elu", "selu", "softplus", "softsign")
_KEYS = dict.fromkeys((*_OF_Y, "hard_sigmoid", "exponential", "log_softmax"), "y")
_KEYS.update(dict.fromkeys(("gelu", "leaky_relu", "silu", "hard_silu", "mish"), "x"))


def _ones_to_three(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    size = int(np.prod(shape))
    return (np.arange(size) * 7 % 5 % 3 + 1).astype(np.float32).reshape(shape)


def _convolutions() -> dict[str, dict[str, Any]]:
    options = {"strides": (1, 1), "padding": "valid", "dilation": (1, 1), "groups": 1}
    x, w, dy = _ones_to_three(2, 5, 4, 2), _ones_to_three(3, 2, 2, 4), _ones_to_three(2, 3, 3, 4)

    def normalised() -> dict[str, Any]:
        parts = ("b", "gamma", "beta", "moving_mean", "moving_variance")
        arrays = {name: _ones_to_three(4) for name in parts}  # of its own: ops may write into them
        return {"x": x, "w": w, **arrays, "max_pool": True, **options}

    summed = {**normalised(), "max_pool": False, "residual": _ones_to_three(2, 3, 3, 4)}

    return {
        "conv2d_forward": {"x": x, "w": w, "b": _ones_to_three(4), **options},
        "conv2d_backward_input": {"dy": dy, "w": w, "x_shape": x.shape, **options},
        "conv2d_backward_weights": {"x": x, "dy": dy, "w_shape": w.shape, **options},
        "conv2d_backward": {
            "x": x,
            "w": w,
            "dy": dy,
            "y": _ones_to_three(2, 3, 3, 4),
            "dx": np.zeros(x.shape, np.float32),
            "dw": np.zeros(w.shape, np.float32),
            "db": np.zeros(4, np.float32),
            "activation": "relu",
            **options,
        },
        "conv2d_batchnorm_forward": normalised(),
        "conv2d_batchnorm_inference": summed,
        "conv2d_batchnorm_backward": {
            "x": x,
            "w": w,
            "z": dy,
            "gamma": _ones_to_three(4),
            "beta": _ones_to_three(4),
            "mean": _ones_to_three(4),
            "rstd": _ones_to_three(4),
            "dy": _ones_to_three(2, 1, 1, 4),
            "y": _ones_to_three(2, 1, 1, 4),
            "indices": np.zeros((2, 1, 1, 4), np.uint8),
            "dx": np.zeros(x.shape, np.float32),
            "dw": np.zeros(w.shape, np.float32),
            "db": np.zeros(4, np.float32),
            "activation": "relu",
            **options,
        },
        "conv2d_max_pool2d_forward": {"x": x, "w": w, "b": _ones_to_three(4), **options},
        "conv2d_max_pool2d_backward": {
            "x": x,
            "w": w,
            "y": _ones_to_three(2, 1, 1, 4),
            "indices": np.zeros((2, 1, 1, 4), np.uint8),
            "dy": _ones_to_three(2, 1, 1, 4),
            "dx": np.zeros(x.shape, np.float32),
            "dw": np.zeros(w.shape, np.float32),
            "db": np.zeros(4, np.float32),
            **options,
        },
    }


def _pools() -> dict[str, dict[str, Any]]:
    # Stride 1, so that a pixel more or less always changes the output's shape.
    options = {"pool_size": (2, 2), "strides": (1, 1), "padding": "valid"}
    x, dy = _ones_to_three(2, 4, 3, 5), _ones_to_three(2, 3, 2, 5)
    rows, where = _ones_to_three(2, 5), np.zeros((2, 3, 2, 5), np.uint8)
    flat = np.zeros((2, 5), np.int32)
    return {
        "max_pool2d_forward": {"x": x, **options},
        "max_pool2d_backward": {"dy": dy, "indices": where, "x_shape": x.shape, **options},
        "average_pool2d_forward": {"x": x, **options},
        "average_pool2d_backward": {"dy": dy, "x_shape": x.shape, **options},
        "global_average_pool2d_forward": {"x": x},
        "global_average_pool2d_backward": {"dy": rows, "x_shape": x.shape},
        "global_max_pool2d_forward": {"x": x},
        "global_max_pool2d_backward": {"dy": rows, "indices": flat, "x_shape": x.shape},
    }


def _frames() -> dict[str, dict[str, Any]]:
    padding, x = ((1, 0), (2, 1)), _ones_to_three(2, 3, 4, 5)
    return {
        "zero_padding2d_forward": {"x": x, "padding": padding},
        "zero_padding2d_backward": {"dy": _ones_to_three(2, 4, 7, 5), "padding": padding},
        "rescaling_forward": {"x": x, "scale": _ones_to_three(5), "offset": _ones_to_three(5)},
        "rescaling_backward": {"dy": x, "scale": _ones_to_three(5)},
    }


def _merges() -> dict[str, dict[str, Any]]:
    x, z, dy = _ones_to_three(3, 7), _ones_to_three(7, 3).T.copy(), _ones_to_three(3, 7)
    row = (1, 7)  # of an array that was broadcast
    return {
        **{name: {"x": x, "z": z} for name in _MERGES},
        "add_backward": {"dy": dy, "x_shape": row, "divisor": 2.0},
        "multiply_backward": {"dy": dy, "x_shape": row, "z": z},
        "maximum_backward": {
            "dy": dy,
            "indices": (dy > 1).astype(np.uint8),
            "index": 1,
            "x_shape": row,
        },
        "concatenate": {"arrays": (x, z, dy), "axis": 1},
        "concatenate_backward": {"dy": dy, "x_shape": (3, 4), "begin": 2, "axis": 1},
    }


def _arrangements() -> dict[str, dict[str, Any]]:
    x = _ones_to_three(2, 3, 4, 5)
    larger = {"size": (2, 3), "interpolation": "bilinear"}
    drawn = {"seed": 3, "step": 1, "offset": 4}
    calls: dict[str, dict[str, Any]] = {
        "upsampling2d_forward": {"x": x, **larger},
        "upsampling2d_backward": {"dy": _ones_to_three(2, 6, 12, 5), **larger},
        "permute": {"x": x, "axes": (0, 3, 1, 2)},
        "gaussian_noise_backward": {"dy": _ones_to_three(3, 7)},
        "gaussian_noise_forward": {"x": _ones_to_three(3, 7), "stddev": 0.5, **drawn},
    }
    for name, array in (("spatial_dropout2d", x), ("gaussian_dropout", _ones_to_three(3, 7))):
        calls[f"{name}_forward"] = {"x": array, "rate": 0.5, **drawn}
        calls[f"{name}_backward"] = {"dy": array, "rate": 0.5, **drawn}
    return calls


def _batchnorms() -> dict[str, dict[str, Any]]:
    x, dy, vector = _ones_to_three(4, 5, 3), _ones_to_three(4, 5, 3), _ones_to_three(3)
    scale = {"gamma": vector, "beta": vector}
    return {
        "batchnorm_forward": {
            "x": x,
            **scale,
            "moving_mean": vector.copy(),
            "moving_variance": vector.copy(),
        },
        "batchnorm_inference": {"x": x, **scale, "moving_mean": vector, "moving_variance": vector},
        "batchnorm_apply": {"x": x, **scale, "mean": vector, "rstd": vector},
        "batchnorm_backward": {"dy": dy, "x": x, **scale, "mean": vector, "rstd": vector},
    }


def _normalisations() -> dict[str, dict[str, Any]]:
    x, dy, vector = _ones_to_three(4, 5, 6), _ones_to_three(4, 5, 6), _ones_to_three(6)
    rows, groups = _ones_to_three(4, 5), _ones_to_three(4, 3)
    forward = {"x": x, "gamma": vector, "beta": vector}

    def gradients() -> dict[str, Any]:
        shapes = {"dx": x.shape, "dgamma": (6,), "dbeta": (6,)}
        arrays = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        return {"dy": dy, "x": x, "gamma": vector, **arrays}

    return {
        "layernorm_forward": forward,
        "layernorm_backward": {**gradients(), "mean": rows, "rstd": rows},
        "groupnorm_forward": {**forward, "groups": 3},
        "groupnorm_backward": {**gradients(), "mean": groups, "rstd": groups},
        "normalization_forward": {"x": x, "mean": vector, "scale": vector},
        "normalization_backward": {"dy": dy, "scale": vector},
    }


def _denses() -> dict[str, dict[str, Any]]:
    x, w, dy = _ones_to_three(3, 4), _ones_to_three(4, 5), _ones_to_three(3, 5)
    return {
        "dense_forward": {"x": x, "w": w, "b": _ones_to_three(5)},
        "dense_backward_input": {"dy": dy, "w": w},
        "dense_backward_weights": {"x": x, "dy": dy},
        "bias_backward": {"dy": dy},
        "bias_forward": {"x": _ones_to_three(2, 3, 5), "b": _ones_to_three(5)},
        "bias_relu_backward": {"dy": dy, "y": _ones_to_three(3, 5)},
    }


def _activations() -> dict[str, dict[str, Any]]:
    calls: dict[str, dict[str, Any]] = {}
    x, dy = _ones_to_three(3, 7), _ones_to_three(3, 7)
    for name, key in _KEYS.items():
        calls[f"{name}_forward"] = {"x": x}
        calls[f"{name}_backward"] = {"dy": dy, key: x}
    images, slopes = _ones_to_three(2, 4, 3, 5), _ones_to_three(4, 1, 5)
    calls["prelu_forward"] = {"x": images, "alpha": slopes}
    calls["prelu_backward_input"] = {"dy": images, "x": images, "alpha": slopes}
    calls["prelu_backward_alpha"] = {"dy": images, "x": images, "alpha_shape": (4, 1, 5)}
    calls["dropout_forward"] = {"x": x, "rate": 0.5, "seed": 3, "step": 1, "offset": 4}
    calls["dropout_backward"] = {"dy": dy, "rate": 0.5, "seed": 3, "step": 1, "offset": 4}
    return calls


def _losses() -> dict[str, dict[str, Any]]:
    y, labels, weights = _ones_to_three(3, 4), np.array([0, 2, 1]), _ones_to_three(3)
    return {
        "softmax_cross_entropy": {"logits": y, "labels": labels, "sample_weight": weights},
        "cross_entropy": {"probs": y, "labels": labels, "sample_weight": weights},
        "mean_squared_error": {"y": y, "target": y[::-1].copy(), "sample_weight": weights},
        "mean_absolute_error": {"y": y, "target": y[::-1].copy(), "sample_weight": weights},
        "binary_cross_entropy": {
            "y": y,
            "target": y[::-1].copy(),
            "from_logits": True,
            "label_smoothing": 0.25,
            "sample_weight": weights,
        },
        "categorical_focal_cross_entropy": {
            "y": y,
            "labels": labels,
            "alpha": _ones_to_three(4),
            "from_logits": True,
            "sample_weight": weights,
        },
        "row_loss": {"y": y, "target": y[::-1].copy(), "kind": "huber", "sample_weight": weights},
        "count_correct": {"y": y, "labels": labels},
    }


def _other_updates(w: Any, g: Any) -> dict[str, dict[str, Any]]:
    def given(*names: str, **options: Any) -> dict[str, Any]:
        return {"w": w.copy(), "g": g, **{n: w.copy() for n in names}, **options}

    matrix = _ones_to_three(3, 2)
    return {
        "adagrad_update": given("accumulator", learning_rate=0.5),
        "adadelta_update": given("v", "u", learning_rate=0.5),
        "adamax_update": given("m", "u", learning_rate=0.5, step=1),
        "nadam_update": given("m", "v", learning_rate=0.5, step=1),
        "lion_update": given("m", learning_rate=0.5),
        "ftrl_update": given("accumulator", "linear", learning_rate=0.5),
        "muon_update": {
            **{"w": matrix.copy(), "g": matrix, "m": matrix.copy()},
            "learning_rate": 0.5,
        },
        "clip_by_value": {"g": g.copy(), "limit": 1.5},
        "sum_of_squares": {"g": g, "squares": np.ones(1), "add": True},
        "clip_by_norm": {"g": g.copy(), "squares": np.full(1, 9.0), "max_norm": 1.5},
        "accumulate": {"total": w.copy(), "g": g, "factor": 0.5},
        "moving_average": {"average": w.copy(), "w": g.copy(), "momentum": 0.5, "step": 2},
        "lookahead": {"slow": w.copy(), "w": g.copy(), "step": 2, "sync_period": 2},
    }


def _updates() -> dict[str, dict[str, Any]]:
    w, g = _ones_to_three(6), _ones_to_three(6)
    return {
        "sgd_update": {
            "w": w.copy(),
            "g": g,
            "velocity": w.copy(),
            "learning_rate": 0.5,
            "momentum": 0.5,
        },
        "rmsprop_update": {
            "w": w.copy(),
            "g": g,
            "v": w.copy(),
            "momentum_buffer": w.copy(),
            "learning_rate": 0.5,
            "momentum": 0.5,
        },
        "adam_update": {
            "w": w.copy(),
            "g": g,
            "m": w.copy(),
            "v": w.copy(),
            "learning_rate": 0.5,
            "step": 1,
        },
        **_other_updates(w, g),
        "constrain_norms": {"w": w.copy(), "axis": 0, "max_norm": 1.5, "rate": 0.5},
        "regularize": {"w": w, "g": g.copy(), "l1": 0.5, "l2": 0.25},
        "gather": {"source": _ones_to_three(5, 3), "indices": np.array([3, 0])},
    }


def _image_transforms() -> dict[str, dict[str, Any]]:
    x, at = _ones_to_three(3, 4, 5, 2), np.array([1, 0])
    transform = np.array([[1, 0, 1, 0, 1, -2], [-1, 0, 4, 1, 1, 0]], np.float32)
    scale = Scale(*np.ones((3, 2), np.float32))
    return {
        "affine_transform": {"images": x, "transform": transform, "indices": at},
        "resize": {"images": x, "size": (3, 7)},
        "transform_images": {"images": x, "steps": [scale], "indices": at},
        "uniform": {"count": 7, "seed": 3, "step": 2, "offset": 1},
    }


def valid_calls() -> dict[str, dict[str, Any]]:
    """Return op name -> keyword arguments, with new arrays at every call."""
    return {
        **_convolutions(),
        **_pools(),
        **_frames(),
        **_merges(),
        **_arrangements(),
        **_image_transforms(),
        **_batchnorms(),
        **_normalisations(),
        **_denses(),
        **_activations(),
        **_losses(),
        **_updates(),
    }


def valid_arguments(name: str) -> dict[str, Any]:
    return valid_calls()[name]


def call(name: str, **changes: Any) -> Any:
    """Call an op with its valid arguments, some of them changed."""
    return getattr(ops, name)(**{**valid_arguments(name), **changes})


# The arguments that an op changes in place.
IN_PLACE = {
    "batchnorm_forward": ("moving_mean", "moving_variance"),
    "sgd_update": ("w", "velocity"),
    "rmsprop_update": ("w", "v", "momentum_buffer"),
    "adam_update": ("w", "m", "v"),
    "adagrad_update": ("w", "accumulator"),
    "adadelta_update": ("w", "v", "u"),
    "adamax_update": ("w", "m", "u"),
    "nadam_update": ("w", "m", "v"),
    "lion_update": ("w", "m"),
    "ftrl_update": ("w", "accumulator", "linear"),
    "muon_update": ("w", "m"),
    "clip_by_value": ("g",),
    "sum_of_squares": ("squares",),
    "clip_by_norm": ("g",),
    "accumulate": ("total",),
    "moving_average": ("average", "w"),
    "lookahead": ("slow", "w"),
    "constrain_norms": ("w",),
    "regularize": ("g",),
    "conv2d_backward": ("dx", "dw", "db"),
    "layernorm_backward": ("dx", "dgamma", "dbeta"),
    "groupnorm_backward": ("dx", "dgamma", "dbeta"),
    "conv2d_batchnorm_forward": ("moving_mean", "moving_variance"),
    "conv2d_batchnorm_backward": ("dx", "dw", "db"),
    "conv2d_max_pool2d_backward": ("dx", "dw", "db"),
}

# The arguments that an op reads but never converts: a copy of all parameters or of a whole data set
# at every step would be slow, and nobody would see why.
BORROWED = {
    "sgd_update": ("g",),
    "adam_update": ("g",),
    "rmsprop_update": ("g",),
    "adagrad_update": ("g",),
    "adadelta_update": ("g",),
    "adamax_update": ("g",),
    "nadam_update": ("g",),
    "lion_update": ("g",),
    "ftrl_update": ("g",),
    "muon_update": ("g",),
    "sum_of_squares": ("g",),
    "accumulate": ("g",),
    "gather": ("source",),
}

# The keywords of the outputs, in the order in which they are returned.
OUTPUTS: dict[str, tuple[str, ...]] = {
    **{name: ("out",) for name in reference.__all__ if name in valid_calls()},
    "bias_relu_backward": ("out", "db"),
    "max_pool2d_forward": ("out", "indices"),
    "maximum": ("out", "indices"),
    "minimum": ("out", "indices"),
    "conv2d_max_pool2d_forward": ("out", "indices"),
    "conv2d_backward": (),
    "conv2d_batchnorm_forward": ("out", "z", "mean", "rstd", "indices"),
    "conv2d_batchnorm_backward": ("dgamma", "dbeta"),
    "conv2d_max_pool2d_backward": (),
    "global_max_pool2d_forward": ("out", "indices"),
    "batchnorm_forward": ("out", "mean", "rstd"),
    "batchnorm_backward": ("out", "dgamma", "dbeta"),
    "layernorm_forward": ("out", "mean", "rstd"),
    "layernorm_backward": (),
    "groupnorm_forward": ("out", "mean", "rstd"),
    "groupnorm_backward": (),
    "softmax_cross_entropy": ("losses", "probs", "dlogits"),
    "cross_entropy": ("losses", "dprobs"),
    "mean_squared_error": ("losses", "dy"),
    "mean_absolute_error": ("losses", "dy"),
    "binary_cross_entropy": ("losses", "dy"),
    "categorical_focal_cross_entropy": ("losses", "dy"),
    "row_loss": ("losses", "dy"),
    "count_correct": (),
    "sgd_update": (),
    "rmsprop_update": (),
    "adam_update": (),
    "adagrad_update": (),
    "adadelta_update": (),
    "adamax_update": (),
    "nadam_update": (),
    "lion_update": (),
    "ftrl_update": (),
    "muon_update": (),
    "clip_by_value": (),
    "sum_of_squares": (),
    "clip_by_norm": (),
    "accumulate": (),
    "moving_average": (),
    "lookahead": (),
    "constrain_norms": (),
    "regularize": (),
}

# Ops of one array that work on any rank: there is nothing that the array could disagree with.
ANY_RANK = {
    *((f"{name}_forward", "x") for name in _KEYS),
    ("dropout_forward", "x"),
    ("dropout_backward", "dy"),
    ("gaussian_noise_forward", "x"),
    ("gaussian_noise_backward", "dy"),
    ("gaussian_dropout_forward", "x"),
    ("gaussian_dropout_backward", "dy"),
    ("bias_backward", "dy"),
    ("bias_forward", "x"),
    ("layernorm_forward", "x"),
    ("groupnorm_forward", "x"),
    ("normalization_forward", "x"),
    ("normalization_backward", "dy"),
    ("constrain_norms", "w"),
    *((name, "g") for name in ("clip_by_value", "sum_of_squares", "clip_by_norm")),
    ("batchnorm_forward", "x"),
    ("batchnorm_inference", "x"),
    ("batchnorm_apply", "x"),
    ("rescaling_forward", "x"),
    ("rescaling_backward", "dy"),
    *((name, key) for name in _MERGES for key in "xz"),
    ("add_backward", "dy"),
}

# The arrays whose emptiness harms nobody: nothing is divided by it, and the result is empty too.
_SUMMED = {("bias_backward", "dy"), ("add_backward", "dy")}
MAY_BE_EMPTY = {*(ANY_RANK - _SUMMED), ("gather", "source")}
_NOT_EMPTY = {("bias_backward", "dy"), ("constrain_norms", "w")}
MAY_BE_EMPTY = {*(ANY_RANK - _NOT_EMPTY), ("gather", "source"), ("permute", "x")}

# (op, argument) -> axes along which another size is as valid as the one in the table.
FREE_AXES: dict[tuple[str, str], tuple[int, ...]] = {
    **{(name, "g"): (0,) for name in ("clip_by_value", "sum_of_squares", "clip_by_norm")},
    ("conv2d_forward", "x"): (0, 1, 2),
    ("conv2d_forward", "w"): (0, 1),
    ("conv2d_batchnorm_forward", "x"): (0, 1, 2),
    ("conv2d_batchnorm_forward", "w"): (0, 1),
    ("conv2d_max_pool2d_forward", "x"): (0, 1, 2),
    ("conv2d_max_pool2d_forward", "w"): (0, 1),
    ("max_pool2d_forward", "x"): (0, 1, 2, 3),
    ("average_pool2d_forward", "x"): (0, 1, 2, 3),
    ("global_average_pool2d_forward", "x"): (0, 1, 2, 3),
    ("global_max_pool2d_forward", "x"): (0, 1, 2, 3),
    ("batchnorm_forward", "x"): (0, 1),
    ("batchnorm_inference", "x"): (0, 1),
    ("batchnorm_apply", "x"): (0, 1),
    ("dense_forward", "x"): (0,),
    ("dense_backward_input", "dy"): (0,),
    ("dense_backward_input", "w"): (0,),
    ("dense_backward_weights", "x"): (1,),
    ("dense_backward_weights", "dy"): (1,),
    ("softmax_cross_entropy", "logits"): (1,),
    ("cross_entropy", "probs"): (1,),
    ("count_correct", "y"): (1,),
    ("gather", "source"): (0, 1),
    ("affine_transform", "images"): (0, 1, 2, 3),
    ("resize", "images"): (0, 1, 2, 3),
    ("transform_images", "images"): (0, 1, 2),
    ("zero_padding2d_forward", "x"): (0, 1, 2, 3),
    ("zero_padding2d_backward", "dy"): (0, 1, 2, 3),
    ("add_backward", "dy"): (0,),
    ("prelu_forward", "x"): (0, 2),
    ("concatenate_backward", "dy"): (1,),
    ("upsampling2d_forward", "x"): (0, 1, 2, 3),
    ("upsampling2d_backward", "dy"): (0, 3),
    ("permute", "x"): (0, 1, 2, 3),
    ("spatial_dropout2d_forward", "x"): (0, 1, 2, 3),
    ("spatial_dropout2d_backward", "dy"): (0, 1, 2, 3),
    ("rescaling_forward", "x"): (0, 1, 2),
    ("rescaling_backward", "dy"): (0, 1, 2),
    **{
        (name, key): (0, 1)
        for name, key in ANY_RANK
        if not name.startswith(("batchnorm", "rescaling", "add_backward", *_MERGES))
    },
}
