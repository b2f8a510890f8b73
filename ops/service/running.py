"""The service as a process: its socket, its log, its end."""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn

from opensearch_multivector.errors import InputError
from opensearch_multivector.ops.service.front import ACCESS

# Requests that are being answered when the process is told to end have this long.
_GRACE = 30


def check_address(host: str, needs_token: bool) -> None:
    """Raise InputError where whoever reaches this machine would be answered without a token."""
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and not needs_token:
        raise InputError(
            f"on {host} anybody who reaches this machine could search: give --api-token-file (or OSMV_API_TOKEN) or "
            "--tokens, or listen on 127.0.0.1"
        )


def read_token(path: Path | None) -> str | None:
    """The token in that file, else in OSMV_API_TOKEN; None: there is none. Raises InputError."""
    if path is None:
        return os.environ.get("OSMV_API_TOKEN") or None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path}: no token can be read in it") from None
    if not token:
        raise InputError(f"{path}: the file is empty, and should hold the token")
    return token


def listen(host: str, port: int) -> socket.socket:
    """A socket on that address; port 0: a free one. Raises InputError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named by its protocol, else asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for the client's ACK.
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
        taken.listen(1024)
    except OSError as error:
        taken.close()
        raise InputError(f"can't listen on {host}:{port}: {error.strerror or error}") from None
    return taken


def server_config(app: Any, certificate: Path | None = None, key: Path | None = None) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=20,
        h11_max_incomplete_event_size=32_768,
        ws="none",
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )


def run(config: uvicorn.Config, listening: socket.socket, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; ``ready`` is told the address. What is being answered then is answered first.

    Raises InputError where the certificate can't be used, SystemExit at the end.
    """
    # uvicorn ends by raising the signal once more, which is no failure here.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, _end)
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise InputError(f"the certificate can't be used: {error.strerror or error}") from None
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    ready(f"{'https' if config.is_ssl else 'http'}://{shown}:{port}")
    uvicorn.Server(config).run(sockets=[listening])


def _end(*_: Any) -> None:
    raise SystemExit(0)


def log_to_stderr(access: bool) -> None:
    """A line of JSON for each request, and what is worth a warning, on stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("osmv serve: %(levelname)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.WARNING)
    # opensearch-py warns of each request that fails, with its body.
    logging.getLogger("opensearch").setLevel(logging.ERROR)
    plain = logging.StreamHandler(sys.stderr)
    plain.setFormatter(logging.Formatter("%(message)s"))
    ACCESS.addHandler(plain)
    ACCESS.propagate = False
    ACCESS.setLevel(logging.INFO if access else logging.CRITICAL)
