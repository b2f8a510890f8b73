"""Each view in light, dark and at a phone's width: a screenshot, and what axe-core has to say of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from console_visit import LOOKS, Look, Visit

pytestmark = pytest.mark.integration
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="wants axe-playwright-python (dev)")
VIEWS = ("coverage", "canaries", "probe", "pareto", "search")


def check(visit: Visit, what: str) -> None:
    """Nothing that axe-core holds for serious, and nothing that is wider than the screen."""
    found = [
        f"{what}: {each['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for each in axe.Axe().run(visit.page, options={"resultTypes": ["violations"]}).response["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]
    assert not found, "\n".join(found)
    assert visit.page.locator("[role=alert]").count() == 0, visit.page.inner_text("[role=alert]")
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{what} is wider than the screen"
    visit.keep(what)


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.name)
def test_every_view_in_every_look(visit: Callable[..., Visit], look: Look) -> None:
    here = visit(look)
    for view in VIEWS:
        here.open(view)
        check(here, f"{view}-{look.name}")
    here.open("canaries")
    assert here.page.locator("svg.trend").count() > 0
    here.open()
    page = here.page
    page.fill("#query-0", "how do bees find their way home?")
    page.click("button.add.less")
    page.fill("#query-1", "stars and the magnetic field")
    page.focus("#query-1")
    here.search()
    page.click("text=The matches as a table")
    check(here, f"found-{look.name}")
    page.click("#help-open")
    check(here, f"help-{look.name}")


def test_the_first_paint(visit: Callable[..., Visit], record_property: Callable[[str, object], None]) -> None:
    here = visit()
    here.open()
    paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    milliseconds = here.page.evaluate(paint)
    record_property("first_contentful_paint_ms", milliseconds)
    print(f"first contentful paint after {milliseconds:.0f} ms")
    # The machine's speed is none of the test's business; what would make it slow is: anything from elsewhere.
    names = here.page.evaluate("performance.getEntriesByType('resource').map(each => each.name)")
    assert all(name.startswith(here.url) for name in names)
    size = here.page.evaluate(
        "performance.getEntriesByType('resource').reduce((sum, each) => sum + each.decodedBodySize, 0)"
    )
    assert size < 200_000
