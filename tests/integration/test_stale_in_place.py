"""A hit whose text was changed since its vectors were made is marked in place, too, until it is filled again."""

from __future__ import annotations

from typing import Any

import pytest
from attached_texts import WordEncoder, attach, filler, make_index, put
from opensearchpy import OpenSearch

from opensearch_multivector.plugin.attachments import IN_PLACE
from opensearch_multivector.queries.searcher import Searcher

pytestmark = pytest.mark.integration
DOCUMENTS = {
    "owls": {"text": "owls fly by night"},
    "bats": {"text": "bats fly by night"},
    "eels": {"text": "eels swim"},
}
PAIRS = [("bm25", "client"), ("slim", "client"), ("slim", None), ("bm25+slim", "client")]


@pytest.fixture
def searcher(client: OpenSearch, index_name: str) -> Searcher:
    make_index(client, index_name)
    put(client, index_name, DOCUMENTS)
    attach(client, index_name, IN_PLACE)
    filler(client, index_name).backfill()
    encoder = WordEncoder()
    return Searcher(client, index_name, encoder=encoder, term_encoder=encoder)


def stale(searcher: Searcher, **options: Any) -> set[str]:
    result = searcher.search("fly by night", **options)
    assert {hit.doc_id for hit in result.hits} >= {"owls", "bats"}
    found = {hit.doc_id for hit in result.hits if hit.stale}
    assert result.stale == len(found)
    return found


@pytest.mark.parametrize(("stage", "rerank"), PAIRS)
def test_marked_until_it_is_filled_again(
    client: OpenSearch, searcher: Searcher, stage: str, rerank: str | None
) -> None:
    options = {"first_stage": stage, "rerank": rerank}
    assert stale(searcher, **options) == set()
    client.update(index=searcher.index, id="owls", body={"doc": {"price": 3}}, refresh="true")
    assert stale(searcher, **options) == set()
    client.update(index=searcher.index, id="owls", body={"doc": {"text": "owls fly by moonlit night"}}, refresh="true")
    for explain in (False, True):
        assert stale(searcher, **options, explain=explain) == {"owls"}
        assert stale(searcher, **options, explain=explain, source=["text", "price"]) == {"owls"}
    # Without the text in its source nobody can tell; `explain` reads the text in any case.
    assert stale(searcher, **options, source=["price"]) == stale(searcher, **options, source=False) == set()
    assert stale(searcher, **options, explain=True, source=["price"]) == {"owls"}
    filler(client, searcher.index).backfill()
    client.indices.refresh(index=searcher.index)
    assert stale(searcher, **options) == set()


def test_not_explained_by_its_new_words(client: OpenSearch, searcher: Searcher) -> None:
    # As many words as before: by number alone they could not be told apart.
    client.update(index=searcher.index, id="owls", body={"doc": {"text": "owls sleep by day"}}, refresh="true")
    hits = {hit.doc_id: hit for hit in searcher.search("fly by night", first_stage="slim", explain=True).hits}
    assert [match.document_token for match in hits["bats"].matches or ()] == ["fly", "by", "night"]
    assert [match.document_token for match in hits["owls"].matches or ()] == ["[1]", "[2]", "[3]"]
    assert [match.document_span for match in hits["owls"].matches or ()] == [None] * 3
