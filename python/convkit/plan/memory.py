"""Where the arrays of a plan lie: each lives from its first write to its last read.

Arrays whose lives do not meet may lie in the same memory. The largest is placed first, each at the
lowest free offset (Y. Pisarchyk and J. Lee, "Efficient memory management for deep neural net
inference", 2020: "greedy by size").
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from ..core.memory import ALIGNMENT, aligned_empty
from ..core.parameters import Array

END = 2**62  # the time of what is read when a batch is done


class Slot:
    """Memory of one array, or of several that follow each other in the same place.

    Attributes:
        start, end: the times of the first write and the last read.
    """

    __slots__ = ("_memory", "_offset", "_place", "end", "nbytes", "start")

    def __init__(self, nbytes: int, start: int, end: int) -> None:
        self.nbytes = nbytes
        self.start = start
        self.end = end
        self._place: Slot | None = None
        self._offset = 0
        self._memory: Array | None = None

    @property
    def place(self) -> Slot:
        """The slot that stands for all in the same place."""
        slot = self
        while slot._place is not None:
            slot = slot._place
        return slot

    @property
    def offset(self) -> int:
        """In bytes from the beginning of the plan's memory."""
        return self.place._offset

    def is_free(self, time: int) -> bool:
        """Whether nothing in the same place is read after that time."""
        return self.place.end <= time

    def follow(self, other: Slot) -> None:
        """Lie where another one does."""
        mine, theirs = self.place, other.place
        if mine is theirs:
            return
        theirs.nbytes = max(mine.nbytes, theirs.nbytes)
        theirs.start = min(mine.start, theirs.start)
        theirs.end = max(mine.end, theirs.end)
        mine._place = theirs

    def view(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Array:
        """The front of the memory as an array of that shape."""
        memory, offset = self.place._memory, self.offset
        assert memory is not None
        item = np.dtype(dtype)
        view: Array = memory[offset : offset + math.prod(shape) * item.itemsize].view(item)
        return view.reshape(shape)


class Memory:
    """All slots of a plan, and their memory.

    Attributes:
        nbytes: the size of the memory, once it is there.
    """

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.nbytes = 0

    def slot(self, nbytes: int, start: int, end: int) -> Slot:
        """A slot for so many bytes, which nobody else has in that time."""
        made = Slot(nbytes, start, end)
        self.slots.append(made)
        return made

    def allocate(self) -> None:
        """Give every slot its place."""
        places = [slot for slot in self.slots if slot.place is slot]
        places.sort(key=lambda slot: -slot.nbytes)  # stable: equals in their order
        starts = np.array([slot.start for slot in places])
        ends = np.array([slot.end for slot in places])
        offsets = np.zeros(len(places), np.int64)
        sizes = np.array([-(-slot.nbytes // ALIGNMENT) * ALIGNMENT for slot in places], np.int64)
        for i in range(len(places)):
            meets = np.flatnonzero((starts[:i] <= ends[i]) & (starts[i] <= ends[:i]))
            meets = meets[np.argsort(offsets[meets], kind="stable")]
            begins = offsets[meets]
            # Behind those before each, and behind all.
            behind = np.maximum.accumulate(np.concatenate(([0], begins + sizes[meets])))
            fits = np.flatnonzero(behind[:-1] + sizes[i] <= begins)
            offsets[i] = behind[fits[0] if len(fits) else -1]
        self.nbytes = int((offsets + sizes).max(initial=0))
        memory = aligned_empty(self.nbytes, np.uint8)
        for slot, offset in zip(places, offsets.tolist(), strict=True):
            slot._offset, slot._memory = offset, memory
