"""Stored vectors that somebody has tampered with, in every form that is read back, and whole ones beside them."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_table import FaultRow
from hostile import SEED, Trials, value
from opensearchpy import OpenSearch
from scale import HOSTILE_INPUTS
from small_index import DIM, EVERY_RERANK, SmallIndex, make_index, make_query, token_terms

from opensearch_multivector.encoding.codecs import CODECS, decode_blob, encode_blob
from opensearch_multivector.encoding.codecs.blob import seal, unseal
from opensearch_multivector.encoding.maxsim import maxsim
from opensearch_multivector.encoding.term_blob import encode_terms, slim_scores
from opensearch_multivector.errors import BlobError
from opensearch_multivector.queries.results import SearchResult
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [pytest.mark.integration, pytest.mark.fault("hostile")]

COUNT = max(60, HOSTILE_INPUTS // 5)
QUERY = make_query()
# The native plugin refuses a search that meets a codec with a codebook, unless the index is said to have one.
PLAIN = {name: codec.codec_id for name, codec in CODECS.items() if not name.startswith("residual")}
NASTY = [
    b"\xff\xff\xff\xff",
    b"\0\0\xc0\x7f",
    b"\0\0\x80\x7f",
    b"\0\0\0\0",
    b"\x80",
    b"\xff\x7f",
    b"\0\x7c",
]  # NaN, inf


def altered(rng: random.Random, blob: bytes) -> bytes:
    """The blob with bits turned, cut, grown, or with a header that lies; half of them under a right checksum."""
    data = bytearray(blob)
    way = rng.randrange(8)
    if way == 0:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif way == 1:
        del data[rng.randrange(len(data)) :]
    elif way == 2:
        data += rng.randbytes(rng.choice([1, 4, 4000]))
    elif way == 3:
        return rng.randbytes(rng.choice([0, 1, 19, 20, 500]))
    else:
        opened = unseal(blob)
        payload = bytearray(opened.payload)
        for _ in range(rng.randrange(3)):
            at = rng.randrange(len(payload) + 1)
            payload[at : at + rng.choice([0, 4])] = rng.choice([*NASTY, rng.randbytes(4), b""])
        codec = rng.choice([opened.codec_id] * 4 + [0, 255, 64, *PLAIN.values()])
        count = rng.choice([opened.count] * 5 + [0, 1, opened.count + 1, 2**31, 2**32 - 1])
        # Another dimension is another encoder's, which ends the search with a sentence: `test_another_dimension`.
        data = bytearray(seal(codec, count, rng.choice([opened.dim] * 9 + [0]), bytes(payload)))
    return bytes(data)


def read(blob: bytes, small: SmallIndex) -> np.ndarray | None:
    """The vectors of a blob; None where it is none, or of nothing that could be scored."""
    try:
        with np.errstate(all="ignore"):
            vectors = decode_blob(blob, small.spec.codebook)
    except BlobError:
        return None
    # Beyond, it is a matter of the order of additions whether a score is finite (tests/encoding/test_maxsim.py).
    if not np.abs(vectors).max(initial=0) < 1e30:
        raise OverflowError
    return vectors if vectors.shape[1] == DIM else None


@pytest.fixture(scope="module")
def small(client: OpenSearch) -> Iterator[SmallIndex]:
    name = "osmv-test-hostile-blobs"
    client.indices.delete(index=f"{name}*", params={"ignore_unavailable": "true"})
    yield make_index(client, name, count=20, shards=1)
    client.indices.delete(index=f"{name}*")


def tampered(client: OpenSearch, small: SmallIndex, name: str, make: Callable[[int], Any]) -> dict[str, Any]:
    """Documents ``x0``, ``x1``, ... beside the sound ones, whose sub-field is what `make` says. Others' are sound."""
    sound = small.body("d000")
    given = {f"x{number}": make(number) for number in range(COUNT)}
    lines: list[Any] = []
    for doc_id, content in given.items():
        lines += [{"index": {"_id": doc_id}}, sound | {small.spec.sub(name): content}]
    answer = client.bulk(index=small.name, body=lines, params={"refresh": "true"})
    # A field that the engine reads itself refuses some.
    taken = {item["index"]["_id"] for item in answer["items"] if "error" not in item["index"]}
    return {doc_id: content for doc_id, content in given.items() if doc_id in taken}


def searched(trials: Trials, small: SmallIndex, rerank: str, *, explain: bool = False) -> SearchResult:
    """All documents, reranked."""
    everything = replace(QUERY, dsl={"match_all": {}})
    options: dict[str, Any] = {
        "first_stage": "query",
        "size": COUNT + 20,
        "window_size": COUNT + 20,
        "explain": explain,
    }
    searcher = Searcher(small.client, small.name)
    found = trials.attempt("blobs", rerank, lambda: searcher.search(everything, rerank=rerank, **options))
    assert found is not None, trials.said
    return found


def check(result: SearchResult, expected: dict[str, float | None], small: SmallIndex, rerank: str) -> None:
    """Sound documents have their scores; each tampered one has what can be read from it, or is left out."""
    scores = {hit.doc_id: hit.score for hit in result.hits}
    assert [hit.score for hit in result.hits] == sorted(scores.values(), reverse=True)
    assert small.vectors.keys() <= scores.keys()
    assert scores.keys() - small.vectors.keys() == {doc_id for doc_id, score in expected.items() if score is not None}
    close = 0.05 if rerank == "native" else 2e-3  # of codec bit, the native plugin takes the query in four bits
    for doc_id, score in expected.items():
        if score is not None:
            # Of a length that was made huge, so is the error.
            rel = close if abs(score) < 1_000 else close * 10
            assert scores[doc_id] == pytest.approx(score, rel=rel, abs=close * 5), (doc_id, rerank)
    assert result.skipped.keys() == {doc_id for doc_id, score in expected.items() if score is None}


def scored(vectors: np.ndarray | None) -> float | None:
    """MaxSim, where it is a number."""
    assert QUERY.vectors is not None
    return None if vectors is None else maxsim(QUERY.vectors, vectors)


def base64_of(blob: bytes) -> str:
    return base64.b64encode(blob).decode()


@pytest.mark.filterwarnings("ignore:documents whose token vectors")  # what the native plugin says of damaged ones
@pytest.mark.filterwarnings("ignore:overflow")
def test_token_vectors(
    client: OpenSearch, small: SmallIndex, tmp_path: Path, node_url: str, fault_row: FaultRow
) -> None:
    rng, trials = random.Random(SEED), Trials()

    def make(number: int) -> str:
        blob = altered(rng, encode_blob(small.vectors[f"d{number % 20:03}"], rng.choice(list(PLAIN))))
        try:
            read(blob, small)
        except OverflowError:
            return make(number)
        return base64_of(blob)

    given = tampered(client, small, "vectors", make)
    expected = {doc_id: scored(read(base64.b64decode(text), small)) for doc_id, text in given.items()}
    assert 0.3 * COUNT < list(expected.values()).count(None) < COUNT
    for rerank in [each for each in ("client", "native") if each in EVERY_RERANK]:
        check(searched(trials, small, rerank, explain=True), expected, small, rerank)
        fault_row.counts["blobs"] += COUNT

    out = ("--url", node_url, "--json", "--out", str(tmp_path))
    unread = {doc_id for doc_id, text in given.items() if read(base64.b64decode(text), small) is None}
    for form in ("jsonl", "npz"):
        ran = trials.command("blobs", "export-vectors", small.name, *out, "--format", form)
        assert ran is not None
        assert (ran.returncode, json.loads(ran.stdout)["unreadable"]) == (1, len(unread)), ran
        fault_row.counts["blobs"] += COUNT
    lines = [json.loads(line, parse_constant=pytest.fail) for line in (tmp_path / f"{small.name}.jsonl").open()]
    assert {line["_id"] for line in lines} == (small.vectors.keys() | given.keys()) - unread
    trials.finish()


@pytest.mark.filterwarnings("ignore:overflow")
def test_other_forms(client: OpenSearch, small: SmallIndex, fault_row: FaultRow) -> None:
    rng, trials = random.Random(SEED), Trials()
    assert QUERY.terms is not None
    assert QUERY.terms.tokens is not None
    asked = QUERY.terms.tokens

    def terms(number: int) -> str:
        return base64_of(altered(rng, encode_terms(token_terms(np.random.default_rng(number), 4))))

    def floats(number: int) -> Any:
        return rng.choice(
            [None, "x", 5, [], [[]], {}, [[1.0]], [["a"] * DIM], [[1.0] * DIM, [1.0]], [[1e308] * DIM], value(rng)]
        )

    given = tampered(
        client, small, "bits", lambda number: base64_of(altered(rng, encode_blob(small.vectors["d000"], "bit")))
    )
    found = searched(trials, small, "bit")
    assert small.vectors.keys() <= {hit.doc_id for hit in found.hits}
    assert {hit.doc_id for hit in found.hits} | found.skipped.keys() == small.vectors.keys() | given.keys()
    assert found.skipped

    given = tampered(client, small, "token_terms", terms)
    scores, errors = slim_scores(asked, [base64.b64decode(text) for text in given.values()])
    expected = dict(zip(given, (None if i in errors else float(score) for i, score in enumerate(scores)), strict=True))
    assert errors
    check(searched(trials, small, "slim"), expected, small, "slim")

    tampered(client, small, "floats", floats)
    everything = replace(QUERY, dsl={"match_all": {}})
    searcher = Searcher(client, small.name)
    trials.attempt("blobs", "painless", lambda: searcher.search(everything, first_stage="query", rerank="painless"))
    fault_row.counts["blobs"] += 3 * COUNT
    trials.finish()
