"""What the exporter reads of a cluster, when, and how it answers."""

from __future__ import annotations

import gzip
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from attached_texts import PACE, attach, filler, make_index, put, spec_of
from node_under_test import NATIVE
from opensearchpy import OpenSearch
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from opensearch_multivector.cli.main import app
from opensearch_multivector.errors import ClusterError, InputError, MissingDependencyError
from opensearch_multivector.ops.canary.results import Check, Outcome
from opensearch_multivector.ops.metrics import readings
from opensearch_multivector.ops.metrics.canaries import add_check
from opensearch_multivector.ops.metrics.cluster import ClusterMetrics, Part, Readings
from opensearch_multivector.ops.metrics.exporter import Exporter, new_registry
from opensearch_multivector.ops.metrics.names import PARTS
from opensearch_multivector.ops.metrics.searching import SearchMetrics
from opensearch_multivector.ops.metrics.tracing import SearchTraces
from opensearch_multivector.plugin import attachments
from opensearch_multivector.plugin.attachments import (
    IN_PLACE,
    SIDECAR,
    Attachment,
    Mode,
    every_attachment,
    put_attachment,
    remove_attachment,
    update_attachment,
)
from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.plugin.state import STATE_INDEX

VALUE = "osmv_field_documents"


def shown(metrics: ClusterMetrics) -> dict[str, float]:
    """By name and the first label."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in metrics.collect()
        for sample in family.samples
    }


class Source:
    """Reads the number of its calls; waits where it is told to, and fails where it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.go = threading.Event()
        self.go.set()
        self.error: Exception | None = None

    def __call__(self, into: Readings) -> None:
        self.calls += 1
        self.go.wait(20)
        if self.error is not None:
            raise self.error
        into.add(VALUE, self.calls, index="i", field="f")


class TestWhenItIsAsked:
    def test_scraped_by_many_it_asks_once(self) -> None:
        source = Source()
        metrics = ClusterMetrics([Part("fields", 60, source)])
        threads = [threading.Thread(target=lambda: [shown(metrics) for _ in range(20)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert source.calls == 1
        assert shown(metrics)[f"{VALUE} i f"] == 1

    def test_after_a_while_it_asks_again(self) -> None:
        now = [0.0]
        source = Source()
        metrics = ClusterMetrics([Part("fields", 60, source, lambda: now[0])], clock=time.monotonic)
        for seconds, calls in ((0, 1), (59, 1), (60, 2), (119, 2), (121, 3)):
            now[0] = seconds
            assert shown(metrics)[f"{VALUE} i f"] == source.calls == calls

    def test_what_is_slow_holds_up_nothing_and_is_shown_when_it_is_there(self) -> None:
        slow, quick = Source(), Source()
        metrics = ClusterMetrics([Part("samples", 0.0, slow), Part("nodes", 0.0, quick)], timeout=0.3)
        assert shown(metrics)["osmv_exporter_up samples"] == 1
        slow.go.clear()
        began = time.monotonic()
        seen = [shown(metrics) for _ in range(3)]
        assert 0.8 < time.monotonic() - began < 5
        assert slow.calls == 2, "a second one was begun beside the one under way"
        assert quick.calls > 2
        assert seen[2]["osmv_exporter_age_seconds samples"] > 0.8 > seen[2]["osmv_exporter_age_seconds nodes"]
        slow.go.set()

    def test_what_fails_is_counted_and_shown_for_a_while_only(self, caplog: pytest.LogCaptureFixture) -> None:
        now = [0.0]
        source = Source()
        metrics = ClusterMetrics([Part("fields", 10, source, lambda: now[0])])
        shown(metrics)
        source.error = ClusterError("it is gone")
        for number in range(1, 4):
            now[0] = number * 100.0
            seen = shown(metrics)
            assert seen["osmv_exporter_up fields"] == 0
            assert seen["osmv_exporter_errors_total fields"] == number
            assert seen["osmv_exporter_age_seconds fields"] == number * 100
            assert seen[f"{VALUE} i f"] == 1
        now[0] = 400.0
        assert f"{VALUE} i f" not in shown(metrics)
        assert [record.message for record in caplog.records] == ["fields: it is gone"]
        source.error = None
        now[0] = 500.0
        assert shown(metrics)["osmv_exporter_up fields"] == 1

    def test_a_cluster_that_never_answers_is_not_waited_for(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            client = connect(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=20)
            metrics = ClusterMetrics(readings.parts(client), timeout=0.5)
            began = time.monotonic()
            seen = shown(metrics)
            assert time.monotonic() - began < 5
            assert {seen[f"osmv_exporter_up {part}"] for part in ("fields", "sizes", "nodes", "samples")} == {0}

    def test_parts_are_those_that_are_documented(self) -> None:
        client = connect("http://127.0.0.1:9")
        assert {part.name for part in readings.parts(client)} == {*PARTS}
        assert {part.name for part in readings.parts(client, samples_every=0)} == {*PARTS} - {"samples"}

    def test_a_cluster_that_is_not_there_is_an_error(self) -> None:
        seen = shown(ClusterMetrics(readings.parts(connect("http://127.0.0.1:9", timeout=1))))
        assert seen["osmv_exporter_errors_total fields"] == 1


@pytest.fixture
def get() -> Iterator[Callable[..., tuple[int, dict[str, str], bytes]]]:
    exporter = Exporter(new_registry([Part("fields", 60, Source())])).start()

    def ask(path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        try:
            with urllib.request.urlopen(
                urllib.request.Request(exporter.url + path, method=method, headers=headers), timeout=20
            ) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    yield ask
    exporter.stop()


class TestOverHttp:
    def test_metrics_in_both_formats(self, get: Callable[..., tuple[int, dict[str, str], bytes]]) -> None:
        status, headers, body = get("/metrics")
        assert (status, headers["Content-Type"].split(";")[0]) == (200, "text/plain")
        families = {family.name: family for family in text_string_to_metric_families(body.decode())}
        assert families[VALUE].samples[0].value == 1
        status, headers, body = get("/metrics", Accept="application/openmetrics-text; version=1.0.0")
        assert headers["Content-Type"].startswith("application/openmetrics-text")
        assert body.endswith(b"# EOF\n")
        status, headers, body = get("/metrics", **{"Accept-Encoding": "gzip"})
        assert VALUE.encode() in gzip.decompress(body)

    def test_all_else(self, get: Callable[..., tuple[int, dict[str, str], bytes]]) -> None:
        assert get("/healthz")[::2] == (200, b"ok\n")
        assert get("/")[0] == 200
        assert get("/../etc/passwd")[0] == get("/metrics/x")[0] == 404
        assert get("/metrics", method="POST")[0] == get("/metrics", method="DELETE")[0] == 405

    def test_it_listens_on_loopback_only_and_says_when_the_address_is_taken(self) -> None:
        exporter = Exporter(CollectorRegistry())
        port = int(exporter.url.rpartition(":")[2])
        assert exporter.url.startswith("http://127.0.0.1:")
        with pytest.raises(InputError, match=f"127.0.0.1:{port}"):
            Exporter(CollectorRegistry(), port=port)


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    told = CliRunner().invoke(app, ["exporter", "--once", "--url", "http://127.0.0.1:9"])
    assert isinstance(told.exception, MissingDependencyError)
    assert "opensearch-multivector[ops]" in str(told.exception)
    with pytest.raises(MissingDependencyError, match=r"opensearch-multivector\[ops\]"):
        SearchMetrics()
    with pytest.raises(MissingDependencyError, match=r"opensearch-multivector\[otel\]"):
        SearchTraces()


def test_a_canarys_check_as_metrics() -> None:
    outcome = Outcome("codes:nprobe=4", "auto", 0.9, 0.8, None, 0.7, None, 0.95, 0.9, alarms=("it fell",))
    check = Check("shop", "articles", "mv", at=5.0, k=10, queries=3, documents=10, written_since=4, outcomes=(outcome,))
    into = Readings()
    add_check(check, into)
    add_check(replace(check, canary="broken", outcomes=(), error="gone"), into)
    way = ("shop", "articles", "mv", "codes:nprobe=4", "auto")
    assert into.values["osmv_canary_recall"] == {(*way, "10"): 0.9}
    assert into.values["osmv_canary_agreement"] == {(*way, "overlap"): 0.8}
    assert into.values["osmv_canary_age_recall"] == {(*way, "oldest"): 0.7}
    assert into.values["osmv_canary_failing"] == {way: 1.0}
    assert into.values["osmv_canary_error"] == {way[:3]: 0.0, ("broken", *way[1:3]): 1.0}
    assert into.values["osmv_canary_outdated_ratio"][way[:3]] == 0.4


def read(read_: Callable[..., None], client: OpenSearch, *patterns: str) -> dict[str, dict[tuple[str, ...], float]]:
    into = Readings()
    client.indices.refresh(index=STATE_INDEX, ignore_unavailable=True)
    read_(client, patterns, into) if patterns else read_(client, into)
    assert not into.errors
    return into.values


@pytest.mark.integration
class TestOnTheNode:
    @pytest.mark.parametrize("mode", [IN_PLACE, SIDECAR])
    def test_a_field_from_its_attachment_to_stale(self, client: OpenSearch, index_name: str, mode: Mode) -> None:
        make_index(client, index_name)
        texts = {f"d{i}": {"text": f"one{i} two", "price": i} for i in range(30)}
        put(client, index_name, texts)
        attachment = attach(client, index_name, mode)
        key = (index_name, "mv")

        def fields() -> dict[str, float]:
            client.indices.refresh(index=f"{index_name},{attachment.target}")
            found = read(readings.read_fields, client, index_name)
            assert found["osmv_field_info"] == {(*key, mode, attachment.target): 1.0}
            return {name.removeprefix("osmv_field_"): values[key] for name, values in found.items() if key in values}

        before = fields()
        assert (before["documents"], before["covered_documents"], before["missing_documents"]) == (30, 0, 30)
        assert before["pending_writes"] == 30
        filler(client, index_name).backfill()
        done = fields()
        assert (done["covered_documents"], done["missing_documents"], done["dead_letters"]) == (30, 0, 0)
        samples = read(readings.read_samples, client, index_name)
        assert samples["osmv_field_sampled_documents"] == {key: 30}
        assert samples["osmv_field_stale_ratio"] == {key: 0}
        assert 20 < samples["osmv_field_vectors_bytes"][key] < 200
        for number in range(15):
            client.update(index=index_name, id=f"d{number}", body={"doc": {"text": "another text"}})
        client.delete(index=index_name, id="d29")
        after = fields()
        assert after["pending_writes"] >= done["pending_writes"] + 16
        assert after.get("orphaned_documents") == (1 if mode == SIDECAR else 0)
        samples = read(readings.read_samples, client, index_name)
        assert samples["osmv_field_stale_ratio"][key] == pytest.approx(15 / 29)
        update_attachment(client, index_name, "mv", paused=True)
        assert (before["paused"], fields()["paused"]) == (0, 1)
        client.indices.delete(index=attachment.target)

    def test_who_is_at_work_and_what_was_refused(self, client: OpenSearch, index_name: str) -> None:
        make_index(client, index_name, shards=1)
        put(client, index_name, {f"d{i}": {"text": f"one{i}"} for i in range(60)})
        client.index(index=index_name, id="half", body='{"text": "\\ud800 is half a letter"}')
        attach(client, index_name, IN_PLACE)
        key = (index_name, "mv")
        worker = threading.Thread(target=filler(client, index_name, pace=replace(PACE, rate=20.0)).backfill)
        worker.start()
        seen: list[dict[str, dict[tuple[str, ...], float]]] = []
        while worker.is_alive():
            seen.append(read(readings.read_fields, client, index_name))
        worker.join()
        assert {values["osmv_field_workers"][key] for values in seen} >= {1}
        assert {
            values["osmv_field_backfill_rate"].get(key) for values in seen if "osmv_field_backfill_rate" in values
        } == {20}
        done = read(readings.read_fields, client, index_name)
        assert (done["osmv_field_workers"][key], done["osmv_field_dead_letters"][key]) == (0, 1)

    def test_a_field_of_osmv_index_and_how_large_it_is(self, client: OpenSearch, index_name: str) -> None:
        from small_index import make_index as make_small

        small = make_small(client, index_name, count=50)
        key = (index_name, "mv")
        fields = read(readings.read_fields, client, index_name)
        assert fields["osmv_field_info"] == {(*key, "indexed", index_name): 1.0}
        assert fields["osmv_field_covered_documents"] == {key: 50}
        client.indices.flush(index=index_name)
        sizes = read(readings.read_sizes, client, index_name)
        store = sizes["osmv_field_store_bytes"][(*key, index_name)]
        files = {labels[3]: size for labels, size in sizes["osmv_field_file_bytes"].items()}
        assert sum(vectors.nbytes for vectors in small.vectors.values()) < files["doc_values"]
        assert files["knn_vectors"] > 50 * 16 * 4
        # OpenSearch keeps the size of the store for ten seconds.
        assert store / 4 < sum(files.values()) < store * 4
        assert sizes["osmv_field_cache_hits_total"].keys() == {(*key, "query"), (*key, "request")}
        samples = read(readings.read_samples, client, index_name)
        assert samples["osmv_field_codebook_drifted"] == {key: 0}
        assert samples["osmv_field_codebook_loss_ratio"][key] == pytest.approx(1, abs=0.3)

    @pytest.mark.skipif(not NATIVE, reason="needs the native plugin")
    def test_what_the_native_plugin_did(self, client: OpenSearch, index_name: str) -> None:
        from small_index import make_index as make_small
        from small_index import make_query

        from opensearch_multivector import Searcher

        make_small(client, index_name, count=50)
        before = read(readings.read_nodes, client)
        Searcher(client, index_name).search(make_query(), rerank="native", window_size=30)
        after = read(readings.read_nodes, client)
        ((node,),) = after["osmv_node_codebooks"]
        name = "osmv_node_maxsim_documents_total"
        assert 30 <= after[name][(node,)] - before[name][(node,)] <= 60
        assert after["osmv_node_maxsim_seconds_total"][(node,)] > before["osmv_node_maxsim_seconds_total"][(node,)]

    def test_one_field_that_is_broken_keeps_nothing_from_the_others(self, client: OpenSearch, index_name: str) -> None:
        for name in (f"{index_name}-a", f"{index_name}-b"):
            make_index(client, name)
            attach(client, name, SIDECAR)
        client.indices.delete(index=f"{index_name}-a")
        into = Readings()
        client.indices.refresh(index=STATE_INDEX)
        readings.read_fields(client, [f"{index_name}*"], into)
        assert len(into.errors) == 1
        assert into.values["osmv_field_documents"] == {(f"{index_name}-b", "mv"): 0}
        client.indices.delete(index=f"osmv-sidecar-{index_name}-*", expand_wildcards="all")

    def test_a_field_that_is_being_detached_is_not_shown(self, client: OpenSearch, index_name: str) -> None:
        make_index(client, index_name)
        attachment = attach(client, index_name, SIDECAR, spec_of())
        update_attachment(client, index_name, "mv", detaching=True)
        into = Readings()
        client.indices.refresh(index=STATE_INDEX)
        readings.read_fields(client, (index_name, attachment.target), into)
        assert not into.values
        client.indices.delete(index=attachment.target)

    def test_attachments_are_found_page_by_page(
        self, client: OpenSearch, index_name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(attachments, "_PAGE", 2)
        names = {f"{index_name}-{number}" for number in range(5)}
        for name in names:
            put_attachment(client, Attachment(name, "any", "mv", IN_PLACE, name, ("text",), "any", "any"))
        client.indices.refresh(index=STATE_INDEX)
        assert {each.index for each in every_attachment(client)} >= names
        for name in names:
            remove_attachment(client, name, "mv")

    def test_it_refreshes_nobodys_index(self, client: OpenSearch, index_name: str) -> None:
        make_index(client, index_name, shards=1)
        client.indices.put_settings(index=index_name, body={"index.refresh_interval": "-1"})
        attach(client, index_name, IN_PLACE)
        put(client, index_name, {"d1": {"text": "one"}})
        for read_ in (readings.read_fields, readings.read_sizes, readings.read_samples):
            read(read_, client, index_name)
        assert client.count(index=index_name)["count"] == 0

    @pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
    def test_the_command_serves_until_it_is_ended(self, node_url: str, sent: signal.Signals) -> None:
        command = [sys.executable, "-m", "opensearch_multivector.cli.main", "exporter", "--port", "0"]
        environment = os.environ | {"OSMV_URL": node_url}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
            assert running.stdout is not None
            url = running.stdout.readline().split()[2]
            with urllib.request.urlopen(url, timeout=60) as answer:
                body = answer.read().decode()
            assert 'osmv_exporter_up{part="fields"}' in body
            running.send_signal(sent)
            try:
                assert running.wait(30) == 0
            finally:
                running.kill()
