"""The probe, the doctor and the sentences for the cluster's refusals, on the real node."""

from __future__ import annotations

import json

import pytest
from node_under_test import RELEASE, SINCE_3_3
from opensearchpy import OpenSearch
from typer.testing import CliRunner, Result

from opensearch_multivector.cli.main import app
from opensearch_multivector.encoding.encoders import load_encoder
from opensearch_multivector.errors import ClusterError
from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.plugin.mapping import index_body
from opensearch_multivector.plugin.probe import KNN, LUCENE_ONLY, NEURAL_SEARCH, probe

pytestmark = pytest.mark.integration


def doctor(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", "--url", url, *arguments])


def checks(result: Result) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(result.stdout)["checks"]}


def make_index(client: OpenSearch, name: str, encoder: EncoderRef) -> None:
    spec = FieldSpec(field="mv", dim=8, codec="f32", vectors=encoder)
    client.indices.create(index=name, body=index_body(spec))


def test_the_probe_finds_what_is_there_and_leaves_nothing(client: OpenSearch) -> None:
    before = client.cat.indices(params={"format": "json", "h": "index", "expand_wildcards": "all"})
    found = probe(client)
    assert client.cat.indices(params={"format": "json", "h": "index", "expand_wildcards": "all"}) == before
    assert found.release == RELEASE
    assert found.has_plugin(KNN)
    assert found.has_plugin(NEURAL_SEARCH)
    assert found.engines["lucene"] is True
    # The local node and docker/base say of themselves that they have no native libraries; the official image has them.
    attributes = [node.get("attributes", {}) for node in client.nodes.info()["nodes"].values()]
    assert found.lucene_only is any(LUCENE_ONLY in each for each in attributes)
    assert (found.late_interaction, found.late_interaction_from) == (SINCE_3_3, "asked")
    assert found.max_clause_count == 1024


def test_the_doctor_calls_the_node_ready(node_url: str) -> None:
    result = doctor(node_url, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["ready"] is True
    assert checks(result)["k-NN"]["state"] == "ok"
    assert "Ready." in doctor(node_url).stdout


def test_documents_without_vectors_are_counted(client: OpenSearch, node_url: str, index_name: str) -> None:
    make_index(client, index_name, EncoderRef(READY_VECTORS, "ready"))
    client.index(index=index_name, id="with", body={"mv.vectors": "AAAA"})
    client.index(index=index_name, id="without", body={"text": "lost its vectors"}, refresh=True)
    check = checks(doctor(node_url, "--index", index_name, "--json"))[f"{index_name}: mv"]
    assert check["state"] == "warning"
    assert "2 documents, 1 without vectors" in check["found"]


@pytest.mark.parametrize("fits", [True, False])
def test_the_encoder_of_the_index_is_loaded_and_compared(
    client: OpenSearch, node_url: str, index_name: str, fits: bool
) -> None:
    encoder = load_encoder("all-MiniLM-L6-v2-int8")
    make_index(client, index_name, EncoderRef(encoder.name, encoder.fingerprint if fits else "0" * 16))
    result = doctor(node_url, "--index", index_name, "--json")
    assert result.exit_code == (0 if fits else 1)
    assert checks(result)[f"{index_name}: mv encoder"]["state"] == ("ok" if fits else "missing")


def test_an_index_without_a_multi_vector_field(client: OpenSearch, node_url: str, index_name: str) -> None:
    client.indices.create(index=index_name)
    result = doctor(node_url, "--index", index_name, "--json")
    assert result.exit_code == 1
    assert checks(result)[index_name]["found"] == "no multi-vector field"


def test_no_cluster_and_no_index_are_cluster_errors(node_url: str) -> None:
    for result, said in (
        (doctor("http://127.0.0.1:1"), "nothing answers at 127.0.0.1:1"),
        (doctor(node_url, "--index", "no-such-index"), "there is no index 'no-such-index'"),
    ):
        assert isinstance(result.exception, ClusterError)
        assert result.exception.exit_code == 3
        assert said in str(result.exception)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"query": {"knnn": {}}}, r"status 400.*unknown query \[knnn\]"),
        ({"query": {"bool": {"should": [{"term": {"a": i}} for i in range(1100)]}}}, "more clauses than"),
        (
            {"query": {"script_score": {"query": {"match_all": {}}, "script": {"source": "noSuchCall(1)"}}}},
            r"Unknown call \[noSuchCall\]",
        ),
    ],
)
def test_a_refused_search_says_why(client: OpenSearch, index_name: str, body: dict[str, object], said: str) -> None:
    client.indices.create(index=index_name, body={"mappings": {"properties": {"a": {"type": "integer"}}}})
    with pytest.raises(ClusterError, match=said), cluster_errors():
        client.search(index=index_name, body=body)


def test_a_write_to_a_blocked_index_says_so(client: OpenSearch, index_name: str) -> None:
    client.indices.create(index=index_name, body={"settings": {"index.blocks.write": True}})
    with pytest.raises(ClusterError, match="blocked for writing"), cluster_errors():
        client.index(index=index_name, id="1", body={})


def test_an_unknown_field_type_names_the_missing_part(client: OpenSearch, index_name: str) -> None:
    # What a cluster without k-NN answers to knn_vector, it answers to any type that it lacks.
    with pytest.raises(ClusterError, match=r"No handler for type \[no_such_vector\]"), cluster_errors():
        client.indices.create(index=index_name, body={"mappings": {"properties": {"v": {"type": "no_such_vector"}}}})
