"""A sample of the documents, encoded, for whatever has to be learnt from them before the first one goes in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import Encoded, Encoder, FloatArray
from opensearch_multivector.encoding.reductions import DocumentTokens
from opensearch_multivector.errors import InputError
from opensearch_multivector.indexing.document import pooled_of
from opensearch_multivector.indexing.readers import Entry, Reader
from opensearch_multivector.indexing.records import Record, RejectedError

# Bounds of time and of memory: about so many documents, or token vectors of so many numbers (512 MB, and half as much
# again where they are put together).
MAX_DOCUMENTS = 2_000
MAX_FLOATS = 1 << 27

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Sample:
    """Documents in random order, at least one.

    ``tokens``: their token vectors, before or after the reductions. ``pooled``: (n, dim) float32. ``documents``: how
    many the whole collection has; None: unknown.
    """

    tokens: Sequence[DocumentTokens]
    pooled: FloatArray
    documents: int | None

    @property
    def vectors(self) -> NDArray[np.float16]:
        """All token vectors, document after document: (n_tokens, dim), in half precision to spare memory."""
        ends = np.cumsum([len(tokens.vectors) for tokens in self.tokens])
        vectors = np.empty((ends[-1], self.tokens[0].vectors.shape[1]), np.float16)
        for end, tokens in zip(ends, self.tokens, strict=True):
            vectors[end - len(tokens.vectors) : end] = tokens.vectors
        return vectors

    @property
    def token_count(self) -> int | None:
        """About how many token vectors the whole collection has; None: unknown."""
        if self.documents is None:
            return None
        return round(self.documents * sum(len(tokens.vectors) for tokens in self.tokens) / len(self.tokens))


def draw_sample(
    reader: Reader,
    entries: Iterator[Entry],
    encoder: Encoder | None,
    dim: int,
    *,
    floats: int = MAX_FLOATS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Sample, Iterator[Entry]]:
    """Sample a reader's documents; also the entries still to index, of which ``entries`` are those not yet read.

    A reader that can start over is read twice, to count and to pick evenly. Of one that can't the first documents are
    taken, which then come again among the entries. Documents that will be rejected are passed over, as are those whose
    vectors have other dimensions than ``dim``. ``floats``: about so many numbers of token vectors at most, for more
    than `MAX_FLOATS` also of more documents. ``progress`` is told how many of about how many are encoded. Raises
    InputError where there is no sound document.
    """
    random = np.random.default_rng(seed)
    most = MAX_DOCUMENTS * max(floats, MAX_FLOATS) // MAX_FLOATS
    if reader.rewindable:
        first = list(_encoded(_sound(reader, islice(reader.entries(), _BATCH)), encoder, dim))
        total = sum(1 for _ in reader.entries())
        count = min(total, most, _affordable(first, floats))
        picked = set(random.choice(total, count, replace=False).tolist())
        source = _sound(reader, (entry for place, entry in enumerate(reader.entries()) if place in picked))
        documents = list(_until_full(_encoded(source, encoder, dim), count, floats, progress))
        whole: int | None = total
    else:
        head: list[Entry] = []
        source = _sound(reader, _remembered(entries, head))
        documents = list(_until_full(_encoded(source, encoder, dim), most, floats, progress))
        following = next(entries, None)
        whole = len(head) if following is None else None
        entries = chain(head, [] if following is None else [following], entries)
    if not documents:
        raise InputError(f"{reader.name} has no sound document to learn from")
    order = random.permutation(len(documents))
    tokens = [documents[i][0] for i in order]
    return Sample(tokens, np.stack([documents[i][1] for i in order]), whole), entries


def _sound(reader: Reader, entries: Iterable[Entry]) -> Iterator[Record]:
    for entry in entries:
        try:
            yield reader.parse(entry)
        except RejectedError:
            continue  # reported when its turn to be indexed comes


def _encoded(
    records: Iterator[Record], encoder: Encoder | None, dim: int
) -> Iterator[tuple[DocumentTokens, FloatArray]]:
    """Token vectors and pooled vector of each record."""
    while batch := list(islice(records, _BATCH)):
        made = encoder.encode([record.text for record in batch], "document") if encoder else map(_ready, batch)
        for record, encoded in zip(batch, made, strict=True):
            if encoded.vectors.shape[1] == dim:
                tokens = DocumentTokens(encoded.vectors, encoded.offsets, record.text)
                yield tokens, pooled_of(record, encoded)


def _ready(record: Record) -> Encoded:
    assert record.vectors is not None
    return Encoded(record.vectors, None)


def _affordable(documents: Sequence[tuple[DocumentTokens, FloatArray]], floats: int) -> int:
    """How many documents like these have so many numbers."""
    return floats * len(documents) // sum(tokens.vectors.size for tokens, _ in documents) if documents else floats


def _until_full(
    documents: Iterator[tuple[DocumentTokens, FloatArray]],
    count: int,
    floats: int,
    progress: Callable[[int, int], None],
) -> Iterator[tuple[DocumentTokens, FloatArray]]:
    # The first documents may have been short ones: a quarter more than was reckoned with is still taken.
    left = floats * 5 // 4
    for done, document in enumerate(islice(documents, count), start=1):
        yield document
        left -= document[0].vectors.size
        if done % _BATCH == 0 or done == count:
            progress(done, count)
        if left <= 0:
            return


def _remembered(entries: Iterator[Entry], seen: list[Entry]) -> Iterator[Entry]:
    for entry in entries:
        seen.append(entry)
        yield entry
