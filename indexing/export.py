"""The vectors of an index back into files: token vectors as `.npz` or JSON lines, term weights for Pyserini.

Documents come by a scroll, a page at a time, and each is written as it comes. A file appears under its name only when
it is whole, several of a folder together.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pybase64
from opensearchpy import OpenSearch
from opensearchpy.helpers import scan

from opensearch_multivector.encoding.codecs import decode_blob
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.encoding.sparsify import term_of
from opensearch_multivector.errors import BlobError, InputError, MismatchError
from opensearch_multivector.indexing.export_slim import SlimFolder
from opensearch_multivector.indexing.sub_fields.base import json_row
from opensearch_multivector.plugin.artifacts import load_state
from opensearch_multivector.plugin.cluster_errors import cluster_errors
from opensearch_multivector.plugin.fields import DEFAULT_FIELD, VECTORS, FieldSpec, without_field
from opensearch_multivector.plugin.mapping import read_spec
from opensearch_multivector.plugin.sub_fields import Slim

_PAGE = 100
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Exported:
    """``without``: documents left out as they have nothing to write; ``unreadable``: as their vectors are damaged.

    ``damaged``: ids of some of the latter. ``fractions``: weights were written that are no whole numbers.
    """

    file: str
    documents: int
    without: int
    unreadable: int
    damaged: list[str]
    fractions: bool

    def to_dict(self) -> dict[str, Any]:
        """As `osmv export-vectors --json` prints it."""
        return asdict(self)


class _Form(Protocol):
    """A file, or a folder of files, being written.

    ``docvalues``, ``source``: what it needs of a hit; ``sort``: the order in which it takes them.
    """

    docvalues: list[str]
    source: bool | list[str]
    sort: str
    fractions: bool

    def write(self, hit: dict[str, Any]) -> bool:
        """Write a document; False where it has nothing to write. Raises BlobError."""

    def close(self) -> None:
        """Bring what is left into the file."""


def export_vectors(
    client: OpenSearch,
    index: str,
    folder: Path,
    form: str,
    *,
    field: str = DEFAULT_FIELD,
    scale: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Exported:
    """Write an index's vectors into ``folder``, which is made where it is absent; in most forms into one file there.

    ``form``: a key of `FORMS`. ``scale``: term weights are multiplied by it and rounded to whole numbers, those of 0
    left out. ``progress`` is called with the documents done and all there are.

    Raises InputError on another form and where the file can't be written, MismatchError where the index has no such
    vectors, ClusterError.
    """
    if form not in FORMS:
        raise InputError(f"unknown format {form!r}: choose of {', '.join(FORMS)}")
    if scale is not None and form not in ("JsonVectorCollection", "slim"):
        raise InputError(f"a scale is for the term weights of JsonVectorCollection and slim, not for {form}")
    if scale is not None and not 0 < scale < float("inf"):
        raise InputError(f"the scale must be a number above 0, not {scale}")
    spec = load_state(client, read_spec(client, index, field))
    suffix, make = FORMS[form]
    path = folder / f"{index}{suffix}"
    with cluster_errors():
        total = int(client.count(index=index)["count"])
    done = without = unreadable = 0
    damaged: list[str] = []
    with _whole(path) as unfinished, closing(make(unfinished, spec, scale)) as writer:
        for hit in _hits(client, index, writer):
            try:
                without += not writer.write(hit)
            except BlobError:
                unreadable += 1
                damaged += [hit["_id"]] if len(damaged) < _SHOWN else []
            done += 1
            if done % _PAGE == 0:
                progress(done, total)
    progress(done, total)
    return Exported(
        str(path if suffix else folder), done - without - unreadable, without, unreadable, damaged, writer.fractions
    )


def _hits(client: OpenSearch, index: str, writer: _Form) -> Iterator[dict[str, Any]]:
    body: dict[str, Any] = {
        "query": {"match_all": {}},
        "sort": [writer.sort],
        "_source": writer.source,
        "docvalue_fields": writer.docvalues,
    }
    with cluster_errors():
        yield from scan(client, query=body, index=index, size=_PAGE, preserve_order=True)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A path to write to, moved to ``path`` at the end; what is left of an unfinished one is removed.

    Of a folder that was made there the files are moved to where ``path`` would be.
    """
    # Hidden, so that a reader of the folder passes over it.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        if unfinished.is_dir():
            for file in unfinished.iterdir():
                file.replace(path.with_name(file.name))
        else:
            unfinished.replace(path)
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror or error}") from None
    finally:
        if unfinished.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
        with suppress(OSError):
            unfinished.unlink()


class _TokenVectors:
    """What the two forms of token vectors have in common."""

    fractions = False
    sort = "_doc"

    def __init__(self, spec: FieldSpec) -> None:
        spec.need_vectors("an export of token vectors")
        self._spec = spec
        self._field = spec.sub(VECTORS)
        self.docvalues = [self._field]

    def _vectors(self, hit: dict[str, Any]) -> FloatArray | None:
        values = hit.get("fields", {}).get(self._field)
        if not values:
            return None
        try:
            blob = pybase64.b64decode(values[0] + "=" * (-len(values[0]) % 4), validate=True)
        except ValueError:
            raise BlobError("the value is no base64") from None
        with np.errstate(over="ignore", invalid="ignore"):
            vectors = decode_blob(blob, self._spec.codebook)
        if not np.isfinite(vectors).all():  # which no JSON holds, and nothing takes that reads the file
            raise BlobError("the token vectors hold NaN or infinity")
        return vectors


class _Npz(_TokenVectors):
    """One array (n_tokens, dim) float32 a document, named by its id, as `osmv index --vectors` reads it."""

    source: bool | list[str] = False

    def __init__(self, path: Path, spec: FieldSpec, scale: float | None) -> None:
        super().__init__(spec)
        self._archive = zipfile.ZipFile(path, "w", allowZip64=True)

    def write(self, hit: dict[str, Any]) -> bool:
        vectors = self._vectors(hit)
        if vectors is None:
            return False
        if "\0" in hit["_id"]:
            raise InputError(
                f"the id {hit['_id']!r} holds a NUL, at which names in a .npz end: export as jsonl, which holds any id"
            )
        # A date of its own (1980) for every file: equal vectors give equal archives.
        with self._archive.open(zipfile.ZipInfo(f"{hit['_id']}.npy"), "w", force_zip64=True) as member:
            np.lib.format.write_array(member, np.ascontiguousarray(vectors, np.float32), allow_pickle=False)
        return True

    def close(self) -> None:
        self._archive.close()


class _Lines(_TokenVectors):
    """A JSON object a line: `_id`, the document's own fields and `vectors`, as `osmv index` reads it."""

    source: bool | list[str] = True

    def __init__(self, path: Path, spec: FieldSpec, scale: float | None) -> None:
        super().__init__(spec)
        self._file = path.open("w", encoding="utf-8")

    def write(self, hit: dict[str, Any]) -> bool:
        vectors = self._vectors(hit)
        if vectors is None:
            return False
        own = {"_id": hit["_id"]} | without_field(hit["_source"], self._spec.field)
        rows = ",".join(map(json_row, np.asarray(vectors)))
        self._file.write(f'{json.dumps(own, ensure_ascii=False)[:-1]}, "vectors": [{rows}]}}\n')
        return True

    def close(self) -> None:
        self._file.close()


class _VectorCollection:
    """Pyserini's `JsonVectorCollection`: `id`, `contents` and `vector`, {term: weight}."""

    sort = "_doc"

    def __init__(self, path: Path, spec: FieldSpec, scale: float | None) -> None:
        slim = spec.need(Slim, "the export of term weights")
        if not slim.keep:
            raise MismatchError(
                f"{spec.sub(Slim.name)} holds its weights in the inverted index only, from which they don't come back: "
                "index with --sub-field slim:keep=true"
            )
        self._spec, self._scale = spec, scale
        self._field = spec.sub(Slim.name)
        self.docvalues: list[str] = []
        self.source: bool | list[str] = [self._field, *spec.text_fields]
        self.fractions = False
        self._file = path.open("w", encoding="utf-8")

    def write(self, hit: dict[str, Any]) -> bool:
        weights = hit.get("_source", {}).get(self._field)
        if not weights:
            return False
        vector = {term_of(feature): self._weight(weight) for feature, weight in weights.items()}
        line = {
            "id": hit["_id"],
            "contents": self._spec.text_of(hit["_source"]),
            "vector": {term: weight for term, weight in vector.items() if weight},
        }
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        return True

    def _weight(self, weight: float) -> float:
        if self._scale is not None:
            return round(weight * self._scale)
        if weight == int(weight):
            return int(weight)
        self.fractions = True
        return weight

    def close(self) -> None:
        self._file.close()


FORMS: dict[str, tuple[str, Callable[[Path, FieldSpec, float | None], _Form]]] = {
    "JsonVectorCollection": (".jsonl", _VectorCollection),
    "jsonl": (".jsonl", _Lines),
    "npz": (".npz", _Npz),
    "slim": ("", SlimFolder),
}
