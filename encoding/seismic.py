"""Terms as OpenSearch's `sparse_vector` takes them: numbers below 2**15 in place of names.

The field parses each key as an integer, and the engine keeps it in 16 bits with a sign: with 32,768 or more a segment
can't be written ("negative_array_size_exception" at the refresh, 3.6). A vocabulary id is taken as it is, modulo 2**15;
a term that comes by name alone goes by its CRC-32. Where two terms of a text meet in one number, a document's weight is
the larger one, as for one term at several tokens, and a query's the sum.

Source: SEISMIC, Bruch et al. 2024, "Efficient inverted indexes for approximate retrieval over learned sparse
representations", as neural-search has it since 3.3.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

_NUMBERS = 1 << 15


def document_numbers(terms: Mapping[int, float] | Mapping[str, float]) -> dict[str, float]:
    """A document's terms, by vocabulary id or by name, with their numbers as keys."""
    return _numbered(terms, max)


def query_numbers(terms: Mapping[int, float] | Mapping[str, float]) -> dict[str, float]:
    """A query's terms, as `document_numbers`."""
    return _numbered(terms, lambda one, other: one + other)


def _numbered(
    terms: Mapping[int, float] | Mapping[str, float], together: Callable[[float, float], float]
) -> dict[str, float]:
    numbered: dict[str, float] = {}
    for term, weight in terms.items():
        number = str((zlib.crc32(term.encode()) if isinstance(term, str) else term) % _NUMBERS)
        numbered[number] = together(numbered[number], weight) if number in numbered else weight
    return numbered
