"""What a few real documents become: the bytes and seconds that a whole index is reckoned with."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.indexing.document import DocumentMaker, Made
from opensearch_multivector.indexing.readers.mappings import MappingsReader
from opensearch_multivector.indexing.records import Layout, Record
from opensearch_multivector.indexing.training import trained
from opensearch_multivector.plugin.fields import HASH, FieldSpec

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one document on average. ``json_bytes``: all of `F.*` as it is sent; ``blob_bytes``: token vectors in it."""

    json_bytes: float
    blob_bytes: float
    seconds: float
    truncated: float


def measure(
    spec: FieldSpec, records: Sequence[Record], encoder: Encoder | None, term_encoder: TermEncoder | None
) -> Measured:
    """Encode the records as they would be stored; nothing is. What has to be learnt is learnt from them alone."""
    texts = [{"_id": record.doc_id, "text": record.text} for record in records]
    reader = MappingsReader(texts, Layout(field=spec.field))
    learnt, _ = trained(None, spec, reader, reader.entries(), encoder, message=lambda _: None, stop=threading.Event())
    maker = DocumentMaker(learnt, encoder, term_encoder)
    started = time.perf_counter()
    made = [each for start in range(0, len(records), _BATCH) for each in maker.make(records[start : start + _BATCH])]
    seconds = time.perf_counter() - started
    sound = [each for each in made if isinstance(each, Made)]
    count = max(len(sound), 1)
    with_hash = len(f'"{spec.sub(HASH)}":"{"0" * 24}",')
    return Measured(
        json_bytes=sum(len(each.body) for each in sound) / count + with_hash,
        blob_bytes=sum(each.vector_bytes for each in sound) / count,
        seconds=seconds / len(records),
        truncated=sum(each.truncated for each in sound) / count,
    )
