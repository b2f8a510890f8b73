"""One way to reach a cluster, for every room: the same options and environment for the sync and the async client."""

from __future__ import annotations

import base64
import os
import re
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from opensearchpy import OpenSearch, Urllib3HttpConnection
from urllib3 import HTTPConnectionPool

from opensearch_multivector.errors import ClusterError, InputError, MissingDependencyError
from opensearch_multivector.plugin.cluster_errors import cluster_errors
from opensearch_multivector.plugin.retry_after import noting_retry_after
from opensearch_multivector.plugin.sigv4 import Signer, signer, signing_connection
from opensearch_multivector.plugin.whole_answers import WholeAnswers, whole_answers_async

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch

__all__ = ["cluster_errors", "connect", "connect_async"]

# Enough sockets for the bulk writer's and the searchers' threads; urllib3 opens them only as they are needed.
POOL_SIZE = 16
# A comma may be in a password, too.
_NEXT_URL = re.compile(r",(?=\s*https?://)")


def connect(
    url: str | None = None,
    *,
    user: str | None = None,
    password: str | None = None,
    password_file: str | None = None,
    token: str | None = None,
    token_file: str | None = None,
    ca_certs: str | None = None,
    verify_certs: bool | None = None,
    aws_region: str | None = None,
    aws_service: str | None = None,
    timeout: float = 60,
    pool_size: int | None = None,
) -> OpenSearch:
    """A client of the cluster at ``url``, else of ``OSMV_URL``, else of the local node that `osmv node start` runs.

    What is not given comes from the environment: ``OSMV_USER`` with ``OSMV_PASSWORD`` or ``OSMV_PASSWORD_FILE``, or
    ``OSMV_TOKEN`` or ``OSMV_TOKEN_FILE`` (a bearer token, such as a JWT), ``OSMV_CA_CERTS``, ``OSMV_VERIFY_CERTS``
    (default true), ``OSMV_AWS_REGION`` (set: requests are signed with SigV4, extra ``aws``) and ``OSMV_AWS_SERVICE``
    (default ``es``; ``aoss`` for serverless). ``https://user:password@host`` is accepted, and several addresses of one
    cluster, by commas: a node that does not answer is left out for a while. Files are read once, here.
    ``timeout`` is in seconds per request. ``pool_size``: connections kept open, else ``OSMV_POOL_SIZE``, else 16.
    Nothing is sent yet.

    Raises InputError on an unusable URL, CA file or secret, ClusterError where there is no cluster to talk to.
    """
    login = _Login(user, password, password_file, token, token_file)
    options = _client_options(url, login, ca_certs, verify_certs, timeout, pool_size)
    if sign := signer(aws_region, aws_service):
        options |= {"http_auth": _alone(sign, options)}
    noting = noting_retry_after(Urllib3HttpConnection)
    return OpenSearch(transport_class=WholeAnswers, connection_class=noting, **options)


def connect_async(
    url: str | None = None,
    *,
    user: str | None = None,
    password: str | None = None,
    password_file: str | None = None,
    token: str | None = None,
    token_file: str | None = None,
    ca_certs: str | None = None,
    verify_certs: bool | None = None,
    aws_region: str | None = None,
    aws_service: str | None = None,
    timeout: float = 60,
    pool_size: int | None = None,
) -> AsyncOpenSearch:
    """`connect` for asyncio; needs the extra ``async``. Close it with ``await client.close()``."""
    try:
        from opensearchpy import AIOHttpConnection, AsyncOpenSearch
    except ImportError as error:
        raise MissingDependencyError(
            'the async client needs aiohttp: pip install "opensearch-multivector[async]".'
        ) from error
    login = _Login(user, password, password_file, token, token_file)
    options = _client_options(url, login, ca_certs, verify_certs, timeout, pool_size)
    connection = AIOHttpConnection
    if sign := signer(aws_region, aws_service):
        connection = signing_connection(_alone(sign, options))
    noting = noting_retry_after(connection)
    return AsyncOpenSearch(transport_class=whole_answers_async(), connection_class=noting, **options)


@dataclass(frozen=True, slots=True)
class _Login:
    """Who the client is, as its arguments say; what they leave open comes from the URL, then from the environment.

    No secret is in the repr, which a traceback with local variables would show.
    """

    user: str | None
    password: str | None = field(repr=False)
    password_file: str | None
    token: str | None = field(repr=False)
    token_file: str | None

    def header(self, url_user: str, url_password: str) -> str | None:
        """The header `authorization`; None for nobody in particular. Raises InputError."""
        name = self.user or url_user
        token = self.token or (self.token_file and _secret(self.token_file, "token"))
        if name and token:
            raise InputError("give a user or a token, not both: a request comes from one of them.")
        if not name and not token:
            token = _from_environment("OSMV_TOKEN")
            name = os.environ.get("OSMV_USER", "")
            if name and token:
                raise InputError("both OSMV_USER and OSMV_TOKEN (or OSMV_TOKEN_FILE) are set: leave one out.")
        if token:
            if not token.isascii() or not token.isprintable():
                raise InputError("the token holds what no HTTP header may: is it the right file?")
            return f"Bearer {token}"
        if not name:
            return None
        given = self.password or (self.password_file and _secret(self.password_file, "password"))
        secret = given or url_password or _from_environment("OSMV_PASSWORD") or ""
        # UTF-8 as OpenSearch decodes it; the client would take Latin-1 and refuse other letters.
        try:
            return f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode('ascii')}"
        except UnicodeEncodeError:
            raise InputError("the user or the password is no text (it is not UTF-8): give it anew.") from None


def _from_environment(variable: str) -> str | None:
    path = os.environ.get(f"{variable}_FILE")
    return _secret(path, f"{variable}_FILE") if path else os.environ.get(variable)


def _secret(path: str, what: str) -> str:
    """What a file holds, less the end of its line. Raises InputError."""
    try:
        secret = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise InputError(f"the file {path!r} for {what} can't be read: {reason}.") from None
    if not secret:
        raise InputError(f"the file {path!r} for {what} is empty.")
    return secret


def _client_options(
    url: str | None,
    login: _Login,
    ca_certs: str | None,
    verify_certs: bool | None,
    timeout: float,
    pool_size: int | None,
) -> dict[str, Any]:
    given = url or os.environ.get("OSMV_URL") or _local_node_url()
    nodes = [_node(each.strip()) for each in _NEXT_URL.split(given)]
    secure = nodes[0].secure
    if any(node.secure != secure for node in nodes):
        raise InputError("the addresses of a cluster's nodes begin all with https:// or all with http://.")
    options: dict[str, Any] = {
        "hosts": [node.host for node in nodes],
        "timeout": timeout,
        "retry_on_timeout": False,
        "http_compress": False,
        "pool_maxsize": _pool_size(pool_size),
    }
    if secure:
        options["ssl_context"] = _tls(
            ca_certs or os.environ.get("OSMV_CA_CERTS"), _flag(verify_certs, "OSMV_VERIFY_CERTS")
        )
    named = next((node for node in nodes if node.user), nodes[0])
    if header := login.header(named.user, named.password):
        options["headers"] = {"authorization": header}
    return options


@dataclass(frozen=True, slots=True)
class _Node:
    """What the address of a node says; ``host`` as opensearch-py takes it."""

    host: dict[str, Any]
    secure: bool
    user: str
    password: str = field(repr=False)


def _node(url: str) -> _Node:
    """Raises InputError."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        name, port = parts.hostname, parts.port
        HTTPConnectionPool(name or "")  # it reads a host as the client will
    except ValueError:
        parts, name, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not name:
        shown = url.rpartition("@")[2]
        raise InputError(f"{shown!r} is not the address of a cluster: give one like https://search.example.org:9200.")
    secure = parts.scheme == "https"
    host = {"host": name, "port": port or (443 if secure else 9200), "use_ssl": secure}
    if parts.path.strip("/"):
        host["url_prefix"] = parts.path.strip("/")
    return _Node(host, secure, unquote(parts.username or ""), unquote(parts.password or ""))


def _pool_size(given: int | None) -> int:
    text = str(given) if given is not None else os.environ.get("OSMV_POOL_SIZE") or str(POOL_SIZE)
    if not text.isdecimal() or int(text) < 1:
        raise InputError(f"the pool size (OSMV_POOL_SIZE) is a number of connections from 1 on, not {text!r}.")
    return int(text)


def _alone(sign: Signer, options: dict[str, Any]) -> Signer:
    """The signer, where nothing else says who the requests come from: both would be sent in the same header."""
    if "headers" in options:
        raise InputError("give a user or a token, or an AWS region, not both: a request comes from one of them.")
    return sign


def _local_node_url() -> str:
    from opensearch_multivector.plugin.node import running_url

    url: str | None = running_url()
    if url is None:
        raise ClusterError("there is no cluster to talk to: run `osmv node start`, or set OSMV_URL (or --url).")
    return url


def _tls(ca_certs: str | None, verify: bool) -> ssl.SSLContext:
    # One context for both clients: left to itself the async one would not compare the host's name.
    if not verify:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if ca_certs is None:
        import certifi

        context = ssl.create_default_context()
        context.load_verify_locations(cafile=certifi.where())
        return context
    try:
        if Path(ca_certs).is_dir():
            return ssl.create_default_context(capath=ca_certs)
        return ssl.create_default_context(cafile=ca_certs)
    except OSError as error:  # ssl.SSLError is one
        raise InputError(f"the CA certificates {ca_certs!r} can't be read: {error.strerror or error}.") from error


def _flag(given: bool | None, variable: str) -> bool:
    if given is not None:
        return given
    text = os.environ.get(variable, "true").strip().lower()
    if text in ("true", "1", "yes", "on"):
        return True
    if text in ("false", "0", "no", "off"):
        return False
    raise InputError(f"{variable} is {text!r}: set it to true or false.")
