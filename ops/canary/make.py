"""Making a canary, and making its exact answers anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders.base import Encoder
from opensearch_multivector.errors import ClusterError, InputError, MismatchError
from opensearch_multivector.ops.canary import store
from opensearch_multivector.ops.canary.canary import Answer, Canary, Query
from opensearch_multivector.ops.canary.exact import Scan, Scanner, begin
from opensearch_multivector.ops.canary.neighbours import graphs_of, nearest
from opensearch_multivector.ops.canary.queries import draw_queries, encoded, read_queries
from opensearch_multivector.ops.canary.results import NEIGHBOURS
from opensearch_multivector.plugin.attachments import concrete_index, fingerprint_of
from opensearch_multivector.queries.searcher import Searcher

# Of more documents a sample is scored, unless asked otherwise: it is said, and kept with the canary.
SAMPLE = 500_000


@dataclass(frozen=True, slots=True)
class Watching:
    """Who is told how far the work is, and may stop it; ``rate``: documents read per second, at most."""

    message: Callable[[str], None] = lambda _: None
    progress: Callable[[int, int], None] = lambda _done, _total: None
    stop: Event = field(default_factory=Event)
    rate: float | None = None


def add_canary(
    client: OpenSearch,
    name: str,
    index: str,
    *,
    queries: str | None = None,
    draw: int = 50,
    field: str = "mv",
    sidecar: str | None = None,
    encoder: Encoder | None = None,
    sample: int = SAMPLE,
    watching: Watching | None = None,
    **settings: Any,
) -> Canary | None:
    """Make a canary of an index: encode its queries, and score all documents with them.

    ``queries``: a file or name of topics; None: ``draw`` queries are made of random documents. ``sample``: of more
    documents than so many a sample is scored; 0: never. ``settings``: other members of `Canary`. One that was stopped
    or killed is gone on with. Returns None where it was stopped. Raises InputError where there is a canary of that
    name or something given makes no sense, MismatchError, ClusterError.
    """
    watching = watching or Watching()
    searcher = Searcher(client, index, field=field, sidecar=sidecar, encoder=encoder)
    searcher.spec.need_vectors("a canary")
    if store.find_canary(client, name) is not None:
        raise InputError(f"there is a canary {name!r}: renew its answers (osmv canary renew), or remove it first")
    source, given = read_queries(queries) if queries is not None else draw_queries(client, searcher, draw)
    canary = Canary(
        name=name,
        index=index,
        field=field,
        sidecar=sidecar,
        uuid=holder(client, searcher)[1],
        fingerprint=fingerprint_of(searcher.spec),
        source=source,
        queries=len(given),
        **settings,
    )
    requests = [canary.request(*way).on(searcher.spec, searcher.sidecar) for way in canary.ways]
    kept = encoded(searcher, given)
    for needs in {request.needs for request in requests}:
        searcher.queries.encode([kept[0].query], needs)  # what can't be had is said before all documents are scored
    return _scanned(client, searcher, canary, kept, sample, watching)


def renew_canary(
    client: OpenSearch,
    name: str,
    *,
    encoder: Encoder | None = None,
    sample: int = SAMPLE,
    watching: Watching | None = None,
) -> Canary | None:
    """Make the exact answers anew, of the documents that there are now; until they are whole the old ones stand.

    Also where the index was made anew, or is of another encoder now, if the queries are texts. Arguments and errors as
    of `add_canary`.
    """
    canary = store.get_canary(client, name)
    searcher = Searcher(client, canary.index, field=canary.field, sidecar=canary.sidecar, encoder=encoder)
    searcher.spec.need_vectors("a canary")
    fingerprint = fingerprint_of(searcher.spec)
    kept = store.get_queries(client, canary)
    if fingerprint != canary.fingerprint:
        texts = {each.id: each.query.text for each in kept}
        if any(text is None for text in texts.values()):
            raise MismatchError(
                f"index {canary.index!r} is of another encoder or form now, and queries of canary {name!r} are ready "
                "vectors: remove it and add it anew"
            )
        kept = encoded(searcher, {query_id: text for query_id, text in texts.items() if text is not None})
    canary = replace(
        canary, uuid=holder(client, searcher)[1], fingerprint=fingerprint, generation=canary.generation + 1
    )
    return _scanned(client, searcher, canary, kept, sample, watching or Watching())


def holder(client: OpenSearch, searcher: Searcher) -> tuple[str, str]:
    """Name and UUID of the one index that holds the vectors. Raises InputError where there are several."""
    return concrete_index(client, searcher.vectors_in)


def _scanned(
    client: OpenSearch, searcher: Searcher, canary: Canary, queries: Sequence[Query], sample: int, watching: Watching
) -> Canary | None:
    index, _ = holder(client, searcher)
    scan = _going_on(client, canary, watching)
    if scan is None:
        store.put_queries(client, canary, queries)
        scan = begin(client, index, len(queries), sample)
        if not scan.documents:
            raise InputError(f"index {index!r} holds no documents: a canary is made of answers")
        if scan.share < 1:
            watching.message(
                f"a sample of about {sample:,} of the {scan.documents:,} documents is scored: recall is an estimate"
            )
        _note(client, canary, scan)
    else:
        queries = store.get_queries(client, canary)
    needed = searcher.queries.encode([each.query for each in queries], frozenset({"vectors"}))
    vectors = [each.vectors for each in needed if each.vectors is not None]
    scanner = Scanner(
        client,
        index,
        searcher.spec,
        vectors,
        keep=canary.k + max(10, canary.k),
        rate=watching.rate,
        note=lambda scan: _note(client, canary, scan),
        progress=watching.progress,
        stop=watching.stop,
    )
    if not scanner.run(scan):
        watching.message("stopped: the same command goes on from here")
        return None
    if not any(scan.best):
        raise InputError(f"no document of index {index!r} has vectors that can be read: `osmv status`, `osmv doctor`")
    answered = [replace(each, answers=found) for each, found in zip(queries, scan.answers(), strict=True)]
    if canary.graphs:
        answered = _with_neighbours(client, index, searcher, canary, answered, scan, watching)
    # What was read before the index changed under the scan is not whole.
    if holder(client, searcher)[1] != canary.uuid:
        raise MismatchError(f"index {index!r} was made anew meanwhile: do it again")
    done = replace(
        canary,
        horizons=tuple(scan.horizons),
        documents=scan.documents,
        share=scan.share,
        unreadable=scan.unreadable,
        made_at=time.time(),
    )
    store.put_queries(client, done, answered)
    store.put_canary(client, done)
    if done.generation > 1:
        store.delete_queries(client, replace(done, generation=done.generation - 1))
    store.delete_scan(client, done.name)
    return done


def _with_neighbours(
    client: OpenSearch,
    index: str,
    searcher: Searcher,
    canary: Canary,
    queries: Sequence[Query],
    scan: Scan,
    watching: Watching,
) -> list[Query]:
    """The queries with the nearest neighbours of each k-NN stage, or as they are where these can't be had."""
    stages = graphs_of(canary)
    count = min(canary.window_size, NEIGHBOURS)
    needed = (
        searcher.queries.encode([each.query for each in queries], frozenset({"vectors", "pooled"})) if stages else []
    )
    found: list[dict[str, tuple[Answer, ...]]] = [{} for _ in queries]
    try:
        for place, encoded_query in enumerate(needed):
            for stage in stages:
                found[place][stage] = nearest(client, index, searcher.spec, stage, encoded_query, scan, count)
    except ClusterError as error:
        watching.message(f"HNSW is not watched by itself, as there are no exact nearest neighbours to be had: {error}")
        return list(queries)
    return [replace(each, neighbours=near) for each, near in zip(queries, found, strict=True)]


def _going_on(client: OpenSearch, canary: Canary, watching: Watching) -> Scan | None:
    """The scan that was left unfinished, if it is of the same canary; what another left is deleted."""
    stored = store.get_scan(client, canary.name)
    if stored is None:
        return None
    left = Canary.from_state(stored["canary"])
    if left.describes_same(canary) and left.generation == canary.generation:
        watching.message("going on with a scan that was interrupted")
        return Scan.from_state(stored["scan"])
    if left.generation != canary.generation - 1:
        store.delete_queries(client, left)
    return None


def _note(client: OpenSearch, canary: Canary, scan: Scan) -> None:
    store.put_scan(client, canary.name, {"canary": canary.to_state(), "scan": scan.to_state()})
