"""`google.colab.output`: no page whose output could be changed."""

from __future__ import annotations

from typing import Any

from .. import notes

__all__ = ["clear", "enable_custom_widget_manager", "eval_js", "no_vertical_scroll"]


def clear(*arguments: Any, **options: Any) -> None:
    """Nothing: what was printed stays."""


def enable_custom_widget_manager(*arguments: Any, **options: Any) -> None:
    """Nothing: there are no widgets."""


def eval_js(script: str, *arguments: Any, **options: Any) -> None:
    """None: there is no browser."""
    notes.ignored("output.eval_js()", "there is no browser")


def no_vertical_scroll(*arguments: Any, **options: Any) -> None:
    """Nothing: there is no page."""
