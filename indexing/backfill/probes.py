"""The index's own searches, sent a few times a second while a field is filled, to see that they stay fast.

OpenSearch keeps no percentiles of how long searches take, so some are sent and timed: bodies of the users' own, or
`match` queries made of words of random documents. The engine's own time is what the rate follows: what the network
takes, or this machine while it encodes, is not felt by the index's users.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from opensearchpy import OpenSearch
from opensearchpy.exceptions import ConnectionError as OpenSearchConnectionError
from opensearchpy.exceptions import OpenSearchException, TransportError

from opensearch_multivector.errors import ClusterError, InputError
from opensearch_multivector.indexing.backfill.rate import RateControl
from opensearch_multivector.indexing.backfill.throttle import Throttle
from opensearch_multivector.plugin.attachments import Attachment
from opensearch_multivector.plugin.cluster_errors import cluster_errors, describe
from opensearch_multivector.plugin.fields import values_at
from opensearch_multivector.plugin.passing_errors import may_pass

Probe = Mapping[str, Any]

_PER_SECOND = 5
_DECIDE_SECONDS = 2.0
_TIMEOUT = 10.0
_DOCUMENTS, _QUERIES, _WORDS = 64, 200, 3


def read_probes(path: str | Path) -> tuple[Probe, ...]:
    """Search bodies, a JSON object a line. Raises InputError, naming the line."""
    probes: list[Probe] = []
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"probes can't be read from {str(path)!r}: {error}") from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            body = json.loads(line)
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise InputError(f"{path}, line {number}: a probe is the body of a search, a JSON object on one line")
        probes.append(body)
    if not probes:
        raise InputError(f"{str(path)!r} holds no search bodies: give one a line")
    return tuple(probes)


def usual_probes(client: OpenSearch, attachment: Attachment) -> tuple[Probe, ...]:
    """`match` queries of words that documents have. Raises InputError where they have none, ClusterError."""
    body = {
        "query": {"function_score": {"random_score": {}}},
        "size": _DOCUMENTS,
        "_source": list(attachment.text_fields),
    }
    with cluster_errors():
        hits = client.search(index=attachment.index, body=body)["hits"]["hits"]
    words = [
        (name, word)
        for hit in hits
        for name in attachment.text_fields
        for value in values_at(hit.get("_source") or {}, name)
        for word in str(value).split()
    ]
    if not words:
        raise InputError(f"the documents of {attachment.index!r} have no texts to search for: give --probe")
    by_field = {name: [word for field, word in words if field == name] for name, _ in words}
    return tuple(
        {"query": {"match": {name: " ".join(random.choices(by_field[name], k=_WORDS))}}, "size": 10}
        for name, _ in random.choices(words, k=_QUERIES)
    )


class Prober:
    """A context in which searches are sent, and the throttle's rate follows what they take.

    ``message`` is told, once, where no rate is low enough.
    """

    def __init__(
        self,
        client: OpenSearch,
        index: str,
        probes: Sequence[Probe],
        control: RateControl,
        throttle: Throttle,
        message: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._index = index
        self._probes = probes
        self._control = control
        self._throttle = throttle
        self._message = message
        self._said = False
        self._round_trips: deque[float] = deque(maxlen=500)
        self._sent = self._failed = self._depth = 0
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        throttle.rate = control.rate

    def check(self) -> None:
        """Send each probe of the users' once. Raises InputError on one that OpenSearch does not understand."""
        for number, probe in enumerate(self._probes[:20], start=1):
            try:
                self._search(probe)
            except TransportError as error:
                if isinstance(error, OpenSearchConnectionError) or may_pass(error):
                    raise ClusterError(describe(error)) from error
                raise InputError(f"probe {number} is refused: {describe(error)}") from error

    def __enter__(self) -> Self:
        self._depth += 1
        if self._depth == 1:
            self._end.clear()
            self._thread = threading.Thread(target=self._work, daemon=True, name="osmv-probes")
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if not self._depth and self._thread is not None:
            self._end.set()
            self._thread.join(_TIMEOUT)

    def report(self) -> dict[str, Any]:
        """How searches are and what that made of the rate; times are in milliseconds, None: too few were seen yet."""
        trips = sorted(self._round_trips)
        return {
            "rate": round(self._control.rate, 1),
            "target_p99": self._control.target,
            "p99": self._control.p99(),
            "round_trip_p99": round(trips[-1 - len(trips) // 100], 1) if trips else None,
            "probes": self._sent,
            "failed": self._failed,
            "lowered": self._control.lowered,
        }

    def _work(self) -> None:
        due = decided = time.monotonic()
        passed = self._throttle.passed
        while not self._end.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / _PER_SECOND, time.monotonic())
            took = self._timed(self._probes[self._sent % len(self._probes)])
            now = time.monotonic()
            self._control.note(now, took)
            if now - decided >= _DECIDE_SECONDS:
                used = (self._throttle.passed - passed) / (now - decided)
                self._throttle.rate = self._control.decide(now, used)
                decided, passed = now, self._throttle.passed
                self._say_so()

    def _timed(self, probe: Probe) -> float:
        """Milliseconds of a search; one that fails has taken as long as it might have."""
        self._sent += 1
        started = time.monotonic()
        try:
            took: float = self._search(probe)
        except OpenSearchException:
            self._failed += 1
            return _TIMEOUT * 1000
        self._round_trips.append((time.monotonic() - started) * 1000)
        return took

    def _search(self, probe: Probe) -> int:
        params = {"request_timeout": _TIMEOUT, "request_cache": "false"}
        return int(self._client.search(index=self._index, body=dict(probe), params=params)["took"])

    def _say_so(self) -> None:
        if self._control.out_of_reach and not self._said:
            self._said = True
            self._message(
                f"searches take {self._control.p99():,.0f} ms (99th percentile) with hardly anything being filled: "
                f"no rate reaches {self._control.target:g} ms"
            )
