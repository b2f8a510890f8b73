"""The snippet of a hit on the screen."""

from __future__ import annotations

from opensearch_multivector.cli.highlight import highlighted
from opensearch_multivector.queries.results import TokenMatch


def match(text: str, word: str, similarity: float = 0.9) -> TokenMatch:
    start = text.index(word)
    return TokenMatch(word, word, similarity, (0, len(word)), (start, start + len(word)))


def styled(text: str, matches: list[TokenMatch], length: int = 320) -> list[str]:
    shown = highlighted(text, matches, length)
    return [shown.plain[span.start : span.end] for span in shown.spans if span.style]


def test_matched_words_are_set_apart_whole() -> None:
    text = "Bees are waggling on the comb."
    assert styled(text, [match(text, "wag"), match(text, "comb")]) == ["waggling", "comb"]


def test_weak_matches_and_special_tokens_are_not() -> None:
    text = "Bees dance."
    special = TokenMatch("[CLS]", "[CLS]", 0.9, None, None)
    assert styled(text, [match(text, "Bees", 0.9), match(text, "dance", 0.2), special]) == ["Bees"]


def test_a_long_text_is_shown_where_it_matches() -> None:
    text = "nothing here " * 100 + "the waggle dance " + "nothing there " * 100
    shown = highlighted(text, [match(text, "waggle"), match(text, "dance")], 80)
    assert "waggle dance" in shown.plain
    assert shown.plain.startswith("…")
    assert shown.plain.endswith("…")
    assert len(shown.plain) <= 82


def test_no_matches_show_the_beginning() -> None:
    assert highlighted("A text.", []).plain == "A text."
    assert highlighted("", []).plain == ""
