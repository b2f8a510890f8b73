"""Exact nearest neighbours in the vectors of a k-NN stage, by which its HNSW graphs are watched apart from the model.

OpenSearch scores every document, by a script of the k-NN plugin: once for each query, when the answers are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from opensearchpy import OpenSearch

from opensearch_multivector.indexing.backfill.scan import search_shard
from opensearch_multivector.ops.canary.canary import Answer, Canary
from opensearch_multivector.ops.canary.exact import Scan
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages import parse_first_stages
from opensearch_multivector.queries.first_stages.dense import Dense
from opensearch_multivector.queries.first_stages.fde import Fde


def graphs_of(canary: Canary) -> list[str]:
    """Those of the canary's first stages that are one search of HNSW graphs."""
    alone = {each: parse_first_stages(each).stages for each in dict.fromkeys(canary.first_stages)}
    return [each for each, stages in alone.items() if len(stages) == 1 and isinstance(stages[0], Dense | Fde)]


def nearest(
    client: OpenSearch, index: str, spec: FieldSpec, first_stage: str, query: EncodedQuery, scan: Scan, count: int
) -> tuple[Answer, ...]:
    """The ``count`` nearest of the documents of a scan that is at its end. Raises ClusterError."""
    (stage,) = parse_first_stages(first_stage).stages
    ((field, clause),) = stage.dsl(spec, query, count, None)["knn"].items()
    answers: list[Answer] = []
    for shard, horizon in enumerate(scan.horizons):
        body = _body(field, clause["vector"], horizon, count)
        answers += [
            Answer(hit["_id"], float(hit["_score"]), hit["_seq_no"], scan.age(shard, hit["_seq_no"]), "")
            for hit in search_shard(client, index, shard, body)
        ]
    return tuple(sorted(answers, key=lambda each: -each.score)[:count])


def _body(field: str, vector: Sequence[float], horizon: int, count: int) -> dict[str, Any]:
    there = [{"range": {"_seq_no": {"lte": horizon}}}, {"exists": {"field": field}}]
    params = {"field": field, "query_value": vector, "space_type": "innerproduct"}
    script = {"lang": "knn", "source": "knn_score", "params": params}
    return {
        "size": count,
        "_source": False,
        "seq_no_primary_term": True,
        "track_total_hits": False,
        "query": {"script_score": {"query": {"bool": {"filter": there}}, "script": script}},
    }
