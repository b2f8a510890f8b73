from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing import sampling
from opensearch_multivector.indexing.readers import open_reader
from opensearch_multivector.indexing.records import Layout
from opensearch_multivector.indexing.sampling import draw_sample

READY = Layout(ready=True)


def rows(count: int, tokens: int = 3, dim: int = 4) -> list[dict[str, Any]]:
    """Documents whose vectors hold their own number."""
    return [
        {"id": f"d{n}", "text": f"t{n}", "vectors": np.full((tokens, dim), float(n)).tolist()} for n in range(count)
    ]


def drawn(documents: Any, dim: int = 4, **options: Any) -> tuple[list[int], int | None, list[int]]:
    """Numbers of the sampled documents, what is known of their count, and lines still to index."""
    reader = open_reader(documents, READY)
    sample, entries = draw_sample(reader, reader.entries(), None, dim, **options)
    assert len(sample.tokens) == len(sample.pooled)
    return [int(tokens.vectors[0, 0]) for tokens in sample.tokens], sample.documents, [entry.line for entry in entries]


@pytest.fixture
def ten_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "MAX_DOCUMENTS", 10)


def test_all_of_a_small_collection_in_another_order() -> None:
    numbers, total, lines = drawn(rows(50))
    assert sorted(numbers) == list(range(50))
    assert numbers != list(range(50))
    assert (total, lines) == (50, list(range(1, 51)))


@pytest.mark.usefixtures("ten_documents")
def test_a_large_one_is_picked_from_evenly() -> None:
    hits = np.zeros(100)
    for seed in range(60):
        numbers, total, lines = drawn(rows(100), seed=seed)
        assert (len(set(numbers)), total, len(lines)) == (10, 100, 100)
        hits[numbers] += 1
    # 600 draws over 10 tenths of the file: 60 each, give or take.
    assert np.all(np.abs(hits.reshape(10, 10).sum(axis=1) - 60) < 30)
    assert drawn(rows(100), seed=3) == drawn(rows(100), seed=3)


@pytest.mark.usefixtures("ten_documents")
def test_of_a_stream_the_first_are_taken_and_come_again() -> None:
    numbers, total, lines = drawn(iter(rows(100)))
    assert max(numbers) < 64  # what was read ahead
    assert len(numbers) == 10
    assert (total, lines) == (None, list(range(1, 101)))


def test_a_short_stream_is_known_to_its_end() -> None:
    numbers, total, lines = drawn(iter(rows(7)))
    assert (sorted(numbers), total, lines) == (list(range(7)), 7, list(range(1, 8)))


@pytest.mark.parametrize("stream", [False, True])
def test_what_will_be_rejected_is_passed_over(stream: bool) -> None:
    bad: list[dict[str, Any]] = [{"id": "x"}, {"text": "no id"}, {"id": "y", "vectors": [[1.0, 2.0]]}]
    documents = bad * 20 + rows(5)
    numbers, total, lines = drawn(iter(documents) if stream else documents)
    assert (sorted(numbers), total, len(lines)) == (list(range(5)), 65, 65)
    with pytest.raises(InputError, match="no sound document"):
        drawn(iter(bad) if stream else bad)


@pytest.mark.parametrize("stream", [False, True])
def test_memory_is_bounded_by_the_numbers_in_the_vectors(stream: bool) -> None:
    documents = rows(300, tokens=5)

    def once() -> Iterator[dict[str, Any]]:
        yield from documents

    numbers, _, lines = drawn(once() if stream else documents, floats=40 * 5 * 4)
    assert 40 <= len(numbers) <= 51
    assert len(lines) == 300


def test_the_collections_token_count_is_reckoned_from_the_sample() -> None:
    reader = open_reader(rows(40, tokens=3) + rows(40, tokens=5), READY)
    sample, _ = draw_sample(reader, reader.entries(), None, 4)
    assert sample.token_count == 40 * 3 + 40 * 5
    assert sample.vectors.shape == (320, 4)
