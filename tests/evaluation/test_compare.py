from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from opensearch_multivector.cli.main import app
from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.comparison.compare import compare
from opensearch_multivector.evaluation.comparison.plot import difference_plot
from opensearch_multivector.evaluation.comparison.significance import corrected, randomisation_test, t_test
from opensearch_multivector.evaluation.provenance import write_header
from opensearch_multivector.evaluation.runs import RunWriter, strict_ranking

ir_measures = pytest.importorskip("ir_measures")

TOPICS = [f"q{number}" for number in range(12)]
QRELS = {topic: {"good": 1, "fair": 1} for topic in TOPICS}
GOOD_FIRST, BAD_FIRST = [("good", 2.0), ("bad", 1.0)], [("bad", 2.0), ("good", 1.0)]
Runs = dict[str, dict[str, list[tuple[str, float]]]]


@pytest.fixture
def runs() -> Runs:
    """`better` wins on nine topics and loses on one, `same` is as `base`, `short` lacks most topics."""
    base = dict.fromkeys(TOPICS, BAD_FIRST) | {"q0": GOOD_FIRST}
    better = dict.fromkeys(TOPICS, GOOD_FIRST) | {"q0": BAD_FIRST, "q1": BAD_FIRST, "q2": BAD_FIRST}
    return {"base": base, "better": better, "same": dict(base), "short": {"q0": GOOD_FIRST, "other": GOOD_FIRST}}


def test_means_differences_and_counts(runs: Runs) -> None:
    result = compare(runs, QRELS, ["RR@10"])
    assert {name: scores.mean["RR@10"] for name, scores in result.scores.items()} == pytest.approx(
        {"base": 6.5 / 12, "better": 10.5 / 12, "same": 6.5 / 12, "short": 1 / 12}
    )
    better, same, short = result.differences
    assert (better.wins, better.ties, better.losses) == (9, 2, 1)
    assert (same.wins, same.ties, same.losses, same.mean, same.low, same.high) == (0, 12, 0, 0, 0, 0)
    assert (short.wins, short.ties, short.losses) == (0, 1, 11)
    assert better.mean == pytest.approx(4 / 12)
    assert better.low < better.mean < better.high
    assert (result.missing["short"], result.unjudged["short"]) == (11, 1)
    assert result.per_topic("RR@10", "better")[0] == ("q0", 1.0, 0.5)
    assert [topic for topic, *_ in result.per_topic("RR@10", "better")][-2:] == ["q1", "q2"]


def test_p_values_are_those_of_the_tests_and_their_correction(runs: Runs) -> None:
    result = compare(runs, QRELS, ["RR@10"], correction="holm")
    differences = np.array([-0.5, 0, 0] + [0.5] * 9)
    better = result.differences[0]
    assert better.raw_t_test == t_test(differences)
    assert better.raw_randomisation == randomisation_test(differences)
    # By hand: 10 of 10 the same way, or 9 of 10, or 1, or 0: (1 + 10 + 10 + 1) / 2^10.
    assert better.raw_randomisation == 22 / 1024
    raw = [each.raw_randomisation for each in result.differences]
    assert [each.randomisation for each in result.differences] == corrected(raw, "holm")
    assert better.randomisation == pytest.approx(44 / 1024)
    bonferroni = compare(runs, QRELS, ["RR@10"], correction="bonferroni")
    assert bonferroni.differences[0].randomisation == pytest.approx(66 / 1024)
    plain = compare(runs, QRELS, ["RR@10"], correction="none")
    assert plain.differences[0].randomisation == 22 / 1024


def test_a_measure_is_corrected_for_its_own_comparisons_alone(runs: Runs) -> None:
    alone = compare(runs, QRELS, ["RR@10"]).differences
    together = [each for each in compare(runs, QRELS, ["nDCG@10", "RR@10"]).differences if each.measure == "RR@10"]
    assert alone == together


def test_means_are_ir_measures_own(runs: Runs) -> None:
    names = ["nDCG@10", "AP", "RR@10", "P@1"]
    result = compare(runs, QRELS, names)
    for name, run in runs.items():
        theirs = ir_measures.calc_aggregate(
            [ir_measures.parse_measure(measure) for measure in names],
            QRELS,
            {topic: dict(run.get(topic, [])) for topic in TOPICS},
        )
        assert result.scores[name].mean == pytest.approx({str(m): value for m, value in theirs.items()})


def test_a_run_of_other_topics_is_refused(runs: Runs) -> None:
    with pytest.raises(InputError, match="lost: none of its 1 topics is judged"):
        compare({**runs, "lost": {"x": GOOD_FIRST}}, QRELS)
    with pytest.raises(InputError, match="'sidak' is no correction"):
        compare(runs, QRELS, correction="sidak")


def test_the_plot_has_a_bar_for_each_topic_that_differs() -> None:
    rows = [("win<&>", 0.0, 1.0), ("loss", 1.0, 0.5), ("tie", 0.2, 0.2)]
    root = ElementTree.fromstring(difference_plot(rows, "nDCG@10", "a", "b & c"))
    assert root[0].text == "nDCG@10: b & c minus a"
    bars = [element for element in root if element.tag.endswith("rect") and len(element)]
    assert [bar[0].text for bar in bars] == ["win<&>: 0.0000 to 1.0000", "loss: 1.0000 to 0.5000"]
    win, loss = ({key: float(bar.attrib[key]) for key in ("x", "y", "height")} for bar in bars)
    assert win["height"] == pytest.approx(2 * loss["height"])
    assert win["y"] + win["height"] == pytest.approx(loss["y"])
    assert win["x"] < loss["x"]


@pytest.fixture
def folder(tmp_path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, run in runs.items():
        with RunWriter(tmp_path / f"{name}.run", name) as writer:
            for topic, ranking in run.items():
                writer.write(topic, strict_ranking(ranking))
    lines = [f"{topic} 0 {doc_id} {grade}\n" for topic, grades in QRELS.items() for doc_id, grade in grades.items()]
    (tmp_path / "qrels.txt").write_text("".join(lines))
    results = {"latency_ms": {"total": {"p50": 12.3, "p95": 45.6}}}
    qrels = {"file": "older.txt", "sha256": "0"}
    header = {"name": "dense/client", "index": {"store_bytes": 7_100_000}, "results": results}
    write_header(tmp_path / "better.run", {**header, "collection": {"files": {"qrels": qrels}}})
    return tmp_path


def osmv(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["compare", *arguments], env={"COLUMNS": "40"})


def test_the_command_in_a_terminal(folder: Path) -> None:
    done = osmv("base.run", "better.run", "short.run", "--qrels", "qrels.txt", "--measure", "RR@10", "--per-query")
    assert done.exit_code == 0, done.output
    for shown in ("12 topics", "dense/client", "12/46", "7.1", "+0.3333", "9/2/1", "0.0215", "RR@10 by topic"):
        assert shown in done.stdout
    assert "…" not in done.stdout
    assert "short lacks 11 of the judged topics" in done.stdout
    assert "short has 1 topics without judgements" in done.stdout
    assert "dense/client was evaluated with other judgements (older.txt)" in done.stdout
    of_better = done.stdout.split("by topic")[1]
    assert "q11 " in of_better
    assert "q1 " not in of_better


def test_the_command_as_json(folder: Path) -> None:
    done = osmv("base.run", "better.run", "--qrels", "qrels.txt", "--measure", "RR@10", "--overlap", "1", "--json")
    figures = json.loads(done.stdout)
    assert [each["name"] for each in figures["runs"]] == ["base", "dense/client"]
    assert figures["differences"][0]["randomisation"] == 22 / 1024
    assert figures["overlap"][0]["overlap"] == pytest.approx(2 / 12)
    assert "per_topic" not in figures["runs"][0]
    whole = json.loads(osmv("base.run", "better.run", "--qrels", "qrels.txt", "--per-query", "--json").stdout)
    assert whole["runs"][1]["per_topic"]["RR@10"]["q0"] == 0.5


def test_the_report(folder: Path) -> None:
    done = osmv(
        "base.run", "better.run", "--qrels", "qrels.txt", "--measure", "RR@10", "--overlap", "2", "--out", "to/r"
    )
    assert done.exit_code == 0, done.output
    report = (folder / "to/r/report.md").read_text(encoding="utf-8")
    for shown in ("| dense/client | +0.3333 |", "(RR-10.2.dense-client.svg)", "overlap@2", "SHA-256", "12/46"):
        assert shown in report
    ElementTree.parse(folder / "to/r/RR-10.2.dense-client.svg")
    lines = (folder / "to/r/per-topic.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["topic\tmeasure\tbase\tdense/client", "q0\tRR@10\t1.000000\t0.500000"]
    assert len(lines) == 1 + len(TOPICS)


def test_overlap_needs_no_judgements(folder: Path) -> None:
    done = osmv("base.run", "same.run", "better.run", "--overlap", "2")
    assert done.exit_code == 0, done.output
    assert "base, same" in done.stdout
    assert "12/12" in done.stdout


def test_a_run_that_changed_since_its_header_was_written(folder: Path) -> None:
    with (folder / "better.run").open("a") as run:
        run.write("q0 Q0 late 9 0.1 t\n")
    assert "better.run is not as it was" in osmv("base.run", "better.run", "--qrels", "qrels.txt").stdout


def test_without_scipy_it_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    done = osmv("base.run", "better.run", "--qrels", "qrels.txt")
    assert done.exit_code == 0
    assert "No t-test: SciPy is missing" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["base.run", "same.run"], "--qrels is missing"),
        (["base.run", "same.run", "--overlap", "2", "--per-query"], "--qrels is missing"),
        (["base.run", "./base.run", "--overlap", "2"], "base.run is given twice"),
        (["base.run", "none.run", "--qrels", "qrels.txt"], r"none\.run: can't be read"),
        (["base.run", "bad.run", "--qrels", "qrels.txt"], r"bad\.run:2: 4 columns"),
        (["base.run", "empty.run", "--qrels", "qrels.txt"], r"empty\.run: holds no ranking"),
        (["base.run", "same.run", "--qrels", "base.run"], r"base\.run:1: 6 columns"),
        (["base.run", "same.run", "--qrels", "qrels.txt", "--measure", "Speed"], "'Speed' is no measure"),
        (["base.run", "same.run", "--qrels", "qrels.txt", "--out", "qrels.txt/x"], r"qrels\.txt/x: can't be written"),
        (["base.run", "same.run", "--qrels", "qrels.txt", "--correction", "sidak"], "'sidak' is no correction"),
    ],
)
def test_what_can_not_be_done_is_one_sentence(folder: Path, arguments: list[str], message: str) -> None:
    (folder / "bad.run").write_text("q0 Q0 a 1 2.0 t\nq0 Q0 b 2\n")
    (folder / "empty.run").write_text("")
    done: Any = osmv(*arguments)
    with pytest.raises(InputError, match=message):
        raise done.exception


def test_runs_of_one_name_are_called_by_their_paths(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub/base.run").write_bytes((folder / "same.run").read_bytes())
    figures = json.loads(osmv("base.run", "sub/base.run", "--overlap", "2", "--json").stdout)
    assert (figures["overlap"][0]["first"], figures["overlap"][0]["second"]) == ("base.run", "sub/base.run")
