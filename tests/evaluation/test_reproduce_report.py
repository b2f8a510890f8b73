"""Reports of reproductions: what is green, self-contained HTML, and hostile names that stay text."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

pytest.importorskip("yaml")
pytest.importorskip("ir_measures")

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.reproduce.chart import chart
from opensearch_multivector.evaluation.reproduce.matrix import Matrix, choose_rows, parse_matrix
from opensearch_multivector.evaluation.reproduce.outcomes import Figure, Outcome, Results, Stored, exit_code
from opensearch_multivector.evaluation.reproduce.report import as_html, as_markdown, everything, sheets, write_report

HOSTILE = "</title><script>alert(1)</script>\"'&|`*x*[a](javascript:b)<img src=//x.org/y onerror=z>"
# What the report is made of; nothing of it loads anything.
TAGS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td"}
TAGS |= {
    "details",
    "summary",
    "dl",
    "dt",
    "dd",
    "strong",
    "br",
    "small",
    "svg",
    "rect",
    "text",
    "line",
    "circle",
    "path",
    "g",
}


def matrix(*names: str, name: str = "birds") -> Matrix:
    rows = [
        {
            "name": each,
            "collection": "birds",
            "index": {"no_vectors": True},
            "search": {"first_stage": "bm25"},
            "expected": {"nDCG@10": 0.5, "RR@10": 0.25},
            "tolerance": 0.01,
            "source": f"A paper on {each}",
            "note": f"As {each}",
        }
        for each in names
    ]
    import yaml

    text = yaml.safe_dump(
        {"title": names[0], "collections": {"birds": {"folder": "birds"}}, "rows": rows}, sort_keys=False
    )
    return parse_matrix(text, f"{name}.yaml", name)


def outcome(of: Matrix, place: int = 0, *, ndcg: float = 0.5, rr: float = 0.25, **more: Any) -> Outcome:
    header = {
        "date": "2026-11-25T20:35:51+00:00",
        "versions": {"osmv": "0.1.0"},
        "run": {"file": "bm25.trec", "sha256": "ab12"},
        "collection": {"name": "birds", "topics": 3},
        "engine": {"opensearch": "3.6.0", "nodes": 1, "plugins": ["opensearch-knn 3.6.0.0"]},
        "index": {"name": "birds-1", "documents": 5, "store_bytes": 1_234_567},
        "reproduced": {"rejected": 1_200},
        "results": {
            "measures": {"nDCG@10": ndcg, "RR@10": rr},
            "latency_ms": {"total": {"p50": 4.4, "p95": 9.6}},
            "skipped": 0,
        },
    }
    row = of.rows[place].as_json()
    return Outcome(of.name, of.title, row, **({"header": header, "run": "rows/x/bm25.trec", "seconds": 2.0} | more))


@pytest.mark.parametrize(
    ("ndcg", "rr", "status", "code"),
    [(0.5, 0.25, "green", 0), (0.51, 0.24, "green", 0), (0.5101, 0.25, "off", 1), (0.5, 0.2399, "off", 1)],
)
def test_every_figure_has_to_be_within_the_tolerance(ndcg: float, rr: float, status: str, code: int) -> None:
    one = outcome(matrix("bm25"), ndcg=ndcg, rr=rr)
    assert (one.status, exit_code([one])) == (status, code)


def test_a_row_without_figures_is_never_green() -> None:
    of = matrix("bm25")
    absent = outcome(of, header=None, reason="no such folder")
    failed = outcome(of, header=None, reason="another encoder", exit_code=4)
    assert (absent.status, exit_code([absent])) == ("not run", 0)
    assert (failed.status, exit_code([absent, failed])) == ("failed", 4)
    assert exit_code([failed, outcome(of, ndcg=0.1)]) == 1
    for text in (as_markdown([absent]), as_html([absent])):
        assert "no such folder" in text
        assert "1 not run" in text
        assert "green" not in text.split("</style>")[-1]


class Page(HTMLParser):
    """Tags, attributes and text, as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_html_is_self_contained_and_holds_hostile_names_as_text() -> None:
    of = matrix(HOSTILE, "bm25")
    outcomes = [outcome(of), outcome(of, 1, header=None, reason=HOSTILE)]
    page = Page(as_html(outcomes))
    assert page.tags <= TAGS
    assert not {name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href", "style")}
    assert {value for _, value in page.attributes if "//" in value} == {"http://www.w3.org/2000/svg"}
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in page.attributes
    style = as_html(outcomes).partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert HOSTILE in page.text  # the row's cell, whole and nothing else
    assert f"{HOSTILE} — A paper on bm25" in page.text
    assert any(HOSTILE in text for text in page.text if text.startswith("As "))


def test_documents_that_were_rejected_are_told() -> None:
    one = outcome(matrix("bm25"))
    assert "rejected: 1,200 of" in as_markdown([one])
    assert "1,200 of the documents" in as_html([one])


def test_the_terminal_shows_hostile_names_as_they_are() -> None:
    name = f"[/nonsense] [red]{HOSTILE}"
    (sheet,) = sheets([outcome(matrix(name))])
    console = Console(width=1_000, file=StringIO())
    console.print(sheet.as_rich())
    shown = console.file.getvalue()
    assert shown.count(name) == 2  # the title and the row


def test_markdown_shows_hostile_names_as_they_are() -> None:
    text = as_markdown([outcome(matrix(HOSTILE))])
    assert "<script" not in text.replace("\\<", "")
    assert "](javascript" not in text.replace("\\]", "")
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in table} == {10}


def test_the_chart_is_well_formed_and_tells_each_line() -> None:
    figures = [
        (HOSTILE, Figure("nDCG@10", 0.5, 0.504, 0.005)),
        ("off", Figure("nDCG@10", 0.5, 0.51, 0.005)),
        ("far off", Figure("RR@10", 0.5, 0.1, 0.005)),
    ]
    root = ElementTree.fromstring(chart(HOSTILE, figures))
    space = "{http://www.w3.org/2000/svg}"
    lines = root.findall(f"{space}g")
    told = [line.findtext(f"{space}title") for line in lines]
    assert [text and text.rsplit(" ", 3)[1:] for text in told] == [
        ["within", "±", "0.005"],
        ["outside", "±", "0.005"],
        ["outside", "±", "0.005"],
    ]
    assert str(told[0]).startswith(HOSTILE)
    # In the band a second dot; outside of it another form, so that nobody has to tell colours apart.
    assert [len(line.findall(f"{space}circle")) for line in lines] == [2, 1, 1]
    assert [len(line.findall(f"{space}path")) for line in lines] == [0, 1, 1]


def test_results_are_kept_whole_and_rows_are_told_apart(tmp_path: Path) -> None:
    results = Results(tmp_path)
    of, other = matrix("a/b", "a?b", HOSTILE * 3), matrix("x", name="zoo")
    for place in range(3):
        results.keep(of, of.rows[place], Stored(outcome(of, place, ndcg=place / 5), "spec", "data", {"uuid": "u"}))
    results.keep(other, other.rows[0], Stored(outcome(other), "spec", "data", None))
    assert all(path.is_relative_to(tmp_path / "rows") for path in tmp_path.rglob("result.json"))
    stored = results.of(of, of.rows[1])
    assert stored is not None
    assert (stored.outcome.figures[0].ours, stored.index, stored.outcome.kept) == (0.2, {"uuid": "u"}, True)
    # All that was ever finished, in the matrix's order, and what came of rows now in place of it.
    found = everything(results, [of], [outcome(of, 1, ndcg=0.9)])
    assert [(each.matrix, each.name) for each in found] == [
        ("birds", "a/b"),
        ("birds", "a?b"),
        ("birds", HOSTILE * 3),
        ("zoo", "x"),
    ]
    assert found[1].figures[0].ours == 0.9
    assert write_report(tmp_path, found).read_text(encoding="utf-8").count("(birds.svg)") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"rows", "birds.svg", "zoo.svg", "report.md", "report.html"}
    file = results.folder(of, of.rows[0]) / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | {"row": {"name": "a"}}), encoding="utf-8")
    with pytest.raises(InputError, match=r"result\.json: is not the whole result of a row"):
        results.all()
    file.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"result\.json: can't be read"):
        results.all()


def test_rows_are_chosen_by_name_and_by_time() -> None:
    of = matrix("bm25", "bm25-small", "dense")
    assert [row.name for _, row in choose_rows([of], ["bm25*"])] == ["bm25", "bm25-small"]
    assert [row.name for _, row in choose_rows([of], ["dense", "bm25"])] == ["bm25", "dense"]
    with pytest.raises(InputError, match=r"no row is called 'slim\*'; rows are bm25, bm25-small, dense"):
        choose_rows([of], ["bm25", "slim*"])
    with pytest.raises(InputError, match=r"no row is said to take 5 minutes or less"):
        choose_rows([of], ["*"], 5)
