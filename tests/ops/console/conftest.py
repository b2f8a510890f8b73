"""A real browser on the real service over the real node."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from console_visit import ARTICLES, CANARY, DOCUMENTS, FIGURES, GUEST, HOSTILE, LOOKS, TOKEN, Look, Visit
from hostile_texts import PAYLOADS, texts
from opensearchpy import OpenSearch

from opensearch_multivector.encoding.encoders import MINILM_INT8, load_encoder
from opensearch_multivector.evaluation.reproduce.outcomes import FORMAT_VERSION
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.ops.canary import add_canary, check_canary, names, remove_canary

sync_api = pytest.importorskip("playwright.sync_api", reason="the console's tests want playwright (dev)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium as the system has it: Playwright brings the driver alone.

    Of one module: as long as it is there an event loop runs in this thread, and no other test could run one.
    """
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on the PATH (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def indices(client: OpenSearch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is searched: articles, and documents of strangers."""
    client.indices.delete(index=f"{ARTICLES},{HOSTILE}", ignore_unavailable=True)
    articles = [{"id": name, "title": title, "text": text, "lang": "en"} for name, title, text in DOCUMENTS]
    payloads = texts(500)
    strangers = [
        {"id": payload[:120], "title": payload, "text": f"bees {payload}", "<b onclick=alert(0)>": payload}
        for payload in payloads
    ]
    letters = tmp_path_factory.mktemp("letters")
    encoder = load_encoder(MINILM_INT8)
    # One of each kind has token vectors; the others somebody has written without, which is as hostile and faster.
    for name, documents in ((ARTICLES, articles), (HOSTILE, strangers[: len(PAYLOADS)])):
        done = index_documents(client, name, documents, encoder=encoder, dead_letters=letters / f"{name}.jsonl")
        assert done.rejected == 0
    lines: list[dict[str, Any]] = []
    for stranger in strangers[len(PAYLOADS) :]:
        lines += [{"index": {"_id": stranger["id"]}}, stranger | {"mv.text": stranger["text"]}]
    answer = client.bulk(index=HOSTILE, body=lines, params={"refresh": "true"})
    assert not answer["errors"], answer
    yield
    client.indices.delete(index=f"{ARTICLES},{HOSTILE}", ignore_unavailable=True)


@pytest.fixture(scope="session")
def canary(client: OpenSearch, indices: None) -> Iterator[None]:
    """A canary that was checked twice, and so has a course."""
    if CANARY in names(client):
        remove_canary(client, CANARY)
    ways = {"first_stages": ("dense", "bm25"), "reranks": ("client", "none"), "k": 3}
    made = add_canary(client, CANARY, ARTICLES, draw=4, encoder=load_encoder(MINILM_INT8), **ways)
    assert made is not None
    for _ in range(2):
        check_canary(client, made)
    yield
    remove_canary(client, CANARY)


@pytest.fixture(scope="session")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `osmv reproduce` leaves it; the figures are those of benchmarks on SciFact."""
    out = tmp_path_factory.mktemp("figures")
    for name, quality, latency, size in FIGURES:
        header = {
            "index": {"name": name, "store_bytes": size},
            "results": {"measures": {"nDCG@10": quality}, "latency_ms": {"total": {"p50": latency}}},
        }
        row = {"name": name, "collection": "scifact", "expected": {"nDCG@10": quality}, "tolerance": 0.01, "source": ""}
        kept = {"format_version": FORMAT_VERSION, "matrix": "here", "title": "", "row": row, "header": header}
        kept |= {"spec": "", "data": "", "index": None, "run": "", "seconds": 1.0}
        folder = out / "rows" / f"here.{name.replace('/', '-')}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(kept))
    return out


@pytest.fixture(scope="session")
def service(
    node_url: str, indices: None, canary: None, figures: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Without tokens, as on an operator's own machine; its address."""
    options = ["--allow-filters", "--rate", "0", "--figures", str(figures)]
    with serving(options, {"OSMV_URL": node_url}, tmp_path_factory.mktemp("service") / "log") as url:
        yield url


@pytest.fixture(scope="module")
def guarded(node_url: str, indices: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One that answers to two tokens alone: `TOKEN` is an operator's, `GUEST` is not."""
    guest = {"name": "guest", "sha256": hashlib.sha256(GUEST.encode()).hexdigest(), "indices": [ARTICLES]}
    folder = tmp_path_factory.mktemp("guarded")
    tokens = folder / "tokens.json"
    tokens.write_text(json.dumps([guest]))
    environment = {"OSMV_URL": node_url, "OSMV_API_TOKEN": TOKEN}
    with serving(["--tokens", str(tokens)], environment, folder / "log") as url:
        yield url


@contextmanager
def serving(options: list[str], environment: dict[str, str], log: Path) -> Iterator[str]:
    """`osmv serve` of the tests' indices, as an operator starts it; its address."""
    port = free_port()
    command = [sys.executable, "-m", "opensearch_multivector.cli.main", "serve", "--port", str(port)]
    with log.open("wb") as output:
        running = subprocess.Popen(
            [*command, "--index", f"{ARTICLES}*", *options], env=os.environ | environment, stdout=output, stderr=output
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{url}/readyz", running, log)
        yield url
    finally:
        running.terminate()
        running.wait(30)


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


def wait_for(url: str, running: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        assert running.poll() is None, log.read_text()
        time.sleep(0.2)
    pytest.fail(f"the service did not get ready:\n{log.read_text()}")


@pytest.fixture
def visit(browser: Any, service: str) -> Iterator[Callable[..., Visit]]:
    """Opens the console as somebody looks at it."""
    visits: list[Visit] = []
    contexts: list[Any] = []

    def visit(look: Look = LOOKS[0], url: str = service) -> Visit:
        context = browser.new_context(
            viewport={"width": look.width, "height": look.height},
            color_scheme="dark" if look.dark else "light",
            reduced_motion="reduce",
        )
        contexts.append(context)
        made = Visit(context.new_page(), url)
        page = made.page
        page.on("console", lambda said: said.type in ("error", "warning") and made.wrong.append(said.text))
        page.on("pageerror", lambda error: made.wrong.append(str(error)))
        page.on("dialog", lambda dialog: (made.wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("popup", lambda other: made.wrong.append(f"popup {other.url}"))
        page.on("request", lambda asked: asked.url.startswith(url) or made.wrong.append(f"asked for {asked.url}"))
        visits.append(made)
        return made

    yield visit
    for context in contexts:
        context.close()
    assert [wrong for made in visits for wrong in made.errors()] == []
