"""What has to be learnt from a sample of the documents before the first one can be indexed.

The cluster keeps it (`plugin.artifacts`); later runs into the same index load it and learn nothing anew. To add a kind:
a function in `TRAINERS`, and the kind in the `artifact` of the sub-field that can't do without it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from opensearchpy import OpenSearch

from opensearch_multivector.encoding.codebook_training import TOKENS_A_CENTROID, codebook_size, train_codebook
from opensearch_multivector.encoding.content import Arrays
from opensearch_multivector.encoding.encoders.base import Encoder
from opensearch_multivector.encoding.reductions import Reducer, parse_reductions
from opensearch_multivector.encoding.subvector_terms import train_subvectors
from opensearch_multivector.indexing.readers import Entry, Reader
from opensearch_multivector.indexing.sampling import MAX_FLOATS, Sample, draw_sample
from opensearch_multivector.plugin.artifacts import make_artifact, put_artifact, with_state
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Codes, Pq

Progress: TypeAlias = Callable[[int, int], None]


class Stopped(Exception):  # noqa: N818
    """The run was stopped while it learnt: nothing has been indexed."""


def trained(
    client: OpenSearch | None,
    spec: FieldSpec,
    reader: Reader,
    entries: Iterator[Entry],
    encoder: Encoder | None,
    *,
    queries: Sequence[str] = (),
    message: Callable[[str], None],
    stop: threading.Event,
) -> tuple[FieldSpec, Iterator[Entry]]:
    """The description with every artifact that it needs trained, stored in the cluster and loaded; entries to index.

    ``client`` None: nothing is stored, which does for trying what a document would become.
    ``queries``: examples of them, for reductions that learn from queries.
    Raises Stopped once ``stop`` is set, InputError where there is nothing to learn from, ClusterError.
    """
    reducer = Reducer(parse_reductions(spec.reduce))
    kinds = needed_kinds(spec)
    if not kinds and not reducer.needs_training:
        return spec, entries

    def telling(what: str) -> Progress:
        return _telling(what, message, stop)

    codes = spec.find(Codes)
    wanted = TOKENS_A_CENTROID * codes.centroids * spec.encoder_dim if codes else 0
    sample, entries = draw_sample(
        reader,
        entries,
        encoder,
        spec.encoder_dim,
        floats=max(MAX_FLOATS, wanted),
        progress=telling("encoding a sample"),
    )
    if reducer.needs_training:
        message(f"training the reductions {spec.reduce} on {len(sample.tokens):,} documents, {len(queries):,} queries")
        examples = [encoded.vectors for encoded in encoder.encode(queries, "query")] if encoder and queries else []
        arrays = reducer.train(sample.tokens, examples)
        info = {"reduce": spec.reduce, "sampled_documents": len(sample.tokens), "sampled_queries": len(examples)}
        spec = _stored(client, spec, "projection", arrays, info)
        reducer = Reducer(parse_reductions(spec.reduce), spec.state["projection"])
    sample = replace(sample, tokens=[reducer.document(tokens) for tokens in sample.tokens])
    for kind in kinds:
        arrays, info = TRAINERS[kind](spec, sample, telling(f"training the {kind}"))
        spec = _stored(client, spec, kind, arrays, {"sampled_documents": len(sample.tokens), **info})
        if client is not None:
            message(f"{kind} {spec.artifacts[kind]} is stored in the cluster: {_listed(info)}")
    return spec, entries


def needed_kinds(spec: FieldSpec) -> list[str]:
    """Kinds of artifacts that the sub-fields and the codec work with, reductions aside."""
    kinds = {sub_field.artifact for sub_field in spec.sub_fields}
    if spec.codec.startswith("residual"):
        kinds.add("codebook")
    return [kind for kind in TRAINERS if kind in kinds]


def _codebook(spec: FieldSpec, sample: Sample, progress: Progress) -> tuple[Arrays, dict[str, Any]]:
    vectors = sample.vectors
    codes = spec.find(Codes)
    # Of a stream's length nothing is known: as many centroids as the sample is good for.
    tokens = len(vectors) ** 2 if sample.token_count is None else sample.token_count
    size = codes.centroids if codes and codes.centroids else codebook_size(tokens, len(vectors))
    codebook = train_codebook(vectors, size, tokens_per_document=len(vectors) / len(sample.tokens), progress=progress)
    info = {
        "centroids": codebook.size,
        "dim": codebook.dim,
        "sampled_tokens": len(vectors),
        "mean_similarity": round(codebook.mean_similarity, 4),
    }
    return codebook.arrays(), info


def _subvectors(spec: FieldSpec, sample: Sample, progress: Progress) -> tuple[Arrays, dict[str, Any]]:
    pq = spec.need(Pq, "training sub-vectors")
    codebook = train_subvectors(sample.pooled, pq.parts_of(sample.pooled.shape[1]), pq.centroids, progress=progress)
    return codebook.arrays(), {"parts": codebook.parts, "centroids": codebook.size, "dim": codebook.dim}


TRAINERS: Mapping[str, Callable[[FieldSpec, Sample, Progress], tuple[Arrays, dict[str, Any]]]] = {
    "codebook": _codebook,
    "subvectors": _subvectors,
}


def _stored(client: OpenSearch | None, spec: FieldSpec, kind: str, arrays: Arrays, info: dict[str, Any]) -> FieldSpec:
    artifact = make_artifact(kind, arrays, info)
    if client is not None:
        put_artifact(client, artifact)
    return with_state(spec, [artifact])


def _telling(what: str, message: Callable[[str], None], stop: threading.Event) -> Progress:
    told = -1

    def progress(done: int, total: int) -> None:
        nonlocal told
        if stop.is_set():
            raise Stopped
        quarter = 4 * done // total
        if quarter > told:
            told = quarter
            message(f"{what}: {done:,} of {total:,}")

    return progress


def _listed(info: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:,}" for name, value in info.items())
