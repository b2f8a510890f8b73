"""What is exported for Pyserini's SLIM holds the index's token terms, row by row."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from opensearchpy import OpenSearch
from ready_documents import load

from opensearch_multivector.encoding.encoders import checkpoints, load_term_encoder
from opensearch_multivector.errors import MismatchError
from opensearch_multivector.indexing.export import export_vectors
from opensearch_multivector.plugin.sub_fields import Slim, TokenTerms

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not checkpoints.installed("torch"), reason="the extra torch is not installed"),
]

TEXTS = {"bees": "Bees dance.", "terns": "Terns migrate from pole to pole.", "eels": "Eels spawn in the ocean."}
SCALE = 51.2


def test_token_terms_come_back_by_place(client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    encoder = load_term_encoder()
    documents = [{"_id": doc_id, "text": text} for doc_id, text in TEXTS.items()]
    fields = (Slim(scale=SCALE), TokenTerms(weights="f32"))
    load(client, index_name, documents, term_encoder=encoder, no_vectors=True, sub_fields=fields)
    client.index(index=index_name, id="bare", body={"text": "no terms"}, refresh=True)
    (tmp_path / "own.txt").write_text("stays")

    done = export_vectors(client, index_name, tmp_path, "slim")

    assert (done.documents, done.without, done.file) == (3, 1, str(tmp_path))
    names = {"documents.jsonl", "docids.txt", "sparse_vec.npz", "sparse_range.pkl", "own.txt"}
    assert {path.name for path in tmp_path.iterdir()} == names
    ids = (tmp_path / "docids.txt").read_text().splitlines()
    assert ids == sorted(TEXTS)
    matrix = sparse.load_npz(tmp_path / "sparse_vec.npz")
    ranges = pickle.loads((tmp_path / "sparse_range.pkl").read_bytes())
    lines = [json.loads(line) for line in (tmp_path / "documents.jsonl").read_text().splitlines()]
    assert matrix.shape == (ranges[-1][1], len(encoder.vocabulary))
    assert [line["id"] for line in lines] == [f"{place:010}" for place in range(3)]
    for doc_id, (start, end), line in zip(ids, ranges, lines, strict=True):
        (tokens,) = encoder.encode_terms([TEXTS[doc_id]], "document")
        rows = matrix[start:end].toarray()
        assert len(rows) == len(tokens.ids)
        impacts: dict[str, float] = {}
        for row, terms, weights in zip(rows, tokens.ids, tokens.weights, strict=True):
            expected = {int(term): float(weight) for term, weight in zip(terms, weights, strict=True) if weight > 0}
            # Encoded alone and among others, weights differ in their last digits.
            assert {int(term): float(row[term]) for term in row.nonzero()[0]} == pytest.approx(expected, rel=1e-4)
            for term in row.nonzero()[0]:
                name = encoder.vocabulary[term]
                impacts[name] = max(impacts.get(name, 0), float(row[term]))
        assert line["contents"] == TEXTS[doc_id]
        assert line["vector"] == {term: impact for term, weight in impacts.items() if (impact := round(weight * SCALE))}


def test_an_index_without_token_terms_is_refused(client: OpenSearch, index_name: str, tmp_path: Path) -> None:
    load(client, index_name, [{"_id": "1", "text": "x", "vectors": [[1.0, 0.0]]}])
    with pytest.raises(MismatchError, match=r"the export for Pyserini.s SLIM needs mv\.token_terms"):
        export_vectors(client, index_name, tmp_path / "out", "slim")
    assert not list((tmp_path / "out").iterdir())
