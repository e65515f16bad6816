"""A count of the changes that a remembered native call may not outlive.

A training step makes the same native calls with the same arrays as the step before, so a plan
remembers them (`convkit.plan.BoundSteps`). What they depend on besides the arrays is a layer's
attributes and where its parameters live: whoever changes one of those says so here.
"""

from __future__ import annotations

count = 0


def note() -> None:
    """Something changed: what was remembered before is not to be repeated."""
    global count
    count += 1
