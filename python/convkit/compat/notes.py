"""What a script asked for and did not get: remembered, so that a run can say it at its end."""

from __future__ import annotations

_missing: dict[str, str] = {}
_ignored: dict[str, str] = {}


def missing(name: str, advice: str = "") -> None:
    """Somebody asked for a name that is not there."""
    _missing.setdefault(name, advice)


def ignored(what: str, reason: str = "") -> None:
    """Something was asked for that makes no difference here, such as an argument."""
    _ignored.setdefault(what, reason)


def forget() -> None:
    """Begin anew."""
    _missing.clear()
    _ignored.clear()


def missing_names() -> dict[str, str]:
    """The names that are not there, with what to do instead, in the order they were asked for."""
    return dict(_missing)


def report() -> list[str]:
    """The lines that tell all of it; none if there is nothing to tell."""
    lines = []
    for title, found in (("not available", _missing), ("ignored", _ignored)):
        for name, reason in found.items():
            words = reason.removeprefix("; ")
            lines.append(f"{title}: {name}{words and f' ({words})'}")
    return lines
