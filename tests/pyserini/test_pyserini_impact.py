"""Impact search over the same whole-number weights: `LuceneImpactSearcher`'s documents, scores and order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from impacts import EVERYWHERE, Weights, write_collection
from opensearchpy import OpenSearch
from pyserini_process import Pyserini
from rankings import Run, adjusted, by_score_and_id, overlap, tied

from opensearch_multivector.evaluation.collection.beir import read_collection
from opensearch_multivector.indexing import Layout, index_documents
from opensearch_multivector.plugin.sub_fields import Slim
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.pyserini import ImpactSearcher
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

DEPTH = 100
IMPACT = ("-impact", "-pretokenized")


@pytest.fixture(scope="module")
def weights(scifact_corpus: Path) -> Weights:
    return Weights(scifact_corpus / "corpus.jsonl")


@pytest.fixture(scope="module")
def topics(scifact: Path, weights: Weights) -> dict[str, str]:
    return {name: weights.query(text) for name, text in read_collection(scifact).topics.items()}


@pytest.fixture(scope="module")
def impacts(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("impacts")
    return write_collection(folder / "docs.jsonl", weights.texts, weights.documents()).parent


@pytest.fixture(scope="module")
def theirs(pyserini: Pyserini, impacts: Path, topics: dict[str, str]) -> Run:
    folder = pyserini.index("impact", "JsonVectorCollection", impacts, *IMPACT)
    return pyserini("impact", folder=folder, topics=topics, k=DEPTH)


@pytest.fixture(scope="module")
def index(client: OpenSearch, impacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    name = "osmv-test-pyserini-impact"
    client.indices.delete(index=name, ignore_unavailable=True)
    summary = index_documents(
        client,
        name,
        impacts,
        encoder=None,
        no_vectors=True,
        sub_fields=(Slim(),),
        layout=Layout(text_field="contents", terms_field="vector"),
        dead_letters=tmp_path_factory.mktemp("impact") / "dead.jsonl",
    )
    assert (summary.indexed, summary.rejected) == (5183, 0)
    yield name
    client.indices.delete(index=name, ignore_unavailable=True)


def test_every_difference_is_a_tie(
    client: OpenSearch, index: str, topics: dict[str, str], theirs: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    counted = [Counter(text.split()) - Counter([EVERYWHERE]) for text in topics.values()]
    queries = [EncodedQuery(terms=QueryTerms.ready(weights)) for weights in counted]
    options = {"first_stage": "slim", "rerank": None, "size": 2 * DEPTH, "window_size": 2 * DEPTH, "source": False}
    results = Searcher(client, index).search_many(queries, **options)
    ours = {
        name: [(hit.doc_id, hit.score) for hit in result.hits] for name, result in zip(topics, results, strict=True)
    }
    assert all(score == int(score) for hits in ours.values() for _, score in hits)
    for name, hits in theirs.items():
        assert adjusted(by_score_and_id(ours[name], DEPTH)) == [tuple(hit) for hit in hits], name
    same = sum([hit[0] for hit in ours[name][:DEPTH]] == [hit[0] for hit in hits] for name, hits in theirs.items())
    with capsys.disabled():
        print(
            f"\nimpact, SciFact: top-10 overlap {overlap(ours, theirs, 10):.4f}, top-{DEPTH} overlap "
            f"{overlap(ours, theirs, DEPTH):.4f}, same order as they come {same} of {len(theirs)}; "
            f"{sum(tied(hits, DEPTH) for hits in ours.values())} of {DEPTH * len(ours)} hits tie"
        )


def test_our_searcher_gives_their_hits(client: OpenSearch, index: str, topics: dict[str, str], theirs: Run) -> None:
    """Called as Pyserini's is: ties in its order, and terms of all documents left out."""
    with ImpactSearcher.from_index(index, client=client) as searcher:
        found = searcher.batch_search(list(topics.values()), list(topics), k=DEPTH, threads=2)
    for name, hits in theirs.items():
        assert adjusted([(hit.docid, hit.score) for hit in found[name]]) == [tuple(hit) for hit in hits], name
