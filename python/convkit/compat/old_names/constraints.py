"""Constraints by the names of Keras 1 and 2."""

from __future__ import annotations

from ...constraints import MaxNorm, NonNeg, UnitNorm

maxnorm, nonneg, unitnorm = MaxNorm, NonNeg, UnitNorm

__all__ = ["maxnorm", "nonneg", "unitnorm"]
