"""A real Prometheus and what it reads, as the tests ask them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from small_index import make_query

from opensearch_multivector import Searcher

SEARCHED = "test-dashboards"


@dataclass
class Searched:
    """An index that is searched, and the URL of the exporter that tells of it."""

    searcher: Searcher
    url: str

    def search(self) -> None:
        for first_stage in ("bm25", "dense", "bm25+dense"):
            self.searcher.search(make_query(), first_stage=first_stage, rerank="client", window_size=30, source=False)


class Prometheus:
    """Its API at ``url``."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=30) as answer:
            body = json.load(answer)
        assert body["status"] == "success", body
        return body["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        data = self.get("query", query=expression)
        return data["result"] if data["resultType"] == "vector" else [data]

    def until(self, holds: Callable[[], Any], left: object = "", seconds: float = 90.0) -> Any:
        """What ``holds`` gives once it is something; ``left``: what a failure shows."""
        end = time.monotonic() + seconds
        while not (found := holds()):
            assert time.monotonic() < end, f"not within {seconds} s {left}"
            time.sleep(0.3)
        return found


def ready(server: Prometheus, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        with urlopen(f"{server.url}/-/ready", timeout=5):
            return True
    except OSError:
        return False
