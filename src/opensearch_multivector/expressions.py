"""How users name a thing and its parameters: ``codes:nprobe=8,max_terms=500``.

First stages, rerankers, sub-fields and reductions are frozen dataclasses whose fields are their parameters. A table of
them by name and an expression give the object; what is left out keeps its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

from opensearch_multivector.errors import InputError

Thing = TypeVar("Thing")

_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def build(expression: str, table: Mapping[str, type[Thing]], what: str) -> Thing:
    """The thing that ``NAME`` or ``NAME:KEY=VALUE,...`` describes; ``what`` names its kind in errors ("codec", ...).

    Values are taken as the type of the field's default. Raises InputError on an unknown name or parameter, a value
    that is no such type, and on what the thing itself refuses.
    """
    name, _, rest = expression.strip().partition(":")
    name = name.strip()
    if name not in table:
        raise InputError(f"unknown {what} {name!r}: choose of {', '.join(table)}")
    cls = table[name]
    known = parameters(cls)
    given: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if key not in known or not equals:
            takes = ", ".join(f"{key}={default}" for key, default in known.items()) or "none"
            raise InputError(f"{what} {name!r} has no parameter {part!r}: it takes {takes}")
        if key in given:
            raise InputError(f"{what} {name!r} gets the parameter {key} twice")
        given[key] = _value(value, known[key], f"parameter {key} of {what} {name!r}")
    return cls(**given)


def parameters(cls: type[Any]) -> dict[str, Any]:
    """The parameters of a thing and their defaults, in order."""
    return {field.name: _default(field) for field in fields(cls) if field.init}


def text(thing: Any) -> str:
    """The expression that builds an equal thing: its name, and the parameters that differ from their defaults."""
    defaults = parameters(type(thing))
    given = [f"{key}={getattr(thing, key)}" for key, default in defaults.items() if getattr(thing, key) != default]
    return ":".join(filter(None, (thing.name, ",".join(given))))


def _default(field: Field[Any]) -> Any:
    if field.default is MISSING:
        raise TypeError(f"parameter {field.name} has no default: an expression could not leave it out")
    return field.default


def _value(value: str, default: Any, what: str) -> Any:
    if isinstance(default, bool):
        if value.lower() not in _FLAGS:
            raise InputError(f"{what} is true or false, not {value!r}")
        return _FLAGS[value.lower()]
    for kind, name in ((int, "a whole number"), (float, "a number")):
        if isinstance(default, kind):
            try:
                return kind(value)
            except ValueError:
                raise InputError(f"{what} is {name}, not {value!r}") from None
    return value
