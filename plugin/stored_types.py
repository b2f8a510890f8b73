"""What was read back from the cluster, against the types that it is declared with.

The state in the cluster may have been written by a later release, by hand, or by somebody who should not: taken as it
is, it would end in a traceback far from its cause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from math import isfinite
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from opensearch_multivector.errors import InputError, MismatchError

Read = TypeVar("Read")


def read_back(build: Callable[[], Read], what: str) -> Read:
    """What ``build`` makes of stored JSON. Raises MismatchError, naming ``what``, where it is not what it should be."""
    try:
        made = build()
    except (TypeError, KeyError, ValueError, AttributeError, InputError):
        made = None
    if made is None or not _fits(made, type(made)):
        raise MismatchError(
            f"{what} is not as this release writes it: it was altered, or is of a later release; restore it from a "
            "snapshot, or make it anew"
        )
    return made


def _fits(value: Any, hint: Any) -> bool:
    kind, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if kind is Literal:
        return value in inner
    if kind in (Union, UnionType):
        return any(_fits(value, each) for each in inner)
    if kind is tuple and inner[1:] == (...,):
        return isinstance(value, tuple) and all(_fits(each, inner[0]) for each in value)
    if kind is tuple:
        return isinstance(value, tuple) and len(value) == len(inner) and all(map(_fits, value, inner))
    if kind is not None and issubclass(kind, Mapping):
        return isinstance(value, Mapping) and all(_fits(k, inner[0]) and _fits(v, inner[1]) for k, v in value.items())
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool) and isfinite(value)
    if not isinstance(value, type(None) if hint is None else kind or hint):
        return False
    if not is_dataclass(value):
        return True
    hints = get_type_hints(type(value))
    return all(_fits(getattr(value, each.name), hints[each.name]) for each in fields(value))
