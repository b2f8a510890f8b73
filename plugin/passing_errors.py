"""Which errors of a cluster may pass by themselves, so that the same request can succeed a moment later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from opensearchpy.exceptions import TransportError

BUSY = frozenset({429, 502, 503, 504})  # HTTP statuses
# A node that ends is asked for a moment yet by the others, who then answer with 500 and one of these within.
_LOST = ("node_not_connected_exception", "node_disconnected_exception", "node_closed_exception", "connect_transport_")
# A shard that gave up, most often because the disk is full: whatever document it was given.
_GAVE_UP = ("i_o_exception", "already_closed_exception", "engine_closed_exception", "translog_exception")
# A shard that is on no node yet, right after a restart.
_AWAY = (
    "no_shard_available_action_exception",
    "index_shard_not_started_exception",
    "illegal_index_shard_state_exception",
)
_PASSING = (*_LOST, *_GAVE_UP, *_AWAY)


def may_pass(error: TransportError) -> bool:
    """Whether an answer speaks of a busy cluster, or of a node that has just been lost; not what got no answer."""
    if error.status_code in BUSY:
        return True
    return error.status_code == 500 and any(kind in json.dumps(error.info, default=str) for kind in _LOST)


def is_the_shards(status: int, error: Mapping[str, Any]) -> bool:
    """Whether one item of several failed for no fault of its own, and may be taken or read once the shard is back."""
    return status in BUSY or (status == 500 and any(kind in json.dumps(error) for kind in _PASSING))
