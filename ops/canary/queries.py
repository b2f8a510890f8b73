"""Where a canary's queries come from: a file of topics, JSON lines with ready vectors, or the documents themselves."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders.pooling import mean_pooled
from opensearch_multivector.errors import ClusterError, InputError
from opensearch_multivector.evaluation.collection.beir import numbered_lines
from opensearch_multivector.evaluation.collection.topics import topics_of
from opensearch_multivector.ops.canary.canary import Query
from opensearch_multivector.ops.canary.exact import readable
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import READY_VECTORS, VECTORS
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.rerankers.blobs import blob_of
from opensearch_multivector.queries.searcher import Searcher

MOST = 1_000
_WORDS = 8  # of a text make a query
_TOKENS = 32  # of a document's vectors


def read_queries(source: str) -> tuple[str, dict[str, str | EncodedQuery]]:
    """Queries by id from a file, or a name, that `evaluation.collection.topics` reads; and what to call them.

    JSON lines may hold ``vectors`` (a list of lists) instead of a text, for indices whose vectors were brought ready.
    Raises InputError with file and line, MissingDependencyError.
    """
    path = Path(source)
    called = source
    if path.is_file():
        called = f"{path.name} ({hashlib.blake2b(path.read_bytes(), digest_size=6).hexdigest()})"
    queries = _with_vectors(path) if path.is_file() else None
    queries = queries or topics_of(source)
    if len(queries) > MOST:
        raise InputError(
            f"{source} holds {len(queries):,} queries; a canary is checked often, and has {MOST:,} at most"
        )
    return called, queries


def _with_vectors(path: Path) -> dict[str, str | EncodedQuery] | None:
    queries: dict[str, str | EncodedQuery] = {}
    for number, line in numbered_lines(path):
        if not line.lstrip("\ufeff \t").startswith("{"):
            return None
        try:
            fields = json.loads(line)
        except ValueError:
            return None  # which is said where topics are read
        if "vectors" not in fields:
            return None
        query_id = next((str(fields[name]) for name in ("_id", "id", "qid", "query_id") if name in fields), None)
        if query_id is None or query_id in queries:
            raise InputError(f"{path}:{number}: a query needs an id of its own (_id, id, qid)")
        try:
            query = EncodedQuery(text=fields.get("text"), vectors=fields["vectors"], pooled=fields.get("pooled"))
        except InputError as error:
            raise InputError(f"{path}:{number}: {error}") from None
        assert query.vectors is not None
        if not len(query.vectors):
            raise InputError(f"{path}:{number}: the query's vectors are none at all")
        queries[query_id] = query
    return queries


def draw_queries(
    client: OpenSearch, searcher: Searcher, count: int, seed: int = 0
) -> tuple[str, dict[str, str | EncodedQuery]]:
    """Queries from random documents, by their ids: a few words in a row of each text.

    Where the index has no encoder (vectors brought ready), a few of each document's vectors. Raises InputError on a
    count that is out of range and where no document has either, ClusterError.
    """
    if not 1 <= count <= MOST:
        raise InputError(f"a canary has from 1 to {MOST:,} queries, not {count}")
    ready = searcher.spec.need_vectors("a canary").name == READY_VECTORS
    drawn = {"random_score": {"seed": seed, "field": "_seq_no"}, "boost_mode": "replace"}
    # Some have no text, or no vectors.
    body: dict[str, Any] = {"size": min(10_000, 2 * count + 10), "query": {"function_score": drawn}}
    if ready:
        body |= {"_source": False, "docvalue_fields": [searcher.spec.sub(VECTORS)], "size": min(count + 10, 500)}
    else:
        body["_source"] = list(searcher.spec.text_fields)
    with cluster_errors():
        answer = client.search(index=searcher.vectors_in if ready else searcher.index, body=body)
    if answer["timed_out"] or answer["_shards"]["failed"]:
        raise ClusterError(f"not all shards of index {searcher.index!r} answered in full: try again")
    rng = np.random.default_rng(seed)
    queries: dict[str, str | EncodedQuery] = {}
    for hit in answer["hits"]["hits"]:
        query = _of_vectors(searcher, hit, rng) if ready else _of_text(searcher.spec.text_of(hit["_source"]), rng)
        if query is not None and len(queries) < count:
            queries[hit["_id"]] = query
    if not queries:
        raise InputError(f"no document of index {searcher.index!r} that was drawn has a text: give queries (--queries)")
    return f"{count} documents (seed {seed})", queries


def _of_text(text: str, rng: np.random.Generator) -> str | None:
    words = text.split()
    if not words:
        return None
    first = int(rng.integers(0, max(1, len(words) - _WORDS + 1)))
    return " ".join(words[first : first + _WORDS])


def _of_vectors(searcher: Searcher, hit: dict[str, Any], rng: np.random.Generator) -> EncodedQuery | None:
    vectors = readable(searcher.spec, blob_of(searcher.spec, hit, VECTORS))
    if vectors is None or not len(vectors) or searcher.spec.dim != searcher.spec.encoder_dim:
        return None
    chosen = np.sort(rng.choice(len(vectors), size=min(_TOKENS, len(vectors)), replace=False))
    return EncodedQuery(vectors=vectors[chosen], pooled=mean_pooled(vectors[chosen]))


def encoded(searcher: Searcher, queries: dict[str, str | EncodedQuery]) -> list[Query]:
    """The queries as they are kept: with token vectors and the pooled one, of the index's own encoder.

    Raises InputError on one that has neither vectors nor a text that can be encoded.
    """
    texts = {
        query_id: text
        for query_id, query in queries.items()
        if (text := query if isinstance(query, str) else query.text if query.vectors is None else None)
    }
    made = dict(
        zip(texts, searcher.queries.encoder().encode(list(texts.values()), "query"), strict=True) if texts else ()
    )
    kept: list[Query] = []
    for query_id, query in queries.items():
        if query_id in made:
            vectors = made[query_id]
            kept.append(Query(query_id, EncodedQuery(texts[query_id], vectors.vectors, vectors.pooled)))
            continue
        if isinstance(query, str) or query.vectors is None:
            raise InputError(f"query {query_id!r} has neither a text nor token vectors: a canary needs one of them")
        pooled = query.pooled if query.pooled is not None else mean_pooled(query.vectors)
        kept.append(Query(query_id, EncodedQuery(query.text, query.vectors, pooled)))
    return kept
