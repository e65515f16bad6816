"""What runs: a graph of layers lowered to steps on arrays, with fusions, memory and replay."""

from .bound import Bound, BoundSteps
from .lowering import Target, lower
from .plan import Plan
from .step import Step

__all__ = ["Bound", "BoundSteps", "Plan", "Step", "Target", "lower"]
