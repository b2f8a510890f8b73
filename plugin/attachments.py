"""What is attached to which index: the record in the cluster that backfills, followers and searchers go by.

A field is attached *in place*, into the documents of the index itself; as a *sidecar*, an index beside it whose
documents have the same ids and hold what is made of the texts; or to a *new* index, a copy of the old one that takes
over its aliases, after which the field is attached to it in place. All attachments of an index are one state document,
so that one request finds them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from opensearchpy import OpenSearch
from opensearchpy.exceptions import NotFoundError

from opensearch_multivector.errors import ClusterError, InputError, MismatchError
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import DEFAULT_FIELD, FieldSpec
from opensearch_multivector.plugin.mapping import check_index_name
from opensearch_multivector.plugin.state import STATE_INDEX, Stored, delete_state, get_state, put_state
from opensearch_multivector.plugin.stored_types import read_back
from opensearch_multivector.plugin.whole_answers import EVERY_SHARD

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch  # only there with the extra `async`

Mode = Literal["in-place", "sidecar", "new"]
IN_PLACE: Mode = "in-place"
SIDECAR: Mode = "sidecar"
NEW: Mode = "new"

# Of a copy that is made (mode new), after "" (anybody may copy) and "swapping:TOKEN" (one process alone does). From
# then on documents are copied by guarded writes alone, and the aliases may have moved.
TAIL = "tail"

# Of the project's own, so that no pattern of the user's (`articles*`) takes a sidecar in.
_SIDECAR_PREFIX = "osmv-sidecar-"
_MAX_INDEX_BYTES = 255
_TRIES = 20
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Attachment:
    """A multi-vector field attached to somebody's index.

    ``index``: the concrete index that is searched, never an alias; ``index_uuid`` tells it from a later one of the same
    name. ``target``: the index that holds `F.*`: the same in place, else the sidecar or the new index; its mapping
    describes the field.
    ``filter_fields``: fields of the documents that a sidecar holds, too, so that it can be filtered by them.
    ``fingerprint``: of all that decides what is stored for a text (`fingerprint_of`). ``paused``: nothing is filled;
    ``detaching``: it is being taken away, and nothing may be filled any more. ``phase``: where a copy stands (`TAIL`);
    ``source``: of the new index until its copying is over, the old one, whose record goes by then.
    """

    index: str
    index_uuid: str
    field: str
    mode: Mode
    target: str
    text_fields: tuple[str, ...]
    fingerprint: str
    made_at: str
    filter_fields: tuple[str, ...] = ()
    paused: bool = False
    detaching: bool = False
    phase: str = ""
    source: str = ""

    @property
    def is_beside(self) -> bool:
        """Whether `F.*` is in another index, where a document's version tells which write of the original it is of."""
        return self.target != self.index

    def content_hash(self, text: str) -> str:
        """`content_hash` of this attachment."""
        return content_hash(self.fingerprint, text)

    def to_state(self) -> dict[str, Any]:
        """As stored."""
        return asdict(self) | {"text_fields": list(self.text_fields), "filter_fields": list(self.filter_fields)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Attachment:
        """Inverse of `to_state`. Raises MismatchError on what is none: by it indices are read, filled, deleted."""

        def build() -> Attachment:
            lists = {name: tuple(state[name]) for name in ("text_fields", "filter_fields")}
            made = cls(**{**state, **lists})
            if not made._has_its_target():
                raise ValueError(made.target)
            return made

        return read_back(build, f"a record of what is attached to which index, in {STATE_INDEX!r},")

    def _has_its_target(self) -> bool:
        # In a request a pattern, a list or `_all` would name other indices, too.
        if not re.fullmatch(r"(?![-_+])[^\\/*?\"<>|\s,#:]+", self.target):
            return False
        if self.mode == SIDECAR:
            return self.target == sidecar_name(self.index, self.field)
        return (self.target == self.index) == (self.mode == IN_PLACE)


def taken_over(attachment: Attachment) -> str:
    """The sentence for who would fill an index that is being swapped in by another process."""
    return (
        f"field {attachment.field!r}: index {attachment.source or attachment.index!r} is just being replaced by "
        f"its copy {attachment.target!r}: let `osmv attach --mode new` come to its end (given again, it goes on)"
    )


def content_hash(fingerprint: str, text: str) -> str:
    """What `F.hash` holds of a document whose vectors are of this text: 24 hex digits."""
    return hashlib.blake2b(f"{fingerprint}\0{text}".encode(errors="backslashreplace"), digest_size=12).hexdigest()


def fingerprint_of(spec: FieldSpec) -> str:
    """16 hex digits of the encoders, codec, reductions, sub-fields and artifacts: what is stored for a text.

    Not of the text fields: which text it is, `Attachment.content_hash` sees by itself.
    """
    meta = {name: value for name, value in spec.to_meta().items() if name not in ("format_version", "text_fields")}
    return hashlib.blake2b(json.dumps(meta, sort_keys=True).encode(), digest_size=8).hexdigest()


def sidecar_name(index: str, field: str = DEFAULT_FIELD) -> str:
    """Name of an index's sidecar. Raises InputError where it is longer than OpenSearch takes."""
    name = f"{_SIDECAR_PREFIX}{index}-{field.lower()}"
    if len(name.encode()) > _MAX_INDEX_BYTES:
        raise InputError(f"the sidecar's name {name!r} is longer than {_MAX_INDEX_BYTES} bytes: attach in place")
    return name


def concrete_index(client: OpenSearch, name: str) -> tuple[str, str]:
    """Name and UUID of the one index behind a name or alias.

    Raises ClusterError where there is none, InputError where there are several: each is attached to by itself.
    """
    check_index_name(name)
    with cluster_errors():
        settings = client.indices.get_settings(index=name, params={"filter_path": "*.settings.index.uuid"})
    if not settings:
        raise ClusterError(f"no index matches {name!r}: check the name")
    if len(settings) > 1:
        raise InputError(f"{name!r} covers {len(settings)} indices ({', '.join(sorted(settings))}): name one of them")
    ((concrete, body),) = settings.items()
    return concrete, body["settings"]["index"]["uuid"]


def attachments_of(client: OpenSearch, index: str) -> tuple[Attachment, ...]:
    """All attachments of an index or of the one behind an alias, by field; none where there are several behind it.

    Raises ClusterError.
    """
    stored = get_state(client, _key(index))
    if stored is None:
        with cluster_errors():
            try:
                behind = list(client.indices.get_alias(index=index, params={"filter_path": "*.aliases"}))
            except NotFoundError:
                behind = []
        index = behind[0] if len(behind) == 1 else index
        stored = get_state(client, _key(index)) if behind == [index] else None
    return _all(index, stored.value if stored else None)


async def attachments_of_async(client: AsyncOpenSearch, index: str) -> tuple[Attachment, ...]:
    """As `attachments_of`."""
    value = await _state_async(client, index)
    if value is None:
        with cluster_errors():
            try:
                behind = list(await client.indices.get_alias(index=index, params={"filter_path": "*.aliases"}))
            except NotFoundError:
                behind = []
        index = behind[0] if len(behind) == 1 else index
        value = await _state_async(client, index) if behind == [index] else None
    return _all(index, value)


def every_attachment(client: OpenSearch) -> Iterator[Attachment]:
    """All attachments of the cluster, as a search finds them. Raises ClusterError, MismatchError."""
    body = {"sort": ["_seq_no"], "size": _PAGE, "seq_no_primary_term": True, "_source": ["index", "fields"]}
    last = -1
    while True:
        wanted = body | {"query": {"range": {"_seq_no": {"gt": last}}}}
        with cluster_errors():
            try:
                # By what there is codebooks are deleted: half an answer is none.
                hits = client.search(index=STATE_INDEX, body=wanted, params=EVERY_SHARD)["hits"]["hits"]
            except NotFoundError:
                return
        for hit in hits:
            if hit["_id"] == _key(index := str(hit["_source"].get("index"))):
                yield from _all(index, hit["_source"])
        if len(hits) < _PAGE:
            return
        last = hits[-1]["_seq_no"]


def find_attachment(client: OpenSearch, index: str, field: str = DEFAULT_FIELD) -> Attachment | None:
    """An index's attachment (`attachments_of`) of that field; None where there is none."""
    return next((each for each in attachments_of(client, index) if each.field == field), None)


def get_attachment(client: OpenSearch, index: str, field: str = DEFAULT_FIELD) -> Attachment:
    """As `find_attachment`. Raises MismatchError where there is none, naming those there are, and ClusterError."""
    there = attachments_of(client, index)
    for attachment in there:
        if attachment.field == field:
            return attachment
    has = f"attached are: {', '.join(each.field for each in there)}" if there else "nothing is attached to it"
    raise MismatchError(f"index {index!r} has no attached field {field!r} ({has}): attach it with `osmv attach`")


def put_attachment(client: OpenSearch, attachment: Attachment) -> None:
    """Record an attachment, in the place of one of the same index and field. Raises ClusterError."""
    _change(client, attachment.index, lambda there: there | {attachment.field: attachment})


def update_attachment(
    client: OpenSearch,
    index: str,
    field: str,
    *,
    check: Callable[[Attachment], None] = lambda _: None,
    **changes: Any,
) -> Attachment:
    """Set members (``paused=True``) of what is recorded now, so that changes by others at the same time are kept.

    ``index``: the concrete one. ``check`` raises where what is recorded now is not to be changed. Raises MismatchError
    where it is no longer attached, ClusterError.
    """

    def changed(there: dict[str, Attachment]) -> dict[str, Attachment]:
        if field not in there:
            raise MismatchError(f"field {field!r} is no longer attached to index {index!r}")
        check(there[field])
        return there | {field: replace(there[field], **changes)}

    return _change(client, index, changed)[field]


def remove_attachment(client: OpenSearch, index: str, field: str) -> None:
    """Forget an attachment; one that is not there is no error. ``index``: the concrete one. Raises ClusterError."""
    _change(client, index, lambda there: {name: each for name, each in there.items() if name != field})


def _change(
    client: OpenSearch, index: str, change: Callable[[dict[str, Attachment]], dict[str, Attachment]]
) -> dict[str, Attachment]:
    for _ in range(_TRIES):
        stored = get_state(client, _key(index))
        after = change({each.field: each for each in _all(index, stored.value if stored else None)})
        if _written(client, index, after, stored):
            return after
    raise ClusterError(f"the attachments of index {index!r} are changed by many at once: try again")


def _written(client: OpenSearch, index: str, after: Mapping[str, Attachment], stored: Stored | None) -> bool:
    if after:
        value = {"index": index, "fields": {name: each.to_state() for name, each in after.items()}}
        return put_state(client, _key(index), value, stored) is not None
    return stored is None or delete_state(client, _key(index), stored)


def _key(index: str) -> str:
    return f"attachments-{index}"


def _all(index: str, value: Mapping[str, Any] | None) -> tuple[Attachment, ...]:
    if value is None:
        return ()
    described = value.get("fields")
    found = (
        [Attachment.from_state(each) for _, each in sorted(described.items())] if isinstance(described, dict) else []
    )
    if not found or any(each.index != index for each in found):
        raise MismatchError(
            f"the record of what is attached to index {index!r} in {STATE_INDEX!r} is none, or of another index: "
            f"restore {STATE_INDEX!r} from a snapshot, or remove the record and attach again"
        )
    return tuple(found)


async def _state_async(client: AsyncOpenSearch, index: str) -> dict[str, Any] | None:
    with cluster_errors():
        try:
            return cast("dict[str, Any]", (await client.get(index=STATE_INDEX, id=_key(index)))["_source"])
        except NotFoundError:
            return None
