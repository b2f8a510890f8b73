"""A proxy on loopback that hands requests on to the real node, and does to some of them what a bad day does."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Fault = Callable[["Exchange"], None]


@dataclass
class Exchange:
    """One watched request: a fault answers it (`reply`, `drop`), or lets it pass (`forward`) and may alter it."""

    number: int
    body: bytes
    handler: BaseHTTPRequestHandler
    upstream: Callable[[bytes], tuple[int, bytes]]

    def pairs(self) -> list[bytes]:
        """Action and document of each item, as they were sent."""
        lines = self.body.splitlines(keepends=True)
        return [lines[i] + lines[i + 1] for i in range(0, len(lines), 2)]

    def reply(self, status: int, body: bytes, *, sent: int | None = None, kind: str = "application/json") -> None:
        """``sent``: so many bytes of the body, and then the connection ends."""
        self.handler.send_response(status)
        self.handler.send_header("content-type", kind)
        self.handler.send_header("content-length", str(len(body)))
        self.handler.end_headers()
        self.handler.wfile.write(body[:sent])
        if sent is not None:
            self.drop()

    def refuse(self, status: int, kind: str) -> None:
        error = {"type": kind, "reason": f"rejected by the test, {kind}"}
        self.reply(status, json.dumps({"error": error, "status": status}).encode())

    def drop(self) -> None:
        self.handler.close_connection = True
        self.handler.connection.close()

    def reset(self) -> None:
        """As a machine does that has lost the connection: not an end, but RST."""
        self.handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.drop()

    def forward(self) -> None:
        self.reply(*self.upstream(self.body))

    def forward_without(self, refused: set[int]) -> None:
        """The items at these positions never reach the node and come back as 429."""
        pairs = self.pairs()
        passed = b"".join(pair for i, pair in enumerate(pairs) if i not in refused)
        answered = iter(json.loads(self.upstream(passed)[1])["items"] if passed else [])
        error = {"type": "rejected_execution_exception", "reason": "rejected by the test"}
        busy = {"index": {"status": 429, "error": error}}
        items = [busy if i in refused else next(answered) for i in range(len(pairs))]
        self.reply(200, json.dumps({"errors": True, "items": items}).encode())


@dataclass
class FlakyProxy:
    """``watched``: how many requests the fault was asked about; ``bulks``: the ids in each bulk request."""

    url: str = ""
    watched: int = 0
    bulks: list[list[str]] = field(default_factory=list)


def ids_of(bulk: bytes) -> Iterator[str]:
    """The ids in a bulk request, in their order."""
    lines = iter(bulk.splitlines())
    for line in lines:
        ((action, place),) = json.loads(line).items()
        yield place["_id"]
        if action != "delete":
            next(lines)


@contextlib.contextmanager
def flaky_proxy(node_url: str, fault: Fault, watched: tuple[str, ...] | None = ("_bulk",)) -> Iterator[FlakyProxy]:
    """``watched``: requests whose path ends so are the fault's, all of them where it is None."""
    node = urlsplit(node_url)
    proxy = FlakyProxy()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))

            def upstream(sent: bytes) -> tuple[int, bytes]:
                connection = http.client.HTTPConnection(node.hostname or "", node.port, timeout=60)
                with contextlib.closing(connection):
                    kind = {"content-type": self.headers.get("content-type") or "application/json"}
                    connection.request(self.command, self.path, sent, kind)
                    answer = connection.getresponse()
                    return answer.status, answer.read()

            exchange = Exchange(0, body, self, upstream)
            endpoint = self.path.split("?")[0].rpartition("/")[2]
            if watched is not None and endpoint not in watched:
                exchange.forward()
                return
            with lock:
                if endpoint == "_bulk":
                    proxy.bulks.append(list(ids_of(body)))
                proxy.watched += 1
                exchange.number = proxy.watched
            fault(exchange)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
