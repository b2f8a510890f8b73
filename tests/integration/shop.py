"""An index of somebody's, as a shop might have it, with documents as its applications wrote them."""

from __future__ import annotations

import json
from typing import Any

from opensearchpy import OpenSearch

WORDS = ("bees", "find", "home", "by", "sun", "terns", "migrate", "from", "pole", "while", "eels", "cross", "oceans")
PROPERTIES: dict[str, Any] = {
    "name": {"type": "text", "fields": {"raw": {"type": "keyword"}}},
    "about": {"properties": {"text": {"type": "text"}, "lang": {"type": "keyword"}}},
    "price": {"type": "double"},
}
TEXTS = ("name", "about.text")


def product(number: int, **changes: Any) -> dict[str, Any]:
    """Every seventh has no text."""
    if number % 7 == 6:
        return {"price": number / 4} | changes
    words = [WORDS[(number * step) % len(WORDS)] for step in range(1, 9)]
    about = {"lang": "de" if number % 3 else "en", "text": " ".join(words)}
    return {
        "name": f"product {number}",
        "about": about,
        "price": number / 4,
        "tags": ["a", "é"],
        "left": None,
    } | changes


def make_shop(client: OpenSearch, index: str, count: int = 40, shards: int = 2, **settings: Any) -> None:
    """Each document under a routing of its own."""
    mappings = {"dynamic": False, "_meta": {"owner": "shop"}, "properties": PROPERTIES}
    settings = {"number_of_shards": shards, "number_of_replicas": 0, **settings}
    client.indices.create(index=index, body={"settings": {"index": settings}, "mappings": mappings})
    lines: list[Any] = []
    for number in range(count):
        lines += [{"index": {"_id": f"p{number}", "routing": f"r{number % 5}"}}, product(number)]
    if lines:
        answer = client.bulk(index=index, body=lines, params={"refresh": "true"})
        assert not answer["errors"], answer


def sources(client: OpenSearch, index: str) -> dict[str, str]:
    """`_source` of every document as JSON in the order of its members."""
    body = {"size": 10_000, "query": {"match_all": {}}}
    hits = client.search(index=index, body=body, params={"preference": "_primary"})["hits"]["hits"]
    return {hit["_id"]: json.dumps(hit["_source"], ensure_ascii=False) for hit in hits}
