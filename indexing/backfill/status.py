"""How much of an index an attached field covers: by counts, or by a look at every document."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import field as member
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError
from opensearch_multivector.indexing.backfill.by_time import PlaceStore
from opensearch_multivector.indexing.backfill.horizons import Horizon, number_of_shards, read_horizons
from opensearch_multivector.indexing.backfill.load import load_spec
from opensearch_multivector.indexing.backfill.reconcile import orphans_of
from opensearch_multivector.indexing.backfill.scan import Scanner
from opensearch_multivector.indexing.backfill.unit_store import UnitStore
from opensearch_multivector.indexing.backfill.units import Letter, ShardWork
from opensearch_multivector.indexing.patience import Patience
from opensearch_multivector.plugin.attachments import NEW, Attachment, get_attachment
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import DEFAULT_FIELD, HASH

_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Status:
    """An attached field's state, in documents; ``pending``: writes to the index that nobody has looked at yet
    (documents, where ``followed_by`` names a field with their time).

    ``covered`` have something stored, ``missing`` have nothing (in place: and have a text), ``stale`` (None: unknown)
    have something of an earlier text or, in a sidecar, of an earlier write; ``orphaned`` are in the sidecar alone;
    ``failed`` were refused, ``letters`` are some of them. ``workers``: who is at work, ``paces``: how
    fast, and what they wait for. ``exact``: every document was
    looked at; else ``covered`` has what is stale in it, and where deletions and additions cancel out in a sidecar,
    ``missing`` and ``orphaned`` are too low.
    """

    index: str
    field: str
    mode: str
    target: str
    paused: bool
    documents: int
    covered: int
    missing: int
    stale: int | None
    orphaned: int
    failed: int
    pending: int
    workers: tuple[str, ...]
    letters: tuple[Letter, ...]
    exact: bool
    followed_by: str | None = None
    paces: Mapping[str, Mapping[str, Any]] = member(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do, as far as was looked."""
        return not (self.missing or self.stale or self.orphaned or self.failed or self.pending)

    def to_dict(self) -> dict[str, Any]:
        """As `osmv status --json` prints it."""
        return asdict(self) | {"complete": self.complete}


def status_of(
    client: OpenSearch, index: str, field: str = DEFAULT_FIELD, *, verify: bool = False, refresh: bool = True
) -> Status:
    """The state of an attached field; ``verify`` looks at every document and changes nothing either.

    ``refresh`` False: counts are of what searches find at this moment, which is for who asks again and again.

    Raises MismatchError where nothing of that name is attached or the index is another by now, ClusterError.
    """
    attachment = get_attachment(client, index, field)
    if refresh:
        with cluster_errors():
            client.indices.refresh(index=f"{attachment.index},{attachment.target}")
    place = PlaceStore(client, attachment).read()
    # Where times are followed, sequence numbers may be closed to us.
    horizons = read_horizons(client, attachment, refresh=refresh or verify) if place is None or verify else ()
    store = UnitStore(client, attachment, "")
    if place is None:
        works = [_begun(store.read(horizon.shard), horizon) for horizon in horizons]
        pending = sum(max(0, at.seq_no - work.covered) for at, work in zip(horizons, works, strict=True))
    else:
        shards = range(number_of_shards(client, attachment.index))
        works = [work for work in map(store.read, shards) if work is not None]
        pending = _count(client, attachment.index, place.later())
    now = time.time()
    at_work = [lease for work in works for lease in work.leases if lease.until > now]
    documents = _count(client, attachment.index, {"match_all": {}})
    covered, missing, stale, orphaned = _counted(client, attachment)
    if verify:
        covered, missing, stale, orphaned = _verified(client, attachment, horizons)
    return Status(
        index=attachment.index,
        field=attachment.field,
        mode=attachment.mode,
        target=attachment.target,
        paused=attachment.paused,
        documents=documents,
        covered=covered,
        missing=missing,
        stale=stale,
        orphaned=orphaned,
        failed=sum(work.failed for work in works) + (len(place.letters) if place else 0),
        pending=pending,
        workers=tuple(sorted({lease.owner for lease in at_work})),
        letters=(
            *(letter for work in works for failures in work.failures for letter in failures.letters),
            *(place.letters if place else ()),
        ),
        exact=verify,
        followed_by=place.by if place else None,
        paces={lease.owner: lease.pace for lease in at_work if lease.pace},
    )


def _begun(work: ShardWork | None, horizon: Horizon) -> ShardWork:
    return (work or ShardWork(horizon.history)).seen(horizon.history, horizon.seq_no)


def _counted(client: OpenSearch, attachment: Attachment) -> tuple[int, int, None, int]:
    stored = {"exists": {"field": f"{attachment.field}.{HASH}"}}
    if attachment.mode == NEW:
        stored = {"match_all": {}}  # a document without a text is copied, too
    covered = _count(client, attachment.target, stored)
    if attachment.is_beside:
        documents = _count(client, attachment.index, {"match_all": {}})
        return covered, max(0, documents - covered), None, max(0, covered - documents)
    texts = {"bool": {"should": [{"exists": {"field": name}} for name in attachment.text_fields]}}
    return covered, _count(client, attachment.index, {"bool": {"filter": [texts], "must_not": [stored]}}), None, 0


def _verified(client: OpenSearch, attachment: Attachment, horizons: tuple[Horizon, ...]) -> tuple[int, int, int, int]:
    """What is fresh, missing, stale and orphaned."""
    patience = Patience(_PATIENCE, threading.Event())
    scanner = Scanner(client, attachment, load_spec(client, attachment), patience)
    fresh = missing = stale = 0
    for horizon in horizons:
        for _, page in scanner.pages(horizon.shard, -1, horizon.seq_no):
            for found in page:
                text = scanner.text_of(found)
                stored = found.hash if not attachment.is_beside else found.stored_as
                if not scanner.is_fresh(found, text):
                    missing += stored is None
                    stale += stored is not None
                else:
                    fresh += stored is not None
    orphaned = 0
    if attachment.is_beside:
        orphaned = sum(len(orphans) for orphans in orphans_of(client, attachment, patience))
    return fresh + stale, missing, stale, orphaned


def _count(client: OpenSearch, index: str, query: dict[str, Any]) -> int:
    body = {"query": {"constant_score": {"filter": query}}}
    with cluster_errors():
        # Without a lowest score, the existence of a text is looked up in a way that misses those of blanks alone.
        answer = client.count(index=index, body=body, params={"min_score": 0.5})
    if answer["_shards"]["failed"]:
        raise ClusterError(f"not all shards of index {index!r} answer: see that they are all assigned")
    return int(answer["count"])
