"""A proxy on loopback that stands where AWS stands: it lets to the real node only what is signed as it should be.

The signature is computed anew by botocore from what came over the wire, the body's checksum from the body; refusals are
worded as AWS words them.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SCHEME = "AWS4-HMAC-SHA256 "


@dataclass
class SigningProxy:
    """Who may come in, and what came: ``signed`` are the paths let through, ``refused`` the reasons given."""

    url: str
    credentials: Credentials
    region: str
    service: str
    signed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    ended: bool = False  # the session

    def complaint(self, method: str, path: str, headers: http.client.HTTPMessage, body: bytes) -> str | None:
        """Why AWS would not let the request through, in its words; None where it would."""
        given = headers.get_all("authorization") or []
        if len(given) != 1 or not given[0].startswith(SCHEME):
            return "User: anonymous is not authorized to perform: es:ESHttpGet"
        parts = dict(part.split("=", 1) for part in given[0].removeprefix(SCHEME).split(", "))
        key, _, region, service, _ = parts["Credential"].split("/")
        token = headers.get("x-amz-security-token")
        if key != self.credentials.access_key or token != self.credentials.token:
            return "The security token included in the request is invalid."
        if self.ended:
            return "The security token included in the request is expired"
        if region != self.region:
            return f"Credential should be scoped to a valid region, not '{region}'."
        if service != self.service:
            return f"Credential should be scoped to correct service: '{self.service}'."
        names = parts["SignedHeaders"].split(";")
        if not {"host", "x-amz-date"} <= set(names) or (token and "x-amz-security-token" not in names):
            return "'Host' or 'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization."
        if headers["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            return "The request signature we calculated does not match the signature you provided: another body."
        where = urlsplit(path)
        request = AWSRequest(
            method=method,
            url=f"http://{headers['host']}{where.path}",
            params=parse_qsl(where.query.replace("+", "%2B"), keep_blank_values=True),
            headers={name: headers[name] for name in names},
        )
        request.context["timestamp"] = headers["x-amz-date"]
        signer = SigV4Auth(self.credentials, service, region)
        expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        if parts["Signature"] != expected:
            canonical = signer.canonical_request(request)
            return (
                f"The request signature we calculated does not match the signature you provided. It is of\n{canonical}"
            )
        return None


@contextmanager
def signing_proxy(node_url: str, credentials: Credentials, region: str, service: str) -> Iterator[SigningProxy]:
    """The proxy before the node."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if complaint := proxy.complaint(self.command, self.path, self.headers, body):
                proxy.refused.append(complaint)
                self.reply(403, "application/json", json.dumps({"message": complaint}).encode())
                return
            proxy.signed.append(self.path)
            upstream = http.client.HTTPConnection(urlsplit(node_url).netloc, timeout=60)
            kind = {"content-type": self.headers["content-type"]} if body else {}
            upstream.request(self.command, self.path, body=body or None, headers=kind)
            answer = upstream.getresponse()
            self.reply(answer.status, answer.headers["content-type"] or "application/json", answer.read())
            upstream.close()

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

        def reply(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy = SigningProxy(f"http://127.0.0.1:{server.server_address[1]}", credentials, region, service)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
