"""The table of faults: what it says of tests that passed, failed or were left out, and how it lies in the page."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fault_table import BEGIN, END, HEADER, ROWS, FaultRow, for_terminal, lines_of, wanted_rows, written_into

PAGE = Path(__file__).parents[2] / "docs/faults.md"


def reports(row: str, name: str, *outcomes: str, **counts: int) -> list[Any]:
    noted = FaultRow(row)
    noted.counts.update(counts)
    noted.figure("gap s", sum(counts.values()))
    return [
        SimpleNamespace(nodeid=name, outcome=outcome, duration=1.5, user_properties=[("fault", noted.plain())])
        for outcome in outcomes
    ]


def test_a_row_fails_where_one_of_its_tests_does() -> None:
    whole, ill, skipped = "passed passed passed", "passed failed passed", "skipped passed"
    met = [
        *reports("nodes", "a", *whole.split(), kills=2),
        *reports("nodes", "b", *ill.split(), kills=3),
        *reports("kills", "c", *whole.split(), kills=1),
        *reports("kills", "d", *skipped.split()),
        *reports("mixed", "e", *skipped.split()),
        SimpleNamespace(nodeid="x", outcome="failed", duration=9, user_properties=[]),
    ]
    kills, nodes, mixed = lines_of(met)
    assert (kills.result, nodes.result, mixed.result) == ("pass, 1 skipped", "**FAIL**, 1 failed", "not run, 1 skipped")
    assert nodes.cells("today")[3:] == ["2 tests, 5 kills", "gap s 3", "9", "**FAIL**, 1 failed", "today"]
    assert re.match(r"nodes +FAIL, 1 failed +9 s .*: 2 tests, 5 kills; gap s 3$", for_terminal([nodes])[0])


def test_rows_that_did_not_run_keep_what_was_said() -> None:
    (nodes,) = lines_of(reports("nodes", "a", "passed", kills=1))
    (mixed,) = lines_of(reports("mixed", "a", "passed"))
    page = written_into(f"before\n{BEGIN}\n{END}\nafter\n", [mixed], "2020-01-01", "first")
    page = written_into(page, [nodes], "2021-01-01", "second")
    assert page.startswith(f"before\n{BEGIN}\nsecond\n")
    assert page.endswith(f"{END}\nafter\n")
    assert re.findall(r"^\| (\w+) .*\| (\S+) \|$", page, re.MULTILINE) == [
        ("row", "on"),
        ("nodes", "2021-01-01"),
        ("mixed", "2020-01-01"),
    ]
    assert "first" not in page
    assert written_into(page, [nodes], "2021-01-01", "second") == page


def test_the_page_holds_a_table_of_these_rows() -> None:
    page = PAGE.read_text()
    table = page.partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in table.splitlines() if line.startswith("|")]
    heading = next((line for line in table.splitlines() if line), "")
    assert written_into(page, [], "", heading) == page
    assert lines[:1] == [HEADER]
    assert [line.split("|")[1].strip() for line in lines[2:]] == list(ROWS)
    assert {line.count("|") for line in lines} == {HEADER.count("|")}
    # What was promised of each is what its long form has shown.
    assert [line.rstrip("| ").endswith(", long") and "| pass |" in line for line in lines[2:]] == [True] * len(ROWS)


def test_an_unknown_row_is_no_row() -> None:
    assert wanted_rows("") == frozenset()
    assert wanted_rows("nodes,mixed") == {"nodes", "mixed"}
    with pytest.raises(ValueError, match="no row nods"):
        wanted_rows("nods,mixed")
