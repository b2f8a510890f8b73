"""Hostile inputs: how many, what texts and values they are made of, and what may come of each.

Every input comes of a seed, which failures print; ``OSMV_TEST_SEED`` takes it up again.
"""

from __future__ import annotations

import random
import re
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, TypeVar

from opensearchpy import OpenSearch
from osmv_here import Ran, osmv
from scale import SEED

from opensearch_multivector.errors import OsmvError

EXIT_CODES = range(6)
# What a terminal acts on, or can't show: controls, overrides of direction, halves of surrogate pairs.
RAW = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
SHOWN = 300  # characters of an input in a failure

Result = TypeVar("Result")

# Pieces that mean something to somebody on the way: Lucene, JSON, a shell, a terminal, a browser, SQL, a file system.
PIECES = [
    *("*:*", "group:even", "[* TO *]", "(", ")))", "AND OR NOT", "a~2", '"', "\\", "/.*/", "title:(d000 OR d001)", "^"),
    *(
        '"}}, {"match_all": {}}',
        '{"query":',
        "}",
        "[[[",
        "null",
        "NaN",
        "\\u0000",
        "{{#toJson}}x{{/toJson}}",
        "${jndi:x}",
    ),
    *("<script>alert(1)</script>", "' OR 1=1; --", "$(id)", "`id`", "%00", "%n%s", "../../etc/passwd", "-rf", "--url"),
    *("\x1b[2J", "\x1b]0;owned\x07", "\x9b31m", "\x00", "\x07", "\r", "\n", "\t", "\x7f", "\u2028", "\ufeff", "\ufffe"),
    *(
        "\ud800",
        "\udfff",
        "\udc80x",
        "\u202e",
        "\u2066",
        "\u200b",
        "\U000e0001",
        "e\u0301" * 9,
        "\U0001f468\u200d\U0001f469",
    ),
    *("שלום", "مرحبا", "日本語", "ﷺ", "İ", "ß", "home", "term1", "bees", " ", "[bold]", "[/]", "[link=file:///x]"),
]


@dataclass
class Trials:
    """Tries inputs and remembers what must not have come of one; `finish` fails with all of it."""

    seed: int = SEED
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)  # errors, by their first words

    def attempt(self, kind: str, what: Any, call: Callable[[], Result], seconds: float = 20) -> Result | None:
        """The call's result; None where it was refused by an error of the project's own, in a sentence."""
        try:
            with deadline(seconds):
                result = call()
        except OsmvError as error:
            self.counts[f"{kind}: refused"] += 1
            self.check_sentence(kind, what, str(error))
            return None
        except Exception:  # that is what this looks for
            self.fail(kind, what, traceback.format_exc(limit=-4))
            return None
        self.counts[f"{kind}: answered"] += 1
        return result

    def check_sentence(self, kind: str, what: Any, sentence: str) -> None:
        """An error is short, says something, and holds nothing that a terminal would act on."""
        self.said.setdefault(sentence[:50], sentence)
        if len(sentence) > 1500 or len(sentence.split()) < 4 or RAW.search(sentence) or "Traceback" in sentence:
            self.fail(kind, what, f"an error of {len(sentence)} characters: {sentence[:SHOWN]!r}")

    def command(self, kind: str, *arguments: str, seconds: float = 30) -> Ran | None:
        """Run `osmv`: an exit code that is documented, and no traceback or control character whatever is shown."""
        ran = self.attempt(kind, arguments, lambda: osmv(*arguments), seconds)
        if ran is None:
            return None
        if ran.returncode not in EXIT_CODES:
            self.fail(kind, arguments, f"exit code {ran.returncode}")
        if ran.returncode > 1 and len(ran.stderr.split()) < 4:
            self.fail(kind, arguments, f"exit code {ran.returncode} without a word: {ran.stderr!r}")
        for line in (ran.stdout + ran.stderr).split("\n"):
            if RAW.search(line):
                self.fail(kind, arguments, f"shown raw: {line[:SHOWN]!r}")
                break
        if "Traceback" in ran.stdout + ran.stderr:
            self.fail(kind, arguments, ran.stderr[-SHOWN:])
        return ran

    def fail(self, kind: str, what: Any, why: str) -> None:
        """Remember what was wrong with an input."""
        self.counts[f"{kind}: WRONG"] += 1
        self.wrong.append(f"{kind}: {shown(what)}\n{why}")

    def finish(self) -> int:
        """How many inputs there were. Fails where anything was wrong."""
        assert not self.wrong, f"OSMV_TEST_SEED={self.seed}, {len(self.wrong)} wrong:\n\n" + "\n\n".join(
            self.wrong[:12]
        )
        return sum(self.counts.values())


def shown(what: Any) -> str:
    """An input as a failure names it."""
    try:
        return repr(what)[:SHOWN]
    except RecursionError:
        return f"a {type(what).__name__} that is too deep to show"


class Hung(Exception):
    """An input took longer than any may."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Hung where the body takes longer; in the main thread alone."""

    def on_alarm(number: int, frame: FrameType | None) -> None:
        raise Hung(f"no answer in {seconds} s")

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def text(rng: random.Random, longest: int = 12) -> str:
    """A text of pieces and of characters from anywhere, surrogates among them; now and then a very long one."""
    parts = [
        rng.choice(PIECES) if rng.random() < 0.6 else chr(rng.randrange(0x11_0000))
        for _ in range(rng.randrange(longest))
    ]
    joined = rng.choice(["", " "]).join(parts)
    return (
        joined * rng.choice([1] * 60 + [1000])
        if rng.random() < 0.98
        else (joined or "a") * (1_000_000 // max(1, len(joined)))
    )


def value(rng: random.Random, depth: int = 3) -> Any:
    """Any JSON value, and some that are none."""
    scalars: list[Callable[[], Any]] = [
        lambda: rng.choice([None, True, False, 0, -1, 1, 2**31, 2**63, -(2**70), 1e308, 0.1, "", "d000", "even"]),
        lambda: rng.choice([float("nan"), float("inf"), -float("inf"), 1e-320]),
        lambda: text(rng, 4)[:200],
    ]
    if depth == 0 or rng.random() < 0.6:
        return rng.choice(scalars)()
    if rng.random() < 0.5:
        return [value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {text(rng, 3)[:40]: value(rng, depth - 1) for _ in range(rng.randrange(4))}


def stored(client: OpenSearch) -> dict[str, Any]:
    """What must be as before: how far each shard was written, each mapping, alias and setting, and which node it is."""
    everything = {"expand_wildcards": "all"}
    shards = client.indices.stats(
        level="shards", params=everything | {"filter_path": "indices.*.shards.*.seq_no.max_seq_no"}
    )
    return {
        "written": shards.get("indices", {}),
        "indices": client.indices.get(index="*", params=everything),
        "settings": client.cluster.get_settings(),
        "node": client.nodes.info(filter_path="nodes.*.jvm.start_time_in_millis"),
    }
