"""Who calls, and what they may: a bearer token names a caller, and nothing in a request can make of it another.

Of tokens the SHA-256 is kept alone. They are long random words, so that a plain hash hides them; it also makes their
comparison take the same time whatever is sent.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from opensearch_multivector.errors import InputError
from opensearch_multivector.ops.service.errors import RefusalError, refusal_of_validation
from opensearch_multivector.ops.service.schema import Asked
from opensearch_multivector.queries.request import check_clause

_SHORTEST = 16
_LONGEST = 4096
# A pattern, a list, date mathematics, an exclusion: OpenSearch would read each of them as other indices than it names.
_NO_NAME = frozenset('*?,<>|/\\"# :%') | {chr(code) for code in range(0x21)}


class Entry(Asked):
    """A line of the file of tokens."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    indices: Annotated[list[str], Field(min_length=1)] = Field(default=["*"])
    tenant: dict[str, Any] | None = None
    filters: bool = False
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds a token; ``tenant``: the clause that all their searches are held to.

    ``indices``: patterns of those that they may search, of which the service has those that it has ``served``.
    ``filters``: they may send query clauses. ``operator``: they may see what concerns all documents of the cluster.
    """

    name: str
    indices: tuple[str, ...] = ("*",)
    served: tuple[str, ...] = ("*",)
    tenant: dict[str, Any] | None = None
    filters: bool = False
    operator: bool = False

    def check_index(self, index: str) -> None:
        """Raise RefusalError where this is not the name of one index or alias that they may search."""
        if not index or index[0] in "-_+." or _NO_NAME & set(index) or index.startswith("osmv-sidecar-"):
            raise RefusalError(400, "bad_request", "index must be the name of one index or alias, without patterns")
        if not self.may_search(index):
            raise RefusalError(403, "forbidden", f"this token is not for index {index!r}")

    def may_search(self, index: str) -> bool:
        """Whether a name is one of theirs."""
        return all(any(fnmatchcase(index, each) for each in patterns) for patterns in (self.indices, self.served))


class Door:
    """Tells callers by their tokens; without any, everybody is ``everyone``."""

    def __init__(self, tokens: dict[bytes, Caller], everyone: Caller) -> None:
        self._tokens = tokens
        self._everyone = everyone

    @property
    def needs_token(self) -> bool:
        """Whether nobody is answered without a token."""
        return bool(self._tokens)

    def caller(self, authorization: str | None) -> Caller:
        """The caller of a request with this header. Raises RefusalError."""
        if not self._tokens:
            return self._everyone
        scheme, _, token = (authorization or "").partition(" ")
        given = hashlib.sha256(token.strip().encode("utf-8", "surrogatepass")).digest()
        found = None
        for digest, caller in self._tokens.items():
            if hmac.compare_digest(digest, given):
                found = caller
        if scheme.lower() != "bearer" or found is None:
            raise RefusalError(
                401,
                "no_token",
                "send a valid token in the header Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": 'Bearer realm="osmv"'},
            )
        return found


def make_door(token: str | None, entries: Path | None, indices: tuple[str, ...], filters: bool) -> Door:
    """The door of a service of these indices; ``token``: of an operator, who may search all of them.

    Raises InputError.
    """
    operator = Caller("operator", served=indices, filters=filters, operator=True)
    tokens: dict[bytes, Caller] = {}
    if token is not None:
        if not _SHORTEST <= len(token) <= _LONGEST or not token.isascii() or not token.isprintable() or " " in token:
            raise InputError(f"the token must be {_SHORTEST} to {_LONGEST} printable ASCII characters without blanks")
        tokens[hashlib.sha256(token.encode()).digest()] = operator
    for entry in _read(entries) if entries else ():
        digest = bytes.fromhex(entry.sha256)
        if digest in tokens:
            raise InputError(f"{entries}: the token of {entry.name!r} is somebody else's, too: give each its own")
        if entry.operator and entry.tenant is not None:
            raise InputError(f"{entries}: {entry.name!r} can't be bound to a tenant and see all as an operator")
        may = tuple(entry.indices)
        caller = Caller(entry.name, may, indices, entry.tenant, entry.filters and filters, entry.operator)
        tokens[digest] = caller
    return Door(tokens, operator)


def _read(path: Path) -> list[Entry]:
    try:
        entries = TypeAdapter(list[Entry]).validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror})") from None
    except ValidationError as error:
        raise InputError(f"{path}: no list of tokens; {refusal_of_validation(error).message}") from None
    names = [entry.name for entry in entries]
    if not entries or len(set(names)) < len(names) or "operator" in names:
        raise InputError(f"{path}: give each token a name of its own ('operator' is taken), and at least one token")
    for entry in entries:
        if entry.tenant is not None:
            try:
                check_clause("tenant", entry.tenant)
                json.dumps(entry.tenant, allow_nan=False)
            except (InputError, ValueError) as error:
                raise InputError(f"{path}: {entry.name!r}: {error}") from None
    return entries
