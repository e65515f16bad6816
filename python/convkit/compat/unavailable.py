"""What a script imports and convkit has not: an error where it is used, not where it is imported.

Scripts import more than they use: a CNN that never makes an LSTM runs, whatever is imported.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NoReturn

from . import notes


class Unavailable(ModuleType):
    """Stands for a name that is not here, be it a module, a class or a function.

    Args:
        path: of the name, such as `keras.layers.LSTM`.
        hint: what to do instead: the end of an error's message.
    """

    def __init__(self, path: str, hint: str) -> None:
        super().__init__(path, f"`{path}` is not available{hint}.")
        self.__path__: list[str] = []
        self._hint = hint

    def _refuse(self) -> NoReturn:
        notes.missing(self.__name__, self._hint)
        raise AttributeError(f"{self.__name__} is not available{self._hint}")

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self._refuse()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"{self.__name__} has no attribute {name!r}")
        return Unavailable(f"{self.__name__}.{name}", self._hint)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type[Any]]:
        self._refuse()

    def __instancecheck__(self, instance: object) -> bool:
        return False

    def __subclasscheck__(self, kind: type[Any]) -> bool:
        return False

    def __repr__(self) -> str:
        return f"<{self.__name__}, which is not available>"
