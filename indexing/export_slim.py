"""What Pyserini's `SlimSearcher` reads, of an index with `token_terms`: token terms to rerank with, impacts to index.

::

    sparse_vec.npz       scipy's CSR, one row a token of all documents, one column a vocabulary term
    sparse_range.pkl     a list with each document's (first row, last row + 1)
    documents.jsonl      a JsonVectorCollection, for `python -m pyserini.index.lucene --impact --pretokenized`
    docids.txt           the ids of the documents, in their order

Pyserini finds a document's rows by taking its id for their place, so documents are called by their places there, in as
many digits each and in the order of their own ids: so equal scores come in the same order.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pybase64
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders import load_term_encoder
from opensearch_multivector.encoding.encoders.base import TokenTerms
from opensearch_multivector.encoding.sparsify import document_terms, term_of, whole_terms
from opensearch_multivector.encoding.term_blob import StoredTerms, open_terms
from opensearch_multivector.errors import BlobError, MismatchError
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.fields import FieldSpec

SCALE = 256 / 5  # as Pyserini quantises SLIM's weights
_DIGITS = 10  # Lucene holds no more documents


class SlimFolder:
    """A folder of the files above being written, document by document; see `export._Form`.

    Impacts are the token terms' weights, the largest of each term, times ``scale``, as whole numbers.
    """

    fractions = False
    sort = "_id"

    def __init__(self, path: Path, spec: FieldSpec, scale: float | None) -> None:
        spec.need(sub_fields.TokenTerms, "the export for Pyserini's SLIM")
        slim = spec.find(sub_fields.Slim)
        self._scale = scale or (slim and slim.scale) or SCALE
        self._most = (slim and slim.per_document) or None
        self._spec, self._vocabulary = spec, _vocabulary(spec)
        self._field = spec.sub(sub_fields.TokenTerms.name)
        self.docvalues = [self._field]
        self.source: bool | list[str] = list(spec.text_fields)
        self._folder = path
        path.mkdir(parents=True)
        self._lengths = [np.zeros(1, np.int64)]
        self._ranges: list[tuple[int, int]] = []
        self._rows = 0
        with ExitStack() as files:
            self._ids = files.enter_context((path / "ids").open("wb"))
            self._weights = files.enter_context((path / "weights").open("wb"))
            self._impacts = files.enter_context((path / "documents.jsonl").open("w", encoding="utf-8"))
            self._docids = files.enter_context((path / "docids.txt").open("w", encoding="utf-8"))
            self._files = files.pop_all()

    def write(self, hit: dict[str, Any]) -> bool:
        """See `export._Form`."""
        values = hit.get("fields", {}).get(self._field)
        if not values:
            return False
        try:
            stored = open_terms(pybase64.b64decode(values[0] + "=" * (-len(values[0]) % 4), validate=True))
        except ValueError:
            raise BlobError("the value is no base64") from None
        if not len(stored.lengths):
            return False
        line = {"id": f"{len(self._ranges):0{_DIGITS}}", "contents": self._spec.text_of(hit["_source"])}
        self._impacts.write(json.dumps(line | {"vector": self._vector(stored)}, ensure_ascii=False) + "\n")
        self._docids.write(f"{hit['_id']}\n")
        for ids, weights in _sorted(stored):
            self._ids.write(ids.astype("<i4").tobytes())
            self._weights.write(weights.astype("<f4").tobytes())
        self._lengths.append(stored.lengths.astype(np.int64))
        self._ranges.append((self._rows, self._rows + len(stored.lengths)))
        self._rows += len(stored.lengths)
        return True

    def _vector(self, stored: StoredTerms) -> dict[str, float]:
        # The largest weight of each term over all tokens: for that they may as well be one.
        tokens = TokenTerms(stored.ids[None].astype(np.int32), stored.weights[None])
        terms = whole_terms(document_terms(tokens, self._vocabulary, self._most), self._scale)
        return {term_of(name): weight for name, weight in terms.items()}

    def close(self) -> None:
        """Bring the tokens' terms together."""
        self._files.close()
        starts = np.cumsum(np.concatenate(self._lengths))
        ids, weights = self._folder / "ids", self._folder / "weights"
        # As scipy.sparse.save_npz writes it.
        np.savez(
            self._folder / "sparse_vec.npz",
            format=np.array(b"csr"),
            shape=np.array((self._rows, len(self._vocabulary))),
            indptr=starts,
            indices=_array(ids, "<i4"),
            data=_array(weights, "<f4"),
        )
        ids.unlink()
        weights.unlink()
        with (self._folder / "sparse_range.pkl").open("wb") as file:
            pickle.dump(self._ranges, file)


def _array(path: Path, kind: str) -> NDArray[Any]:
    """A file's numbers, which stay on the disk."""
    return np.memmap(path, kind, "r") if path.stat().st_size else np.empty(0, kind)


def _sorted(stored: StoredTerms) -> Iterator[tuple[Any, Any]]:
    """Each token's ids in rising order, with their weights."""
    ends = np.cumsum(stored.lengths, dtype=np.int64)
    for start, end in zip(ends - stored.lengths, ends, strict=True):
        order = np.argsort(stored.ids[start:end])
        yield stored.ids[start:end][order], stored.weights[start:end][order]


def _vocabulary(spec: FieldSpec) -> Any:
    if spec.terms is None:
        raise MismatchError(f"field {spec.field!r} has no terms to export")
    encoder = load_term_encoder(spec.terms.name)
    if encoder.fingerprint != spec.terms.fingerprint:
        raise MismatchError(
            f"the index was made with term encoder {spec.terms.name!r} of fingerprint {spec.terms.fingerprint}, which "
            f"is {encoder.fingerprint} here: its vocabulary may be another"
        )
    return encoder.vocabulary
