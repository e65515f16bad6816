"""The mean losses and the metrics of a pass."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from typing import Any

from .. import metrics
from ..callbacks import Logs
from .results import Results


class Scores:
    """The mean losses and the metrics over the batches seen so far.

    Args:
        heads: the name and the metrics of each output that has a loss; the metrics are copied.
        several: whether the model has several outputs, each with its own loss beside the sum.
    """

    def __init__(
        self, heads: Sequence[tuple[str, Sequence[metrics.Metric]]], several: bool = False
    ) -> None:
        self.batches = 0
        self.loss = metrics.Mean(name="loss")
        self.losses = [metrics.Mean(name=f"{name}_loss") for name, _ in heads if several]
        self._of = [[copy.deepcopy(metric) for metric in own] for _, own in heads]
        self.metrics = [metric for own in self._of for metric in own]
        self._titles = _unique(
            f"{name}_{metric.name}" if several else metric.name
            for name, own in heads
            for metric in own
        )
        for metric in self.metrics:
            metric.reset_state()

    def add(self, results: Results, penalty: float = 0.0) -> None:
        """Count in the batch that was just computed, and the penalties on the parameters.

        The losses have the samples' weights in them; the metrics count every sample alike. That is
        what Keras does.
        """
        count = len(results.heads[0].losses)
        self.batches += 1
        total = penalty * count
        for i, (head, own) in enumerate(zip(results.heads, self._of, strict=True)):
            loss = math.fsum(head.losses.tolist())
            total += head.weight * loss
            if self.losses:
                self.losses[i].add(loss, count)
            for metric in own:
                assert head.targets is not None
                metric.update_state(head.targets, head.output)
        self.loss.add(total, count)

    def state_dict(self) -> dict[str, Any]:
        """What was counted in, for a training that is to be resumed."""
        return {"batches": self.batches, "means": [each.state_dict() for each in self._all()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.batches = state["batches"]
        for each, mean in zip(self._all(), state["means"], strict=True):
            each.load_state_dict(mean)

    def _all(self) -> list[metrics.Metric]:
        return [self.loss, *self.losses, *self.metrics]

    def names(self) -> list[str]:
        """What they are called, as Keras calls them."""
        return [*(each.name for each in (self.loss, *self.losses)), *self._titles]

    def logs(self, prefix: str = "") -> Logs:
        """The means by name, as plain floats; of metrics of several numbers as arrays."""
        means = (metrics.plain(each.result()) for each in self._all())
        return {prefix + name: mean for name, mean in zip(self.names(), means, strict=True)}


def _unique(names: Iterable[str]) -> list[str]:
    """The names, of which a second and a third of the same have numbers, as in Keras."""
    counts: dict[str, int] = {}
    found = []
    for name in names:
        number = counts.get(name, 0)
        counts[name] = number + 1
        found.append(f"{name}_{number}" if number else name)
    return found
