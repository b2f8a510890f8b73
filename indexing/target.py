"""The index to fill: made where it is absent, checked against the run where it is there."""

from __future__ import annotations

from collections.abc import Sequence

from opensearchpy import OpenSearch

from opensearch_multivector import expressions
from opensearch_multivector.errors import MismatchError
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import TEXT, EncoderRef, FieldSpec
from opensearch_multivector.plugin.mapping import (
    DEFAULT_ANALYZER,
    Bm25Parameters,
    index_body,
    index_exists,
    read_spec,
)
from opensearch_multivector.plugin.sub_fields import SubField


def existing_spec(client: OpenSearch, index: str, field: str) -> FieldSpec | None:
    """The multi-vector field of an index; None where the index is absent.

    Raises MismatchError where the index has no such field.
    """
    if not index_exists(client, index):
        return None
    try:
        return read_spec(client, index, field)
    except MismatchError as error:
        raise MismatchError(
            f"{error}: `osmv index` fills indices that it made itself, so give another --index or --field"
        ) from None


def make_index(
    client: OpenSearch,
    index: str,
    spec: FieldSpec,
    *,
    shards: int,
    replicas: int,
    bm25: Bm25Parameters | None,
    analyzer: str | None,
) -> None:
    """Create the index with the field. Raises ClusterError also where OpenSearch has no such analyzer."""
    body = index_body(spec, shards=shards, replicas=replicas, analyzer=analyzer or DEFAULT_ANALYZER, bm25=bm25)
    with cluster_errors():
        client.indices.create(index=index, body=body)


def check_text(
    client: OpenSearch, index: str, spec: FieldSpec, bm25: Bm25Parameters | None, analyzer: str | None
) -> None:
    """Raise MismatchError where the index that is there scores texts otherwise; None: whatever it has."""
    if bm25 is None and analyzer is None:
        return
    text = spec.sub(TEXT)
    with cluster_errors():
        settings = client.indices.get_settings(index=index, name="index.similarity.default.*")
        mappings = client.indices.get_field_mapping(fields=text, index=index)
    differences = []
    for name, body in mappings.items():
        # An index that leaves them at their defaults is not in the answer.
        there = settings[name]["settings"]["index"]["similarity"]["default"] if name in settings else {}
        kind = there.get("type", "BM25")
        has = Bm25Parameters(**{key: float(there[key]) for key in ("k1", "b") if key in there})
        if bm25 is not None and (kind, has) != ("BM25", bm25):
            differences.append(f"{kind} of k1 {has.k1} and b {has.b}")
        has_analyzer = body["mappings"][text]["mapping"][TEXT].get("analyzer")
        if analyzer is not None and has_analyzer != analyzer:
            differences.append(f"analyzer {has_analyzer!r}")
    if differences:
        raise MismatchError(
            f"index {index!r} was made with {' and '.join(dict.fromkeys(differences))}: leave BM25's parameters and "
            "the analyzer away, or give another --index"
        )


def index_uuid(client: OpenSearch, index: str) -> str:
    """What tells this index from another that had or will have its name; of all indices behind an alias together."""
    with cluster_errors():
        settings = client.indices.get_settings(index=index, name="index.uuid")
    return ",".join(sorted(body["settings"]["index"]["uuid"] for body in settings.values()))


def check_match(index: str, wanted: FieldSpec, found: FieldSpec) -> None:
    """Raise MismatchError, naming each difference, where a run does not fit the index it is to fill."""
    pairs = {
        "encoder": (_name(found.vectors), _name(wanted.vectors)),
        "dimension": (found.dim, wanted.dim),
        "codec": (found.codec or "none", wanted.codec or "none"),
        "term encoder": (_name(found.terms), _name(wanted.terms)),
        "text fields": (", ".join(found.text_fields), ", ".join(wanted.text_fields)),
        "reductions": (found.reduce or "none", wanted.reduce or "none"),
        "sub-fields": (_names(found.sub_fields), _names(wanted.sub_fields)),
        "artifacts": (dict(found.artifacts), dict(wanted.artifacts)),
    }
    differences = [f"{what} {there!s}, this run {here!s}" for what, (there, here) in pairs.items() if there != here]
    if differences:
        raise MismatchError(
            f"index {index!r} was made with {'; '.join(differences)}: use what the index was made with, or give "
            "another --index"
        )


def _name(encoder: EncoderRef | None) -> str:
    return f"{encoder.name} (fingerprint {encoder.fingerprint or 'none'})" if encoder else "none"


def _names(sub_fields: Sequence[SubField]) -> str:
    return ", ".join(expressions.text(sub_field) for sub_field in sub_fields) or "none"
