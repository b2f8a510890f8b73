"""To go on with an index that was restored from a snapshot: to OpenSearch it is another one of the same name."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import MismatchError
from opensearch_multivector.indexing.attach.host import random_documents
from opensearch_multivector.indexing.backfill.beside import text_wanted
from opensearch_multivector.indexing.backfill.load import load_spec
from opensearch_multivector.plugin.attachments import (
    NEW,
    Attachment,
    concrete_index,
    get_attachment,
    update_attachment,
)
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.documents import get_documents
from opensearch_multivector.plugin.fields import DEFAULT_FIELD, HASH, FieldSpec, values_at

_LOOK_AT = 1_000
_PAGE = 200


def adopt(client: OpenSearch, index: str, field: str = DEFAULT_FIELD) -> tuple[Attachment, bool]:
    """Take the index of that name, as it is now, for the one that the field was attached to.

    The attachment, and whether anything was changed: not where the index is that of before. Followers then begin with
    a look at every document, and filling goes on where it was paused. Of a sidecar 1,000 documents, picked evenly, are
    held against the index first.

    Raises MismatchError where nothing of that name is attached, where what is stored is of another field or codebook,
    where the sidecar is not that of this index, or is of later writes than it has; ClusterError.
    """
    attachment = get_attachment(client, index, field)
    name, uuid = concrete_index(client, attachment.index)
    if uuid == attachment.index_uuid:
        return attachment, False
    _check_settled(attachment)
    spec = load_spec(client, attachment)
    if attachment.is_beside:
        with cluster_errors():
            client.indices.refresh(index=f"{attachment.index},{attachment.target}")
        _check_fits(client, attachment, spec)

    def unchanged(there: Attachment) -> None:
        _check_settled(there)
        if there.index_uuid != attachment.index_uuid:
            raise MismatchError(f"somebody else has just changed what is known of field {field!r}: try again")

    now = datetime.now(UTC).isoformat()
    changed = update_attachment(client, name, field, check=unchanged, index_uuid=uuid, made_at=now, paused=False)
    return changed, True


def _check_settled(attachment: Attachment) -> None:
    """Raise MismatchError where a field is being taken away, or its index copied."""
    index, field = attachment.index, attachment.field
    if attachment.detaching:
        raise MismatchError(f"field {field!r} of index {index!r} is being detached: let `osmv detach` end that")
    if attachment.mode == NEW or attachment.source:
        raise MismatchError(
            f"index {index!r} was being replaced by a copy when the snapshot was taken: `osmv detach` and attach again"
        )


def _check_fits(client: OpenSearch, attachment: Attachment, spec: FieldSpec) -> None:
    """Raise MismatchError where a document of the sidecar can't be of this index."""
    hash_field = spec.sub(HASH)
    beside = list(random_documents(client, attachment.target, _LOOK_AT, [hash_field]))
    for first in range(0, len(beside), _PAGE):
        page = beside[first : first + _PAGE]
        originals = get_documents(client, attachment.index, [(hit["_id"], hit.get("_routing")) for hit in page])
        for hit, original in zip(page, originals, strict=True):
            if original["found"] and (what := _of_another(hit, original, hash_field, attachment, spec)):
                raise MismatchError(
                    f"the sidecar {attachment.target!r} does not fit index {attachment.index!r}: of document "
                    f"{hit['_id']!r} it has {what}. Restore both from one snapshot, or `osmv detach` and attach again"
                )


def _of_another(
    hit: dict[str, Any], original: dict[str, Any], hash_field: str, attachment: Attachment, spec: FieldSpec
) -> str:
    """What a sidecar's document is of, where it is not of its original or of an earlier write of it; else nothing."""
    version = original["_seq_no"] + 1  # under which the sidecar holds what is of this write
    if hit["_version"] != version:
        return "what a later write had" if hit["_version"] > version else ""
    stored = next(values_at(hit["_source"], hash_field), None)
    wanted = text_wanted(spec, attachment, original.get("_source") or {}).hash
    return "" if stored == wanted else "the vectors of another text"
