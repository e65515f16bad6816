"""Regularizers by the names of Keras 1."""

from __future__ import annotations

from ...regularizers import L1L2, l1, l1_l2, l2

WeightRegularizer = L1L2
activity_l1, activity_l1l2, activity_l2, l1l2 = l1, l1_l2, l2, l1_l2

__all__ = ["WeightRegularizer", "activity_l1", "activity_l1l2", "activity_l2", "l1l2"]
