"""Random and mutated values for the native plugin, through the real node: a right answer or a 400 that says why."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import urllib3
from changing_index import CODECS, four_bits
from node_under_test import needs_native
from opensearchpy import OpenSearch
from scale import FUZZED_BLOBS as CASES
from scale import SEED

from opensearch_multivector.encoding.codecs import decode_blob, encode_blob, open_blob
from opensearch_multivector.encoding.codecs.blob import seal
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import BlobError, MismatchError

pytestmark = [
    pytest.mark.integration,
    pytest.mark.fault("hostile"),
    needs_native,
]

DIM = 8
ODD = ["NaN", "-Infinity", "1e39", "-1e400", "1e-400", "9" * 400, "-0", "01", ".5", "1.", "null", "true", '"0.5"', "[]"]
ODD += ["{}", '{"a": 1}', '""', '"\\ud800"', '"\\u0000"', "[" * 1500, "[[" + "[0]," * 30 + "0]]", "[null]", "-", "e"]
CRASHES = (
    "null_pointer",
    "illegal_state",
    "class_cast",
    "out_of_bounds",
    "negative_array",
    "arithmetic",
    "stack_overflow",
    "memory",
)
NOTHING = (ValueError, RecursionError, BlobError, MismatchError)  # what Python says of values that mean nothing
QUERY = np.random.default_rng(5).normal(size=(3, DIM)).astype(np.float32)

Value = Callable[[random.Random], str]


def vectors(rng: random.Random) -> FloatArray:
    return np.random.default_rng(rng.getrandbits(32)).normal(size=(rng.randrange(6), DIM)).astype(np.float32)


def numbers(rng: random.Random) -> str:
    """JSON of vectors, some of it replaced, repeated, or cut."""
    text = json.dumps(vectors(rng).round(3).tolist())
    for _ in range(rng.randrange(4)):
        begin = rng.randrange(len(text) + 1)
        end = rng.choice([begin, begin + 1, rng.randrange(len(text) + 1)])
        new = rng.choice([rng.choice(ODD), rng.choice('[]{},:"0123456789.eE-+ntf \\'), "", text[begin:end] * 2])
        text = text[:begin] + new + text[max(begin, end) :]
    return text


def base64_blob(rng: random.Random) -> str:
    """A blob in base64, with wrong bytes or numbers in it; half of these under a checksum that is right again."""
    blob = bytearray(encode_blob(vectors(rng), rng.choice(CODECS)))
    sealed = rng.random() < 0.5
    body = blob[16:-4] if sealed else blob
    for _ in range(rng.choice([0, 1, 1, 3])):
        begin = rng.randrange(len(body) + 1)
        new = rng.choice([rng.randbytes(1), rng.randbytes(rng.randrange(9)), b"\xff\xff\xff\x7f", b"\0\0\xc0\x7f"])
        body[begin : rng.choice([begin, begin + len(new), len(body)])] = new
    if sealed:
        count, dim = (int.from_bytes(blob[at : at + 4], "little") for at in (8, 12))
        codec = rng.choice([blob[5]] * 5 + [rng.randrange(256)])
        count = rng.choice([count] * 5 + [rng.choice([0, count + 1, 2**31 - 1, 2**32 - 1])])
        dim = rng.choice([dim] * 8 + [rng.choice([0, 7, 2**31 - 1, 2**32 - 1])])
        body = bytearray(seal(codec, count, dim, bytes(body)))
    text = base64.b64encode(body).decode()
    if rng.random() < 0.2:
        begin = rng.randrange(len(text) + 1)
        text = text[:begin] + rng.choice(["=", "-", "%", "\u00e4", "A"]) + text[begin + rng.randrange(2) :]
    return json.dumps(text)


def unread(text: str) -> Any:
    """What the JSON says; NOTHING where it is none."""

    def no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a key twice")
        return dict(pairs)

    def no_constants(name: str) -> None:
        raise ValueError(f"{name}, which is no JSON")

    return json.loads(text, object_pairs_hook=no_duplicates, parse_constant=no_constants)


def meant(value: Any) -> FloatArray:
    """The vectors that a value stands for; NOTHING where there are none, OverflowError where they are no floats."""
    if isinstance(value, str):
        blob = base64.b64decode(value, validate=True)
        codec, _ = open_blob(blob)
        if codec.name not in CODECS:
            raise ValueError(codec.name)
        with np.errstate(all="ignore"):
            stored = decode_blob(blob)
        if np.isinf(stored).any() and not np.isnan(stored).any():
            raise OverflowError("finite numbers, but not their products")
    else:
        if not isinstance(value, list) or not all(isinstance(row, list) and len(row) == DIM for row in value):
            raise ValueError("not an array of arrays")
        if not all(type(number) in (int, float) for row in value for number in row):
            raise ValueError("not numbers")
        with np.errstate(over="ignore"):
            stored = np.array(value, np.float64).astype(np.float32).reshape(len(value), DIM)
    if stored.shape[1] != DIM or not np.isfinite(stored).all():
        raise ValueError("another dimension, or not finite")
    return stored


def reasons(error: Any) -> Iterator[str]:
    """OpenSearch wraps a sentence into others, such as "all shards failed"."""
    if isinstance(error, dict):
        yield str(error.get("reason"))
    for part in error.values() if isinstance(error, dict) else error if isinstance(error, list) else ():
        yield from reasons(part)


class Node:
    """Requests as text; every answer is 200, 201 or a 400 with a sentence."""

    def __init__(self, url: str, client: OpenSearch, index: str) -> None:
        self.url = f"{url}/{index}"
        self.pool = urllib3.PoolManager(retries=False, timeout=60)
        properties = {
            "title": {"type": "keyword"},
            "tv": {"type": "token_vectors", "dimension": DIM, "codec": "f32"},
            "binary": {"type": "binary", "doc_values": True},
        }
        mappings = {"dynamic": False, "properties": properties}
        client.indices.create(index=index, body={"mappings": mappings, "settings": {"refresh_interval": -1}})

    def send(self, method: str, path: str, body: str | None = None) -> tuple[int, Any]:
        headers = {"content-type": "application/json"}
        encoded = body.encode("utf-8", "surrogatepass") if body else None
        answer = self.pool.request(method, self.url + path, body=encoded, headers=headers)
        told = json.loads(answer.data)
        assert answer.status in (200, 201, 400, 404), told
        if answer.status == 400:
            assert max(len(reason.split()) for reason in reasons(told["error"])) > 3, told
            assert not any(crash in json.dumps(told["error"]) for crash in CRASHES), told
        return answer.status, told

    def maxsim(self, query: str, found: str, rescorer: bool = False) -> tuple[int, Any]:
        """Score the document with that id."""
        maxsim = f'"maxsim": {{"field": "binary", "query_vectors": {query}}}'
        only = f'{{"ids": {{"values": ["{found}"]}}}}'
        if rescorer:
            return self.send("POST", "/_search", f'{{"query": {only}, "rescore": {{"window_size": 1, {maxsim}}}}}')
        return self.send("POST", "/_search", f'{{"query": {{"bool": {{"must": {{{maxsim}}}, "filter": {only}}}}}}}')


@pytest.fixture
def node(node_url: str, client: OpenSearch, index_name: str) -> Node:
    return Node(node_url, client, index_name)


@pytest.mark.parametrize("value", [numbers, base64_blob])
def test_values_of_a_token_vectors_field(node: Node, value: Value) -> None:
    rng = random.Random(SEED)
    accepted: dict[str, FloatArray | None] = {}
    for case in range(CASES):
        body = f'{{"title": "t", "tv": {value(rng)}, "tail": 1}}'
        status, answer = node.send("PUT", f"/_create/{case}", body)
        trace = f"OSMV_TEST_SEED={SEED}, {body}: {answer}"
        try:
            document = unread(body)
        except NOTHING:
            assert status == 400, trace
            document = None
        if document is not None:
            try:
                accepted[str(case)] = meant([] if document["tv"] is None else document["tv"])
                assert status == 201, trace
            except NOTHING:
                assert status == 400, trace
                assert "tv" in json.dumps(answer["error"]), trace
            except OverflowError:
                if status == 201:
                    accepted[str(case)] = None
        # A document that was refused left nothing behind.
        assert (node.send("GET", f"/_doc/{case}")[0] == 404) == (status == 400), trace
    node.send("POST", "/_refresh")
    _, answer = node.send("POST", "/_search", json.dumps({"size": CASES, "_source": False, "fields": ["tv", "title"]}))
    found = {hit["_id"]: hit["fields"] for hit in answer["hits"]["hits"]}
    assert found.keys() == accepted.keys()
    assert 0.05 * CASES < len(accepted) < 0.95 * CASES
    for doc_id, expected in accepted.items():
        assert found[doc_id]["title"] == ["t"]
        if expected is not None:
            given = np.array(found[doc_id].get("tv", [])).reshape(-1, DIM)
            off = np.abs(given - expected) / np.abs(expected).max(axis=1, initial=1e-30, keepdims=True)
            assert given.shape == expected.shape, f"OSMV_TEST_SEED={SEED}"
            assert (off < 1e-5).all(), f"OSMV_TEST_SEED={SEED}, {given}, {expected}"


def test_blobs_of_a_binary_field(node: Node) -> None:
    """Of any bytes a search finds the documents that Python can read, with its score, and no others."""
    rng = random.Random(SEED)
    values = [base64_blob(rng) for _ in range(CASES)]
    stored = [
        case for case in range(CASES) if node.send("PUT", f"/_create/{case}", f'{{"binary": {values[case]}}}')[0] == 201
    ]
    node.send("POST", "/_refresh")
    hits = 0
    for case in stored:
        status, answer = node.maxsim(json.dumps(QUERY.tolist()), str(case))
        trace = f"OSMV_TEST_SEED={SEED}, {values[case]}: {answer}"
        expected = score(QUERY, values[case])
        if expected is None:
            assert status == 400 or not answer["hits"]["hits"], trace
        elif np.isfinite(expected[0]):
            (hit,) = answer["hits"]["hits"]
            assert hit["_score"] == pytest.approx(expected[0], abs=expected[1]), trace
            hits += 1
    assert 0.1 * CASES < hits < 0.9 * CASES


def score(query: FloatArray, value: str) -> tuple[float, float] | None:
    """The score and its tolerance; infinite where the numbers are too large for one, None for no document."""
    try:
        blob = base64.b64decode(json.loads(value), validate=True)
        codec, opened = open_blob(blob)
        if codec.name not in CODECS or opened.dim != query.shape[1]:
            return None
        with np.errstate(all="ignore"):
            vectors = decode_blob(blob).astype(np.float64)
            read = four_bits(query) if codec.name == "bit" else query
            raw = (read @ vectors.T).max(axis=1).sum() if len(vectors) else 0.0
            size = np.abs(vectors).sum(axis=1).max(initial=0) * np.abs(read).sum()
    except NOTHING:
        return None
    n = len(query)
    if not np.isfinite(raw) or not size < 1e30:
        return np.inf, 0
    return float(n + raw if raw >= 0 else n * n / (n - raw)), 1e-4 + 1e-5 * float(size)


@pytest.mark.parametrize("value", [numbers, base64_blob])
def test_query_vectors(node: Node, value: Value) -> None:
    rng = random.Random(SEED)
    stored = encode_blob(QUERY, "f32")
    node.send("PUT", "/_create/0?refresh=true", json.dumps({"binary": base64.b64encode(stored).decode()}))
    answered = 0
    for _ in range(CASES):
        query = value(rng)
        status, answer = node.maxsim(query, "0", rescorer=rng.random() < 0.5)
        trace = f"OSMV_TEST_SEED={SEED}, {query}: {answer}"
        try:
            vectors = meant(unread(query))
        except NOTHING:
            assert status == 400, trace
            continue
        except OverflowError:
            continue
        if len(vectors) == 0:
            assert status == 400, trace
            continue
        assert status == 200, trace
        expected = score(vectors, json.dumps(base64.b64encode(stored).decode()))
        assert expected is not None
        if np.isfinite(expected[0]):
            (hit,) = answer["hits"]["hits"]
            assert hit["_score"] == pytest.approx(expected[0], abs=expected[1]), trace
            answered += 1
    assert 0.05 * CASES < answered < 0.95 * CASES
