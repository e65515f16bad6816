"""What to write instead of arguments that only Keras, or an older version of it, takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

_Method = TypeVar("_Method", bound=Callable[..., Any])


def with_advice(method: _Method) -> _Method:
    """The function, whose TypeError for an unknown argument says what to write instead."""

    @wraps(method)
    def checked(*args: Any, **options: Any) -> Any:
        try:
            return method(*args, **options)
        except TypeError as error:
            from ..absent import renamed  # here: only for an error

            for name in options:
                if f"unexpected keyword argument {name!r}" in str(error):
                    raise TypeError(f"{error}{renamed(name)}") from None
            raise

    return cast(_Method, checked)
