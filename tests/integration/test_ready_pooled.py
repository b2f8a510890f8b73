"""Pooled vectors of another model, brought by the documents, beside the encoder's token vectors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from opensearchpy import OpenSearch

from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.indexing import Layout, index_documents
from opensearch_multivector.plugin.sub_fields import Dense
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

LAYOUT = Layout(pooled_field="embedding")


def documents(count: int = 20) -> list[dict[str, object]]:
    rng = np.random.default_rng(1)
    return [
        {
            "id": f"d{i}",
            "text": f"about {i}",
            "vectors": rng.normal(size=(3, 8)).tolist(),
            "embedding": rng.normal(size=24).tolist(),
        }
        for i in range(count)
    ]


def test_they_are_searched_and_are_of_a_dimension_of_their_own(
    client: OpenSearch, index_name: str, tmp_path: Path
) -> None:
    given = documents()
    rejected = [
        {**given[0], "id": "short", "embedding": [1.0, 2.0]},
        {**given[0], "id": "without", "embedding": None},
        {**given[0], "id": "nested", "embedding": [[1.0]]},
        {**given[0], "id": "infinite", "embedding": [float("inf")] * 24},
    ]
    summary = index_documents(
        client,
        index_name,
        [*given, *rejected],
        encoder=None,
        layout=LAYOUT,
        sub_fields=(Dense(dim=24),),
        dead_letters=tmp_path / "dead.jsonl",
    )
    assert (summary.indexed, summary.rejected) == (20, 4)
    reasons = {rejection.doc_id: rejection.reason for rejection in summary.rejections}
    assert "2 dimensions" in reasons["short"]
    assert "'embedding'" in reasons["without"]
    assert "one list" in reasons["nested"]
    assert "infinity" in reasons["infinite"]

    embeddings = {str(document["id"]): np.array(document["embedding"]) for document in given}
    query = EncodedQuery(vectors=np.eye(2, 8, dtype=np.float32), pooled=np.ones(24, np.float32))
    hits = Searcher(client, index_name).search(query, first_stage="dense", rerank=None, size=20).hits
    assert [hit.doc_id for hit in hits] == sorted(embeddings, key=lambda doc_id: -embeddings[doc_id].sum())
    assert len(Searcher(client, index_name).search(query, first_stage="dense", size=5).hits) == 5
    assert not {"mv.dense", "embedding"} & set(hits[0].source)

    with pytest.raises(MismatchError, match="8 dimensions, the index has 24"):
        Searcher(client, index_name).search(EncodedQuery(pooled=np.ones(8, np.float32)), rerank=None)
    for lacking in ("some words", EncodedQuery(text="some words", vectors=query.vectors)):
        with pytest.raises(InputError, match="ready-made"):
            Searcher(client, index_name).search(lacking, first_stage="dense")


@pytest.mark.parametrize(
    ("sub_field", "layout", "message"),
    [
        (Dense(dim=24), Layout(), "--pooled-field"),
        (Dense(), LAYOUT, "dense:dim=DIMENSION"),
    ],
)
def test_vectors_without_a_place_and_places_without_vectors_are_refused(
    client: OpenSearch, index_name: str, sub_field: Dense, layout: Layout, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        index_documents(client, index_name, documents(), encoder=None, layout=layout, sub_fields=(sub_field,))
