"""A service that asks for a token: the console asks for it, keeps it for its tab, and sends it nowhere else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from console_visit import ARTICLES, GUEST, LOOKS, TOKEN, Visit

pytestmark = pytest.mark.integration


def test_a_token_is_asked_for_and_kept_for_the_tab(visit: Callable[..., Visit], guarded: str) -> None:
    here = visit(LOOKS[0], guarded)
    here.expects_refusals = True
    here.open()
    page = here.page
    page.wait_for_selector("#token[open]")
    assert "A token is needed" in page.inner_text("main [role=alert]")
    page.keyboard.type("no token of anybody")
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('#token-value').validity.patternMismatch")
    page.fill("#token-value", "a-wrong-token-of-nobody")
    page.keyboard.press("Enter")
    page.wait_for_selector("#token[open]")
    page.fill("#token-value", TOKEN)
    with page.expect_request("**/fields") as asked:
        page.keyboard.press("Enter")
    assert asked.value.headers["authorization"] == f"Bearer {TOKEN}"
    page.wait_for_selector("#query-0")
    page.wait_for_selector("#token-open:text-is('operator')")
    page.fill("#query-0", "how do bees find their way home?")
    page.focus("#query-0")
    assert here.search()["hits"]
    assert page.evaluate("Object.values(sessionStorage)") == [TOKEN]
    assert TOKEN not in page.evaluate("JSON.stringify([Object.entries(localStorage), document.cookie, location.href])")
    page.reload()
    page.wait_for_selector("#query-0")
    page.click("#token-open")
    page.click("#token-forget")
    page.wait_for_selector("main [role=alert]")
    assert page.evaluate("sessionStorage.length") == 0


def test_a_guest_sees_what_is_theirs(visit: Callable[..., Visit], guarded: str) -> None:
    here = visit(LOOKS[0], guarded)
    here.expects_refusals = True
    page = here.page
    page.add_init_script(f"sessionStorage.setItem('osmv-token', '{GUEST}')")
    here.open()
    page.wait_for_selector("#token-open:text-is('guest')")
    assert page.locator(".bar nav a:visible").all_inner_texts() == ["Search", "Coverage"]
    assert page.locator("#where option").all_inner_texts() == [f"{ARTICLES} · mv"]
    assert page.is_disabled("#filter")
    here.open("coverage")
    assert page.locator("article.card").count() == 1
    here.open("probe")
    assert "Not allowed" in page.inner_text("main [role=alert]")
