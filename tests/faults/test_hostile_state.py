"""Descriptions, records and arrays in the cluster that somebody has altered."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest
from attached_index import AttachedIndex, attachment, make_attached, remove_attached
from fault_table import FaultRow
from hostile import SEED, Trials, value
from opensearchpy import OpenSearch
from scale import HOSTILE_INPUTS
from small_index import make_query

from opensearch_multivector.errors import MismatchError
from opensearch_multivector.indexing.attach.detach import detach
from opensearch_multivector.indexing.backfill import status_of
from opensearch_multivector.indexing.backfill.units import ShardWork
from opensearch_multivector.indexing.checkpoints import Checkpoint
from opensearch_multivector.plugin.artifacts import ARTIFACT_INDEX, get_artifact
from opensearch_multivector.plugin.attachments import put_attachment
from opensearch_multivector.plugin.fields import META_KEY
from opensearch_multivector.plugin.state import STATE_INDEX
from opensearch_multivector.queries.searcher import Searcher

pytestmark = [pytest.mark.integration, pytest.mark.fault("hostile"), pytest.mark.filterwarnings("ignore")]

NAME = "osmv-test-hostile-state"
VICTIM = f"{NAME}-victim"
QUERY = make_query()
COUNT = max(20, HOSTILE_INPUTS // 25)
TARGETS = ["*", "_all", VICTIM, f"{VICTIM},x", f"-{VICTIM}", "", "../x", "a\nb", f"{NAME}-whole", STATE_INDEX]


def altered(rng: random.Random, sound: Any) -> Any:
    """The JSON with a few members gone, added, or of another value."""
    made = copy.deepcopy(sound)
    for _ in range(rng.choice([1, 1, 2, 4])):
        holder = made
        while isinstance(holder, dict) and holder:
            key = rng.choice(list(holder))
            inner = holder[key]
            if isinstance(inner, dict) and inner and rng.random() < 0.8:
                holder = inner
                continue
            way = rng.randrange(5)
            if way == 0:
                del holder[key]
            elif way == 1:
                holder[f"{key}x"] = inner
            else:
                holder[key] = rng.choice([value(rng), None, "x", -1, 2**31, [], {}, True, [None], {"a": 1}])
            break
    # As JSON can hold it, and OpenSearch a document.
    text = json.dumps(made).replace("NaN", "0").replace("-Infinity", "0").replace("Infinity", "0")
    return json.loads(text)


@pytest.fixture(scope="module")
def attached(client: OpenSearch) -> Iterator[AttachedIndex]:
    """Also an index of somebody's that nothing is attached to."""
    client.indices.delete(index=f"{NAME}*", params={"ignore_unavailable": "true"})
    remove_attached(client, NAME)
    made = make_attached(client, NAME, count=20, shards=1)
    client.index(index=VICTIM, id="1", body={"a": 1}, params={"refresh": "true"})
    yield made
    put_attachment(client, attachment(client, made))
    remove_attached(client, NAME)
    client.indices.delete(index=VICTIM)


def test_descriptions(client: OpenSearch, attached: AttachedIndex, fault_row: FaultRow) -> None:
    rng, trials = random.Random(SEED), Trials()
    whole = attached.whole
    sound = {META_KEY: {"fields": {"mv": whole.spec.to_meta()}}}
    for number in range(COUNT):
        made = altered(rng, sound)
        try:
            client.indices.put_mapping(index=whole.name, body={"_meta": made})
        except Exception:  # no JSON that OpenSearch takes
            continue
        stage = rng.choice(["bm25", "dense", "codes", "slim", "fde", "tokens"])
        result = trials.attempt(
            "descriptions", made, lambda s=stage: Searcher(client, whole.name).search(QUERY, first_stage=s, size=20)
        )
        if result and not {hit.doc_id for hit in result.hits} <= whole.vectors.keys():
            trials.fail("descriptions", made, str(result))
        if number % 10 == 0:
            trials.command("descriptions", "export-vectors", whole.name, "--out", "/nowhere/else", "--format", "npz")
    client.indices.put_mapping(index=whole.name, body={"_meta": sound})
    fault_row.counts["state"] += COUNT
    trials.finish()


def test_records(client: OpenSearch, attached: AttachedIndex, fault_row: FaultRow) -> None:
    rng, trials = random.Random(SEED), Trials()
    key = f"attachments-{NAME}"
    sound = {"index": NAME, "fields": {"mv": attachment(client, attached).to_state()}}
    for _ in range(COUNT):
        made = altered(rng, sound)
        try:
            client.index(index=STATE_INDEX, id=key, body=made)
        except Exception:  # no JSON that OpenSearch takes
            continue
        result = trials.attempt("records", made, lambda: Searcher(client, NAME).search(QUERY, size=20))
        if result and not {hit.doc_id for hit in result.hits} <= attached.whole.vectors.keys():
            trials.fail("records", made, str(result))
        trials.attempt("records", made, lambda: status_of(client, NAME))
    fault_row.counts["state"] += COUNT
    trials.finish()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("mode", ["in-place", "sidecar", "new"])
def test_detach_deletes_nothing_else(
    client: OpenSearch, attached: AttachedIndex, target: str, mode: str, fault_row: FaultRow
) -> None:
    """Whoever may write records is not whoever may delete indices."""
    record = attachment(client, attached).to_state() | {"target": target, "mode": mode}
    client.index(index=STATE_INDEX, id=f"attachments-{NAME}", body={"index": NAME, "fields": {"mv": record}})
    before = set(client.indices.get(index="*", params={"expand_wildcards": "all"}))
    with pytest.raises(MismatchError):
        detach(client, NAME)
    assert set(client.indices.get(index="*", params={"expand_wildcards": "all"})) == before
    assert client.count(index=VICTIM)["count"] == 1
    fault_row.counts["state"] += 1


def test_records_of_work_and_runs(client: OpenSearch, fault_row: FaultRow) -> None:
    """Only read: a lease may rightly be somebody else's for as long as it says."""
    rng, trials = random.Random(SEED), Trials()
    work = ShardWork("history", 10, 5).to_state() | {"leases": [], "again": [[1, 2]], "counts": {"written": 3}}
    work["failures"] = [{"after": 0, "to": 5, "count": 1, "letters": [{"doc_id": "a", "reason": "b"}]}]
    mark = {"line": 1, "digest": "00"}
    for _ in range(COUNT * 4):
        made = altered(rng, work)
        trials.attempt("records", made, lambda m=made: ShardWork.from_state(m).covered)
        made = altered(rng, {"index": "a", "index_uuid": "b", "source": "c", "epoch": 1, "owner": "d", "mark": mark})
        trials.attempt("records", made, lambda m=made: Checkpoint.from_state(m))
    fault_row.counts["state"] += COUNT * 8
    trials.finish()


def test_arrays(client: OpenSearch, attached: AttachedIndex, fault_row: FaultRow) -> None:
    rng, trials = random.Random(SEED), Trials()
    (artifact, *_) = attached.whole.spec.artifacts.values()
    ids = [artifact, f"{artifact}.0"]
    sound = {each: client.get(index=ARTIFACT_INDEX, id=each)["_source"] for each in ids}
    for _ in range(COUNT):
        each = rng.choice(ids)
        try:
            client.index(index=ARTIFACT_INDEX, id=each, body=altered(rng, sound[each]))
        except Exception:  # of another type than the mapping has
            continue
        found = trials.attempt("arrays", each, lambda: get_artifact(client, artifact))
        assert found is None or found.id == artifact
        client.index(index=ARTIFACT_INDEX, id=each, body=sound[each])
    assert get_artifact(client, artifact).id == artifact
    fault_row.counts["state"] += COUNT
    trials.finish()
