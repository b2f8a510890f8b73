"""Fill an index with documents: the function that the `osmv index` command and programs call."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.encoding.codecs import DEFAULT_CODEC, codec_named
from opensearch_multivector.encoding.encoders.base import Encoder, TermEncoder
from opensearch_multivector.encoding.reductions import Reducer, described, parse_reductions
from opensearch_multivector.errors import InputError, OsmvError
from opensearch_multivector.indexing import target
from opensearch_multivector.indexing.bulk import BulkSender
from opensearch_multivector.indexing.checkpoints import Checkpoint, CheckpointStore
from opensearch_multivector.indexing.choices import check_no_vectors, check_pooled, check_terms, default_sub_fields
from opensearch_multivector.indexing.dead_letters import DeadLetters, Rejection
from opensearch_multivector.indexing.document import DocumentMaker
from opensearch_multivector.indexing.hints import hint
from opensearch_multivector.indexing.ledger import Mark
from opensearch_multivector.indexing.patience import SaidOnce
from opensearch_multivector.indexing.readers import STDIN, Documents, Entry, Reader, open_reader
from opensearch_multivector.indexing.records import Layout, RejectedError
from opensearch_multivector.indexing.run import IndexRun, Limits, Progress
from opensearch_multivector.indexing.training import Stopped, trained
from opensearch_multivector.plugin.artifacts import load_state
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import DEFAULT_FIELD, READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.plugin.mapping import Bm25Parameters
from opensearch_multivector.plugin.sub_fields import SubField

_LOOK_AT = 64


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """What a run did: ``read == indexed + rejected``.

    ``read``, ``indexed``, ``rejected``, ``truncated`` and ``vector_bytes`` (size of the stored blobs) count from the
    first line, also where the run was interrupted and resumed: ``resumed_from`` is the last line that was done before
    (0: none). ``seconds``, ``docs_per_second`` and ``bytes_sent`` are of this call alone. ``rejections``: the first
    few of this call; all are in ``dead_letters`` (None: there are none). ``interrupted``: stopped before the end.
    """

    index: str
    source: str
    read: int
    indexed: int
    rejected: int
    truncated: int
    vector_bytes: int
    resumed_from: int
    seconds: float
    docs_per_second: float
    bytes_sent: int
    dead_letters: str | None
    rejections: tuple[Rejection, ...] = ()
    interrupted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As `osmv index --json` prints it."""
        return asdict(self)


def index_documents(
    client: OpenSearch,
    index: str,
    documents: Documents,
    *,
    encoder: Encoder | None,
    term_encoder: TermEncoder | None = None,
    codec: str = DEFAULT_CODEC,
    field: str = DEFAULT_FIELD,
    layout: Layout | None = None,
    vectors: Path | None = None,
    no_vectors: bool = False,
    shards: int = 1,
    replicas: int = 0,
    sub_fields: Sequence[SubField] | None = None,
    reduce: str = "",
    training_queries: Sequence[str] = (),
    bm25: Bm25Parameters | None = None,
    analyzer: str | None = None,
    dead_letters: Path | None = None,
    restart: bool = False,
    limits: Limits | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    message: Callable[[str], None] = lambda _: None,
    stop: threading.Event | None = None,
) -> IndexSummary:
    """Index documents with their token vectors; a run that was interrupted goes on where it stood.

    ``sub_fields``: what is stored beside the token vectors (default: the pooled vector, and SLIM's terms with a
    ``term_encoder``); ``reduce``: reductions that token vectors go through first, such as ``"pool:factor=2"``. What of
    these needs training is trained on a sample before the first document goes in, and on ``training_queries``.

    ``documents``: a BEIR folder, a JSONL (plain or gzip), Parquet, `.npz` or `.npy` file, ``"-"`` for JSON lines on
    standard input, or mappings. ``encoder`` None: they bring token vectors, in the layout's ``vectors_field`` or in the
    file ``vectors``, unless the index is to hold none at all (``no_vectors``), for BM25, terms and ready pooled vectors
    alone. Terms likewise come from ``term_encoder`` or in the layout's ``terms_field``, and a pooled vector
    of any other model in ``pooled_field``, for ``Dense(dim=...)``.

    The index is made where it is absent (``shards``, ``replicas``; ``bm25`` and ``analyzer`` of its texts, None:
    OpenSearch's own parameters, `english`). Bad documents are left out and written to ``dead_letters`` (default
    `INDEX.DOCS.dead.jsonl`, anew with each run). ``message`` gets sentences for people; ``stop``, once set, ends the
    run early and in order.

    Raises InputError on unusable options or input, MismatchError where the index is of another encoder, dimension or
    codec, ClusterError where the cluster gives up.
    """
    codec_named(codec)
    layout = replace(layout or Layout(), field=field, ready=encoder is None and not no_vectors)
    if sub_fields is None:
        sub_fields = default_sub_fields(bool(term_encoder or layout.terms_field), no_vectors)
    if no_vectors:
        if encoder or vectors or reduce:
            raise InputError("an index without token vectors has no use for an encoder, vectors or reductions")
        check_no_vectors(sub_fields)
        brought = bool(layout.terms_field or layout.pooled_field)
        layout = replace(layout, text_optional=brought and term_encoder is None)
    check_terms(sub_fields, term_encoder, layout)
    check_pooled(sub_fields, layout)
    limits = limits or Limits()
    stop = stop or threading.Event()
    reader = open_reader(documents, layout, vectors)
    if reader.ready and encoder is not None:
        raise InputError("these documents bring their token vectors: index them without an encoder")
    if reader.ready and no_vectors:
        raise InputError(f"{reader.name} holds token vectors alone, and the index is to have none")
    found = target.existing_spec(client, index, field)
    entries = reader.entries()
    reducer = _reducer(reduce, encoder, training_queries, new=found is None)
    dim = encoder.dim if encoder else 0 if no_vectors else found.encoder_dim if found else None
    head = list(islice(entries, _LOOK_AT if dim is None else 1))
    entries = chain(head, entries)
    if head and (unused := hint(reader, head[0], layout)):
        message(unused)
    if dim is None:
        dim = _commonest_dimension(reader, head)
    ready = None if no_vectors else EncoderRef(READY_VECTORS, "none")
    spec = FieldSpec(
        field=field,
        dim=reducer.out_dim(dim),
        codec="" if no_vectors else codec,
        vectors=EncoderRef(encoder.name, encoder.fingerprint) if encoder else ready,
        terms=_terms_ref(term_encoder, layout),
        text_fields=layout.text_fields,
        sub_fields=tuple(sub_fields),
        reduce=described(parse_reductions(reduce)),
        encoder_dim=dim,
    )
    if found:
        spec = load_state(client, replace(spec, artifacts=found.artifacts))
        target.check_match(index, spec, found)
        target.check_text(client, index, spec, bm25, analyzer)
    else:
        try:
            spec, entries = trained(
                client, spec, reader, entries, encoder, queries=training_queries, message=message, stop=stop
            )
        except Stopped:
            return IndexSummary(index, reader.name, 0, 0, 0, 0, 0, 0, 0.0, 0.0, 0, None, interrupted=True)
        target.make_index(client, index, spec, shards=shards, replicas=replicas, bm25=bm25, analyzer=analyzer)

    store = CheckpointStore(client, index, target.index_uuid(client, index), reader.name)
    letters = str((dead_letters or _dead_letters_of(index, documents)).resolve())
    if letters == reader.name:
        raise InputError(f"{letters} can't be the input and the dead letters at once: pass --dead-letters")
    checkpoint = None if restart else store.claim()
    if checkpoint:
        checkpoint, entries = _resume(reader, entries, checkpoint, message)
    if checkpoint and dead_letters and checkpoint.dead_letters != letters:
        raise InputError(
            f"the interrupted run writes its dead letters to {checkpoint.dead_letters}: leave --dead-letters away, "
            "or start over with --restart"
        )
    checkpoint = checkpoint or store.begin(reader.seed, letters)
    resumed = checkpoint.counts
    waiting = SaidOnce(message, limits.patience)
    run = IndexRun(
        reader,
        DocumentMaker(spec, encoder, term_encoder),
        BulkSender(client, index, patience=limits.patience, stop=stop, waiting=waiting),
        checkpoint,
        store,
        DeadLetters(Path(checkpoint.dead_letters), checkpoint.mark.line),
        limits=limits,
        progress=progress,
        waiting=waiting,
        stop=stop,
    )
    started = time.monotonic()
    try:
        finished = run.run(entries)
    except OsmvError as error:
        done = f"{run.counts.read:,} documents are done, the same command goes on from there"
        raise type(error)(f"{str(error).rstrip('.')} ({done})") from error
    with cluster_errors():
        client.indices.refresh(index=index)
    seconds = time.monotonic() - started
    counts = run.counts
    return IndexSummary(
        index=index,
        source=reader.name,
        read=counts.read,
        indexed=counts.indexed,
        rejected=counts.rejected,
        truncated=counts.truncated,
        vector_bytes=counts.vector_bytes,
        resumed_from=checkpoint.mark.line,
        seconds=round(seconds, 3),
        docs_per_second=round((counts.read - resumed.read) / max(seconds, 1e-3), 1),
        bytes_sent=run.bytes_sent,
        dead_letters=checkpoint.dead_letters if counts.rejected else None,
        rejections=tuple(run.rejections),
        interrupted=not finished,
    )


def _reducer(reduce: str, encoder: Encoder | None, training_queries: Sequence[str], *, new: bool) -> Reducer:
    """The reductions. Raises InputError where they can't work with what there is."""
    reducer = Reducer(parse_reductions(reduce))
    if reducer.needs_text and encoder is None:
        raise InputError(
            f"--reduce {reduce} works on the words of texts, and these documents bring vectors without their places in "
            "the text: use another reduction, or let an encoder make the vectors"
        )
    if training_queries and encoder is None:
        raise InputError("training queries are texts: they need an encoder, and these documents bring their vectors")
    if new and reducer.needs_queries and not training_queries:
        raise InputError(
            f"--reduce {reduce} learns from queries: name a file with some in --training-queries (pca learns without)"
        )
    return reducer


def _terms_ref(term_encoder: TermEncoder | None, layout: Layout) -> EncoderRef | None:
    if term_encoder:
        return EncoderRef(term_encoder.name, term_encoder.fingerprint)
    return EncoderRef(READY_VECTORS, "none") if layout.terms_field else None


def _dead_letters_of(index: str, documents: Documents) -> Path:
    """One file for each (index, source), as with checkpoints: runs of different sources leave each other's alone."""
    source = "documents"
    if isinstance(documents, str | Path):
        source = "stdin" if str(documents) == STDIN else Path(documents).resolve().name.split(".")[0]
    return Path(f"{index}.{source}.dead.jsonl")


def _commonest_dimension(reader: Reader, head: Sequence[Entry]) -> int:
    """Of the ready vectors of the first documents. Raises InputError where they have none."""
    dims: Counter[int] = Counter()
    first_reason = "there are no documents"
    for entry in reversed(head):
        try:
            record = reader.parse(entry)
        except RejectedError as rejected:
            first_reason = f"line {entry.line}: {rejected.reason}"
            continue
        if record.vectors is not None:
            dims[record.vectors.shape[1]] += 1
    if not dims:
        raise InputError(f"{reader.name} has no token vectors at its beginning ({first_reason})")
    return dims.most_common(1)[0][0]


def _resume(
    reader: Reader, entries: Iterator[Entry], checkpoint: Checkpoint, message: Callable[[str], None]
) -> tuple[Checkpoint | None, Iterator[Entry]]:
    """Entries beyond the checkpoint's; or all of them and no checkpoint, where the input is not what it was."""
    if _passed(reader, entries, checkpoint.mark):
        message(f"going on with the interrupted run of {reader.name} after line {checkpoint.mark.line:,}")
        return checkpoint, entries
    if not reader.rewindable:
        raise InputError(
            f"{reader.name} differs from what the interrupted run had read, and part of it is consumed: give it again "
            "with --restart"
        )
    message(f"{reader.name} or the options have changed since the interrupted run: starting at the first line")
    return None, reader.entries()


def _passed(reader: Reader, entries: Iterator[Entry], mark: Mark) -> bool:
    """Read up to the mark; whether the input up to there is the same as then."""
    if mark.line == 0:
        return mark.digest == reader.seed
    for entry in entries:
        if entry.line >= mark.line:
            return entry.line == mark.line and entry.digest == mark.digest
    return False
