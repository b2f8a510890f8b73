"""How far each shard of an index can be read at this moment without missing anything.

Every operation on a shard has a sequence number, without gaps up to the *global checkpoint*, below which all copies of
the shard have everything. The checkpoint is read first and the index refreshed after, so that a search sees every
operation up to it: what such a search does not find below it was deleted, or has been written again, higher.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.errors import ClusterError, MismatchError
from opensearch_multivector.plugin.attachments import Attachment
from opensearch_multivector.plugin.connection import cluster_errors

_WANTED = (
    "_shards,indices.*.uuid,indices.*.shards.*.routing,indices.*.shards.*.seq_no,"
    "indices.*.shards.*.commit.user_data.history_uuid,indices.*.shards.*.docs,indices.*.shards.*.indexing.delete_total"
)


@dataclass(frozen=True, slots=True)
class Horizon:
    """A shard's last visible operation, ``seq_no``; -1: there is none.

    ``history`` changes where sequence numbers begin to mean something else: a restored snapshot, or a stale copy that
    was made the primary by force. ``documents`` and ``deletions`` (since its node started) are counts of the primary.
    """

    shard: int
    seq_no: int
    history: str
    documents: int
    deletions: int


def read_horizons(client: OpenSearch, attachment: Attachment, *, refresh: bool = True) -> tuple[Horizon, ...]:
    """The horizons of the attached index's shards, in their order; ``refresh``: up to there all can be searched.

    Raises MismatchError where the index is another than was attached, ClusterError where a shard does not answer.
    """
    index = attachment.index
    with cluster_errors():
        stats = client.indices.stats(
            index=index, metric="docs,indexing", params={"level": "shards", "filter_path": _WANTED}
        )
        refreshed = client.indices.refresh(index=index) if refresh else None
    found = stats.get("indices", {}).get(index)
    if found is None or found["uuid"] != attachment.index_uuid:
        raise MismatchError(made_anew(attachment))
    if refreshed and refreshed["_shards"]["failed"]:
        raise ClusterError(f"index {index!r} can't be refreshed on all of its shards: see that they are all assigned")
    horizons = []
    for number, copies in sorted(found["shards"].items(), key=lambda item: int(item[0])):
        primary = next((copy for copy in copies if _serves(copy)), None)
        if primary is None:
            raise ClusterError(f"shard {number} of index {index!r} has no primary: see why it is not assigned")
        horizons.append(
            Horizon(
                int(number),
                primary["seq_no"]["global_checkpoint"],
                primary["commit"]["user_data"]["history_uuid"],
                primary["docs"]["count"],
                primary["indexing"]["delete_total"],
            )
        )
    shards = number_of_shards(client, index)
    if len(horizons) != shards:
        raise ClusterError(f"{shards - len(horizons)} of the {shards} shards of index {index!r} do not answer")
    return tuple(horizons)


def made_anew(attachment: Attachment) -> str:
    """The sentence for an index that is no longer the one that was attached."""
    return (
        f"index {attachment.index!r} was deleted and made anew since field {attachment.field!r} was attached: detach "
        "it (`osmv detach`) and attach it again, or, where it was restored from a snapshot, `osmv adopt` it"
    )


def number_of_shards(client: OpenSearch, index: str) -> int:
    """How many primary shards an index has."""
    with cluster_errors():
        settings = client.indices.get_settings(index=index, name="index.number_of_shards")
    return int(settings[index]["settings"]["index"]["number_of_shards"])


def _serves(copy: dict[str, Any]) -> bool:
    return bool(copy["routing"]["primary"]) and copy["routing"]["state"] in ("STARTED", "RELOCATING")
