"""Make the cluster's users, or give them new passwords: python users.py URL FOLDER.

FOLDER is what docker/prepare has made: the administrator's certificate, and a password for each user.
"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

from opensearchpy import OpenSearch

# What they may do is said by config/roles_mapping.yml.
USERS = ("admin", "dashboards", "service", "exporter", "indexer")


def make_users(url: str, folder: Path) -> None:
    """Raises OpenSearchException, OSError."""
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "admin.pem", folder / "admin.key")
    with OpenSearch(url, ssl_context=context, timeout=30, max_retries=5, retry_on_timeout=True) as client:
        for name in USERS:
            password = (folder / f"{name}-password").read_text().strip()
            client.transport.perform_request(
                "PUT", f"/_plugins/_security/api/internalusers/{name}", body={"password": password}
            )


if __name__ == "__main__":
    make_users(sys.argv[1], Path(sys.argv[2]))
    print(f"users: {', '.join(USERS)}")
