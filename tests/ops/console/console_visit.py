"""How somebody visits the console, and what is there to be found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Where CI keeps them; git looks away.
SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"
ARTICLES = "osmv-test-console"
MAX_PARTS = 8
HOSTILE = "osmv-test-console-hostile"
TOKEN = "a-token-of-the-console-s-tests"
GUEST = "a-guest-s-token-of-the-tests"
CANARY = "osmv-test-console"
# Name, nDCG@10, milliseconds, bytes.
FIGURES = (
    ("bm25", 0.665, 3.1, 9_000_000),
    ("dense", 0.645, 6.2, 12_000_000),
    ("slim", 0.671, 8.0, 60_000_000),
    ("codes/native", 0.702, 9.4, 108_000_000),
    ("dense/client", 0.689, 14.9, 110_000_000),
    ("codes/client", 0.702, 17.1, 108_000_000),
)
DOCUMENTS = (
    ("bees", "Honey bees", "Bees 🐝 find their way home by the position of the sun and by landmarks along the hedge."),
    ("terns", "Arctic terns", "Terns migrate from pole to pole and back, led by the stars and the magnetic field."),
    ("eels", "Eels", "Eels cross an ocean to spawn where they hatched 🐟, and nobody has seen them do it."),
    ("pigeons", "Homing pigeons", "Pigeons return to their loft over hundreds of miles by smell and magnetism."),
    ("salmon", "Salmon", "Salmon smell their native stream and swim up it against the current to spawn."),
    ("ants", "Desert ants", "Ants count their steps and read polarised light to walk straight back to the nest."),
    ("turtles", "Sea turtles", "Turtles come back, decades later, to the beach where they hatched."),
    ("monarchs", "Monarchs", "Butterflies fly to the same Mexican forests, though none has been there before."),
    ("dance", "The waggle dance", "Bees dance to tell their sisters where the flowers are: angle and distance."),
    ("gnus", "Wildebeest", "Wildebeest follow the rains in a circle through the Serengeti."),
    ("lobsters", "Spiny lobsters", "Lobsters walk in single file along the sea floor in autumn."),
    ("owls", "Owls", "Owls stay."),
    ("robins", "Robins", "Robins see the field of the earth with their eyes, and so fly south at night."),
)


@dataclass
class Look:
    """How somebody looks at the console."""

    name: str
    width: int = 1360
    height: int = 900
    dark: bool = False


LOOKS = (Look("light"), Look("dark", dark=True), Look("phone", 390, 844))


@dataclass
class Visit:
    """A page, and all that went wrong on it: each has to be expected, or the test fails."""

    page: Any
    url: str
    wrong: list[str] = field(default_factory=list)
    expects_refusals: bool = False

    def open(self, view: str = "search") -> None:
        self.page.goto(f"{self.url}/#/{view}")
        self.page.wait_for_selector(f"main[data-shown={view}]")

    def search(self) -> dict[str, Any]:
        """Send what is typed by Enter; the answer. The chosen hit's tokens are there, too."""
        with (
            self.page.expect_response("**/explain") as explained,
            self.page.expect_response("**/search") as searched,
        ):
            self.page.keyboard.press("Enter")
        explained.value.finished()
        self.page.wait_for_selector(".detail:not([aria-busy])")
        answer: dict[str, Any] = searched.value.json()
        return answer

    def errors(self) -> list[str]:
        """What went wrong. A browser says itself that a request was refused: that can be expected, and nothing else."""
        refused = "Failed to load resource: the server responded with a status of 4"
        return [wrong for wrong in self.wrong if not (self.expects_refusals and wrong.startswith(refused))]

    def keep(self, name: str) -> None:
        """A screenshot of the whole page, or of what a dialog lies upon."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.evaluate("scrollTo(0, 0)")
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=self.page.locator("dialog[open]").count() == 0)
