"""The console in a browser: by the keyboard alone, and right by the API's numbers."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from console_visit import ARTICLES, Visit

pytestmark = pytest.mark.integration
QUESTION = "how do bees find their way home?"


def tab_to(visit: Visit, wanted: str, most: int = 60) -> None:
    """Press Tab until something has the focus, which has to be seen."""
    for _ in range(most):
        visit.page.keyboard.press("Tab")
        if visit.page.evaluate("wanted => document.activeElement.matches(wanted)", wanted):
            width = visit.page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
            assert width >= 2, f"{wanted} has the focus, and nobody sees it"
            return
    pytest.fail(f"no Tab leads to {wanted}")


def explained(visit: Visit, doc_id: str, **query: Any) -> dict[str, Any]:
    """What the API itself says of a document."""
    body = json.dumps({"index": ARTICLES, "field": "mv", "doc_id": doc_id, **query}).encode()
    request = urllib.request.Request(f"{visit.url}/explain", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def test_a_search_by_the_keyboard_alone(visit: Callable[..., Visit]) -> None:
    here = visit()
    here.open()
    page = here.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    tab_to(here, "#query-0")
    page.keyboard.type(QUESTION)
    answer = here.search()
    assert answer["hits"][0]["doc_id"] == "bees"
    assert f"{len(answer['hits'])} hits" in page.inner_text(".unseen#announcer") or "shown" in page.inner_text(
        "#announcer"
    )

    tab_to(here, ".after .hit")
    page.keyboard.press("Tab")
    with page.expect_response("**/explain"):
        page.keyboard.press("Enter")
    page.wait_for_selector(".detail:not([aria-busy])")
    assert page.inner_text(".detail .title") == answer["hits"][1]["source"]["title"]
    page.keyboard.press("k")
    page.wait_for_function("title => document.querySelector('.detail .title').textContent === title", arg="Honey bees")
    page.wait_for_selector(".detail:not([aria-busy]) #heat-map")

    tab_to(here, "#heat-map")
    told = explained(here, "bees", query=QUESTION)
    best = [max(range(len(row)), key=row.__getitem__) for row in told["matrix"]]
    page.keyboard.press("ArrowRight")
    row, column = 0, best[0]
    assert page.inner_text(".readout").startswith(f"{told['query_tokens'][row]['token']} × ")
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    value = told["matrix"][2][column]
    assert f"{told['document_tokens'][column]['token']}: {value:.3f}" in page.inner_text(".readout")

    for key, view in (("2", "coverage"), ("3", "canaries"), ("4", "probe"), ("5", "pareto"), ("1", "search")):
        page.keyboard.press(key)
        page.wait_for_selector(f"main[data-shown={view}]")
        assert page.evaluate("document.activeElement.id") == "main"
    assert page.locator("#heat-map").count() == 1, "what was found outlives a look elsewhere"
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query-0"


def test_single_keys_can_be_turned_off(visit: Callable[..., Visit]) -> None:
    here = visit()
    here.open()
    here.page.keyboard.press("?")
    here.page.uncheck("#keys-on")
    here.page.keyboard.press("Escape")
    here.page.keyboard.press("2")
    here.page.wait_for_timeout(100)
    assert here.page.get_attribute("main", "data-shown") == "search"


def test_the_heat_map_has_the_numbers_of_the_api(visit: Callable[..., Visit]) -> None:
    here = visit()
    here.open()
    page = here.page
    page.fill("#query-0", QUESTION)
    page.click("button.add.less")
    page.fill("#query-1", "magnetic field")
    page.focus("#query-1")
    answer = here.search()
    first = answer["hits"][0]["doc_id"]
    parts = [{"text": QUESTION, "weight": 1.0}, {"text": "magnetic field", "weight": -0.5}]
    told = explained(here, first, parts=parts)
    cells = page.eval_on_selector_all(
        "#heat-map rect.cell", "all => all.map(({dataset: d}) => [+d.row, +d.column, +d.value])"
    )
    expected = [[i, j, value] for i, row in enumerate(told["matrix"]) for j, value in enumerate(row)]
    assert [cell[:2] for cell in cells] == [cell[:2] for cell in expected]
    assert [cell[2] for cell in cells] == pytest.approx([cell[2] for cell in expected], abs=1e-4)
    dots = page.eval_on_selector_all("#heat-map circle", "all => all.map(({dataset: d}) => [+d.row, +d.column])")
    assert dots == [[i, row.index(max(row))] for i, row in enumerate(told["matrix"])]
    # The darker, the more alike: what is painted follows the numbers.
    order = page.eval_on_selector_all(
        "#heat-map rect.cell",
        "all => all.map(e => (e.classList.contains('warm') ? 1 : 0) + +e.style.getPropertyValue('--rise'))",
    )
    by_value = sorted(range(len(order)), key=lambda i: cells[i][2])
    assert [order[i] for i in by_value] == sorted(order)
    assert "−" in page.inner_text(".map .side")

    page.click("text=The matches as a table")
    rows = page.eval_on_selector_all(
        ".matches tbody tr", "all => all.map(row => [...row.cells].map(cell => cell.textContent))"
    )
    assert [row[:4] for row in rows] == [
        [m["query_token"], m["document_token"], f"{m['similarity']:.3f}", f"{m['contribution']:.3f}"]
        for m in told["matches"]
    ]
    marks = page.eval_on_selector_all(".words mark", "all => all.map(mark => mark.textContent)")
    letters = told["text"]
    spans = {tuple(m["document_span"]) for m in told["matches"] if m["document_span"]}
    assert marks
    assert set(marks) <= {letters[start:end] for start, end in spans}
    assert page.inner_text(".words") == letters


def test_both_rankings_stand_side_by_side(visit: Callable[..., Visit]) -> None:
    here = visit()
    here.open()
    page = here.page
    page.fill("#first_stage", "bm25")
    page.fill("#query-0", "animals that find their way home by the field of the earth")
    answer = here.search()
    shown = page.eval_on_selector_all(".before .hit", "all => all.map(hit => JSON.parse(hit.dataset.key)[1])")
    assert shown == [hit["doc_id"] for hit in answer["first_stage_hits"]]
    shown = page.eval_on_selector_all(".after .hit", "all => all.map(hit => JSON.parse(hit.dataset.key)[1])")
    assert shown == [hit["doc_id"] for hit in answer["hits"]]
    for hit, words in zip(answer["hits"], page.locator(".after .hit").all_inner_texts(), strict=True):
        rank = hit["first_stage_rank"]
        by = 0 if rank is None else rank - hit["rank"]
        expected = "new" if rank is None else f"rose by {by}" if by > 0 else f"fell by {-by}" if by < 0 else "as before"
        assert expected in words
    assert any(hit["first_stage_rank"] != hit["rank"] for hit in answer["hits"])
    bars = dict(
        page.eval_on_selector_all(".fall [data-stage]", "all => all.map(e => [e.dataset.stage, +e.dataset.ms])")
    )
    stages = {stage["name"]: stage["duration"] for stage in answer["stages"] if not stage["within"]}
    assert bars == stages


def test_a_filter_holds_and_a_broken_one_is_pointed_at(visit: Callable[..., Visit]) -> None:
    here = visit()
    here.open()
    page = here.page
    page.fill("#query-0", QUESTION)
    page.click("summary:has-text('Filter')")
    page.fill("#filter", '{"ids": ')
    page.focus("#query-0")
    page.keyboard.press("Enter")
    page.wait_for_selector("#filter[aria-invalid=true]:focus")
    assert "no JSON" in page.inner_text("[role=alert]")
    page.fill("#filter", '{"ids": {"values": ["eels", "ants"]}}')
    page.focus("#query-0")
    answer = here.search()
    assert {hit["doc_id"] for hit in answer["hits"]} == {"eels", "ants"}
    assert page.locator(".after .hit").count() == 2
    assert page.locator("[aria-invalid]").count() == 0


def test_a_hit_becomes_a_part_to_be_less_like(visit: Callable[..., Visit]) -> None:
    here = visit()
    here.open()
    page = here.page
    page.fill("#query-0", QUESTION)
    before = here.search()["hits"][0]
    page.click("text=Less like it")
    assert page.input_value("#query-1") == before["text"]
    after = here.search()
    assert [part["weight"] for part in after["parts"]] == [1.0, -0.5]
    assert after["hits"][0]["doc_id"] != before["doc_id"]
    page.click("text=Remove part 2")
    assert page.locator(".part").count() == 1


def test_the_theme_is_the_reader_s(visit: Callable[..., Visit]) -> None:
    here = visit()
    here.open()
    page = here.page
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.click("#theme")
    assert page.evaluate(colour) == light
    page.click("#theme")
    dark = page.evaluate(colour)
    assert dark != light
    page.reload()
    assert page.evaluate(colour) == dark
    assert page.inner_text("#theme") == "Theme: dark"
