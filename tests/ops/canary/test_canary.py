"""Canaries of real indices, whose answers NumPy gives, too; what breaks a search makes them fall."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from attached_index import AttachedIndex
from attached_texts import WordEncoder, attach, filler, make_index, put
from opensearchpy import OpenSearch
from small_index import SmallIndex, unit

from opensearch_multivector.encoding.maxsim import maxsim
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.ops.canary import (
    Canary,
    Check,
    Outcome,
    Watch,
    Watching,
    add_canary,
    check_canary,
    get_results,
    latest,
    names,
    remove_canary,
    renew_canary,
    store,
)
from opensearch_multivector.ops.canary import exact as scanning
from opensearch_multivector.ops.metrics.canaries import read_canaries
from opensearch_multivector.ops.metrics.cluster import Readings
from opensearch_multivector.plugin.attachments import IN_PLACE, remove_attachment

pytestmark = pytest.mark.integration

# Of random vectors no first stage finds much among few candidates; among all it must find all.
WIDE = {"window_size": 400, "reranks": ("client",), "graphs": False}


def add(client: OpenSearch, name: str, index: str, **options: Any) -> Canary:
    made = add_canary(client, name, index, **({"draw": 12} | WIDE | options))
    assert made is not None
    return made


def only(check: Check) -> Outcome:
    assert check.error is None
    (outcome,) = check.outcomes
    return outcome


def exact_of(small: SmallIndex, query: np.ndarray, count: int) -> list[str]:
    scores = {doc_id: maxsim(query, vectors) for doc_id, vectors in small.vectors.items()}
    return sorted(scores, key=lambda doc_id: -scores[doc_id])[:count]


def test_answers_are_those_of_numpy_and_a_whole_search_is_well(
    client: OpenSearch, name: str, still: SmallIndex
) -> None:
    canary = add(client, name, still.name)
    queries = store.get_queries(client, canary)
    assert len(queries) == 12
    for each in queries:
        assert each.query.vectors is not None
        assert [answer.doc_id for answer in each.answers] == exact_of(still, each.query.vectors, 20)
        scores = [maxsim(each.query.vectors, still.vectors[answer.doc_id]) for answer in each.answers]
        assert [answer.score for answer in each.answers] == pytest.approx(scores, abs=1e-4)
        assert all(0 < answer.age <= 1 for answer in each.answers)
    check = check_canary(client, canary)
    found = only(check)
    assert (found.recall, found.overlap, found.alarms) == (1, 1, ())
    assert found.rbo == pytest.approx(1)
    assert (found.recall_oldest, found.recall_newest) == (1, 1)
    assert (check.documents, check.written_since, check.deleted, check.changed, check.lost) == (120, 0, 0, 0, 0)
    assert check.segments
    assert latest(client)[names(client).index(name)] == check


def test_a_worse_first_stage_is_seen_and_alarms(client: OpenSearch, name: str, still: SmallIndex) -> None:
    canary = add(client, name, still.name, first_stages=("codes:nprobe=40",), window_size=120)
    assert only(check_canary(client, canary)).recall == 1
    worse = replace(canary, first_stages=("codes:nprobe=1",))
    found = only(check_canary(client, replace(worse, min_recall=0.9), keep=False))
    assert found.recall < 0.9
    # What it finds is in the right order, and what it misses is missing from the page.
    assert found.overlap == pytest.approx(found.recall, abs=1e-6)
    assert found.worst
    assert found.alarms == (f"recall@10 is {found.recall:.3f}, below 0.9",)


def test_damaged_vectors_are_missed_and_told(client: OpenSearch, name: str, small: SmallIndex) -> None:
    canary = add(client, name, small.name)
    check_canary(client, canary)
    answered = {each.doc_id for query in store.get_queries(client, canary) for each in query.answers}
    for place, doc_id in enumerate(sorted(answered)[::2]):
        damaged = small.body(doc_id)
        blob = base64.b64decode(damaged["mv.vectors"])
        damaged["mv.vectors"] = base64.b64encode(blob[:-3] + b"???").decode() if place % 2 else None
        client.index(index=small.name, id=doc_id, body=damaged)
    client.indices.refresh(index=small.name)
    check = check_canary(client, canary)
    found = only(check)
    assert check.lost == len(sorted(answered)[::2])
    assert check.changed == 0
    assert found.overlap < 0.8
    assert any("overlap@10" in alarm for alarm in found.alarms)
    assert found.baseline_overlap == 1


def test_deleted_and_changed_documents_are_left_out_and_new_ones_are_no_loss(
    client: OpenSearch, name: str, small: SmallIndex
) -> None:
    canary = add(client, name, small.name)
    best = [each.answers[0].doc_id for each in store.get_queries(client, canary)]
    deleted, changed, rewritten = list(dict.fromkeys(best))[:3]
    client.delete(index=small.name, id=deleted)
    client.index(index=small.name, id=rewritten, body=small.body(rewritten) | {"title": "of other words"})
    small.put(np.random.default_rng(99), [changed, *(f"new{i}" for i in range(40))])
    check = check_canary(client, canary)
    found = only(check)
    assert (check.deleted, check.changed, check.lost) == (1, 1, 0)
    assert check.written_since == 42
    assert check.outdated == pytest.approx(42 / 120)
    assert (found.recall, found.overlap) == (1, 1)
    renewed = renew_canary(client, name)
    assert renewed is not None
    assert (renewed.generation, renewed.documents) == (2, 159)
    del small.vectors[deleted]
    for each in store.get_queries(client, renewed):
        assert each.query.vectors is not None
        assert [answer.doc_id for answer in each.answers][:10] == exact_of(small, each.query.vectors, 10)
    check = check_canary(client, renewed)
    assert (check.written_since, check.deleted, only(check).overlap) == (0, 0, 1)
    with pytest.raises(MismatchError, match="lost queries"):
        store.get_queries(client, canary)  # of the first generation nothing is left


def test_lost_codes_of_the_newest_documents_show_in_their_quarter(
    client: OpenSearch, name: str, small: SmallIndex
) -> None:
    """What an index of HNSW graphs loses by the order of insertion, done by hand."""
    newest = sorted(small.vectors)[-30:]
    bodies = {doc_id: small.body(doc_id) | {"mv.codes": []} for doc_id in newest}
    for doc_id, body in bodies.items():
        client.index(index=small.name, id=doc_id, body=body)
    canary = add(client, name, small.name, draw=30, first_stages=("codes:nprobe=30",), window_size=119)
    found = only(check_canary(client, canary))
    # Shards are not of one size, so that a few of their newest quarters were written before.
    assert found.recall_newest is not None
    assert found.recall_newest < 0.3
    assert found.recall_oldest is not None
    assert found.recall_oldest > 0.8


def test_graphs_are_held_against_exact_neighbours(client: OpenSearch, name: str, still: SmallIndex) -> None:
    cut = "dense:min_score=1.87"  # as a graph whose search ends early, this loses neighbours
    canary = add(client, name, still.name, first_stages=("dense", cut, "codes"), window_size=30, graphs=True)
    pooled = {doc_id: unit(vectors.mean(axis=0)) for doc_id, vectors in still.vectors.items()}
    for each in store.get_queries(client, canary):
        assert each.query.pooled is not None
        scores = {doc_id: float(vector @ each.query.pooled) for doc_id, vector in pooled.items()}
        nearest = sorted(scores, key=lambda doc_id: -scores[doc_id])[:30]
        assert each.neighbours.keys() == {"dense", cut}
        assert [answer.doc_id for answer in each.neighbours["dense"]] == nearest
        ages = [answer.age for answer in each.neighbours["dense"]]
        assert min(ages) < 0.25 < 0.75 < max(ages)
    outcomes = {each.way: each for each in check_canary(client, canary).outcomes}
    assert outcomes.keys() == {"dense/client", "dense/hnsw", f"{cut}/client", f"{cut}/hnsw", "codes/client"}
    whole = outcomes["dense/hnsw"]
    assert (whole.recall, whole.recall_oldest, whole.recall_newest) == (1, 1, 1)
    assert outcomes[f"{cut}/hnsw"].recall < 0.9
    assert outcomes[f"{cut}/hnsw"].worst
    shown = Readings()
    read_canaries(client, shown)
    place = (name, still.name, "mv", "dense")
    assert shown.values["osmv_canary_recall"][*place, "hnsw", "30"] == 1
    assert shown.values["osmv_canary_recall"][*place, "client", "10"] == outcomes["dense/client"].recall
    assert shown.values["osmv_canary_age_recall"][*place, "hnsw", "newest"] == 1


def test_a_sample_gives_nearly_the_same_recall(client: OpenSearch, name: str, small: SmallIndex) -> None:
    small.put(np.random.default_rng(11), [f"more{i}" for i in range(200)])
    ways = {"draw": 60, "first_stages": ("dense", "codes:nprobe=2"), "window_size": 60, "reranks": ("client",)}
    whole = check_canary(client, add(client, name, small.name, **ways))
    said: list[str] = []
    sampled = add(client, f"{name}-s", small.name, sample=160, watching=Watching(said.append), **ways)
    try:
        assert sampled.share == pytest.approx(0.5)
        assert any("estimate" in sentence for sentence in said)
        check = check_canary(client, sampled)
        for one, other in zip(whole.outcomes, check.outcomes, strict=True):
            assert other.rbo is None
            assert other.recall == pytest.approx(one.recall, abs=0.15), (one, other)
            assert other.overlap == pytest.approx(one.overlap, abs=0.15), (one, other)
    finally:
        remove_canary(client, f"{name}-s")


class _Killed(Exception):
    pass


def test_a_killed_scan_goes_on_where_it_was(
    client: OpenSearch, name: str, still: SmallIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ten documents a page, noted after each.
    monkeypatch.setattr(scanning, "_PAGE_BYTES", 1)
    monkeypatch.setattr(scanning, "_NOTED_EVERY", -1.0)
    pages: list[int] = []

    def killed_after(most: int) -> Callable[[int, int], None]:
        def progress(done: int, total: int) -> None:
            pages.append(done)
            if done >= most:
                raise _Killed

        return progress

    with pytest.raises(_Killed):
        add(client, name, still.name, watching=Watching(progress=killed_after(50)))
    assert name not in names(client)
    stopped = threading.Event()
    stopped.set()
    assert add_canary(client, name, still.name, draw=12, watching=Watching(stop=stopped), **WIDE) is None
    first, pages[:] = list(pages), []
    said: list[str] = []
    canary = add(client, name, still.name, watching=Watching(said.append, killed_after(10_000), rate=40))
    assert any("going on" in sentence for sentence in said)
    assert first[0] < pages[0] <= 60
    assert pages[-1] == 120
    assert max(np.diff(pages)) <= 40  # what passes in a second at that rate
    for each in store.get_queries(client, canary):
        assert each.query.vectors is not None
        assert [answer.doc_id for answer in each.answers] == exact_of(still, each.query.vectors, 20)
    assert store.get_scan(client, name) is None


def test_an_index_made_anew_is_told_and_renewed(client: OpenSearch, name: str, small: SmallIndex) -> None:
    canary = add(client, name, small.name)
    check_canary(client, canary)
    body = client.indices.get(index=small.name)[small.name]
    client.indices.delete(index=small.name)
    settings = {"number_of_shards": 1, "index.knn": True}
    client.indices.create(index=small.name, body={"mappings": body["mappings"], "settings": settings})
    small.put(np.random.default_rng(5), sorted(small.vectors)[:50])
    small.vectors = dict(list(small.vectors.items())[:50])
    check = check_canary(client, canary)
    assert check.error is not None
    assert "renew" in check.error
    assert check.alarms == (check.error,)
    with pytest.raises(MismatchError, match="osmv canary renew"):
        check_canary(client, canary, raises=True)
    renewed = renew_canary(client, name)
    assert renewed is not None
    assert only(check_canary(client, renewed)).overlap == 1


def test_a_sidecar_is_watched_too(client: OpenSearch, name: str, attached: AttachedIndex) -> None:
    canary = add(client, name, attached.name, first_stages=("dense", "codes:nprobe=30"), window_size=40, draw=8)
    check = check_canary(client, canary)
    assert {each.recall for each in check.outcomes} == {1.0}
    best = list(dict.fromkeys(each.answers[0].doc_id for each in store.get_queries(client, canary)))
    attached.delete(best[0])  # from the user's index: what is beside is an orphan
    client.delete(index=attached.sidecar, id=best[1], params={"refresh": "true"})  # lost beside, and there for the user
    check = check_canary(client, canary)
    assert (check.deleted, check.lost, check.changed) == (1, 1, 0)
    assert all(0.8 < each.recall < 1 for each in check.outcomes)


def test_a_field_attached_in_place_is_watched_as_it_follows_its_texts(client: OpenSearch, name: str) -> None:
    index = f"{name}-place"
    make_index(client, index)
    put(client, index, {f"d{i}": {"text": f"all word{i} word{i * i % 7}", "price": i} for i in range(30)})
    attach(client, index, IN_PLACE)
    filler(client, index).backfill()
    canary = add(client, name, index, first_stages=("bm25",), window_size=60, encoder=WordEncoder())
    assert canary.documents == 30
    assert only(check_canary(client, canary)).overlap == 1
    answered = store.get_queries(client, canary)[0].answers
    client.update(index=index, id=answered[0].doc_id, body={"doc": {"price": 1}})
    client.update(index=index, id=answered[1].doc_id, body={"doc": {"text": "all other words"}})
    client.delete(index=index, id=answered[2].doc_id)
    client.indices.refresh(index=index)
    check = check_canary(client, canary)  # the second one's vectors are of its earlier text still
    assert (check.deleted, check.changed, check.lost, check.written_since) == (1, 0, 0, 2)
    filler(client, index).round()
    client.indices.refresh(index=index)
    check = check_canary(client, canary)
    assert (check.deleted, check.changed, check.lost, check.written_since) == (1, 1, 0, 2)
    assert (only(check).recall, only(check).overlap) == (1, 1)
    remove_attachment(client, index, "mv")


def test_a_schedule_is_shared_and_goes_on_past_errors(client: OpenSearch, name: str, small: SmallIndex) -> None:
    add(client, name, small.name)
    mine = (name,)
    first, second = Watch(client, 3600, mine), Watch(client, 3600, mine)
    assert [check.canary for check in first.check_due()] == [name]
    assert second.check_due() == first.check_due() == []
    told: list[Check] = []
    stop = threading.Event()
    client.indices.close(index=small.name)

    def tell(check: Check) -> None:
        told.append(check)
        stop.set()

    Watch(client, 1e-6, mine).start(stop, tell).join(60)
    assert told[0].error is not None
    client.indices.open(index=small.name, params={"wait_for_active_shards": "1"})
    client.cluster.health(index=small.name, params={"wait_for_status": "yellow"})
    (check,) = Watch(client, 1e-6, mine).check_due()
    assert check.error is None
    results = get_results(client, name)
    assert [point.documents for point in results.history] == [120, 120]
    segments = {point.segments for point in results.history}
    assert set(results.by_segments()["dense/client"]) == segments


def test_queries_of_a_file(client: OpenSearch, name: str, still: SmallIndex, tmp_path: Any) -> None:
    lines = [
        f'{{"_id": "q{i}", "text": "any", "vectors": {still.vectors[doc_id].tolist()}}}'
        for i, doc_id in enumerate(sorted(still.vectors)[:3])
    ]
    file = tmp_path / "queries.jsonl"
    file.write_text("\n".join(lines))
    canary = add(client, name, still.name, queries=str(file), first_stages=("dense", "bm25"))
    assert [query.id for query in store.get_queries(client, canary)] == ["q0", "q1", "q2"]
    dense, _ = check_canary(client, canary).outcomes
    assert dense.recall == 1
    with pytest.raises(InputError, match="there is a canary"):
        add(client, name, still.name)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"first_stages": ("none such",)}, "unknown first stage"),
        ({"k": 0}, "from 1 to 100"),
        ({"window_size": 5}, "beyond the window"),
        ({"min_recall": 1.5}, "from 0 to 1"),
        ({"draw": 0}, "from 1 to 1,000"),
        ({"reranks": ()}, "at least one"),
    ],
)
def test_what_makes_no_sense_is_said_and_leaves_nothing(
    client: OpenSearch, name: str, still: SmallIndex, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        add_canary(client, name, still.name, **options)
    assert name not in names(client)
    assert store.get_scan(client, name) is None
