from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from opensearch_multivector.cli.main import app
from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.fuse import fuse_runs
from opensearch_multivector.evaluation.provenance import read_header
from opensearch_multivector.evaluation.runs import read_run

A = {"1": [("a", 10.0), ("b", 6.0), ("c", 2.0)], "2": [("x", 1.0)]}
B = {"1": [("b", 0.9), ("d", 0.4)]}


def fused(method: str, **options: Any) -> dict[str, float]:
    return dict(fuse_runs([A, B], method, **options)["1"])


def test_rrf_by_hand() -> None:
    expected = {"b": 1 / 62 + 1 / 61, "a": 1 / 61, "d": 1 / 62, "c": 1 / 63}
    assert fused("rrf") == pytest.approx(expected)
    assert list(fused("rrf")) == ["b", "a", "d", "c"]
    assert fused("rrf", rank_constant=0)["b"] == pytest.approx(1.5)


def test_weighted_and_combmnz_by_hand() -> None:
    # Scaled: A gives a 1, b .5, c .001; B gives b 1, d .001.
    expected = {"b": 0.25 * 0.5 + 0.75, "a": 0.25, "d": 0.75 * 0.001, "c": 0.25 * 0.001}
    assert fused("weighted", weights=[1, 3]) == pytest.approx(expected)
    assert list(fused("weighted")) == ["b", "a", "d", "c"]
    assert fused("combmnz") == pytest.approx({"b": 2 * 1.5, "a": 1, "c": 0.001, "d": 0.001})


@pytest.mark.parametrize("method", ["rrf", "weighted", "combmnz"])
def test_a_topic_that_one_run_lacks_and_the_cut(method: str) -> None:
    run = fuse_runs([A, B], method, size=2)
    assert list(run) == ["1", "2"]
    assert [doc_id for doc_id, _ in run["1"]] == ["b", "a"]
    assert [doc_id for doc_id, _ in run["2"]] == ["x"]


@pytest.mark.parametrize(
    ("runs", "method", "weights", "message"),
    [
        (1, "rrf", None, "1 run to fuse"),
        (2, "magic", None, "'magic' is no way to fuse; there are rrf, weighted, combmnz"),
        (2, "rrf", [1, 2], "rrf takes none"),
        (2, "weighted", [1], "1 weights for 2 runs"),
        (2, "weighted", [1, 0], "not a number above 0"),
        (2, "weighted", [1, float("nan")], "not a number above 0"),
    ],
)
def test_what_does_not_fit_is_said(runs: int, method: str, weights: list[float] | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fuse_runs([A, B][:runs], method, weights=weights)


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "a.run").write_text("1 Q0 a 1 10 A\n1 Q0 b 2 6 A\n1 Q0 c 3 2 A\n2 Q0 x 1 1 A\n")
    (tmp_path / "b.tsv").write_text("1\tb\t1\n1\td\t2\n")
    out = tmp_path / "fused.run.gz"
    inputs = [str(tmp_path / name) for name in ("a.run", "b.tsv")]
    done = CliRunner().invoke(app, ["fuse", *inputs, "--method", "combmnz", "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert "2 runs fused by combmnz, 2 topics" in done.stdout
    assert read_run(out) == {
        query_id: [(doc_id, pytest.approx(score)) for doc_id, score in ranking]
        for query_id, ranking in fuse_runs([A, B], "combmnz").items()
    }
    header = read_header(out)
    assert header is not None
    assert header["fusion"]["method"] == "combmnz"
    assert [run["file"] for run in header["fusion"]["runs"]] == inputs

    bad = CliRunner().invoke(app, ["fuse", *inputs, "--weight", "1", "--out", str(tmp_path / "bad.run")])
    assert isinstance(bad.exception, InputError)
    assert not (tmp_path / "bad.run").exists()
