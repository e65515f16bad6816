"""get_config and from_config, for everything that a saved model consists of.

One rule serves layers, optimizers, losses, metrics, initializers, schedules and regularizers: each
argument of the constructor is an attribute of the same name. So the configuration can be read off
the constructor's signature, and a new class has nothing to write. `**options` in a constructor
stands for the arguments that all classes of its kind take, those of the base class.

A configuration holds only what JSON can: None, booleans, finite numbers, strings, lists and
dictionaries. An object inside one, such as an initializer, is what `serialize` makes of it.

So an argument that is set later, `layer.rate = 0.2`, must count as if the constructor had been
given it: for the object itself, and for the copy that a file makes of it. Setting one makes a twin
of the object by its constructor, which checks and converts all arguments together as it always
does, and from which the object takes the argument and what the constructor derives from it.
"""

from __future__ import annotations

import inspect
import math
import operator
from abc import ABCMeta
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from . import custom

if TYPE_CHECKING:
    from typing_extensions import Self


class _Constructed(ABCMeta):
    """Tells an object when its construction is over, and which attributes are arguments of it."""

    _guarded: frozenset[str]

    def __init__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> None:
        super().__init__(name, bases, namespace, **options)
        # All names that can be arguments, and some more: other attributes are set without ado.
        own = _argument_variables(namespace["__init__"]) if "__init__" in namespace else ()
        known = (base._guarded for base in bases if isinstance(base, _Constructed))
        cls._guarded = frozenset(own).union(namespace.get("_unsettable", ()), *known)

    if not TYPE_CHECKING:  # checkers, and `help`, are to see the arguments of `__init__`

        def __call__(cls, *arguments: Any, **options: Any) -> Any:
            made = super().__call__(*arguments, **options)
            object.__setattr__(made, "_constructed", True)
            return made

        @property
        def __signature__(cls) -> inspect.Signature:
            if cls.__init__ is object.__init__:
                return inspect.Signature()
            whole = inspect.signature(cls.__init__)
            return whole.replace(parameters=list(whole.parameters.values())[1:])


def _argument_variables(function: Callable[..., Any]) -> Iterable[str]:
    """The names of a function's arguments, by position or keyword, without its whole signature.

    Every class of convkit asks, and making a signature takes as long as making the class.
    """
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:  # it is no function of Python's
        return inspect.signature(function).parameters
    names: tuple[str, ...] = code.co_varnames
    return names[: code.co_argcount + code.co_kwonlyargcount]


class Configurable(metaclass=_Constructed):
    """Base class of what can be described by its constructor's arguments.

    Attributes:
        _unsettable: names that cannot be set once the object is made, and what to do instead.
        _derived: the attributes that the constructor makes of its arguments.
    """

    _unsettable: ClassVar[Mapping[str, str]] = {}
    _derived: ClassVar[tuple[str, ...]] = ()
    _constructed = False

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as a small dictionary that JSON can hold.

        Raises:
            TypeError: an argument is something that JSON cannot hold, such as a function.
        """
        return {
            name: _plain(value, f"{type(self).__name__}: the argument {name}")
            for name, value in self._arguments(type(self)).items()
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A new object from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return call_of(self)

    if not TYPE_CHECKING:  # checkers would let any attribute be set

        def __setattr__(self, name: str, value: Any) -> None:
            if name in self._guarded and self._constructed:
                self._set(name, value)
            else:
                super().__setattr__(name, value)

    def _set(self, name: str, value: Any) -> None:
        """Set an argument of the constructor of an object that was made before.

        Raises:
            AttributeError: it cannot be set any more; the message says what to do.
            ValueError, TypeError: what the constructor raises for such an argument.
        """
        if name in self._unsettable:
            raise self._refusal(name, self._unsettable[name])
        kind = _taker(type(self), name)
        if (
            kind is None
            or isinstance(getattr(type(self), name, None), property)  # which checks it
            or not all(hasattr(self, each) for each in argument_names(kind))  # a user's class
        ):
            object.__setattr__(self, name, value)
            return
        twin = kind(**{**self._arguments(kind), name: value})
        self._check_change(name, twin)
        for each in (name, *twin._derived):
            object.__setattr__(self, each, getattr(twin, each))

    def _arguments(self, kind: type[Any]) -> dict[str, Any]:
        """What one would give the constructor of that class of this object's for the same again."""
        return {name: getattr(self, name) for name in argument_names(kind)}

    def _check_change(self, name: str, twin: Any) -> None:
        """Raise AttributeError if the object cannot become what the twin is in that argument."""

    def _refusal(self, name: str, advice: str) -> AttributeError:
        """The error for an attribute that cannot be set."""
        return AttributeError(f"{self._title}: {name} cannot be set; {advice}")

    @property
    def _title(self) -> str:
        """What errors call the object."""
        return type(self).__name__


def serialize(value: Any) -> dict[str, Any]:
    """An object as Keras writes it: its module, the name of its class, and its configuration.

    The module is that of the kind, such as `convkit.layers`, however deep the class lives in it.
    """
    if not hasattr(value, "get_config") or isinstance(value, type):
        raise TypeError(f"serialize takes an object of convkit, received {value!r}")
    kind = type(value)
    module = ".".join(kind.__module__.split(".")[:2])
    name = custom.name_of(kind) or kind.__name__
    return {"module": module, "class_name": name, "config": value.get_config()}


def not_negative(value: float, what: str, owner: Configurable) -> float:
    """Return an argument as a float; ValueError unless it is a finite number of at least 0."""
    number = as_number(value)
    if number is None or not math.isfinite(number) or number < 0:
        raise ValueError(
            f"{type(owner).__name__}: {what} must be a finite number of at least 0, "
            f"received {value!r}"
        )
    return number


def as_number(value: Any) -> float | None:
    """A real number, also NumPy's, as a float; None for anything else, booleans among it."""
    if isinstance(value, bool | str | bytes) or getattr(value, "ndim", 0) != 0:
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def real(value: Any, what: str, owner: Any) -> float:
    """Return an argument as a float; ValueError unless it is a real number."""
    number = as_number(value)
    if number is None:
        raise ValueError(f"{type(owner).__name__}: {what} must be a number, received {value!r}")
    return number


def checked_name(name: Any, owner: Any) -> str:
    """A name as an argument of a constructor, None for that of the class; TypeError for others."""
    if name is not None and not isinstance(name, str):
        kind = type(owner).__name__
        raise TypeError(f"{kind}: name must be a string or None, received {name!r}")
    return name or str(type(owner).name)


def flag(value: Any, what: str, owner: Any) -> bool:
    """Return an argument as a bool; TypeError for what is neither true nor false, as an array."""
    try:
        return bool(value)
    except MemoryError:
        raise
    except Exception:  # whatever the object's own method raises
        kind = owner if isinstance(owner, str) else type(owner).__name__
        raise TypeError(f"{kind}: {what} must be True or False, received {value!r}") from None


def call_of(value: object) -> str:
    """The call that makes such an object, for `repr`; without functions among its arguments."""
    names = [name for name in argument_names(type(value)) if hasattr(value, name)]
    values = {name: getattr(value, name) for name in names}
    arguments = [f"{name}={each!r}" for name, each in values.items() if not callable(each)]
    return f"{type(value).__name__}({', '.join(arguments)})"


# Of each class: a model of many layers asks for the same few ones again and again.
_argument_names: WeakKeyDictionary[type[Any], tuple[str, ...]] = WeakKeyDictionary()


def argument_names(kind: type[Any]) -> tuple[str, ...]:
    """The arguments of a class's constructor, in its order."""
    found = _argument_names.get(kind)
    if found is None:
        found = _argument_names[kind] = _read_argument_names(kind)
    return found


def _read_argument_names(kind: type[Any]) -> tuple[str, ...]:
    parameters = inspect.signature(kind.__init__).parameters
    names = [
        name
        for name, parameter in list(parameters.items())[1:]  # without self
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()) and (base := _base(kind)) != kind:
        names += [name for name in argument_names(base) if name not in names]
    return tuple(names)


def _taker(kind: type[Any], name: str) -> type[Any] | None:
    """The first of a class and its bases whose constructor takes an argument of that name."""
    line = (each for each in kind.__mro__ if issubclass(each, Configurable))
    return next((each for each in line if name in argument_names(each)), None)


def unknown(kind: str, received: Any, names: Iterable[str]) -> ValueError:
    """The error for a name, or what is no name, that none of the `names` of that kind is.

    Args:
        kind: such as "optimizer", whose objects are in `convkit.optimizers`.
        received: what the user gave.
        names: those that are known.
    """
    listed = ", ".join(sorted(names))
    from ..absent import by_name  # here: only for an error

    module = {"loss": "losses"}.get(kind, f"{kind}s")
    hint = by_name(module, received) if isinstance(received, str) else ""
    return ValueError(
        f"unknown {kind} {received!r}: use one of {listed}, or an object of convkit.{module}"
        f"{hint or suggestion(received, names)}"
    )


def same_name(received: Any, names: Iterable[str]) -> str | None:
    """The one of some names that only differs in capitals and underscores, as Keras takes it."""
    if not isinstance(received, str):
        return None
    if received in (names := list(names)):
        return received
    return next((name for name in names if _plain_name(name) == _plain_name(received)), None)


def suggestion(received: Any, names: Iterable[str]) -> str:
    """What a user may have meant who gave something unknown: the end of a message, or ""."""
    if isinstance(received, type) and issubclass(received, Configurable):
        return f"; for an object of this class write {received.__name__}(...)"
    if not isinstance(received, str):
        received = getattr(received, "__name__", type(received).__name__)
    plain = {name: _plain_name(name) for name in names}
    meant = _plain_name(received)
    near = [name for name in plain if plain[name] == meant]
    near = near or [name for name in plain if len(meant) > 2 and meant in plain[name]]
    if not near:
        from difflib import get_close_matches  # only here: for a user who mistyped a name

        close = get_close_matches(meant, plain.values(), n=1, cutoff=0.7)
        near = [name for name in plain if plain[name] in close]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def _plain_name(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def _base(kind: type[Any]) -> type[Any]:
    """The class of its ancestors that comes right after `Configurable`: Layer, Loss, ..."""
    line = [each for each in kind.__mro__ if issubclass(each, Configurable)]
    return line[-2] if len(line) > 1 else kind


def _plain(value: Any, what: str) -> Any:
    """The value as JSON can hold it; TypeError names the argument that it belongs to."""
    if value is None or isinstance(value, bool | str):
        return value
    if hasattr(value, "get_config") and not isinstance(value, type):
        return serialize(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(each, what) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_plain(each, what) for each in value]
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        return _plain(value.tolist(), what)
    try:
        return operator.index(value)
    except TypeError:
        pass
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise TypeError(
        f"{what} is {value!r}, which a configuration cannot hold: it must consist of None, "
        f"booleans, finite numbers, strings, lists, and objects of convkit"
    )
