"""500 documents and 500 queries by which strangers would like to be more than text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from console_visit import ARTICLES, HOSTILE, MAX_PARTS, Visit
from hostile_texts import PAYLOADS, texts

pytestmark = pytest.mark.integration
# All that the page makes itself, and nothing that could run, load or lead elsewhere.
MADE_HERE = set(
    re.findall(
        r"\w+",
        "section div h1 h2 h3 p span strong dl dt dd ol ul li button form label input select option datalist textarea "
        "details summary table caption thead tbody tr th td code mark output svg path rect circle text i",
    )
)
ATTRIBUTES = """() => [...document.querySelectorAll('main *')].flatMap(
    each => [...each.attributes].filter(({name}) => name.startsWith('on') || name === 'href' || name === 'src')
        .map(({name}) => each.localName + ' ' + name))"""


# Of each hit that is listed, its id, and what is shown as its name and its text.
HITS = """all => all.map(hit => [
    JSON.parse(hit.dataset.key)[1], hit.querySelector('.name').textContent, hit.querySelector('.line').textContent])"""


def check_is_text(visit: Visit) -> None:
    names = set(
        visit.page.evaluate("[...new Set([...document.querySelectorAll('main *')].map(each => each.localName))]")
    )
    assert names <= MADE_HERE
    assert visit.page.evaluate(ATTRIBUTES) == []
    assert visit.page.evaluate("document.scripts.length") == 2
    assert visit.page.evaluate("document.querySelectorAll('link, base, meta[http-equiv]').length") == 2


@pytest.fixture
def here(visit: Callable[..., Visit]) -> Visit:
    opened = visit()
    opened.page.add_init_script(
        "addEventListener('securitypolicyviolation', e => console.error('CSP ' + e.violatedDirective))"
    )
    opened.open()
    return opened


def documents(here: Visit, ids: list[str]) -> dict[str, Any]:
    """Search for "bees" among these; the API's hits, by id."""
    here.page.fill("#filter", json.dumps({"ids": {"values": ids}}))
    here.page.focus("#query-0")
    return {hit["doc_id"]: hit for hit in here.search()["hits"]}


def test_documents(here: Visit) -> None:
    here.expects_refusals = True  # of the tokens of documents without vectors
    page = here.page
    page.select_option("#where", label=f"{HOSTILE} · mv")
    for name, value in (("first_stage", "bm25"), ("rerank", "none"), ("window_size", "100"), ("size", "100")):
        page.fill(f"#{name}", value)
    page.click("summary:has-text('Filter')")
    page.fill("#query-0", "bees")
    payloads = texts(500)
    names = {payload[:120]: payload for payload in payloads}
    seen: dict[str, str] = {}
    for first in range(0, 500, 100):
        told = documents(here, list(names)[first : first + 100])
        for doc_id, name, line in page.eval_on_selector_all(".after .hit", HITS):
            seen[doc_id] = name
            assert line.strip() in told[doc_id]["text"]
        check_is_text(here)
    assert seen == names
    # Those written without vectors have no tokens to be shown, which the API says by a 409.
    assert "the document has no token vectors" in page.locator(".detail .notice").text_content()

    # One of each kind in full: tokens, text, stored fields. The first is chosen by itself.
    told = documents(here, list(names)[: len(PAYLOADS)])
    for number, hit in enumerate(page.locator(".after .hit").all()):
        if number:
            with page.expect_response("**/explain"):
                hit.click()
            page.wait_for_selector(".detail:not([aria-busy])")
        doc_id = json.loads(hit.get_attribute("data-key"))[1]
        assert page.locator(".detail .title").text_content() == names[doc_id]
        assert page.locator(".words").text_content() == told[doc_id]["text"]
        assert page.locator(".stored dt:text-is('title') + dd").text_content() == names[doc_id]
        assert page.locator("#heat-map").count() == 1
        check_is_text(here)
        page.set_viewport_size({"width": 320, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), names[doc_id]
        page.set_viewport_size({"width": 1360, "height": 900})
    here.keep("hostile-light")


def test_queries(here: Visit) -> None:
    """Ten to a line."""
    page = here.page
    page.select_option("#where", label=f"{ARTICLES} · mv")
    for name, value in (("first_stage", "bm25"), ("rerank", "none"), ("window_size", "1"), ("size", "1")):
        page.fill(f"#{name}", value)
    page.click("summary:has-text('Filter')")
    page.fill("#filter", '{"ids": {"values": []}}')
    payloads = [re.sub(r"\r\n|\n", " ", payload) for payload in texts(500)]
    for first in range(0, 500, 10):
        query = " ".join(payloads[first : first + 10])
        page.fill("#query-0", query)
        with page.expect_response("**/search") as searched:
            page.keyboard.press("Enter")
        assert searched.value.json()["parts"][0]["text"] == query == page.input_value("#query-0")
    page.wait_for_selector("#results:not([aria-busy]) .found")
    check_is_text(here)


def test_tokens_of_queries(here: Visit) -> None:
    """One of each kind, eight at a time as parts of one query, in the heat map and the table."""
    page = here.page
    page.select_option("#where", label=f"{ARTICLES} · mv")
    for _ in range(MAX_PARTS - 1):
        page.click("button.add:has-text('Text')")
    page.fill("#size", "1")
    payloads = [re.sub(r"\r\n|\n", " ", payload) for payload in texts(len(PAYLOADS))]
    for first in range(0, len(payloads), MAX_PARTS):
        batch = payloads[min(first, len(payloads) - MAX_PARTS) :][:MAX_PARTS]
        for i, payload in enumerate(batch):
            page.fill(f"#query-{i}", payload)
        page.focus("#query-0")
        answer = here.search()
        assert [part["text"] for part in answer["parts"]] == batch
        tokens = page.eval_on_selector_all(".map .side > span", "all => all.map(each => each.textContent)")
        assert len(tokens) == sum(part["tokens"] for part in answer["parts"])
        rows = page.eval_on_selector_all(".matches tbody th", "all => all.map(each => each.textContent)")
        assert [row.strip() or "␣" for row in rows] == [token.strip() for token in tokens]
        check_is_text(here)


def test_what_is_refused_is_shown_as_text(here: Visit) -> None:
    here.expects_refusals = True
    page = here.page
    page.fill("#query-0", "bees")
    for payload in PAYLOADS:
        page.fill("#first_stage", payload.format(n=1))
        page.focus("#query-0")
        with page.expect_response("**/search") as refused:
            page.keyboard.press("Enter")
        if refused.value.ok:
            continue
        page.wait_for_selector("#results [role=alert]")
        assert refused.value.json()["error"]["message"] in page.locator("#results [role=alert]").text_content()
        check_is_text(here)
