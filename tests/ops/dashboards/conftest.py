"""A real Prometheus that reads a real exporter, over searches of a real index."""

from __future__ import annotations

import base64
import contextlib
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from opensearchpy import OpenSearch
from scraped import SEARCHED, Prometheus, Searched, ready
from small_index import make_index

from opensearch_multivector import Searcher
from opensearch_multivector.errors import MismatchError
from opensearch_multivector.ops.canary import add_canary, check_canary, remove_canary
from opensearch_multivector.ops.dashboards.files import export_dashboards
from opensearch_multivector.ops.metrics.exporter import Exporter, new_registry
from opensearch_multivector.ops.metrics.readings import parts
from opensearch_multivector.ops.metrics.searching import SearchMetrics
from opensearch_multivector.ops.service.limits import Gate
from opensearch_multivector.ops.service.metrics import ServiceMetrics
from opensearch_multivector.plugin.node.configure import free_port


@pytest.fixture(scope="module")
def searched(client: OpenSearch) -> Iterator[Searched]:
    """One of its documents has a damaged blob."""
    with contextlib.suppress(MismatchError):  # of a run that was killed
        remove_canary(client, SEARCHED)
    client.indices.delete(index=SEARCHED, ignore_unavailable=True)
    small = make_index(client, SEARCHED, count=30)
    damaged = small.body("d003") | {"mv.vectors": base64.b64encode(b"no blob").decode()}
    client.index(index=SEARCHED, id="d003", body=damaged, params={"refresh": "true"})
    registry = new_registry(parts(client, [SEARCHED], fields_every=1.0, samples_every=2.0))
    searcher = Searcher(client, SEARCHED, observer=SearchMetrics(registry))
    exporter = Exporter(registry).start()
    searched = Searched(searcher, exporter.url)
    searched.search()
    canary = add_canary(client, SEARCHED, SEARCHED, draw=5, k=5, window_size=20, first_stages=("codes",))
    assert canary is not None
    check_canary(client, canary)
    service = ServiceMetrics(registry, Gate(capacity=2, queue=4, patience=1.0))
    with service.in_flight():
        service.answered("/search", 200, 0.1)
    service.refused("rate")
    yield searched
    exporter.stop()
    remove_canary(client, SEARCHED)
    client.indices.delete(index=SEARCHED)


@pytest.fixture(scope="module")
def prometheus(searched: Searched, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """With the rules and the configuration that are carried, but for the exporter's port and a quicker clock."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("no prometheus here: it is Debian's package of that name")
    folder = tmp_path_factory.mktemp("prometheus")
    export_dashboards(folder)
    file = folder / "prometheus/prometheus.yml"
    settings = yaml.safe_load(file.read_text())
    settings["global"] = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"}
    settings["scrape_configs"][0]["static_configs"] = [{"targets": [searched.url.removeprefix("http://")]}]
    file.write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{free_port()}"
    command = [program, f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
    log = folder / "log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [*command, f"--web.listen-address={address}", "--log.level=warn"], stdout=written, stderr=written
        )
    try:
        server = Prometheus(f"http://{address}")
        server.until(lambda: ready(server, process, log))
        yield server
    finally:
        process.terminate()
        process.wait(30)
