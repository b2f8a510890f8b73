"""Runs written by us and read by Pyserini's evaluators, and the other way round: the same figures to four decimals."""

from __future__ import annotations

from pathlib import Path

import pytest
from opensearchpy import OpenSearch
from pyserini_process import Pyserini
from rankings import Run

from opensearch_multivector.evaluation.collection.beir import Collection
from opensearch_multivector.evaluation.evaluate import Configuration, Outcome, evaluate
from opensearch_multivector.evaluation.measures import Scorer, Scores
from opensearch_multivector.evaluation.runs import read_run
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration

# ir-measures' names and trec_eval's.
MEASURES = {
    "nDCG@10": "ndcg_cut.10",
    "R@100": "recall.100",
    "AP": "map",
    "RR": "recip_rank",
    "P@5": "P.5",
    "Success@5": "success.5",
}


@pytest.fixture(scope="module")
def qrels(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("qrels") / "scifact.qrels"
    with path.open("w") as lines:
        for topic, grades in collection.qrels.items():
            lines.writelines(f"{topic}\t0\t{doc_id}\t{grade}\n" for doc_id, grade in grades.items())
    return path


def evaluated(client: OpenSearch, index: str, collection: Collection, folder: Path, run_format: str) -> Outcome:
    """As `osmv eval` does it."""
    evaluation = evaluate(
        Searcher(client, index),
        collection,
        [Configuration.parse("bm25")],
        measures=tuple(MEASURES),
        runs_dir=folder,
        run_format=run_format,
        latency_topics=1,
    )
    return evaluation.outcomes[0]


def same_figures(scores: Scores, theirs: dict[str, dict[str, float]]) -> None:
    """To the four decimals that trec_eval prints, of each topic and of all."""
    for ours, name in MEASURES.items():
        by_topic = dict(theirs[name])
        assert by_topic.pop("all") == pytest.approx(scores.mean[ours], abs=5.001e-5)
        assert by_topic == pytest.approx(scores.per_topic[ours], abs=5.001e-5)


@pytest.mark.parametrize("run_format", ["trec", "msmarco"])
def test_our_runs_in_their_trec_eval(
    client: OpenSearch,
    pyserini: Pyserini,
    bm25_index: str,
    collection: Collection,
    qrels: Path,
    tmp_path: Path,
    run_format: str,
) -> None:
    outcome = evaluated(client, bm25_index, collection, tmp_path, run_format)
    theirs = pyserini("trec_eval", qrels=qrels, run=outcome.run, measures=list(MEASURES.values()))
    same_figures(outcome.scores, theirs)


def test_our_runs_in_msmarco_passage_eval(
    client: OpenSearch, pyserini: Pyserini, bm25_index: str, collection: Collection, qrels: Path, tmp_path: Path
) -> None:
    outcome = evaluated(client, bm25_index, collection, tmp_path, "msmarco")
    try:
        printed = pyserini("msmarco_passage_eval", qrels=qrels, run=outcome.run)
    except AssertionError as error:
        if "CalledProcessError" not in str(error):
            raise
        pytest.skip("MS MARCO's script is not here, and Pyserini can't download it")
    scorer = Scorer(collection.qrels, ["RR@10"])
    scorer.add(read_run(outcome.run))  # type: ignore[arg-type]
    assert float(printed["MRR @10"]) == pytest.approx(scorer.result().mean["RR@10"], abs=1e-9)
    assert printed["QueriesRanked"] == "300"


@pytest.mark.usefixtures("pyserini_bm25")
def test_their_runs_read_by_us(
    pyserini: Pyserini, pyserini_bm25_file: Path, pyserini_bm25: Run, collection: Collection, qrels: Path
) -> None:
    run = read_run(pyserini_bm25_file)
    assert {name: [doc_id for doc_id, _ in ranking] for name, ranking in run.items()} == {
        name: [doc_id for doc_id, _ in ranking] for name, ranking in pyserini_bm25.items()
    }
    scorer = Scorer(collection.qrels, tuple(MEASURES))
    scorer.add(run)
    theirs = pyserini("trec_eval", qrels=qrels, run=pyserini_bm25_file, measures=list(MEASURES.values()))
    same_figures(scorer.result(), theirs)
