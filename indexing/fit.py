"""How well an index's codebook still fits its documents, by a sample of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pybase64
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.codebook_training import codebook_size
from opensearch_multivector.encoding.codecs import decode_blob
from opensearch_multivector.encoding.drift import WORTH_RETRAINING, drift
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import BlobError, InputError, MismatchError
from opensearch_multivector.plugin.artifacts import load_state
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import DEFAULT_FIELD, VECTORS, FieldSpec
from opensearch_multivector.plugin.mapping import read_spec
from opensearch_multivector.plugin.whole_answers import EVERY_SHARD

# A codebook of a quarter of the size that the collection asks for: it has grown to sixteen times what it was.
WORTH_GROWING = 4

_PAGE = 50


@dataclass(frozen=True, slots=True)
class Fit:
    """``documents`` of the index, of which ``sampled`` were looked at; ``tokens``: about how many there are in all.

    ``mean_similarity``, ``relative_loss``: as `encoding.drift`; ``trained_similarity``: of the tokens held out from
    training. ``suggested_centroids``: what PLAID's rule gives for so many tokens.
    """

    index: str
    field: str
    codebook: str
    centroids: int
    documents: int
    sampled: int
    tokens: int
    trained_similarity: float
    mean_similarity: float
    relative_loss: float
    suggested_centroids: int

    @property
    def drifted(self) -> bool:
        """The documents are no longer of the kind that the codebook was trained on."""
        return self.relative_loss > WORTH_RETRAINING

    @property
    def outgrown(self) -> bool:
        """The collection asks for a far larger codebook."""
        return self.suggested_centroids >= WORTH_GROWING * self.centroids

    def to_dict(self) -> dict[str, Any]:
        """As `osmv codebook drift --json` prints it."""
        return asdict(self) | {"drifted": self.drifted, "outgrown": self.outgrown}


def codebook_fit(
    client: OpenSearch,
    index: str,
    field: str = DEFAULT_FIELD,
    *,
    sample: int = 300,
    newest: bool = False,
    seed: int = 0,
) -> Fit:
    """Compare token vectors of ``sample`` random documents, or of those written last, with the index's codebook.

    Raises MismatchError where the index has no codebook or it can't be read, InputError where there are no documents
    with token vectors, ClusterError.
    """
    if sample < 1:
        raise InputError(f"the sample has to be at least one document, not {sample}")
    spec = read_spec(client, index, field)
    if "codebook" not in spec.artifacts:
        raise MismatchError(f"field {field!r} of index {index!r} has no codebook: index with --sub-field codes")
    spec = load_state(client, spec)
    codebook = spec.codebook
    assert codebook is not None
    with cluster_errors():
        documents = int(client.count(index=index)["count"])
    sampled, tokens, similarity, loss = 0, 0, 0.0, 0.0
    for vectors in _blobs(client, index, spec, sample, newest, seed):
        found = drift(codebook, vectors)
        sampled += 1
        tokens += len(vectors)
        similarity += found.mean_similarity * len(vectors)
        loss += found.relative_loss * len(vectors)
    if not tokens:
        raise InputError(
            f"index {index!r} has no document with token vectors in {field!r} to compare with its codebook"
        )
    total = round(documents * tokens / sampled)
    return Fit(
        index=index,
        field=field,
        codebook=codebook.id,
        centroids=codebook.size,
        documents=documents,
        sampled=sampled,
        tokens=total,
        trained_similarity=round(codebook.mean_similarity, 4),
        mean_similarity=round(similarity / tokens, 4),
        relative_loss=round(loss / tokens, 3),
        suggested_centroids=codebook_size(total),
    )


def _blobs(
    client: OpenSearch, index: str, spec: FieldSpec, sample: int, newest: bool, seed: int
) -> Iterator[FloatArray]:
    """Token vectors of the sampled documents, a page at a time; what can't be read is passed over."""
    field = spec.sub(VECTORS)
    query: dict[str, Any] = {"exists": {"field": field}}
    body: dict[str, Any] = {"query": query, "sort": [{"_seq_no": "desc"}]}
    if not newest:
        random = {"random_score": {"seed": seed, "field": "_seq_no"}}
        body = {"query": {"function_score": {"query": query, **random, "boost_mode": "replace"}}}
    body |= {"_source": False, "docvalue_fields": [field]}
    for start in range(0, sample, _PAGE):
        with cluster_errors():
            page = body | {"from": start, "size": min(_PAGE, sample - start)}
            found = client.search(index=index, body=page, params=EVERY_SHARD)
        for hit in found["hits"]["hits"]:
            data = hit["fields"][field][0]
            try:
                vectors = decode_blob(pybase64.b64decode(data + "=" * (-len(data) % 4)), spec.codebook)
            except BlobError:
                continue
            if len(vectors):
                yield np.asarray(vectors)
        if len(found["hits"]["hits"]) < _PAGE:
            return
