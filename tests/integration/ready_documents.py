"""Documents that bring their token vectors, and the ways to index them that the tests share."""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.codecs import decode_blob
from opensearch_multivector.indexing import IndexSummary, index_documents

DIM = 4


def document(number: int, **changes: Any) -> dict[str, Any]:
    vectors = np.random.default_rng(number).normal(size=(3, DIM)).round(3).tolist()
    return {"id": f"d{number}", "title": f"t{number}", "text": f"word{number}", "vectors": vectors} | changes


def write(path: Path, lines: list[dict[str, Any] | bytes]) -> Path:
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"\n".join(encoded) + b"\n")
    return path


def load(client: OpenSearch, index: str, documents: Any, **options: Any) -> IndexSummary:
    """Dead letters go beside the documents' file; those of mappings are not kept."""
    with tempfile.TemporaryDirectory() as elsewhere:
        folder = documents.parent if isinstance(documents, Path) else Path(elsewhere)
        usual = {"encoder": None, "dead_letters": folder / "dead.jsonl"}
        return index_documents(client, index, documents, **(usual | options))


def blob(client: OpenSearch, index: str, doc_id: str, field: str = "mv") -> np.ndarray:
    body = {"query": {"ids": {"values": [doc_id]}}, "docvalue_fields": [f"{field}.vectors"]}
    (hit,) = client.search(index=index, body=body)["hits"]["hits"]
    text = hit["fields"][f"{field}.vectors"][0]
    return decode_blob(base64.b64decode(text + "=" * (-len(text) % 4)))
