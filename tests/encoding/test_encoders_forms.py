"""Marker, masks and skiplist on tokens alone, against ColBERT's description word for word."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from opensearch_multivector.encoding.encoders.forms import TextForm, Tokens

IDS = st.lists(st.integers(0, 9), min_size=1, max_size=12)
FORMS = st.builds(
    TextForm,
    max_length=st.integers(3, 20),
    marker=st.none() | st.integers(0, 9),
    expand_to=st.integers(0, 8),
    expand_id=st.integers(0, 9),
    expand_multiples=st.booleans(),
    attend_expansion=st.booleans(),
    skiplist=st.sets(st.integers(0, 9)).map(lambda ids: tuple(sorted(ids))),
)


def tokens(ids: list[int]) -> Tokens:
    n = len(ids)
    spans = np.stack([np.arange(n), np.arange(1, n + 1)], axis=1).astype(np.int32)
    ones = np.ones(n, dtype=bool)
    return Tokens(np.array(ids, np.int64), np.arange(n, dtype=np.int64) % 2, spans, ones, ones, truncated=False)


@given(IDS, FORMS)
def test_every_token_is_where_it_should_be(ids: list[int], form: TextForm) -> None:
    result = form.apply(tokens(ids))
    marked = ids if form.marker is None else [ids[0], form.marker, *ids[1:]]
    n = len(marked)
    length = max(n, form.expand_to)
    if form.expand_multiples and form.expand_to:
        length = next(m for m in range(form.expand_to, 99, form.expand_to) if m >= n)
    assert result.ids.tolist() == marked + [form.expand_id] * (length - n)
    assert result.attended.tolist() == [True] * n + [form.attend_expansion] * (length - n)
    kept = [number not in form.skiplist for number in marked]
    assert result.kept.tolist() == (kept if any(kept) else [True] * n) + [True] * (length - n)
    spans = [(i, i + 1) for i in range(len(ids))]
    spans = spans if form.marker is None else [spans[0], (0, 0), *spans[1:]]
    assert [tuple(span) for span in result.offsets.tolist()] == spans + [(0, 0)] * (length - n)
    assert {len(result.types), len(result.offsets), len(result.attended), len(result.kept)} == {length}
    assert result.types.dtype == result.ids.dtype == np.int64
    assert result.offsets.dtype == np.int32


@given(FORMS)
def test_a_form_survives_json(form: TextForm) -> None:
    assert TextForm.from_dict(json.loads(json.dumps(asdict(form)))) == form
