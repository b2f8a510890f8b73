"""The last rounds of a search: the page of hits, with what the user's own index says of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from opensearch_multivector.plugin.attachments import content_hash, fingerprint_of
from opensearch_multivector.plugin.fields import HASH, VECTORS, FieldSpec
from opensearch_multivector.queries.explain import TokenSpans, token_matches
from opensearch_multivector.queries.rerankers import Key, find
from opensearch_multivector.queries.rerankers.blobs import blob_of, blob_parts
from opensearch_multivector.queries.rerankers.client import vectors_bytes
from opensearch_multivector.queries.results import Hit
from opensearch_multivector.queries.rounds import Body, Round, Rounds, Search, ask, by_key, slices


def read_page(search: Search, ranked: Sequence[Hit], spans: TokenSpans | None) -> Rounds[list[Hit]]:
    """The page of hits whose vectors are in the index itself, with their sources and matches as they were asked for."""
    request, spec = search.request, search.spec
    page = ranked[request.offset : request.offset + request.size]
    if request.source is False and not request.explain:
        return list(page)
    hit_bytes = _blob_bytes(search) if request.explain else 0
    source = _source(search)
    # A field attached in place says of which text it is, where the sources hold the texts to compare it with.
    told = not spec.has_text_copy and (source is True or {*spec.text_fields} <= {*(source or ())})
    fingerprint = fingerprint_of(spec) if told else ""
    values = [spec.sub(name) for name, wanted in ((HASH, told), (VECTORS, request.explain)) if wanted]
    complete: list[Hit] = []
    for part in slices(page, hit_bytes):
        body = search.held(find(_keys(part))) | {"_source": source}
        if values:
            body["docvalue_fields"] = values
        (response,) = yield from ask(search, Round("fetch", [body], request.routing, hit_bytes * len(part)))
        fetched = by_key(response["hits"]["hits"])
        for hit in part:
            raw = fetched.get(_key(hit))
            if raw is None:  # deleted between the rounds, unless the alias was moved
                search.missing = True
                continue
            hit = replace(hit, source=raw.get("_source", {}))
            hit = replace(hit, stale=told and _is_stale(spec, fingerprint, hit, raw))
            # A stale hit's words are not those that were encoded: its tokens go by their positions.
            complete.append(_matched(search, hit, raw, None if hit.stale else spans) if request.explain else hit)
    return complete


def read_page_back(search: Search, ranked: Sequence[Hit], spans: TokenSpans | None) -> Rounds[list[Hit]]:
    """The page of hits that a sidecar found, read from the user's index, under its filter and the caller's rights.

    What is gone or hidden there makes room for the next. Hits that were written since the sidecar's are marked stale.
    """
    request = search.request
    page_end = request.offset + request.size
    shown: list[Hit] = []
    written: dict[Key, int] = {}  # what the sidecar's version is where it is of this very document
    start = asked = 0
    while len(shown) < page_end and start < len(ranked):
        passing = len(shown) < request.offset  # hits of the pages before, of which nothing needs to be read
        target = request.offset if passing else page_end
        # Where many are hidden, twice as many each time make the rounds few.
        asked = max(target - len(shown), 2 * asked)
        part = ranked[start : start + asked]
        body = search.held(find(_keys(part))) | {
            "_source": False if passing else _source(search),
            "seq_no_primary_term": True,
        }
        (response,) = yield from ask(search, Round("fetch", [body], request.routing))
        fetched = by_key(response["hits"]["hits"])
        for hit in part:
            if len(shown) == target:
                break
            start += 1
            raw = fetched.get(_key(hit))
            if raw is not None:
                written[_key(hit)] = raw["_seq_no"] + 1
                shown.append(replace(hit, source=raw.get("_source", {})))
    page = shown[request.offset :]
    blobs = (yield from _blobs(search, page)) if request.explain else {}
    complete: list[Hit] = []
    for hit in page:
        hit = replace(hit, stale=search.versions.get(_key(hit), written[_key(hit)]) != written[_key(hit)])
        if request.explain:
            hit = _matched(search, hit, blobs.get(_key(hit), {}), None if hit.stale else spans)
        complete.append(hit)
    return complete


def visible(search: Search, doc_ids: Iterable[str]) -> Rounds[frozenset[str]]:
    """Those documents of a sidecar that the caller may see in the user's index."""
    assert search.sidecar is not None
    body = search.held(find([(search.sidecar.index, doc_id) for doc_id in doc_ids])) | {"_source": False}
    (response,) = yield from ask(search, Round("fetch", [body], search.request.routing))
    return frozenset(hit["_id"] for hit in response["hits"]["hits"])


def _blobs(search: Search, page: Sequence[Hit]) -> Rounds[dict[Key, dict[str, Any]]]:
    """The sidecar's hits with their token vectors, by key."""
    hit_bytes = _blob_bytes(search)
    found: dict[Key, dict[str, Any]] = {}
    for part in slices(page, hit_bytes):
        body: Body = find(search.there(_keys(part))) | {"_source": False} | blob_parts(search.spec, VECTORS)
        body = search.of_vectors(body)
        size = hit_bytes * len(part)
        round_ = Round("fetch", [body], search.request.routing, size, indices=[search.vectors_in])
        (response,) = yield from ask(search, round_)
        found |= by_key(search.here(response["hits"]["hits"]))
    return found


def _matched(search: Search, hit: Hit, raw: dict[str, Any], spans: TokenSpans | None) -> Hit:
    """The hit with the matches of its tokens; ``raw`` carries its blob."""
    if search.query.vectors is None:
        return hit
    blob = blob_of(search.spec, raw, VECTORS)
    return replace(hit, matches=token_matches(search.spec, search.query, hit.source, blob, spans))


def _is_stale(spec: FieldSpec, fingerprint: str, hit: Hit, raw: dict[str, Any]) -> bool:
    """Whether the hit's texts are others than those that were encoded, as far as the caller may see both."""
    text, of_text = spec.text_of(hit.source), raw.get("fields", {}).get(spec.sub(HASH))
    return bool(text and of_text) and of_text != [content_hash(fingerprint, text)]


def _source(search: Search) -> bool | list[str]:
    """What of the sources is asked for: what the user wants, and what `explain` reads."""
    source: bool | list[str] = search.request.source
    if search.request.explain and isinstance(source, list):
        return [*source, *search.spec.text_fields]
    return source if source is not False else search.request.explain


def _blob_bytes(search: Search) -> int:
    return vectors_bytes(search.spec) * 4 // 3


def _key(hit: Hit) -> Key:
    return hit.index, hit.doc_id


def _keys(hits: Sequence[Hit]) -> list[Key]:
    return [_key(hit) for hit in hits]
