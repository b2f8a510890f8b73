"""A hit as text on the screen: a snippet of the document with the words that the query's tokens matched set apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from opensearch_multivector.errors import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opensearch_multivector.queries.results import TokenMatch

SNIPPET_CHARACTERS = 320
# A match below this share of the strongest one says little about why the document was found.
_WEAK = 0.5
_STYLES = ((0.8, "bold green"), (0.65, "green"), (0.0, "cyan"))


def highlighted(text: str, matches: Sequence[TokenMatch], length: int = SNIPPET_CHARACTERS) -> Text:
    """The stretch of ``text`` with most matched tokens, each styled by its similarity."""
    strengths = _word_strengths(text, matches)
    start = _best_start(text, strengths, length)
    end = min(len(text), start + length)
    snippet = Text(visible(text[start:end]))
    strongest = max(strengths.values(), default=1.0)
    for (begin, stop), similarity in strengths.items():
        if similarity >= _WEAK * strongest and begin < end and stop > start:
            style = next(style for least, style in _STYLES if similarity >= least * strongest)
            snippet.stylize(style, max(0, begin - start), min(end, stop) - start)
    return Text.assemble("…" if start else "", snippet, "…" if end < len(text) else "")


def _word_strengths(text: str, matches: Sequence[TokenMatch]) -> dict[tuple[int, int], float]:
    """Similarity of each matched word: word pieces grow to the whole word, the strongest piece counts."""
    strengths: dict[tuple[int, int], float] = {}
    for match in matches:
        if match.document_span is None or match.query_span is None:
            continue
        start, end = match.document_span
        while start > 0 and text[start - 1].isalnum() and text[start].isalnum():
            start -= 1
        while end < len(text) and text[end].isalnum() and text[end - 1].isalnum():
            end += 1
        strengths[start, end] = max(match.similarity, strengths.get((start, end), 0.0))
    return strengths


def _best_start(text: str, strengths: dict[tuple[int, int], float], length: int) -> int:
    if len(text) <= length:
        return 0
    best, best_weight = 0, -1.0
    for begin, _ in sorted(strengths):
        weight = sum(value for (start, end), value in strengths.items() if start >= begin and end <= begin + length)
        if weight > best_weight:
            best, best_weight = begin, weight
    # A little of what stands before, from the start of a word.
    best = max(0, min(best - length // 8, len(text) - length))
    return 0 if best == 0 else text.find(" ", best) + 1
