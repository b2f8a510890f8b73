"""BM25 over all of SciFact, k1, b and analyzer as Pyserini has them: the same documents, scores and order."""

from __future__ import annotations

import pytest
from node_under_test import RELEASE
from opensearchpy import OpenSearch
from pyserini_process import Pyserini
from rankings import Run, adjusted, by_score_and_id, overlap, tied

from opensearch_multivector.evaluation.collection.beir import Collection
from opensearch_multivector.evaluation.measures import Scorer
from opensearch_multivector.evaluation.runs import strict_ranking
from opensearch_multivector.queries.pyserini import BM25Searcher

pytestmark = pytest.mark.integration

DEPTH = 100


def check_same(ours: list[tuple[str, float]], theirs: list[tuple[str, float]], name: str) -> None:
    """To the bit. Scores of OpenSearch 2.x have the factor k1 + 1, and so others of them tie: there but for ties."""
    ours, theirs = adjusted(ours), [(docid, score) for docid, score in theirs]
    if RELEASE >= (3, 0):
        assert ours == theirs, name
        return
    assert [score for _, score in ours] == pytest.approx([1.9 * score for _, score in theirs], abs=3e-4), name
    mine, last = dict(ours), ours[-1][1]
    for docid, score in theirs:
        assert mine.get(docid, last) == pytest.approx(1.9 * score, abs=3e-4), f"{name} {docid}"


def test_every_difference_is_a_tie(bm25_run: Run, pyserini_bm25: Run) -> None:
    """With equal scores ordered by id and scores rounded as Anserini rounds them, nothing is left that differs."""
    for name, hits in pyserini_bm25.items():
        check_same(by_score_and_id(bm25_run[name], DEPTH), hits, name)


def test_our_searcher_gives_their_hits(
    client: OpenSearch, bm25_index: str, pyserini_bm25: Run, collection: Collection
) -> None:
    """Called as Pyserini's is, with ties in its order."""
    with BM25Searcher.from_index(bm25_index, client=client) as searcher:
        found = searcher.batch_search(list(collection.topics.values()), list(collection.topics), k=DEPTH, threads=2)
    for name, theirs in pyserini_bm25.items():
        check_same([(hit.docid, hit.score) for hit in found[name]], theirs, name)


def test_the_figures_agree(
    bm25_run: Run, pyserini_bm25: Run, collection: Collection, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = bm25_run, pyserini_bm25
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
