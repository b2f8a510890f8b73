"""An index of a whole corpus, made once: found again as long as corpus and encoders are the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.encoding.codecs import DEFAULT_CODEC
from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.evaluation.evaluate import Configuration
from opensearch_multivector.evaluation.provenance import sha256
from opensearch_multivector.indexing import Bm25Parameters, Layout, Progress, index_documents
from opensearch_multivector.indexing.readers import files_of
from opensearch_multivector.indexing.target import index_uuid
from opensearch_multivector.plugin.mapping import index_exists
from opensearch_multivector.plugin.state import get_state, put_state
from opensearch_multivector.plugin.sub_fields import SubField


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents that are no file, such as those of a data set. ``records`` starts over at each call.

    ``identity`` is told apart by: equal ones are taken for the same documents.
    """

    identity: str
    records: Callable[[], Iterable[Mapping[str, Any]]]

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self.records())


def index_corpus(
    client: OpenSearch,
    name: str,
    corpus: Path | Corpus,
    *,
    encoder: Encoder | None,
    term_encoder: TermEncoder | None = None,
    codec: str = DEFAULT_CODEC,
    sub_fields: Sequence[SubField] | None = None,
    reduce: str = "",
    layout: Layout | None = None,
    no_vectors: bool = False,
    bm25: Bm25Parameters | None = None,
    analyzer: str | None = None,
    dead_letters: Path | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    message: Callable[[str], None] = lambda _: None,
) -> str:
    """Index a corpus if that has not been done, and return the index's name.

    ``corpus``: whatever file or folder `index_documents` reads, or a `Corpus`; the other options are that function's.
    The index is called ``name`` and a hash of all that decides its content: another corpus or encoder makes another
    index, nothing is ever deleted or overwritten. An index that is there but was not finished is gone on with. Raises
    what `index_documents` raises.
    """
    fingerprints = [made_by.fingerprint if made_by else None for made_by in (encoder, term_encoder)]
    made = (*fingerprints, codec, sub_fields, reduce, layout, no_vectors, bm25, analyzer)
    index = f"{_slug(name)}-{_digest(corpus, made)}"
    key = f"corpus-{index}"
    stored = get_state(client, key)
    # The id of the index tells a finished one from a later one of the same name.
    if stored and index_exists(client, index) and stored.value == {"index_uuid": index_uuid(client, index)}:
        return index
    summary = index_documents(
        client,
        index,
        corpus,
        encoder=encoder,
        term_encoder=term_encoder,
        codec=codec,
        sub_fields=sub_fields,
        reduce=reduce,
        layout=layout,
        no_vectors=no_vectors,
        bm25=bm25,
        analyzer=analyzer,
        dead_letters=dead_letters,
        progress=progress,
        message=message,
    )
    if summary.rejected:
        message(f"{summary.rejected:,} of {summary.read:,} documents were rejected, see {summary.dead_letters}")
    put_state(client, key, {"index_uuid": index_uuid(client, index)}, stored)
    return index


def _slug(name: str) -> str:
    slug = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_")
    return slug[:100] or "corpus"


def needed_sub_fields(configurations: Sequence[Configuration], given: Sequence[SubField]) -> tuple[SubField, ...]:
    """The given sub-fields, and those that the configurations need beside them, with default parameters."""
    parts = [part for each in configurations for part in each.parts]
    classes = dict.fromkeys(part.sub_field for part in parts if part.sub_field is not None)
    return (*given, *(cls() for cls in classes if not any(isinstance(sub_field, cls) for sub_field in given)))


def needs_terms(configurations: Sequence[Configuration]) -> bool:
    """Whether a configuration reads SLIM's terms."""
    return any(part.needs == "terms" for each in configurations for part in each.parts)


def _digest(corpus: Path | Corpus, made: tuple[object, ...]) -> str:
    content = corpus.identity if isinstance(corpus, Corpus) else [sha256(path) for path in files_of(corpus)]
    return hashlib.sha256(repr((content, *made)).encode()).hexdigest()[:8]
