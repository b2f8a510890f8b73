"""500 documents and 500 queries by which strangers would like to be more than text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
from console_visit import ARTICLES, HOSTILE, Visit
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


def test_documents(here: Visit) -> None:
    page = here.page
    page.select_option("#where", label=f"{HOSTILE} · mv")
    page.fill("#first_stage", "bm25")
    page.fill("#rerank", "none")
    page.fill("#window_size", "500")
    page.fill("#size", "100")
    page.click("summary:has-text('Filter')")
    seen: dict[str, str] = {}
    payloads = texts(500)
    for first in range(0, 500, 100):
        ids = [payload[:120] for payload in payloads[first : first + 100]]
        page.fill("#filter", json.dumps({"ids": {"values": ids}}))
        page.fill("#query-0", "bees")
        answer = here.search()
        assert len(answer["hits"]) == 100, answer["hits"][:1]
        told = {hit["doc_id"]: hit for hit in answer["hits"]}
        shown = page.eval_on_selector_all(
            ".after .hit",
            HITS,
        )
        for doc_id, name, line in shown:
            seen[doc_id] = name
            assert line.strip() in told[doc_id]["text"]
        check_is_text(here)
    assert seen == {payload[:120]: payload for payload in payloads}
    # One of each kind in full: tokens, text, stored fields.
    for hit in page.locator(".after .hit").all()[: len(PAYLOADS)]:
        with page.expect_response("**/explain"):
            hit.click()
        page.wait_for_selector(".detail:not([aria-busy])")
        name = page.locator(".detail .title").text_content()
        doc_id = json.loads(hit.get_attribute("data-key"))[1]
        assert seen[doc_id] == name
        assert page.locator(".words").text_content() == told[doc_id]["text"]
        assert page.locator(".stored dt:text-is('title') + dd").text_content() == name
        check_is_text(here)


def test_queries(here: Visit) -> None:
    page = here.page
    page.select_option("#where", label=f"{ARTICLES} · mv")
    page.fill("#size", "3")
    for _ in range(7):
        page.click("button.add:has-text('Text')")
    payloads = texts(500)
    for first in range(0, 500, 8):
        batch = payloads[first : first + 8]
        for i, payload in enumerate(batch):
            page.fill(f"#query-{i}", payload)
        page.focus("#query-0")
        answer = here.search()
        one_line = [payload.replace("\r", "").replace("\n", "") for payload in batch]
        assert [part["text"] for part in answer["parts"]][: len(batch)] == one_line
        tokens = page.eval_on_selector_all(".map .side > span", "all => all.map(each => each.textContent)")
        assert len(tokens) == sum(part["tokens"] for part in answer["parts"])
        check_is_text(here)


def test_what_is_refused_is_shown_as_text(here: Visit) -> None:
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
    # A browser says itself that a request was refused; nothing else may be said.
    here.wrong[:] = [wrong for wrong in here.wrong if "Failed to load resource" not in wrong]
