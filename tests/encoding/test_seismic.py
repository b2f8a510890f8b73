from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from opensearch_multivector.encoding.seismic import document_numbers, query_numbers

WEIGHTS = st.floats(0.01, 100)
TERMS = st.one_of(st.dictionaries(st.integers(0, 250_000), WEIGHTS), st.dictionaries(st.text(), WEIGHTS))


@given(TERMS)
def test_numbers_fit_the_engine_and_no_weight_is_lost(terms: dict[int, float] | dict[str, float]) -> None:
    document, query = document_numbers(terms), query_numbers(terms)
    assert document.keys() == query.keys()
    assert all(0 <= int(number) < 32_768 for number in document)
    assert max(document.values(), default=0) == max(terms.values(), default=0)
    assert abs(sum(query.values()) - sum(terms.values())) < 1e-6 * (1 + sum(terms.values()))


def test_terms_that_meet_in_a_number() -> None:
    assert document_numbers({5: 1.0, 32_773: 3.0, 65_541: 2.0}) == {"5": 3.0}
    assert query_numbers({5: 1.0, 32_773: 3.0, 6: 0.5}) == {"5": 4.0, "6": 0.5}
    assert document_numbers({"bee": 1.0}) == query_numbers({"bee": 1.0})
