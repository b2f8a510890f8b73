"""Documents that come, change, go and are damaged while they are searched, and what each search may answer.

A document's content follows from its number and its version alone, so that a hit with its version can be scored again
in NumPy. What was sent, when it was acknowledged, and when the index was refreshed tell which versions it may see.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np

from opensearch_multivector.encoding.codecs import decode_blob, encode_blob, open_blob
from opensearch_multivector.encoding.codecs.blob import seal
from opensearch_multivector.encoding.codecs.rotation import rotation
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import BlobError

DIM = 24  # no multiple of any vector's lanes
CODECS = ("f32", "f16", "int8", "int4", "bit")
TOLERANCE = 2e-4
MAPPINGS = {
    "properties": {
        "group": {"type": "keyword"},
        "tv": {"type": "token_vectors", "dimension": DIM, "codec": "int8"},
        "vectors": {"type": "binary", "doc_values": True},
        "bits": {"type": "binary", "doc_values": True},
    }
}


@dataclass(frozen=True)
class Content:
    """One version of a document: its body, and of each field the blob that the node should have."""

    body: str
    group: str
    blobs: Mapping[str, bytes | None]


@cache
def content(doc: int, version: int) -> Content:
    """Some documents have no vectors, some damaged ones; `token_vectors`, which refuses these, has whole ones then."""
    rng = np.random.default_rng((doc, version))
    vectors = rng.normal(0.3, 1, (int(rng.integers(0, 15)), DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    group = f"g{rng.integers(3)}"
    blobs: dict[str, bytes | None] = {"tv": None, "vectors": None, "bits": None}
    body: dict[str, Any] = {"group": group}
    fate = rng.choice(["whole", "vectors", "bits", "missing"], p=[0.7, 0.12, 0.1, 0.08])
    if fate != "missing":
        if rng.random() < 0.5:
            blobs["tv"] = blob = encode_blob(vectors, str(rng.choice(CODECS)))
            body["tv"] = base64.b64encode(blob).decode()
        else:
            blobs["tv"] = encode_blob(vectors, "int8")
            body["tv"] = vectors.tolist()
        for name, codec in (("vectors", str(rng.choice(CODECS))), ("bits", "bit")):
            blob = encode_blob(vectors, codec)
            blobs[name] = blob = damage(blob, rng) if fate == name else blob
            body[name] = base64.b64encode(blob).decode()
    return Content(json.dumps(body), group, blobs)


def damage(blob: bytes, rng: np.random.Generator) -> bytes:
    """The blob cut, altered, of another format, or with a sound checksum around a payload that is too short."""
    way = rng.integers(4)
    if way == 0:
        return blob[: rng.integers(1, len(blob))]
    if way == 1:
        at = int(rng.integers(len(blob)))
        return blob[:at] + bytes([blob[at] ^ int(rng.integers(1, 256))]) + blob[at + 1 :]
    if way == 2:
        return rng.bytes(int(rng.integers(1, 100)))
    return seal(blob[5], int.from_bytes(blob[8:12], "little") + 1, DIM, blob[16:-4])


def four_bits(vectors: FloatArray) -> FloatArray:
    """Query vectors as the plugin reads them for codec `bit`: rotated, every component one of 16 levels."""
    rotated = vectors @ rotation(vectors.shape[1])
    greatest = np.abs(rotated).max(axis=1, keepdims=True)
    delta = 2 * greatest / 15
    levels = delta * np.clip(np.floor((rotated + greatest) / delta + 0.5), 0, 15) - greatest
    return np.asarray(levels @ rotation(vectors.shape[1]).T, np.float32)


@dataclass(frozen=True)
class Asked:
    """One of the searches: a query in `bool`, or a rescorer of every document; ``keep``: of the best by bits alone."""

    seed: int  # not the run's: a component between two of the 16 levels would be read differently here and there
    field: str
    rescorer: bool
    score: str = "sum_max"
    weighted: bool = False
    minimum: float | None = None
    group: str | None = None
    keep: int = 0

    @cached_property
    def vectors(self) -> FloatArray:
        rng = np.random.default_rng(self.seed)
        vectors = rng.normal(0.1, 1, (int(rng.integers(1, 20)), DIM)).astype(np.float32)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)

    @cached_property
    def weights(self) -> FloatArray:
        count = len(self.vectors)
        return np.linspace(0, 2, count + 1, dtype=np.float32)[1:] if self.weighted else np.ones(count, np.float32)

    def body(self, size: int) -> str:
        maxsim: dict[str, Any] = {"field": self.field, "query_vectors": self.vectors.tolist(), "score": self.score}
        if self.weighted:
            maxsim["weights"] = self.weights.tolist()
        if self.minimum is not None:
            maxsim["min_score"] = self.minimum
        if self.keep:
            maxsim["first"] = {"field": "bits", "keep": self.keep}
        search: dict[str, Any] = {"size": size, "_source": False, "version": True}
        if self.rescorer:
            search |= {"query": {"match_all": {}}, "rescore": {"window_size": 1000, "maxsim": maxsim}}
        else:
            kept = [{"term": {"group": self.group}}] if self.group else []
            search["query"] = {"bool": {"must": [{"maxsim": maxsim}], "filter": kept}}
        return json.dumps(search)

    def raw(self, blob: bytes | None) -> float | None:
        """The raw score; None without a blob or with a damaged one."""
        try:
            if blob is None:
                return None
            codec, _ = open_blob(blob)
            stored = decode_blob(blob)
        except BlobError:
            return None
        if len(stored) == 0:
            return 0.0 if self.score == "sum_max" else -1.0
        query = four_bits(self.vectors) if codec.name == "bit" else self.vectors
        best = (query @ stored.T).max(axis=1) * self.weights
        return float(best.sum() if self.score == "sum_max" else best.max())

    def shown(self, raw: float) -> float:
        """The score that OpenSearch shows."""
        n = float(self.weights.sum()) if self.score == "sum_max" else 1.0
        return n + raw if raw >= 0 else n * n / (n - raw)


@cache
def raw(asked: Asked, name: str, doc: int, version: int) -> float | None:
    return asked.raw(content(doc, version).blobs[name])


@dataclass(frozen=True)
class Outcome:
    """What a version of a document may come to in a search: the scores, None for no hit, and how many damaged blobs."""

    scores: tuple[float | None, ...]
    damaged: tuple[int, ...] = (0,)


def outcome(asked: Asked, doc: int, version: int, threshold: float = -np.inf) -> Outcome:
    """``threshold``: what `first` asks of the bits' raw score."""
    made = content(doc, version)
    if asked.group and made.group != asked.group:
        return Outcome((None,))
    full = raw(asked, asked.field, doc, version)
    broken = int(full is None and made.blobs[asked.field] is not None)
    if not asked.rescorer:
        if full is None:
            return Outcome((None,), (broken,))
        if asked.minimum is None or full > asked.minimum + TOLERANCE:
            return Outcome((asked.shown(full),))
        return Outcome((None,) if full < asked.minimum - TOLERANCE else (None, asked.shown(full)))
    scored = 0.0 if full is None else asked.shown(full)
    if not asked.keep:
        return Outcome((scored,), (broken,))
    bits = raw(asked, "bits", doc, version)
    if bits is None:
        return Outcome((0.0,), (int(made.blobs["bits"] is not None),))
    if bits > threshold + TOLERANCE:
        return Outcome((scored,), (broken,))
    return Outcome((0.0,)) if bits < threshold - TOLERANCE else Outcome((0.0, scored), (0, broken))


@dataclass
class Change:
    """A version that was sent; ``present``: not a deletion."""

    version: int
    present: bool
    started: float
    acknowledged: float = np.inf


@dataclass
class History:
    """All changes of all documents. ``refreshed``: what was acknowledged by then is seen by searches from now on."""

    changes: dict[int, list[Change]] = field(default_factory=dict)
    refreshed: float = -np.inf

    def states(self, doc: int, refreshed: float, ended: float) -> list[Change]:
        """Those that a search may see which began after that refresh and ended then."""
        seen = []
        for change in reversed(self.changes[doc]):
            if change.started <= ended:
                seen.append(change)
            if change.acknowledged <= refreshed:
                break
        return seen


@dataclass(frozen=True)
class Answer:
    """What a search gave: (document, version, score) of each hit, best first, and between which moments."""

    asked: Asked
    size: int
    hits: list[tuple[int, int, float]]
    refreshed: float
    ended: float
    warned: bool

    def check(self, history: History, docs: list[int]) -> tuple[int, int]:
        """Raise AssertionError where it is wrong; how many damaged blobs it met at least and at most."""
        scores = [score for _, _, score in self.hits]
        assert scores == sorted(scores, reverse=True), scores
        versions = {doc: version for doc, version, _ in self.hits}
        assert len(versions) == len(self.hits), "a document came twice"
        threshold = self._threshold()
        for doc, version, score in self.hits:
            states = history.states(doc, self.refreshed, self.ended)
            assert any(state.present and state.version == version for state in states), (doc, version, states)
            expected = outcome(self.asked, doc, version, threshold).scores
            assert any(e is not None and abs(e - score) < TOLERANCE for e in expected), (doc, version, score, expected)
        last = scores[-1] if len(self.hits) == self.size else -np.inf
        at_least = at_most = 0
        for doc in docs:
            states = history.states(doc, self.refreshed, self.ended)
            if doc in versions:
                states = [state for state in states if state.version == versions[doc]]
            outcomes = list(self._outcomes(doc, states, threshold))
            if doc not in versions:
                hidden = (e is None or e <= last + TOLERANCE for o in outcomes for e in o.scores)
                assert any(hidden), f"{doc} is missing: {states}"
            at_least += min(count for o in outcomes for count in o.damaged)
            at_most += max(count for o in outcomes for count in o.damaged)
        # Of several shards OpenSearch hands on the headers of some; `keep` asks one.
        assert self.warned or not at_least or not self.asked.keep, "no Warning header"
        assert at_most or not self.warned, "a Warning header without a damaged document"
        return at_least, at_most

    def _outcomes(self, doc: int, states: list[Change], threshold: float) -> Iterator[Outcome]:
        for state in states:
            yield outcome(self.asked, doc, state.version, threshold) if state.present else Outcome((None,))

    def _threshold(self) -> float:
        """The raw score by bits of the last one kept; all hits are of one shard then, and all of its documents hits."""
        bits = [raw(self.asked, "bits", doc, version) for doc, version, _ in self.hits] if self.asked.keep else []
        whole = sorted((score for score in bits if score is not None), reverse=True)
        return whole[self.asked.keep - 1] if len(whole) > self.asked.keep else -np.inf
