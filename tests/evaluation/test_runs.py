from __future__ import annotations

import gzip
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.measures import Scorer
from opensearch_multivector.evaluation.runs import RunWriter, read_run, strict_ranking

ir_measures = pytest.importorskip("ir_measures")

# Ids with and without blanks; few distinct scores, so that ties are common, some of them only as 32-bit floats.
IDS = st.text("abcXYZ09 -_é", min_size=1, max_size=6)
Run = dict[str, list[tuple[str, float]]]
SCORES = st.sampled_from([0.0, 1.0, 1.0 + 1e-12, 2.5, -3.0, 1e-30, 7e20]) | st.floats(-1e6, 1e6, width=32)


def rankings() -> st.SearchStrategy[list[tuple[str, float]]]:
    scores = st.dictionaries(IDS, SCORES, max_size=12)
    return scores.map(lambda by_id: sorted(by_id.items(), key=lambda hit: -hit[1]))


@given(rankings())
def test_scores_fall_strictly_as_32_bit_floats(hits: list[tuple[str, float]]) -> None:
    ranking = strict_ranking(hits)
    assert sorted(doc_id for doc_id, _ in ranking) == sorted(doc_id for doc_id, _ in hits)
    scores = np.array([score for _, score in ranking], np.float32)
    assert (scores[1:] < scores[:-1]).all()
    given_scores = dict(hits)
    for doc_id, score in ranking:
        assert score == pytest.approx(given_scores[doc_id], rel=1e-5, abs=1e-40)


@given(rankings())
def test_order_is_the_one_trec_eval_gives_the_raw_scores(hits: list[tuple[str, float]]) -> None:
    by_trec_eval = sorted(hits, key=lambda hit: (np.float32(hit[1]), hit[0]), reverse=True)
    assert [doc_id for doc_id, _ in strict_ranking(hits)] == [doc_id for doc_id, _ in by_trec_eval]


def test_equal_scores_stay_in_their_order_where_that_is_asked_for() -> None:
    hits = [("b", 2.0), ("a", 1.0), ("c", 1.0), ("b2", 1.0)]
    assert [doc_id for doc_id, _ in strict_ranking(hits)] == ["b", "c", "b2", "a"]
    ranking = strict_ranking(hits, as_given=True)
    assert [doc_id for doc_id, _ in ranking] == ["b", "a", "c", "b2"]
    assert all(later < earlier for (_, earlier), (_, later) in pairwise(ranking))


def test_a_rising_score_does_not_change_the_order() -> None:
    # A rerank's head scored on another scale than the tail it was put before.
    ranking = strict_ranking([("a", 3.0), ("b", 2.0), ("c", 90.0), ("d", 80.0)])
    assert [doc_id for doc_id, _ in ranking] == ["a", "b", "c", "d"]
    assert all(later < earlier for (_, earlier), (_, later) in pairwise(ranking))


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_refused(score: float) -> None:
    with pytest.raises(InputError, match="finite"):
        strict_ranking([("a", score)])


def test_a_document_twice_is_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        strict_ranking([("a", 2.0), ("b", 1.5), ("a", 1.0)])


@pytest.mark.parametrize("name", ["a.trec", "a.trec.gz"])
@given(st.dictionaries(IDS.filter(str.strip), rankings().filter(bool), max_size=4))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, run: dict[str, list[tuple[str, float]]]
) -> None:
    path = tmp_path_factory.mktemp("runs") / name
    written = {query_id: strict_ranking(hits) for query_id, hits in run.items()}
    with RunWriter(path) as writer:
        for query_id, ranking in written.items():
            writer.write(query_id, ranking)
    back = read_run(path)
    assert {query_id: [doc_id for doc_id, _ in ranking] for query_id, ranking in back.items()} == {
        query_id: [doc_id for doc_id, _ in ranking] for query_id, ranking in written.items()
    }
    for query_id, ranking in back.items():
        read, wrote = ([np.float32(score) for _, score in each] for each in (ranking, written[query_id]))
        assert read == wrote


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
@given(st.dictionaries(IDS.filter(str.strip), rankings().filter(bool), max_size=4))
def test_a_run_of_ms_marco_keeps_the_order(
    tmp_path_factory: pytest.TempPathFactory, name: str, run: dict[str, list[tuple[str, float]]]
) -> None:
    path = tmp_path_factory.mktemp("runs") / name
    with RunWriter(path, run_format="msmarco") as writer:
        for query_id, hits in run.items():
            writer.write(query_id, hits)
    expected = {
        query_id: [(doc_id, 1 / rank) for rank, (doc_id, _) in enumerate(hits, start=1)]
        for query_id, hits in run.items()
    }
    assert read_run(path) == expected == read_run(path, "msmarco")


MEASURES = ["nDCG@10", "nDCG@2", "R@3", "RR@10", "RR@2", "AP", "P@1"]


@given(rankings().filter(bool), st.data())
def test_measures_of_the_file_are_those_of_the_scores(
    tmp_path_factory: pytest.TempPathFactory, hits: list[tuple[str, float]], data: st.DataObject
) -> None:
    hits = [(doc_id.replace(" ", "_"), score) for doc_id, score in hits]  # ir-measures splits a run at blanks
    # Two ids that are one now have the higher score.
    hits = sorted(dict(reversed(hits)).items(), key=lambda hit: -hit[1])
    grades = {doc_id: data.draw(st.integers(0, 2)) for doc_id, _ in hits} | {"unretrieved": 1}
    qrels = {"q": grades}
    # ir-measures' trec_eval breaks ties between the raw scores itself; that is the order ours has to agree with.
    raw = {"q": {doc_id: float(np.float32(score)) for doc_id, score in hits}}
    parsed = [ir_measures.parse_measure(name) for name in MEASURES if name not in ("RR@10", "RR@2")]
    expected = {str(m): v for m, v in ir_measures.pytrec_eval.calc_aggregate(parsed, qrels, raw).items()}

    scorer = Scorer(qrels, MEASURES)
    ranking = strict_ranking(hits)
    scorer.add({"q": ranking})
    ours = scorer.result().mean
    assert {name: ours[name] for name in expected} == pytest.approx(expected)

    path = tmp_path_factory.mktemp("runs") / "a.trec"
    with RunWriter(path) as writer:
        writer.write("q", ranking)
    again = Scorer(qrels, MEASURES)
    again.add({query_id: strict_ranking(read) for query_id, read in read_run(path).items()})
    assert again.result().mean == ours
    from_file = ir_measures.calc_aggregate(
        [ir_measures.parse_measure(name) for name in MEASURES], qrels, ir_measures.read_trec_run(str(path))
    )
    assert {str(measure): value for measure, value in from_file.items()} == pytest.approx(ours)


def test_columns_and_digits(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "a.trec", tag="dense/client") as writer:
        writer.write("q 1", strict_ranking([("Geneva Durben", 12.3456789), ("x", 12.3456789)]))
    first, second = (tmp_path / "a.trec").read_text(encoding="utf-8").splitlines()
    assert first == "q␣1 Q0 x 1 12.3456793 dense/client"
    assert second == "q␣1 Q0 Geneva␣Durben 2 12.3456783 dense/client"


@pytest.mark.parametrize("doc_id", ["", "a\tb", "a\nb", "a\u00a0b", "a␣b"])
def test_an_id_that_would_break_the_columns_is_refused(tmp_path: Path, doc_id: str) -> None:
    with pytest.raises(InputError, match="in a run"), RunWriter(tmp_path / "a.trec") as writer:
        writer.write("q", [(doc_id, 1.0)])
    with pytest.raises(InputError, match="tag"):
        RunWriter(tmp_path / "a.trec", tag="two words")


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for name, time in (("a.trec.gz", 1e9), ("b.trec.gz", 2e9)):
        with pytest.MonkeyPatch.context() as patched, RunWriter(tmp_path / name) as writer:
            patched.setattr("time.time", lambda now=time: now)
            writer.write("q", [("a", 1.0)])
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]
    assert gzip.decompress(contents[0]) == b"q Q0 a 1 1 osmv\n"


def test_columns_of_ms_marco(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "a.tsv", run_format="msmarco") as writer:
        writer.write("2", [("D 1", 3.0), ("D2", 2.0)])
    assert (tmp_path / "a.tsv").read_bytes() == "2\tD␣1\t1\n2\tD2\t2\n".encode()


@pytest.mark.parametrize("name", ["pyserini", ""])
def test_a_format_there_is_not(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="trec and msmarco"):
        RunWriter(tmp_path / "a.trec", run_format=name)
    with pytest.raises(InputError, match="trec and msmarco"):
        read_run(tmp_path / "a.trec", name)


def test_an_interrupted_run_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.trec"
    with RunWriter(path) as writer:
        writer.write("q", [("old", 1.0)])
    before = path.read_bytes()

    def interrupted() -> None:
        with RunWriter(path) as writer:
            writer.write("q", [("new", 1.0)])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == ["a.trec"]


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can't be written"), RunWriter(tmp_path / "file" / "a.trec"):
        pass


def test_a_run_of_another_tool_is_read_in_trec_evals_order(tmp_path: Path) -> None:
    path = tmp_path / "other.trec"
    path.write_text("1 Q0 a 1 2.0 t\n1\tQ0\tb\t2\t2.0\tt\n2 Q0 z 9 1e-3 t\n1 Q0 c 3 9 t\n")
    assert read_run(path) == {"1": [("c", 9.0), ("b", 2.0), ("a", 2.0)], "2": [("z", 1e-3)]}


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("1 Q0 a 1 2.0 t\n1 Q0 b 2 1.0\n", 2, "5 columns"),
        ("1 Q0 a 1 high t\n", 1, "'high'"),
        ("1 Q0 a 1 nan t\n", 1, "'nan'"),
        ("1 Q0 a 1 2.0 t\n\n1 Q0 a 2 1.0 t\n", 3, "'a' appears a second time"),
        ("1\ta\t1\n1\tb\t0\n", 2, "'0' is not a whole number from 1"),
        ("1\ta\t1\n1\tb\t1.5\n", 2, "'1.5'"),
        ("1\ta\t1\n2\ta\t1\n1\tb\t1\n", 3, "rank 1 appears a second time for topic '1'"),
        ("1\ta\t1\n1\ta\t2\n", 2, "'a' appears a second time"),
        ("1\ta\t1\n1 Q0 b 2 1.0 t\n", 2, "6 columns; a run of MS MARCO has three"),
        ("1 Q0 a 1 2.0 t\n1\tb\t1\n", 2, "3 columns; a TREC run has six"),
    ],
)
def test_bad_line_names_file_and_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    path = tmp_path / "bad.trec"
    path.write_text(text)
    with pytest.raises(InputError, match=reason) as error:
        read_run(path)
    assert str(error.value).startswith(f"{path}:{line}: ")


def test_a_format_that_was_asked_for_is_held_to(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("1\ta\t1\n")
    with pytest.raises(InputError, match=r"a\.tsv:1: 3 columns; a TREC run has six"):
        read_run(tmp_path / "a.tsv", "trec")
