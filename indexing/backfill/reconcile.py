"""Documents of a sidecar whose originals are gone: found by asking for their ids, and deleted.

No search of the original index tells what was deleted from it, so this goes through the whole sidecar.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from opensearchpy import OpenSearch

from opensearch_multivector.errors import MismatchError
from opensearch_multivector.indexing.backfill.horizons import made_anew, number_of_shards
from opensearch_multivector.indexing.backfill.scan import (
    PAGE,
    Found,
    last_seq_no,
    page_body,
    search_shard,
    versions_of,
)
from opensearch_multivector.indexing.bulk import BulkSender
from opensearch_multivector.indexing.patience import Patience
from opensearch_multivector.indexing.versions import VERSION_TYPE
from opensearch_multivector.plugin.attachments import Attachment, concrete_index
from opensearch_multivector.plugin.connection import cluster_errors


@dataclass(frozen=True, slots=True)
class Orphan:
    """A sidecar's document without an original, as it was seen."""

    doc_id: str
    routing: str | None
    version: int

    def lines(self) -> bytes:
        """Its deletion, unless the sidecar has got a later one of that id: the original may be there again."""
        meta = {"_id": self.doc_id, "version": self.version, "version_type": VERSION_TYPE}
        return json.dumps({"delete": meta | ({"routing": self.routing} if self.routing else {})}).encode() + b"\n"

    def conflict(self, reason: str) -> str:
        """See `indexing.bulk.Item`."""
        return reason


def reconcile(client: OpenSearch, attachment: Attachment, *, patience: float = 300.0, stop: threading.Event) -> int:
    """Delete what is orphaned; how many that was.

    Raises MismatchError where the index is another than was attached, ClusterError.
    """
    sender = BulkSender(client, attachment.target, patience=patience, stop=stop)
    deleted = 0
    for orphans in orphans_of(client, attachment, Patience(patience, stop)):
        if stop.is_set():
            break
        deleted += sum(result.reason is None for result in sender.send(orphans))
    return deleted


def orphans_of(client: OpenSearch, attachment: Attachment, patience: Patience) -> Iterator[list[Orphan]]:
    """What is in the sidecar now and not in the original, a page at a time. Raises MismatchError and ClusterError."""
    target = attachment.target
    with cluster_errors():
        patience(lambda: client.indices.refresh(index=target))
    for shard in range(patience(lambda: number_of_shards(client, target))):
        after, to = -1, patience(lambda shard=shard: last_seq_no(client, target, shard))  # type: ignore[misc]
        while after < to:
            body = page_body(after, to, PAGE, ())
            hits = patience(lambda shard=shard, body=body: search_shard(client, target, shard, body))  # type: ignore[misc]
            there = [Found(hit["_id"], hit.get("_routing"), hit["_seq_no"], hit["_primary_term"]) for hit in hits]
            originals = patience(lambda there=there: versions_of(client, attachment.index, there))  # type: ignore[misc]
            # After the look at the originals: an index that was made anew meanwhile would call every document gone.
            if patience(lambda: concrete_index(client, attachment.index))[1] != attachment.index_uuid:
                raise MismatchError(made_anew(attachment))
            orphans = [
                Orphan(hit["_id"], hit.get("_routing"), hit["_version"])
                for hit, original in zip(hits, originals, strict=True)
                if original is None
            ]
            if orphans:
                yield orphans
            after = there[-1].seq_no if len(hits) == PAGE else to
