"""Two small encoders that are loaded by their names, and indices of the same texts made with the one and the other."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.encoding.encoders import load_encoder
from opensearch_multivector.encoding.encoders.base import Encoder
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.plugin.attachments import SIDECAR, Attachment, concrete_index, put_attachment, sidecar_name
from opensearch_multivector.plugin.fields import EncoderRef, FieldSpec
from opensearch_multivector.plugin.mapping import sidecar_body
from opensearch_multivector.queries.results import SearchResult

WORDS = ("sea", "otter", "bee", "eel", "tern", "sun", "pole", "moss", "fern", "owl", "ant", "elk", "cod", "yak", "gnu")
TEXTS = {f"d{i:02}": " ".join(WORDS[(i * step) % len(WORDS)] for step in range(1, 7)) for i in range(24)}
QUERIES = ("sea otter", "bee eel tern", "sun moss", "elk gnu owl ant")

# What a search found, and where.
Found = tuple[tuple[str, str, float], ...]


def two_encoders(folder: Path) -> tuple[Encoder, Encoder]:
    """Of one form and with other weights, so that the one's vectors look like the other's."""
    import torch
    from tiny_checkpoints import save_bert

    save_bert(folder / "one")
    model = save_bert(folder / "two")
    torch.manual_seed(8)
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(torch.randn_like(weights) * 0.5)
    model.save_pretrained(str(folder / "two"))
    one, two = load_encoder(str(folder / "one")), load_encoder(str(folder / "two"))
    assert one.fingerprint != two.fingerprint
    return one, two


def fill(client: OpenSearch, index: str, encoder: Encoder, folder: Path, **options: Any) -> None:
    documents = [{"_id": doc_id, "text": text} for doc_id, text in TEXTS.items()]
    options = {"codec": "f32", "dead_letters": folder / "dead.jsonl"} | options
    index_documents(client, index, documents, encoder=encoder, **options)
    client.indices.refresh(index=index)


def make_sidecar(client: OpenSearch, index: str, encoder: Encoder) -> str:
    """The sidecar of somebody's index of `TEXTS`, attached anew: the earlier of that name is gone."""
    name, (_, uuid) = sidecar_name(index), concrete_index(client, index)
    ref = EncoderRef(encoder.name, encoder.fingerprint)
    spec = FieldSpec("mv", encoder.dim, "f32", ref, text_fields=("text",), has_text_copy=False)
    client.indices.delete(index=name, params={"ignore_unavailable": "true"})
    mapping = client.indices.get_mapping(index=index)[index]["mappings"]
    client.indices.create(index=name, body=sidecar_body(spec, mapping, settings={"number_of_shards": 1}))
    hits = client.search(index=index, body={"size": 100, "seq_no_primary_term": True})["hits"]["hits"]
    lines: list[dict[str, Any]] = []
    for hit, encoded in zip(hits, encoder.encode([hit["_source"]["text"] for hit in hits], "document"), strict=True):
        blob = base64.b64encode(encode_blob(encoded.vectors, "f32")).decode()
        place = {"_id": hit["_id"], "version": hit["_seq_no"] + 1, "version_type": "external_gte"}
        lines += [{"index": place}, {"mv.vectors": blob, "mv.dense": encoded.pooled.tolist(), "mv.hash": "any"}]
    assert not client.bulk(index=name, body=lines, params={"refresh": "true"})["errors"]
    put_attachment(client, Attachment(index, uuid, "mv", SIDECAR, name, ("text",), "any", encoder.fingerprint))
    return name


def found(result: SearchResult) -> Found:
    assert (result.degraded, result.skipped) == ((), {})
    return tuple((hit.index, hit.doc_id, hit.score) for hit in result.hits)


def alike(one: Found, other: Found) -> bool:
    """Whether the same documents of the same indices have the same scores, but for their last bits.

    A query's vectors differ in theirs with what it is encoded together with; so may the order of equal scores.
    """
    scores = [{(index, doc_id): score for index, doc_id, score in each} for each in (one, other)]
    return scores[0].keys() == scores[1].keys() and scores[0] == pytest.approx(scores[1], rel=1e-5)
