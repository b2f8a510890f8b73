"""When a search that came to nothing is sent again. A search changes nothing, so that is safe; nothing else is."""

from __future__ import annotations

import random

from opensearchpy.exceptions import ConnectionError as OpenSearchConnectionError
from opensearchpy.exceptions import ConnectionTimeout, SSLError, TransportError

from opensearch_multivector.plugin.passing_errors import may_pass

ATTEMPTS = 5
_LONGEST = 5.0


def pause_before_retry(error: Exception, attempts: int, left: float) -> float | None:
    """Seconds to wait before the next attempt; None: give up. ``attempts`` were made, ``left`` seconds are there.

    A random time of up to 0.2, 0.4, 0.8, ... seconds, so that many clients don't come back at once; never less than
    the answer's Retry-After asks for, where `connect` made the client.
    """
    if attempts >= ATTEMPTS or not _may_pass(error):
        return None
    wanted = getattr(error, "retry_after", None) or 0.0
    pause = max(random.uniform(0, min(_LONGEST, 0.2 * 2 ** (attempts - 1))), float(wanted))
    return pause if pause < left else None


def _may_pass(error: Exception) -> bool:
    if isinstance(error, OpenSearchConnectionError):
        # What took its whole time would take it again.
        return not isinstance(error, ConnectionTimeout | SSLError)
    return isinstance(error, TransportError) and may_pass(error)
