"""Hinge losses, which are content with a margin."""

from __future__ import annotations

from .loss import RowLoss


class Hinge(RowLoss):
    """The mean of max(1 - y_true * y_pred, 0) over the last axis.

    Args:
        reduction: as of `Loss`.
        name: by default `hinge`.

    Targets: of the shape of the predictions, -1 or 1; where all of a batch are 0 or 1, 0 is taken
        for -1. (N,) is taken for (N, 1).
    """

    name = "hinge"
    kind = "hinge"
    capturable = True


class SquaredHinge(RowLoss):
    """The mean of max(1 - y_true * y_pred, 0)**2 over the last axis.

    Args:
        reduction: as of `Loss`.
        name: by default `squared_hinge`.

    Targets: as of `Hinge`.
    """

    name = "squared_hinge"
    kind = "squared_hinge"
    capturable = True


class CategoricalHinge(RowLoss):
    """max(0, 1 + the largest output of a wrong class - the output of the right class).

    Args:
        reduction: as of `Loss`.
        name: by default `categorical_hinge`.

    Targets: one-hot, of the shape of the predictions, (N, ..., K).
    """

    name = "categorical_hinge"
    kind = "categorical_hinge"
    capturable = True
