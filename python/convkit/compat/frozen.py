"""Which layers a model trains: as in Keras, those that were trainable when it was compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def note(model: Any) -> None:
    """Remember which layers of a model can be trained now that it is compiled."""
    object.__setattr__(model, "_as_compiled", _Kept(model))


class _Kept:
    """The layers of a model, and whether each could be trained; none before it is built."""

    def __init__(self, model: Any) -> None:
        layers = model.graph.all_layers() if model.built else []
        self.pairs = [(each, each.trainable) for each in layers]


@contextmanager
def as_compiled(model: Any) -> Iterator[None]:
    """Within, layers can be trained, or not, as when the model was compiled.

    A discriminator that is compiled, and then frozen for another model that it is a part of, goes
    on being trained by itself.
    """
    known = vars(model).get("_as_compiled")
    pairs = known.pairs if known is not None else ()
    others = [(layer, layer.trainable) for layer, before in pairs if layer.trainable != before]
    if not others:
        yield
        return
    for layer, now in others:
        layer.trainable = not now
    try:
        yield
    finally:
        for layer, now in others:
            layer.trainable = now
