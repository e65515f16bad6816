"""How processes put their gradients together in a fast reduction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.parameters import Parameter, ParameterStore
from ..core.processes import Share
from .communicator import Communicator, Request


class SummedGradients:
    """Adds up gradients over all processes while the backward pass goes on.

    Args:
        comm: the processes.
        store: the parameters of a model.
    """

    def __init__(self, comm: Communicator, store: ParameterStore) -> None:
        self._comm, self._store = comm, store
        self._requests: list[Request] = []

    def start(self, parameters: Sequence[Parameter], share: Share | None) -> None:
        """Begin with the gradients of these parameters."""
        if share is None:
            return
        for request in self._requests:
            request.Test()  # MPI goes on when it is asked
        for place in self._store.places(parameters):
            self._requests.append(self._comm.start_sum(self._store.gradients[place]))

    def finish(self, share: Share | None) -> None:
        """Wait for all of them; and average what is no gradient, the moving statistics."""
        if share is None:
            return
        state = self._store.state
        if state.size:
            self._requests.append(self._comm.start_sum(state))
        for request in self._requests:
            request.Wait()
        self._requests.clear()
        if state.size:
            state /= self._comm.size


class AveragedWeights:
    """Leaves each process its own gradients, as if its share were a batch.

    Args:
        comm: the processes.
        store: the parameters of a model.
    """

    def __init__(self, comm: Communicator, store: ParameterStore) -> None:
        self._store = store

    def start(self, parameters: Sequence[Parameter], share: Share | None) -> None:
        """Nothing: they stay."""

    def finish(self, share: Share | None) -> None:
        """Divide by the share's samples instead of the whole batch's."""
        if share is not None:
            self._store.gradients *= np.float32(
                share.samples / (share.rows.stop - share.rows.start)
            )
