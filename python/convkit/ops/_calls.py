"""Native calls as a whole: captured and replayed, made as one operation, kept apart."""

from __future__ import annotations

from convkit import _core

Calls = _core.Calls  # those of a pass over a plan's steps, which replays them
# Said where an array was made or converted for a call, which cannot be replayed then.
refuse = Calls.refuse
as_one_operation = _core.as_one_operation
# Calls a function whose operations are about a batch that several processes share.
on_ranks = _core.on_ranks
ModelLock = _core.ModelLock
# Said in a training step when it has changed weights: what inference keeps of them is made anew.
weights_changed = _core.weights_changed
# Adds one to the counters of a model and its optimizer, both or, when interrupted, none.
count_step = _core.count_step
