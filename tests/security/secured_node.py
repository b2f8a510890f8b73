"""A local OpenSearch 2.19.1 with its security plugin switched on: TLS, users, roles, tokens.

2.19.1 is the newest release whose security plugin is served where the node's files come from, so what is proved of
security is proved on it. Certificates, passwords and the key of the tokens are made anew for each run.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opensearchpy import OpenSearch, exceptions
from rich.console import Console
from three_nodes import QUICK_JVM

from opensearch_multivector.errors import NodeError
from opensearch_multivector.plugin.node import clean_node, process
from opensearch_multivector.plugin.node.assemble import assembled
from opensearch_multivector.plugin.node.configure import command_line, free_port, prepare
from opensearch_multivector.plugin.node.distribution import load
from opensearch_multivector.plugin.node.java import find_java
from opensearch_multivector.plugin.node.places import give, make_folder, node_account, places

VERSION = "2.19.1"
ROLES = Path(__file__).parents[2] / "docker/security/roles.yml"
_PATIENCE = 180.0

_SETTINGS = {
    "plugins.security.disabled": "false",
    "plugins.security.allow_default_init_securityindex": "true",
    "plugins.security.authcz.admin_dn": "CN=admin",
    "plugins.security.nodes_dn": "CN=node",
    "plugins.security.restapi.admin.enabled": "true",
    "plugins.security.ssl.http.enabled": "true",
} | {
    f"plugins.security.ssl.{layer}.{name}_filepath": file
    for layer in ("http", "transport")
    for name, file in (("pemcert", "node.pem"), ("pemkey", "node.key"), ("pemtrustedcas", "ca.pem"))
}

# Who a request comes from: its basic credentials, else its signed token.
_CONFIG = """\
_meta:
  type: config
  config_version: 2
config:
  dynamic:
    http:
      anonymous_auth_enabled: false
    authc:
      basic:
        http_enabled: true
        order: 0
        http_authenticator: {{type: basic, challenge: false}}
        authentication_backend: {{type: internal}}
      token:
        http_enabled: true
        order: 1
        http_authenticator: {{type: jwt, challenge: false, config: {{signing_key: "{key}", roles_key: roles}}}}
        authentication_backend: {{type: noop}}
"""


@dataclass
class SecuredNode:
    """Where the node answers and what is needed to talk to it; ``admin`` may do everything, by its certificate."""

    url: str
    folder: Path  # certificates: ca.pem, admin.pem, admin.key
    token_key: bytes = field(repr=False)
    admin: OpenSearch

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")

    def put(self, kind: str, name: str, body: dict[str, Any]) -> None:
        """Make or replace a role, a user, ... of the security plugin."""
        self.admin.transport.perform_request("PUT", f"/_plugins/_security/api/{kind}/{name}", body=body)

    def make_user(self, name: str, *roles: str) -> str:
        """A user who has these roles; its password."""
        password = secrets.token_urlsafe(18)
        self.put("internalusers", name, {"password": password, "opendistro_security_roles": list(roles)})
        return password

    def token(self, user: str, *roles: str, seconds: float = 600) -> str:
        """A signed token (JWT, HS256) that says who the user is and for how long."""
        claims = {"sub": user, "roles": list(roles), "exp": int(time.time() + seconds)}
        parts = [_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
        signed = ".".join(parts)
        return f"{signed}.{_base64(hmac.digest(self.token_key, signed.encode(), hashlib.sha256))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@contextmanager
def secured_node(name: str, folder: Path, heap: str = "700m") -> Iterator[SecuredNode]:
    """The node, removed afterwards. Skips where this machine has no Java for it, or no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command makes the certificates of the secured node, and is not installed")
    where, account, distribution = places(), node_account(), load(VERSION)
    try:
        java = find_java(distribution.java_min, distribution.java_max, where, account)
    except NodeError as error:
        pytest.skip(
            f"the security plugin is tested on OpenSearch {VERSION}, and this machine has no Java for it: {error}"
        )
    home, _ = assembled(distribution, where, Console(stderr=True), None)
    node_folder, port, key = where.node(name), free_port(), secrets.token_bytes(48)
    clean_node(name)
    make_certificates(folder)
    try:
        prepare(node_folder, name, port, free_port(), account, distribution.settings | _SETTINGS)
        write_security(node_folder / "config", folder, key)
        give(node_folder / "config", account)
        at, *arguments = command_line(node_folder, home, heap, java, distribution)
        jvm = process.spawn([at, QUICK_JVM, *arguments], node_folder / "logs/console.log", node_folder, account)
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        context.load_cert_chain(folder / "admin.pem", folder / "admin.key")
        url = f"https://127.0.0.1:{port}"
        with OpenSearch(url, ssl_context=context, timeout=60) as admin:
            await_answer(admin, jvm, node_folder / "logs")
            yield SecuredNode(url, folder, key, admin)
    finally:
        clean_node(name)


def write_security(config: Path, certificates: Path, key: bytes) -> None:
    """The node's certificates and the security plugin's own files; the roles are the ones that the project ships."""
    for file in ("ca.pem", "node.pem", "node.key"):
        shutil.copy(certificates / file, config / file)
        (config / file).chmod(0o600)
    folder = make_folder(config / "opensearch-security")
    (folder / "config.yml").write_text(_CONFIG.format(key=base64.b64encode(key).decode()))
    shutil.copy(ROLES, folder / "roles.yml")
    kinds = ("internal_users", "roles_mapping", "action_groups", "tenants", "nodes_dn", "whitelist", "allowlist")
    for kind in kinds:
        written = kind.replace("_", "") if kind in ("internal_users", "roles_mapping", "action_groups") else kind
        (folder / f"{kind}.yml").write_text(f"_meta:\n  type: {written}\n  config_version: 2\n")


def make_certificates(folder: Path) -> None:
    """An authority (ca.pem) and, signed by it, the node's certificate for 127.0.0.1 and an administrator's."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    for who in ("node", "admin"):
        openssl("req", *new[:3], "-keyout", f"{who}.key", "-out", f"{who}.csr", "-subj", f"/CN={who}")
        (folder / f"{who}.ext").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{who}.ext")
        openssl("x509", "-req", "-in", f"{who}.csr", *signing, "-out", f"{who}.pem")


def await_answer(admin: OpenSearch, jvm: subprocess.Popen[bytes], logs: Path) -> None:
    """Return when the node is up and its security plugin has read its configuration."""
    deadline = time.monotonic() + _PATIENCE
    said = "nothing"
    while time.monotonic() < deadline and jvm.poll() is None:
        try:
            health = admin.transport.perform_request("GET", "/_plugins/_security/health")
            if health["status"] == "UP" and admin.cluster.health()["status"] in ("green", "yellow"):
                return
            said = str(health)
        except exceptions.TransportError as error:
            said = str(error)
        time.sleep(0.5)
    log = logs / "opensearch.log"
    tail = log.read_text(errors="replace")[-3000:] if log.exists() else (logs / "console.log").read_text()[-3000:]
    raise NodeError(f"the secured node does not answer ({said}):\n{tail}")
