"""Problems drawn at random of what training computes beside the layers: losses and updates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compare import DIRECT, EPS, Array, float64
from convkit import _core, ops, reference
from drawn import Draw, Outputs, Problem, equal, near, nearly, relative

ROW_LOSSES = tuple(_core.RowLoss.__members__)
REDUCTIONS = ("sum_over_batch_size", "sum", "mean_with_sample_weight")
POSITIVE = ("poisson", "kl_divergence", "squared_logarithmic_error")
CLASS_LOSSES = ("softmax_cross_entropy", "cross_entropy", "categorical_focal_cross_entropy")


def suited(kind: str, y: Array, target: Array) -> tuple[Array, Array, dict[str, Any]]:
    """Predictions, targets and options for a loss of rows, made of any numbers."""
    options: dict[str, Any] = {"kind": kind}
    if kind.startswith("binary"):
        target = (target > 0).astype(np.float32)
        options["label_smoothing"] = 0.125
        y = (1 / (1 + np.exp(-y))).astype(np.float32)
        if "focal" in kind:
            options |= {"alpha": 0.75, "gamma": 1.5, "balanced": True}
    elif kind in POSITIVE:
        y, target = np.abs(y) + np.float32(0.1), np.abs(target) + np.float32(0.1)
        if kind == "kl_divergence":
            y, target = y / (2 * y.max()), target / target.max()
    elif "hinge" in kind:
        target = np.sign(target)
        if kind.startswith("categorical"):
            target = (target == target.max(axis=-1, keepdims=True)).astype(np.float32)
    elif kind == "huber":
        options["delta"] = 0.75
    elif kind == "absolute_percentage_error":
        target += 2 * np.sign(target)  # a quotient's error grows where its divisor vanishes
    return y, target, options


def _rows(draw: Draw) -> tuple[int, ...]:
    """Samples of one row each, or of many."""
    n, width = draw.number(1, 40), draw.number(1, 5000 if draw.often(0.03) else 40)
    if draw.often(0.6):
        return n, width
    rows = 4097 if draw.often(0.05) else draw.number(1, 30)
    return max(1, n // 8), rows, min(width, 7)


def _reduced(draw: Draw, shape: tuple[int, ...]) -> dict[str, Any]:
    """How the losses of rows are weighted and summed."""
    weighted = draw.one_of((None, shape[:1], shape[:-1]))
    weights = None if weighted is None else np.abs(draw.normal(*weighted))
    return {"sample_weight": weights, "reduction": draw.one_of(REDUCTIONS)}


def _bounded(wanted: Array) -> tuple[Array, float]:
    """The pair for `nearly` of what is summed in double precision, of float32 predictions."""
    return wanted, 2 * DIRECT * EPS * (float(np.abs(wanted).max()) or 1.0)


def row_losses(draw: Draw) -> Problem:
    """A loss of rows with its gradient."""
    shape, kind = _rows(draw), draw.one_of(ROW_LOSSES)
    y, target, options = suited(kind, draw.normal(*shape), draw.normal(*shape))
    options |= _reduced(draw, shape)
    if kind.startswith("binary") and draw.often(0.5):
        y, options["from_logits"] = 6 * draw.normal(*shape), True
    wanted = reference.row_loss(float64(y), float64(target), **options)

    def run(out: Outputs) -> Sequence[Array]:
        return ops.row_loss(y, target, losses=out(shape[:1]), dy=out(shape), **options)

    text = f"{kind} of {shape}, {options['reduction']}, {options.get('from_logits')}"
    return Problem(text, run, nearly(*map(_bounded, wanted)))


def class_losses(draw: Draw) -> Problem:
    """A loss of classes with its gradient, and the count of right answers."""
    rows, name = _rows(draw), draw.one_of(CLASS_LOSSES)
    classes = max(2, rows[-1])
    shape = (*rows[:-1], classes)
    y, labels = draw.normal(*shape) * 2, draw.indices(*rows[:-1], below=classes)
    options = {**_reduced(draw, shape), "label_smoothing": draw.one_of((0.0, 0.125))}
    if name.startswith("categorical"):
        options |= {"alpha": np.linspace(0.5, 2, classes), "gamma": draw.one_of((0.0, 3.0))}
        options["from_logits"] = draw.often(0.5)
    if not name.startswith("softmax") and not options.get("from_logits"):
        y = np.clip(np.abs(y) / 8, 0.02, 0.98)
    right = reference.count_correct(y, labels)
    target: Array = labels
    if draw.often(0.3):
        target = np.eye(classes, dtype=np.float32)[labels]
    elif not name.startswith("categorical") and draw.often(0.5):
        options["ignore_class"] = draw.number(0, classes)
    wanted = getattr(reference, name)(float64(y), target, **options)
    shapes = {"softmax_cross_entropy": ("probs", "dlogits"), "cross_entropy": ("dprobs",)}

    def run(out: Outputs) -> Sequence[Array]:
        arrays = {key: out(shape) for key in shapes.get(name, ("dy",))}
        made = getattr(ops, name)(y, target, losses=out(shape[:1]), **arrays, **options)
        return (*made, np.array(ops.count_correct(y, labels)))

    text = f"{name} of {shape}, {target.ndim}, {options}"
    return Problem(text, run, nearly(*map(_bounded, wanted), (np.array(right), 0)))


def updates(draw: Draw) -> Problem:
    """One update by each of three optimizers, and the penalties of regularizers."""
    size, rate = draw.vector(), draw.one_of((0.5, 0.01))
    w, g, first = draw.normal(size), draw.normal(size), draw.normal(size)
    second, decay = np.abs(draw.normal(size)), draw.one_of((0.0, 0.01))
    momentum, nesterov = draw.one_of((0.0, 0.5, 0.9)), draw.often(0.5)
    step, l1, l2 = draw.number(1, 1000), draw.one_of((0.0, 0.5)), draw.one_of((0.0, 0.25))

    def update(module: Any, copy: Any) -> tuple[Sequence[Array], float]:
        """The arrays that were changed, and the penalty."""
        (a, b, c), (two, three) = (copy(w) for _ in range(3)), (copy(first) for _ in range(2))
        gradient = copy(g)
        m, u, v = copy(first), copy(second), copy(second)
        common = {"learning_rate": rate, "weight_decay": decay}
        slots = (two, three) if momentum else (None, None)  # of no use without
        module.sgd_update(a, g, slots[0], momentum=momentum, nesterov=nesterov, **common)
        module.rmsprop_update(b, g, u, slots[1], momentum=momentum, **common)
        module.adam_update(c, g, m, v, step=step, **common)
        penalty = module.regularize(w, gradient, l1=l1, l2=l2)
        return (a, two, b, u, three, c, m, v, gradient), penalty

    wanted, penalty = update(reference, lambda array: array.astype(np.float64))
    largest = float(np.abs(w).sum() + np.square(w).sum())

    def run(out: Outputs) -> Sequence[Array]:
        arrays, sum_of_all = update(ops, out.copy)
        return (*arrays, np.array(sum_of_all))

    # rmsprop divides by a root that may be small, and adam likewise: their steps may be large.
    pairs = [relative(each, ulps=32) for each in wanted]
    check = nearly(*pairs, (np.array(penalty), 8 * EPS * largest))
    return Problem(f"updates of {size} weights, {rate}, {decay}, {momentum}, {step}", run, check)


# Optimizers besides these three: their slots, those that hold squares, and numbers to choose from.
_OTHERS: dict[str, tuple[tuple[str, ...], tuple[str, ...], dict[str, tuple[float, ...]]]] = {
    "adagrad": (("accumulator",), ("accumulator",), {"epsilon": (1e-7, 1e-3)}),
    "adadelta": (("v", "u"), ("v", "u"), {"rho": (0.95, 0.5), "epsilon": (1e-7, 1e-3)}),
    "adamax": (("m", "u"), ("u",), {"beta_1": (0.9, 0.5), "beta_2": (0.999, 0.9)}),
    "nadam": (("m", "v"), ("v",), {"beta_1": (0.9, 0.5), "epsilon": (1e-7, 1e-3)}),
    "ftrl": (
        ("accumulator", "linear"),
        ("accumulator",),
        {
            "power": (0.5, 0.75),
            "l1": (0.0, 0.05),
            "l2": (0.0, 0.1),
            "shrinkage": (0.0, 0.2),
            "beta": (0.0, 0.3),
        },
    ),
    "adam": (("m", "v", "peak"), ("v", "peak"), {"beta_2": (0.999, 0.5)}),
    "rmsprop": (
        ("v", "momentum_buffer", "mean"),
        ("v",),
        {"rho": (0.9, 0.6), "momentum": (0.0, 0.5)},
    ),
}
_COUNTED = ("adam", "adamax", "nadam")


def other_updates(draw: Draw) -> Problem:
    """One update by one of the other optimizers."""
    name, size = draw.one_of(tuple(_OTHERS)), draw.vector()
    slots, squares, choices = _OTHERS[name]
    options = {key: draw.one_of(values) for key, values in choices.items()}
    options |= {"learning_rate": draw.one_of((0.5, 0.01)), "weight_decay": draw.one_of((0.0, 0.1))}
    if name in _COUNTED:
        options["step"] = draw.number(1, 1000)
    g, own = draw.normal(size), {"w": draw.normal(size)}
    for slot in slots:
        numbers = draw.normal(size)
        own[slot] = np.abs(numbers) + np.float32(0.1) if slot in squares else numbers
    if "mean" in own:  # the square of a mean is below the mean of squares
        own["mean"] *= np.float32(0.25) / np.abs(own["mean"]).max() * np.sqrt(own["v"])
    wanted = {key: float64(array) for key, array in own.items()}
    getattr(reference, f"{name}_update")(g=g, **wanted, **options)

    def run(out: Outputs) -> Sequence[Array]:
        arrays = {key: out.copy(array) for key, array in own.items()}
        getattr(ops, f"{name}_update")(g=g, **arrays, **options)
        return list(arrays.values())

    # Powers over the learning rate are subtracted from each other.
    floor = 1.0 if name != "ftrl" else 20.0 / options["learning_rate"]
    pairs = [relative(each, ulps=40, floor=floor if key == "linear" else 1.0)
             for key, each in wanted.items()]  # fmt: skip
    return Problem(f"{name} of {size} weights, {options}", run, nearly(*pairs))


def exact_updates(draw: Draw) -> Problem:
    """What needs no tolerance: Lion, sums of gradients, averages of weights, limits of values."""
    size = draw.vector()
    w, m, g = (draw.whole(size) for _ in range(3))
    average, total = draw.whole(size), draw.whole(size)
    rates = {"learning_rate": 0.5, "weight_decay": draw.one_of((0.0, 0.25))}
    betas = {"beta_1": draw.one_of((0.5, 0.75)), "beta_2": draw.one_of((0.5, 0.875))}
    step, every = draw.number(1, 4), draw.number(0, 3)
    limit, norm = draw.one_of((1.0, 1.5)), draw.one_of((0.5, 4.0, 1e6))

    def update(module: Any, copy: Any) -> Sequence[Array]:
        a, b, c, d, e, f = (copy(each) for each in (w, m, average, w, total, g))
        h, i = copy(average), copy(w)
        squares, scaled = np.zeros(1), copy(g)
        module.lion_update(a, g, b, **rates, **betas)
        module.moving_average(c, d, momentum=0.75, step=step, overwrite_every=every)
        module.lookahead(h, i, step_size=0.25, step=step, sync_period=every + 1)
        module.accumulate(e, g, factor=0.25)
        module.clip_by_value(f, limit=limit)
        module.sum_of_squares(g, squares)
        module.clip_by_norm(scaled, squares, max_norm=norm)
        return a, b, c, d, e, f, h, i, squares, scaled

    wanted = update(reference, float64)

    def check(actual: Sequence[Array]) -> None:
        for place, (one, other) in enumerate(zip(actual[:-1], wanted, strict=False)):
            equal(one, other, f"result {place}")
        near(actual[-1], wanted[-1], 4 * EPS * np.abs(wanted[-1]), "what a norm has scaled")

    text = f"exact updates of {size}, {rates}, {betas}, {step}, {every}, {limit}, {norm}"
    return Problem(text, lambda out: update(ops, out.copy), check)


def muon(draw: Draw) -> Problem:
    """One update of a matrix by Muon."""
    shape = draw.rows()
    w, g, m = (draw.normal(*shape) for _ in range(3))
    options = {
        "learning_rate": 0.1,
        "scale": draw.one_of((1.0, 2.0)),
        "nesterov": draw.often(0.5),
        "rounds": draw.number(0, 5),
        "weight_decay": draw.one_of((0.0, 0.1)),
    }
    wanted = float64(w), float64(m)
    reference.muon_update(wanted[0], g, wanted[1], **options)

    def run(out: Outputs) -> Sequence[Array]:
        own = out.copy(w), out.copy(m)
        ops.muon_update(own[0], g, own[1], **options)
        return own

    # Small singular values grow by 3.4 in a round, and their roundings with them: by up to 500.
    check = nearly((wanted[0], 5e-5), relative(wanted[1]))
    return Problem(f"muon of {shape}, {options}", run, check)


KINDS = (
    row_losses,
    row_losses,
    class_losses,
    class_losses,
    updates,
    other_updates,
    other_updates,
    exact_updates,
    muon,
)
