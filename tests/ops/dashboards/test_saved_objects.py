"""The saved objects for OpenSearch Dashboards, which can't run here: their form, and each aggregation on the real node.

An import there reads what is checked here: one object a line, references that lead to objects, JSON within JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from dashboards import SAVED_OBJECTS
from opensearchpy import OpenSearch
from small_index import make_index, make_query

from opensearch_multivector import Searcher
from opensearch_multivector.errors import OsmvError
from opensearch_multivector.ops.metrics.events import EVENTS, SearchEvents

*OBJECTS, SUMMARY = SAVED_OBJECTS
BY_ID = {(each["type"], each["id"]): each for each in OBJECTS}
VISUALIZATIONS = [each for each in OBJECTS if each["type"] == "visualization"]
KINDS = {"keyword": "string", "text": "string", "date": "date", "boolean": "boolean"}
KINDS |= dict.fromkeys(("float", "integer", "long"), "number")
each_visualization = pytest.mark.parametrize("saved", VISUALIZATIONS, ids=[each["id"] for each in VISUALIZATIONS])


def state(saved: dict[str, Any]) -> dict[str, Any]:
    return json.loads(saved["attributes"]["visState"])


def test_the_file_is_whole() -> None:
    assert len(BY_ID) == len(OBJECTS)
    assert {"exportedCount": len(OBJECTS), "missingRefCount": 0, "missingReferences": []} == SUMMARY
    for each in OBJECTS:
        assert each["migrationVersion"].keys() == {each["type"]}
        assert each["attributes"]["title"]
        for reference in each["references"]:
            assert (reference["type"], reference["id"]) in BY_ID, each["id"]


def test_the_dashboard_shows_each_once() -> None:
    (dashboard,) = (each for each in OBJECTS if each["type"] == "dashboard")
    panels = json.loads(dashboard["attributes"]["panelsJSON"])
    named = {reference["name"]: (reference["type"], reference["id"]) for reference in dashboard["references"]}
    assert [named[panel["panelRefName"]] for panel in panels] == [
        key for key in BY_ID if key[0] in ("visualization", "search")
    ]
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridData"]["x"], panel["gridData"]["x"] + panel["gridData"]["w"])
        for y in range(panel["gridData"]["y"], panel["gridData"]["y"] + panel["gridData"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 48


@each_visualization
def test_its_form(saved: dict[str, Any]) -> None:
    shown = state(saved)
    assert shown["title"] == saved["attributes"]["title"]
    ids = [agg["id"] for agg in shown["aggs"]]
    assert len(set(ids)) == len(ids)
    source = json.loads(saved["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert source["indexRefName"] == saved["references"][0]["name"]
    for series in shown["params"].get("seriesParams", ()):
        assert series["data"]["id"] in ids
        assert series["type"] == shown["type"]


@pytest.fixture(scope="module")
def events(client: OpenSearch) -> Iterator[dict[str, int]]:
    """Real events of real searches; how many there are by outcome."""
    clear(client)
    make_index(client, "test-events", count=20)
    with SearchEvents(client, sample=1.0, text=True, every=0.1) as events:
        searcher = Searcher(client, "test-events", observer=events)
        for seed in range(3):
            searcher.search(make_query(seed), first_stage="dense", rerank="client")
            searcher.search(make_query(seed), first_stage="bm25+dense", rerank=None)
        searcher.search(make_query(), first_stage="bm25", filter={"term": {"group": "nobody's"}})
        client.indices.delete(index="test-events")
        with pytest.raises(OsmvError):
            Searcher(client, "test-events", observer=events).search(make_query(), first_stage="dense")
        with pytest.raises(OsmvError):
            searcher.search(make_query(), first_stage="dense")
    client.indices.refresh(index=f"{EVENTS}-*")
    yield {"whole": 7, "failed": events.written - 7}
    clear(client)


def clear(client: OpenSearch) -> None:
    client.indices.delete(index=f"test-events,{EVENTS}-*", ignore_unavailable=True)


@pytest.mark.integration
def test_the_index_pattern_has_the_fields_of_the_real_mapping(client: OpenSearch, events: dict[str, int]) -> None:
    attributes = BY_ID["index-pattern", EVENTS]["attributes"]
    mappings = client.indices.get_field_mapping(index=attributes["title"], fields="*")
    ((_, body),) = mappings.items()
    real = {
        name: next(iter(each["mapping"].values()))["type"]
        for name, each in body["mappings"].items()
        if each["mapping"] and not name.startswith("_")
    }
    fields = json.loads(attributes["fields"])
    assert {field["name"]: field["esTypes"] for field in fields} == {name: [kind] for name, kind in real.items()}
    for field in fields:
        assert field["type"] == KINDS[field["esTypes"][0]]
        assert field["aggregatable"] == (field["esTypes"] != ["text"])
    assert attributes["timeFieldName"] in real


@pytest.mark.integration
@each_visualization
def test_its_aggregation_on_the_real_node(client: OpenSearch, events: dict[str, int], saved: dict[str, Any]) -> None:
    source = json.loads(saved["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    assert source["query"]["language"] == "kuery"
    text = source["query"]["query"].replace(" : ", ":").replace(" or ", " OR ") or "*"
    body = {"size": 0, "query": {"query_string": {"query": text}}, "aggs": request(state(saved)["aggs"])}
    answer = client.search(index=BY_ID["index-pattern", EVENTS]["attributes"]["title"], body=body)
    hits = answer["hits"]["total"]["value"]
    expected = {"": sum(events.values()), "outcome : failed": events["failed"], "hits : 0": 1}
    assert hits == expected.get(source["query"]["query"], events["failed"])
    assert values(answer["aggregations"])


def request(aggs: list[dict[str, Any]]) -> dict[str, Any]:
    """The aggregations as Dashboards asks for them: buckets within one another, the metrics in the innermost."""
    made = {}
    for agg in aggs:
        if agg["schema"] == "metric":
            allowed = ("field", "percents")
            made[agg["id"]] = {agg["type"]: {name: agg["params"][name] for name in allowed if name in agg["params"]}}
    for agg in reversed([agg for agg in aggs if agg["schema"] != "metric"]):
        params = agg["params"]
        body: dict[str, Any] = {"field": params["field"]}
        if agg["type"] == "terms":
            ordered = params["orderBy"]
            innermost = ordered in made
            body |= {"size": params["size"]} | ({"order": {ordered: params["order"]}} if innermost else {})
        else:
            body |= {"fixed_interval": "1m", "min_doc_count": params["min_doc_count"]}
        made = {agg["id"]: {agg["type"]: body, "aggs": made}}
    return made


def values(answer: dict[str, Any]) -> list[float]:
    """All figures of an answer, to the last bucket."""
    found: list[float] = []
    for body in answer.values():
        for bucket in body.get("buckets", ()):
            found += values({key: part for key, part in bucket.items() if isinstance(part, dict)})
        of_metric = body.get("values", {"": body.get("value")}).values()
        found += [value for value in of_metric if isinstance(value, float)]
    return found


@pytest.mark.integration
def test_the_weights_add_up_to_all_searches(client: OpenSearch, events: dict[str, int]) -> None:
    (saved,) = (each for each in VISUALIZATIONS if each["id"] == "osmv-events-searches")
    answer = client.search(index=EVENTS, body={"size": 0, "aggs": request(state(saved)["aggs"])})
    assert sum(values(answer["aggregations"])) == sum(events.values())


@pytest.mark.integration
def test_the_saved_search_reads_fields_that_there_are(client: OpenSearch, events: dict[str, int]) -> None:
    attributes = BY_ID["search", "osmv-events-slowest"]["attributes"]
    names = {field["name"] for field in json.loads(BY_ID["index-pattern", EVENTS]["attributes"]["fields"])}
    assert set(attributes["columns"]) <= names
    body = {"sort": [{name: order} for name, order in attributes["sort"]], "size": 3}
    hits = client.search(index=EVENTS, body=body)["hits"]["hits"]
    seconds = [hit["_source"]["seconds"]["total"] for hit in hits]
    assert seconds == sorted(seconds, reverse=True)
