"""A small index of random vectors on the real node, for tests that compare the query layer with plain NumPy."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from node_under_test import NATIVE, SINCE_3_3
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.code_terms import code_terms
from opensearch_multivector.encoding.codebook import Codebook
from opensearch_multivector.encoding.codebook_training import train_codebook
from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.encoding.encoders.base import TokenTerms
from opensearch_multivector.encoding.subvector_terms import SubvectorCodebook, train_subvectors
from opensearch_multivector.encoding.term_blob import encode_terms
from opensearch_multivector.indexing.sub_fields import VALUES, Material
from opensearch_multivector.plugin.artifacts import make_artifact, put_artifact, with_state
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.plugin.mapping import index_body
from opensearch_multivector.plugin.sub_fields import Bits, Codes, Dense, Fde, Floats, Gauss, Pq, Slim, Tokens, Views
from opensearch_multivector.plugin.sub_fields import TokenTerms as StoredTokenTerms
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.rerankers import RERANKERS

DIM = 16
# Those that the node under test has.
EVERY_RERANK = [name for name in RERANKERS if NATIVE or name != "native" if SINCE_3_3 or name != "painless"]
TERMS = [f"term{i}" for i in range(12)]


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@dataclass
class SmallIndex:
    """Documents as arrays beside the index that holds them."""

    client: OpenSearch
    name: str
    spec: FieldSpec
    vectors: dict[str, np.ndarray] = field(default_factory=dict)
    terms: dict[str, dict[str, float]] = field(default_factory=dict)
    tokens: dict[str, TokenTerms] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    def put(self, rng: np.random.Generator, doc_ids: list[str]) -> None:
        """Add or change documents; each shares some direction with its fellows, so similarities are mostly positive."""
        lines: list[dict[str, Any]] = []
        for doc_id in doc_ids:
            self.vectors[doc_id] = unit(rng.normal(size=(int(rng.integers(1, 9)), DIM)) + 0.7)
            chosen = rng.choice(TERMS, size=5, replace=False)
            self.terms[doc_id] = {term: float(rng.uniform(0.1, 3)) for term in chosen}
            self.tokens.pop(doc_id, None)
            self.groups[doc_id] = "even" if len(self.groups) % 2 == 0 else "odd"
            lines += [{"index": {"_index": self.name, "_id": doc_id}}, self.body(doc_id)]
        response = self.client.bulk(body=lines, params={"refresh": "true"})
        assert not response["errors"], response

    def body(self, doc_id: str) -> dict[str, Any]:
        vectors = self.vectors[doc_id]
        pooled = unit(vectors.mean(axis=0))
        tokens = self.tokens.setdefault(doc_id, token_terms(np.random.default_rng(len(self.tokens)), 4))
        blob = base64.b64encode(encode_blob(vectors, self.spec.codec, self.spec.codebook)).decode()
        return {
            "title": doc_id,
            "text": " ".join(self.terms[doc_id]),
            "group": self.groups[doc_id],
            self.spec.sub("vectors"): blob,
            self.spec.sub("codes"): code_terms(self.spec.state["codebook"].assign(vectors)),
            self.spec.sub("dense"): pooled.tolist(),
            self.spec.sub("pq"): code_terms(self.spec.state["subvectors"].assign(pooled[None])[0]),
            self.spec.sub("slim"): self.terms[doc_id],
            self.spec.sub("token_terms"): base64.b64encode(encode_terms(tokens)).decode(),
            self.spec.sub("floats"): vectors.tolist(),
            **sub_field_values(self.spec, vectors, ("bits", "fde", "gauss", "tokens", "views")),
        }


def sub_field_values(spec: FieldSpec, vectors: np.ndarray, names: Collection[str]) -> dict[str, Any]:
    """What indexing writes of token vectors into these sub-fields."""
    material = Material("d", "", vectors, None, unit(vectors.mean(axis=0)))
    return {
        spec.sub(each.name): json.loads(VALUES[each.name](each, spec, [material])[0] or "null")
        for each in spec.sub_fields
        if each.name in names
    }


def token_terms(rng: np.random.Generator, n_tokens: int, k: int = 3) -> TokenTerms:
    """Token terms as an encoder gives them: distinct ids per token, weights falling."""
    ids = np.array([rng.choice(30, size=k, replace=False) for _ in range(n_tokens)], np.int32)
    return TokenTerms(ids, -np.sort(-rng.uniform(0.1, 3, size=(n_tokens, k)), axis=1).astype(np.float32))


def make_index(client: OpenSearch, name: str, count: int = 60, codec: str = "f32", shards: int = 2) -> SmallIndex:
    ready = EncoderRef(READY_VECTORS, "none")
    of_vectors = (Fde(k_sim=3, r_reps=6), Gauss(), Tokens(), Views(count=1))
    stored = (Bits(), Codes(), Dense(), Floats(), Pq(), Slim(), StoredTokenTerms(), *of_vectors)
    spec = FieldSpec("mv", DIM, codec, ready, terms=ready, sub_fields=stored)
    artifacts = [make_artifact("codebook", codebook().arrays()), make_artifact("subvectors", subvectors().arrays())]
    for artifact in artifacts:
        put_artifact(client, artifact)
    spec = with_state(spec, artifacts)
    body = index_body(spec, shards=shards)
    body["mappings"]["properties"]["group"] = {"type": "keyword"}
    client.indices.create(index=name, body=body)
    small = SmallIndex(client, name, spec)
    small.put(np.random.default_rng(7), [f"d{i:03}" for i in range(count)])
    return small


def codebook(size: int = 40) -> Codebook:
    sample = unit(np.random.default_rng(3).normal(size=(400, DIM)) + 0.7)
    return train_codebook(sample, size, tokens_per_document=4.5)


def subvectors() -> SubvectorCodebook:
    return train_subvectors(unit(np.random.default_rng(4).normal(size=(200, DIM)) + 0.7), parts=4, size=120)


def make_query(seed: int = 1, n_tokens: int = 5) -> EncodedQuery:
    rng = np.random.default_rng(seed)
    vectors = unit(rng.normal(size=(n_tokens, DIM)) + 0.7)
    weights = {term: float(rng.uniform(0.1, 2)) for term in rng.choice(TERMS, size=4, replace=False)}
    return EncodedQuery(
        text=" ".join(weights),
        vectors=vectors,
        pooled=unit(vectors.mean(axis=0)),
        terms=QueryTerms(
            upper=weights,
            fused={term: weight * 1.01 for term, weight in weights.items()},
            tokens=token_terms(rng, n_tokens),
        ),
        dsl={"match": {"text": " ".join(weights)}},
    )
