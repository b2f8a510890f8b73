"""`native`: MaxSim inside OpenSearch, by the native plugin's rescorer, from the same blobs that `client` fetches.

It rides on a lone first stage's own request; after others it is one more request, over their candidates. What
OpenSearch sees of a raw score S is n + S where S >= 0 and n * n / (n - S) below, with n the number of query vectors (1
for score max): positive and monotone, and read back here. A document that can't be scored has 0.

Where the codec has a codebook its id is sent along; the nodes read it where `plugin/artifacts.py` keeps it.

``bits``: only so many of the best by `F.bits` are scored in full, on each shard, in the same request. The chain
``bit:keep=100>native`` becomes that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pybase64

from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import VECTORS, FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.rerankers.base import Key, Reranked, Reranker, find, key_of
from opensearch_multivector.queries.rerankers.blobs import NO_VECTORS

_SCORES = ("sum_max", "max")
_UNSCORED = f"{NO_VECTORS}, or they are damaged: the rerank client says what is wrong"


@dataclass(frozen=True, slots=True)
class Native(Reranker):
    """See the module's text. ``first``: only the query's first n vectors count; 0: all."""

    name: ClassVar[str] = "native"
    needs: ClassVar[Literal["vectors", "terms"]] = "vectors"

    score: str = "sum_max"
    first: int = 0
    bits: int = 0

    def __post_init__(self) -> None:
        Reranker.__post_init__(self)
        if self.score not in _SCORES:
            raise InputError(f"rerank 'native' has the scores {' and '.join(_SCORES)}, not {self.score!r}: use client")
        if self.first < 0 or self.bits < 0:
            raise InputError(f"first and bits of rerank 'native' can't be negative ({self.first} and {self.bits})")
        if self.bits and not self.keep:
            object.__setattr__(self, "keep", self.bits)
        if self.bits and self.keep > self.bits:
            raise InputError(f"rerank 'native' can't keep {self.keep} of the {self.bits} that bits hands on")

    def check(self, spec: FieldSpec) -> None:
        """See `Reranker`."""
        Reranker.check(self, spec)
        if self.bits:
            spec.need(sub_fields.Bits, "rerank 'native' with bits")

    def hit_bytes(self, spec: FieldSpec) -> int:
        """See `Reranker`: an id and a score."""
        return 0

    def rider(self, spec: FieldSpec, query: EncodedQuery, window_size: int, page_end: int) -> dict[str, Any]:
        """See `Reranker`."""
        return {"rescore": self._rescore(spec, query, window_size), "size": page_end}

    def body(self, spec: FieldSpec, query: EncodedQuery, keys: Sequence[Key]) -> dict[str, Any]:
        """See `Reranker`."""
        return {**find(keys), "_source": False, "rescore": self._rescore(spec, query, len(keys))}

    def read(self, spec: FieldSpec, query: EncodedQuery, hits: Sequence[dict[str, Any]]) -> Reranked:
        """See `Reranker`."""
        assert query.vectors is not None
        n = 1 if self.score == "max" else len(query.vectors[: self.first or None])
        scores = {key_of(hit): _raw(hit["_score"], n) for hit in hits if hit["_score"] > 0}
        # Once bits has handed on as many as it may, 0 is also what the others have.
        told = not self.bits or len(scores) < self.bits
        skipped = {hit["_id"]: _UNSCORED for hit in hits if told and hit["_score"] == 0}
        return Reranked(scores, skipped)

    def _rescore(self, spec: FieldSpec, query: EncodedQuery, window_size: int) -> dict[str, Any]:
        assert query.vectors is not None
        blob = encode_blob(query.vectors[: self.first or None], "f32")
        maxsim: dict[str, Any] = {
            "field": spec.sub(VECTORS),
            "query_vectors": pybase64.b64encode(blob).decode(),
            "score": self.score,
        }
        if spec.codec.startswith("residual"):
            maxsim["codebook"] = spec.artifacts["codebook"]
        if self.bits:
            maxsim["first"] = {"field": spec.sub(sub_fields.Bits.name), "keep": self.bits}
        return {"window_size": window_size, "maxsim": maxsim}


def _raw(score: float, n: int) -> float:
    """S of OpenSearch's score; see the module's text."""
    return score - n if score >= n else n - n * n / score
