"""What else models of Keras 1 and 2 are asked: names of old for what they have, and for nothing."""

from __future__ import annotations

from typing import Any


class Aliases:
    """Methods and attributes before those of convkit's models."""

    def summary(
        self, line_length: Any = None, positions: Any = None, print_fn: Any = None, **options: Any
    ) -> None:
        """Print the layers and their parameter counts."""
        super().summary(line_length if callable(line_length) else print_fn)  # type: ignore[misc]

    def reset_states(self) -> None:
        """Nothing: no layer remembers the batch before."""

    def make_predict_function(self, force: bool = False) -> Any:
        """Nothing need be made beforehand."""

    _make_predict_function = make_train_function = make_test_function = make_predict_function

    @property
    def trainable_variables(self) -> Any:
        """The weights that training changes."""
        return self.trainable_weights  # type: ignore[attr-defined]

    @property
    def non_trainable_variables(self) -> Any:
        """The weights that training does not change."""
        return self.non_trainable_weights  # type: ignore[attr-defined]

    @property
    def variables(self) -> Any:
        """All weights."""
        return self.weights  # type: ignore[attr-defined]

    @property
    def model(self) -> Any:
        """The model itself, which Keras 1 had inside a Sequential."""
        return self
