"""Which errors of a cluster may pass by themselves, so that the same request can succeed a moment later."""

from __future__ import annotations

import json

from opensearchpy.exceptions import TransportError

BUSY = frozenset({429, 502, 503, 504})  # HTTP statuses
# A node that ends is asked for a moment yet by the others, who then answer with 500 and one of these within.
_LOST = ("node_not_connected_exception", "node_disconnected_exception", "node_closed_exception", "connect_transport_")


def may_pass(error: TransportError) -> bool:
    """Whether an answer speaks of a busy cluster, or of a node that has just been lost; not what got no answer."""
    if error.status_code in BUSY:
        return True
    return error.status_code == 500 and any(kind in json.dumps(error.info, default=str) for kind in _LOST)
