"""The real application on a real socket, over the real node."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from opensearch_multivector.ops.service.app import Service, Settings, make_app
from opensearch_multivector.ops.service.auth import make_door
from opensearch_multivector.ops.service.running import listen, server_config
from opensearch_multivector.plugin.connection import connect, connect_async

INDEX = "osmv-test-service"
# Tenant a, b, a, b, ...
ANIMALS = ("bees", "terns", "eels", "ants", "owls", "bats", "cranes", "wolves", "moths", "seals")
DOINGS = (
    "find their way home by the sun",
    "migrate from pole to pole",
    "cross an ocean to spawn",
    "carry leaves to their nest",
    "hunt in silence at night",
    "hear the echo of their calls",
)
OPERATOR = "operator-token-of-the-tests"
TENANT = "token-of-tenant-a-of-the-tests"
FILTERING = "token-of-tenant-a-with-filters"


def documents() -> list[dict[str, Any]]:
    found = []
    for place, (animal, doing) in enumerate((animal, doing) for animal in ANIMALS for doing in DOINGS):
        tenant = "ab"[place % 2]
        text = f"{animal} {doing}"
        found.append(
            {"id": f"d{place:02}", "title": animal, "text": text, "tenant": tenant, "secret": f"secret-of-{tenant}"}
        )
    return found


def tokens_file(folder: Path) -> Path:
    """Two tokens bound to tenant a, one of which may send filters."""
    tenant = {"term": {"tenant": "a"}}
    entries = [
        {"name": "tenant-a", "sha256": digest(TENANT), "indices": [INDEX], "tenant": tenant},
        {"name": "filtering", "sha256": digest(FILTERING), "indices": [INDEX], "tenant": tenant, "filters": True},
    ]
    path = folder / "tokens.json"
    path.write_text(json.dumps(entries))
    return path


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


class Served:
    """The service at ``url``, in a thread of its own."""

    def __init__(self, node_url: str, settings: Settings) -> None:
        self.app = make_app(connect(node_url), connect_async(node_url, pool_size=32), settings)
        self.service: Service = self.app.state.service
        listening = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._server = uvicorn.Server(server_config(self.app))
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def post(self, path: str, body: Any, token: str | None = None, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.post(path, json=body, headers=headers | options.pop("headers", {}), **options)

    def get(self, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.get(path, headers=headers | options.pop("headers", {}), **options)

    def search(self, **asked: Any) -> dict[str, Any]:
        answer = self.post("/search", {"index": INDEX} | asked)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def stop(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(30)


def open_settings(filters: bool = False, **options: Any) -> Settings:
    """Of a service without tokens."""
    return Settings(**({"door": make_door(None, None, ("*",), filters), "rate": 0.0, "warm": False} | options))


def reranked(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The hits without the first stage's scores: k-NN's last bits may differ from one request to the next."""
    return [hit | {"first_stage_score": None} for hit in answer["hits"]]


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
