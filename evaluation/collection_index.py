"""An index of a whole corpus, made once: found again as long as corpus and encoders are the same."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from opensearchpy import OpenSearch

from opensearch_multivector.encoding.codecs import DEFAULT_CODEC
from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.beir import CORPUS_FILES, existing
from opensearch_multivector.evaluation.evaluate import Configuration
from opensearch_multivector.indexing import Layout, Progress, index_documents
from opensearch_multivector.indexing.target import index_uuid
from opensearch_multivector.plugin.mapping import index_exists
from opensearch_multivector.plugin.state import get_state, put_state
from opensearch_multivector.plugin.sub_fields import SubField


def index_corpus(
    client: OpenSearch,
    name: str,
    corpus: Path,
    *,
    encoder: Encoder,
    term_encoder: TermEncoder | None = None,
    codec: str = DEFAULT_CODEC,
    sub_fields: Sequence[SubField] | None = None,
    reduce: str = "",
    layout: Layout | None = None,
    dead_letters: Path | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    message: Callable[[str], None] = lambda _: None,
) -> str:
    """Index a corpus if that has not been done, and return the index's name.

    ``corpus``: a JSONL file or a BEIR folder. The index is called ``name`` and a hash of all that decides its content:
    another corpus or encoder makes another index, nothing is ever deleted or overwritten. An index that is there but
    was not finished is gone on with. Raises what `index_documents` raises.
    """
    if corpus.is_dir():
        corpus = existing(corpus, CORPUS_FILES, "documents")
    index = f"{_slug(name)}-{_digest(corpus, encoder, term_encoder, (codec, sub_fields, reduce, layout))}"
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


def _digest(corpus: Path, encoder: Encoder, term_encoder: TermEncoder | None, options: tuple[object, ...]) -> str:
    try:
        with corpus.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256")
    except OSError as error:
        raise InputError(f"{corpus}: can't be read ({error.strerror}).") from None
    terms = term_encoder.fingerprint if term_encoder else None
    digest.update(repr((encoder.fingerprint, terms, *options)).encode())
    return digest.hexdigest()[:8]
