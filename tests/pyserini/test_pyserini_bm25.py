"""BM25 over all of SciFact, k1, b and analyzer as Pyserini has them: the same documents, scores and order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from opensearchpy import OpenSearch
from pyserini_process import Pyserini
from rankings import adjusted, by_score_and_id, overlap, tied

from opensearch_multivector.evaluation.beir import Collection, read_collection
from opensearch_multivector.evaluation.measures import Scorer
from opensearch_multivector.evaluation.runs import strict_ranking
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.plugin.mapping import Bm25Parameters
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

K1, B = 0.9, 0.4
DEPTH = 100

Run = dict[str, list[tuple[str, float]]]


@pytest.fixture(scope="module")
def collection(scifact: Path) -> Collection:
    return read_collection(scifact)


@pytest.fixture(scope="module")
def theirs(pyserini: Pyserini, collection: Collection, scifact_corpus: Path) -> Run:
    folder = pyserini.index("bm25", "BeirFlatCollection", scifact_corpus)
    return pyserini("bm25", folder=folder, topics=collection.topics, k=DEPTH, k1=K1, b=B)


@pytest.fixture(scope="module")
def ours(
    client: OpenSearch, collection: Collection, scifact: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Run]:
    index = "osmv-test-pyserini-bm25"
    client.indices.delete(index=index, ignore_unavailable=True)
    summary = index_documents(
        client,
        index,
        scifact,
        encoder=None,
        no_vectors=True,
        sub_fields=(),
        bm25=Bm25Parameters(K1, B),
        dead_letters=tmp_path_factory.mktemp("bm25") / "dead.jsonl",
    )
    assert (summary.indexed, summary.rejected) == (5183, 0)
    searcher = Searcher(client, index)
    options = {"first_stage": "bm25", "rerank": None, "size": 2 * DEPTH, "window_size": 2 * DEPTH, "source": False}
    results = searcher.search_many(list(collection.topics.values()), **options)
    yield {
        name: [(hit.doc_id, hit.score) for hit in result.hits]
        for name, result in zip(collection.topics, results, strict=True)
    }
    client.indices.delete(index=index, ignore_unavailable=True)


def test_every_difference_is_a_tie(ours: Run, theirs: Run) -> None:
    """With equal scores ordered by id and scores rounded as Anserini rounds them, nothing is left that differs."""
    for name, hits in theirs.items():
        assert adjusted(by_score_and_id(ours[name], DEPTH)) == [tuple(hit) for hit in hits], name


def test_the_figures_agree(ours: Run, theirs: Run, collection: Collection, capsys: pytest.CaptureFixture[str]) -> None:
    ndcg = {}
    for who, run in (("ours", ours), ("Pyserini", theirs)):
        scorer = Scorer(collection.qrels, ["nDCG@10"])
        scorer.add({name: strict_ranking(hits[:DEPTH]) for name, hits in run.items()})
        ndcg[who] = scorer.result().mean["nDCG@10"]
    same = sum([hit[0] for hit in ours[name][:DEPTH]] == [hit[0] for hit in hits] for name, hits in theirs.items())
    with capsys.disabled():
        print(
            f"\nBM25, SciFact: nDCG@10 {ndcg['ours']:.4f} (Pyserini {ndcg['Pyserini']:.4f}), top-10 overlap "
            f"{overlap(ours, theirs, 10):.4f}, top-{DEPTH} overlap {overlap(ours, theirs, DEPTH):.4f}, same order as "
            f"they come {same} of {len(theirs)}; {sum(tied(hits, DEPTH) for hits in ours.values())} hits tie"
        )
    assert ndcg["Pyserini"] == pytest.approx(0.6789, abs=5e-5)  # what Anserini prints for BEIR's flat SciFact
    assert ndcg["ours"] == pytest.approx(ndcg["Pyserini"], abs=0.001)
    assert overlap(ours, theirs, 10) >= 0.99


def test_the_analyzers_give_the_same_tokens(client: OpenSearch, pyserini: Pyserini, collection: Collection) -> None:
    texts = [*collection.topics.values(), "The dogs' bone isn't U.S.A.'s; co-operating α-synuclein 3.5% naïve", ""]
    analyzed = [
        [token["token"] for token in client.indices.analyze(body={"analyzer": "english", "text": text})["tokens"]]
        for text in texts
    ]
    assert pyserini("analyze", texts=texts) == analyzed
