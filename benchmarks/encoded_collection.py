"""A test collection with its token vectors, encoded once and kept in a file, and the exact MaxSim of every pair.

Benchmarks share it, so that each measures search and storage, not the encoder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

from opensearch_multivector.encoding.encoders import load_encoder
from opensearch_multivector.encoding.encoders.base import Encoded, Encoder, FloatArray, IntArray, Kind
from opensearch_multivector.encoding.maxsim import sum_of_maxima
from opensearch_multivector.evaluation.collection.beir import Collection, read_collection
from opensearch_multivector.indexing.readers import open_reader
from opensearch_multivector.indexing.records import Layout
from opensearch_multivector.queries.encoded_query import EncodedQuery

_BATCH = 64


@dataclass(frozen=True, slots=True)
class EncodedTexts:
    """Texts one after the other: ``vectors`` (sum of counts, dim), ``offsets`` alike, ``pooled`` (len(ids), dim)."""

    ids: list[str]
    counts: FloatArray
    vectors: FloatArray
    offsets: IntArray
    pooled: FloatArray

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Encoded]:
        end = 0
        for i, count in enumerate(self.counts.tolist()):
            start, end = end, end + count
            yield Encoded(self.vectors[start:end], self.pooled[i], self.offsets[start:end])


class EncodedCollection:
    """Documents and topics with their vectors. ``cache``: a folder for the arrays, filled at first."""

    def __init__(self, folder: Path, cache: Path, encoder: str | None = None) -> None:
        self.collection: Collection = read_collection(folder)
        self.folder = folder
        self.encoder = load_encoder(encoder)
        self._exact = cache / f"{folder.resolve().name}-{self.encoder.fingerprint}-exact.npy"
        cache.mkdir(parents=True, exist_ok=True)
        stem = f"{folder.resolve().name}-{self.encoder.fingerprint}"
        reader = open_reader(folder, Layout())
        records = [reader.parse(entry) for entry in reader.entries()]
        self.texts = [record.text for record in records]
        ids = [record.doc_id for record in records]
        self.documents = _encoded(cache / f"{stem}-documents", self.encoder, ids, self.texts, "document")
        topics = self.collection.topics
        self.topics = _encoded(cache / f"{stem}-topics", self.encoder, list(topics), list(topics.values()), "query")

    @property
    def queries(self) -> list[EncodedQuery]:
        """The topics, ready to be searched with."""
        texts = self.collection.topics.values()
        return [
            EncodedQuery(text=text, vectors=encoded.vectors, pooled=encoded.pooled)
            for text, encoded in zip(texts, self.topics, strict=True)
        ]

    def exact_top(self) -> list[set[str]]:
        """Each topic's ten best documents by exact MaxSim over all of them."""
        if not self._exact.exists():
            np.save(self._exact, self._all_pairs())
        best = np.argsort(-np.load(self._exact), axis=1, kind="stable")[:, :10]
        return [{self.documents.ids[i] for i in row} for row in best]

    def _all_pairs(self) -> FloatArray:
        """MaxSim of every topic with every document: (topics, documents) float32."""
        scores = np.zeros((len(self.topics), len(self.documents)), np.float32)
        counts = self.documents.counts.astype(int)
        ends = np.cumsum(counts)
        starts = np.cumsum(self.topics.counts) - self.topics.counts
        for first in track(range(0, len(counts), _BATCH), "exact MaxSim"):
            last = min(first + _BATCH, len(counts))
            similarities = self.documents.vectors[ends[first] - counts[first] : ends[last - 1]] @ self.topics.vectors.T
            for topic, (start, count) in enumerate(zip(starts, self.topics.counts, strict=True)):
                scores[topic, first:last] = sum_of_maxima(similarities[:, start : start + count], counts[first:last])
        return scores

    def remembering(self) -> Encoder:
        """An encoder that gives the kept vectors for the documents' texts, and encodes any other."""
        return _Remembering(self.encoder, dict(zip(self.texts, self.documents, strict=True)))


class _Remembering:
    def __init__(self, encoder: Encoder, known: dict[str, Encoded]) -> None:
        self._encoder = encoder
        self._known = known
        self.name, self.fingerprint = encoder.name, encoder.fingerprint
        self.dim, self.max_length = encoder.dim, encoder.max_length

    def encode(self, texts: Sequence[str], kind: Kind) -> list[Encoded]:
        if kind == "query" or any(text not in self._known for text in texts):
            return self._encoder.encode(texts, kind)
        return [self._known[text] for text in texts]

    def offsets(self, text: str, kind: Kind) -> IntArray:
        return self._encoder.offsets(text, kind)


def _encoded(path: Path, encoder: Encoder, ids: list[str], texts: list[str], kind: Kind) -> EncodedTexts:
    arrays, vectors = path.with_suffix(".npz"), path.with_suffix(".npy")
    if not arrays.exists():
        each: list[Encoded] = []
        for first in track(range(0, len(texts), _BATCH), f"encoding, {kind}s"):
            each += encoder.encode(texts[first : first + _BATCH], kind)
        np.save(vectors, np.concatenate([one.vectors for one in each]))
        np.savez(
            arrays,
            counts=np.array([len(one.vectors) for one in each]),
            offsets=np.concatenate([one.offsets for one in each if one.offsets is not None]),
            pooled=np.stack([one.pooled for one in each if one.pooled is not None]),
        )
    with np.load(arrays) as kept:
        return EncodedTexts(ids, kept["counts"], np.load(vectors, mmap_mode="r"), kept["offsets"], kept["pooled"])
