"""What the service counts of its own requests; names and labels are in `ops/metrics/names.py`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opensearch_multivector.ops.metrics.names import make
from opensearch_multivector.ops.service.limits import Gate

# By the code of a refusal.
_REJECTED = {"no_token": "auth", "rate": "rate", "queue": "queue", "too_large": "size"}


class ServiceMetrics:
    """In one registry. Raises MissingDependencyError."""

    def __init__(self, registry: Any, gate: Gate) -> None:
        self._requests = make("osmv_service_requests_total", registry)
        self._seconds = make("osmv_service_request_seconds", registry)
        self._rejected = make("osmv_service_rejected_total", registry)
        self._in_flight = make("osmv_service_in_flight", registry)
        make("osmv_service_queue_length", registry).set_function(lambda: gate.waiting)
        make("osmv_service_queue_limit", registry).set(gate.queue)

    @contextmanager
    def in_flight(self) -> Iterator[None]:
        """While a request is answered."""
        with self._in_flight.track_inprogress():
            yield

    def answered(self, route: str, status: int, seconds: float) -> None:
        """A request is over; status 0: whoever sent it had gone."""
        route = route if route.startswith("/") else "other"
        self._requests.labels(route, str(status or 499)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, code: str) -> None:
        """A request was turned away."""
        if code in _REJECTED:
            self._rejected.labels(_REJECTED[code]).inc()
