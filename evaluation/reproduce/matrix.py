"""The matrix of a reproduction: a YAML file of collections and of rows, each a way to search and its published figures.

::

    title: What the file is about
    collections:
      scifact: {folder: scifact, documents: beir/scifact, topics: beir/scifact/test, qrels: beir/scifact/test}
    rows:
      - name: bm25
        collection: scifact
        index: {no_vectors: true, bm25_k1: 0.9, bm25_b: 0.4, analyzer: english}
        search: {first_stage: bm25, size: 1000}
        expected: {"nDCG@10": 0.679, "R@100": 0.925}
        tolerance: 0.005
        source: Where the figures are printed

The keys of each part are the fields of its class here. Anchors (``index: &name {...}``, ``index: *name``) let rows
share a part. Matrices that the package carries lie in ``evaluation/matrices``.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from opensearch_multivector.encoding.codecs import DEFAULT_CODEC, codec_named
from opensearch_multivector.encoding.reductions import parse_reductions
from opensearch_multivector.errors import InputError, MissingDependencyError
from opensearch_multivector.evaluation.collection.corpus_index import needed_sub_fields, needs_terms
from opensearch_multivector.evaluation.evaluate import Configuration
from opensearch_multivector.evaluation.measures import parse_measure
from opensearch_multivector.plugin.sub_fields import SubField, parse_sub_fields
from opensearch_multivector.queries.request import DEFAULT_FUSION, SearchRequest

DEFAULT_TOLERANCE = 0.005
NONE = "none"
_MATRIX_KEYS = ("title", "collections", "rows")

Part = TypeVar("Part")
_KINDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}


@dataclass(frozen=True, slots=True)
class CollectionChoice:
    """A test collection. ``documents``, ``topics``, ``qrels``: each a path below the data folder, or a name (of
    ir_datasets; topics and judgements also as `evaluation.topics` knows them). ``folder``: a BEIR folder below the data
    folder, with the judgements of ``split``; where it is there, the names are not asked for.
    """

    folder: str = ""
    split: str = "test"
    documents: str = ""
    topics: str = ""
    qrels: str = ""

    def __post_init__(self) -> None:
        named = (self.documents, self.topics, self.qrels)
        if not self.folder and not all(named):
            raise InputError("give documents, topics and qrels, or folder")
        if any(named) and not all(named):
            raise InputError("documents, topics and qrels go together")


@dataclass(frozen=True, slots=True)
class IndexChoice:
    """How the documents are indexed; the names are those of `osmv index`.

    ``encoder``: ``none`` where documents bring their token vectors; not needed with ``no_vectors``. ``terms``: the
    term encoder, where the search needs terms that documents don't bring.
    """

    encoder: str | None = None
    max_length: int | None = None
    query_length: int | None = None
    terms: str | None = None
    codec: str = DEFAULT_CODEC
    sub_fields: tuple[str, ...] = ()
    reduce: str = ""
    no_vectors: bool = False
    bm25_k1: float | None = None
    bm25_b: float | None = None
    analyzer: str | None = None
    id_field: str | None = None
    text_field: str = "text"
    title_field: str = "title"
    vectors_field: str = "vectors"
    terms_field: str | None = None
    pooled_field: str | None = None

    def __post_init__(self) -> None:
        codec_named(self.codec)
        parse_reductions(self.reduce)
        parse_sub_fields(self.sub_fields)
        if self.encoder is None and not self.no_vectors:
            raise InputError("name an encoder, or say no_vectors: true where only words or terms are searched")
        if self.encoder is not None and self.no_vectors:
            raise InputError("an index with no_vectors: true has no use for an encoder: leave one of them away")


@dataclass(frozen=True, slots=True)
class SearchChoice:
    """How it is searched; the names are those of `osmv eval`. ``min_idf``: with ``as_pyserini``. ``remove_query``: a
    document with the id of its query is no hit, as BEIR and Pyserini's ``--remove-query`` have it.
    """

    first_stage: str
    rerank: str | None = None
    size: int = 1000
    window_size: int = 1000
    fusion: str = DEFAULT_FUSION
    as_pyserini: bool = False
    min_idf: int = 0
    remove_query: bool = False

    def __post_init__(self) -> None:
        if self.rerank == NONE:
            object.__setattr__(self, "rerank", None)
        # Raises where the values make no sense.
        SearchRequest(
            "any",
            first_stage=self.first_stage,
            rerank=self.rerank,
            size=self.size,
            window_size=self.window_size,
            fusion=self.fusion,
        )

    @property
    def configuration(self) -> Configuration:
        """What is evaluated."""
        return Configuration(self.first_stage, self.rerank)


@dataclass(frozen=True, slots=True)
class Row:
    """A figure to reproduce. ``expected``: values from 0 to 1 by ir-measures' names; ``tolerance``: how far each may be
    off; ``minutes``: how long it takes on two cores, None where nobody knows; ``note``: what differs from the source.
    """

    name: str
    collection: str
    index: IndexChoice
    search: SearchChoice
    expected: Mapping[str, float]
    source: str
    tolerance: float = DEFAULT_TOLERANCE
    minutes: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.source.strip():
            raise InputError("name and source can't be empty")
        if not self.name.isprintable():
            raise InputError("name holds a control character")
        if not self.expected:
            raise InputError("expected has no figure")
        object.__setattr__(self, "expected", {str(parse_measure(name)): value for name, value in self.expected.items()})
        for name, value in self.expected.items():
            if not 0 <= value <= 1:
                raise InputError(f"expected: {name} is {value}; figures are from 0 to 1, so divide a percentage by 100")
        if not 0 < self.tolerance < 1:
            raise InputError(f"tolerance is {self.tolerance}; it lies between 0 and 1")
        reads_terms = needs_terms([self.search.configuration]) or any(each.needs_terms for each in self.sub_fields)
        if reads_terms and not self.index.terms and not self.index.terms_field:
            raise InputError("terms are needed: name their encoder (terms) or the documents' field (terms_field)")

    def as_json(self) -> dict[str, Any]:
        """In JSON's types, as it is kept in files."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @property
    def sub_fields(self) -> tuple[SubField, ...]:
        """Those of the index: the given ones, and what the search needs beside them."""
        return needed_sub_fields([self.search.configuration], parse_sub_fields(self.index.sub_fields))


@dataclass(frozen=True, slots=True)
class Matrix:
    """A file of rows. ``name``: the file's, without its ending."""

    name: str
    title: str
    collections: Mapping[str, CollectionChoice]
    rows: tuple[Row, ...]


def shipped() -> list[str]:
    """The names of the matrices that the package carries."""
    folder = files("opensearch_multivector.evaluation").joinpath("matrices")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def open_matrix(name: str) -> Matrix:
    """A matrix by its file's path, or by the name of one that the package carries.

    Raises InputError naming file, row and key, MissingDependencyError without PyYAML or ir-measures.
    """
    if name in shipped():
        carried = files("opensearch_multivector.evaluation").joinpath("matrices", f"{name}.yaml")
        return parse_matrix(carried.read_text(encoding="utf-8"), f"{name}.yaml", name)
    path = Path(name)
    if not path.is_file():
        raise InputError(f"{name}: no such file, and no matrix of this name: there are {', '.join(shipped())}.")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: can't be read ({error}).") from None
    return parse_matrix(text, str(path), path.stem)


def open_matrices(names: Sequence[str]) -> list[Matrix]:
    """As `open_matrix`. Raises InputError also where two are of one name, as results are kept by it."""
    matrices: dict[str, Matrix] = {}
    for each in names:
        matrix = open_matrix(each)
        if matrices.setdefault(matrix.name, matrix) is not matrix:
            raise InputError(f"{each}: another of the given matrices is called {matrix.name}, too.")
    return list(matrices.values())


def choose_rows(
    matrices: Sequence[Matrix], patterns: Sequence[str], minutes: float | None = None
) -> list[tuple[Matrix, Row]]:
    """Rows with a name of one of the patterns (``colbert*``), of those that take at most ``minutes``.

    Raises InputError on a pattern that no row's name has.
    """
    rows = [(matrix, row) for matrix in matrices for row in matrix.rows]
    for pattern in patterns:
        if not any(fnmatchcase(row.name, pattern) for _, row in rows):
            raise InputError(f"no row is called {pattern!r}; rows are {', '.join(row.name for _, row in rows)}.")
    chosen = [(matrix, row) for matrix, row in rows if any(fnmatchcase(row.name, pattern) for pattern in patterns)]
    if minutes is None:
        return chosen
    quick = [(matrix, row) for matrix, row in chosen if row.minutes is not None and row.minutes <= minutes]
    if not quick:
        raise InputError(f"no row is said to take {minutes:g} minutes or less.")
    return quick


def parse_matrix(text: str, file: str, name: str) -> Matrix:
    """A matrix from its YAML; ``file`` is what errors call it. Raises as `open_matrix`."""
    loaded = _load(text, file)
    if not isinstance(loaded, dict):
        raise InputError(f"{file}: a matrix has the keys title, collections and rows.")
    _check_keys(loaded, file, _MATRIX_KEYS, _MATRIX_KEYS)
    collections, rows = loaded["collections"], loaded["rows"]
    if not isinstance(collections, dict) or not isinstance(rows, list) or not rows:
        raise InputError(f"{file}: collections are a mapping by name, rows a list with at least one.")
    known = {
        str(each): _part(CollectionChoice, entry, f"{file}: collection {each!r}") for each, entry in collections.items()
    }
    parsed: dict[str, Row] = {}
    for number, entry in enumerate(rows, start=1):
        called = entry.get("name") if isinstance(entry, dict) else None
        where = f"{file}: row {called!r}" if called else f"{file}: row {number}"
        row = _part(Row, entry, where)
        if row.collection not in known:
            raise InputError(f"{where}: collection: there is no {row.collection!r}{_close(row.collection, known)}.")
        # Also where only the case differs: each row has a folder, and some file systems don't tell these apart.
        if parsed.setdefault(row.name.casefold(), row) is not row:
            raise InputError(f"{where}: name: another row is called so, too.")
    return Matrix(name, _value(loaded["title"], str, f"{file}: title"), known, tuple(parsed.values()))


def _part(cls: type[Part], given: Any, where: str) -> Part:
    """An object of a class from a mapping of its fields."""
    if not isinstance(given, dict):
        raise InputError(f"{where}: takes keys and values, not {given!r}.")
    members = fields(cls)  # type: ignore[arg-type]  # a type variable can't say that it is a dataclass
    required = [each.name for each in members if each.default is MISSING]
    _check_keys(given, where, [each.name for each in members], required)
    hints = get_type_hints(cls)
    values = {key: _value(value, hints[key], f"{where}: {key}") for key, value in given.items()}
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"{where}: {str(error).rstrip('.')}.") from None


def _check_keys(given: Mapping[Any, Any], where: str, known: Sequence[str], required: Iterable[str]) -> None:
    for key in given:
        if key not in known:
            raise InputError(f"{where}: unknown key {key!r}{_close(str(key), known)}; keys are {', '.join(known)}.")
    for key in required:
        if key not in given:
            raise InputError(f"{where}: the key {key!r} is missing.")


def _value(value: Any, hint: Any, where: str) -> Any:
    """A value of YAML as the type of a field, which may be another part."""
    if isinstance(hint, UnionType):
        if value is None:
            return None
        (hint,) = (each for each in get_args(hint) if each is not NoneType)
    origin = get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where}: takes a list, not {value!r}.")
        return tuple(_value(each, get_args(hint)[0], where) for each in value)
    if origin is not None:
        if not isinstance(value, dict):
            raise InputError(f"{where}: takes keys and values, not {value!r}.")
        return {str(key): _value(each, get_args(hint)[1], f"{where}: {key}") for key, each in value.items()}
    if hint not in _KINDS:
        return _part(hint, value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    # bool is an int to Python, but not to whoever writes a matrix.
    if type(value) is not hint or value != value:
        raise InputError(f"{where}: takes {_KINDS[hint]}, not {value!r}.")
    return value


def _load(text: str, file: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise MissingDependencyError('matrices need PyYAML: pip install "opensearch-multivector[eval]".') from None

    try:
        for key in _given_twice(yaml.compose(text, yaml.SafeLoader), set()):
            raise InputError(f"{file}:{key.start_mark.line + 1}: the key {key.value!r} is given twice.")
        return yaml.safe_load(text)
    except RecursionError:
        raise InputError(f"{file}: is nested too deeply to be a matrix.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise InputError(f"{file}{line}: {getattr(error, 'problem', None) or error}.") from None


def _given_twice(node: Any, seen: set[int]) -> Iterator[Any]:
    """Keys that PyYAML would take silently the last of. ``seen``: nodes looked at; aliases may go in circles."""
    if node is None or id(node) in seen or isinstance(node.value, str):
        return
    seen.add(id(node))
    if node.id == "sequence":
        for entry in node.value:
            yield from _given_twice(entry, seen)
        return
    keys: set[str] = set()
    for key, value in node.value:
        if isinstance(key.value, str) and key.value in keys:
            yield key
        keys.add(str(key.value))
        yield from _given_twice(value, seen)


def _close(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f", did you mean {close[0]!r}" if close else ""
