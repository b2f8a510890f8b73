"""Metrics over HTTP, for Prometheus: `/metrics`, and `/healthz` for who watches the exporter itself."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from importlib.metadata import version
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from opensearch_multivector.errors import InputError
from opensearch_multivector.ops.metrics.cluster import ClusterMetrics, Part
from opensearch_multivector.ops.metrics.names import make, prometheus

_PAGES = {"/": b"osmv exporter: see /metrics\n", "/healthz": b"ok\n"}
_PLAIN = "text/plain; charset=utf-8"


def new_registry(parts: Iterable[Part] = (), timeout: float | None = None) -> Any:
    """A registry with what these parts read of the cluster, and the version. Raises MissingDependencyError."""
    registry = prometheus().CollectorRegistry()
    make("osmv_build_info", registry).labels(version("opensearch-multivector")).set(1)
    registry.register(ClusterMetrics(parts) if timeout is None else ClusterMetrics(parts, timeout))
    return registry


def application(registry: Any) -> Callable[..., Iterable[bytes]]:
    """A WSGI application that shows a registry."""
    metrics: Callable[..., Iterable[bytes]] = prometheus().make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if method != "GET":
            start_response("405 Method Not Allowed", [("Content-Type", _PLAIN), ("Allow", "GET")])
            return [b"ask by GET\n"]
        if path == "/metrics":
            return metrics(environ, start_response)
        page = _PAGES.get(path)
        start_response("200 OK" if page else "404 Not Found", [("Content-Type", _PLAIN)])
        return [page or b"nothing here: see /metrics\n"]

    return answer


class Exporter:
    """An HTTP server of a registry, at work from `start` to `stop`; ``port`` 0: any that is free.

    Raises InputError where the address can't be taken.
    """

    def __init__(self, registry: Any, host: str = "127.0.0.1", port: int = 0) -> None:
        server = _ServerOfIpv6 if ":" in host else _Server
        try:
            self._server = make_server(host, port, application(registry), server, _Quiet)
        except OSError as error:
            raise InputError(f"can't listen on {host}:{port}: {error.strerror or error}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="osmv-exporter", daemon=True)
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self._server.server_port}"

    def start(self) -> Exporter:
        """Serve, in a thread."""
        self._thread.start()
        return self

    def join(self) -> None:
        """Wait until it is stopped."""
        self._thread.join()

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _ServerOfIpv6(_Server):
    address_family = socket.AF_INET6


class _Quiet(WSGIRequestHandler):
    # Of a client that never sends its request.
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Scrapes are no news."""
