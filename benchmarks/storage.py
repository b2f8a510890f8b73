"""Bytes per document and effectiveness of every codec and some reductions, on a BEIR folder.

    python benchmarks/storage.py ../shared/data/scifact --cache .cache [--variant int8 --variant "pool:factor=2 int4"]

A variant is `[REDUCTIONS ]CODEC`, or `floats`: float arrays in `_source`, as OpenSearch's own `lateInteractionScore`
reads them (filled with the first 1,000 documents only, for its size). Each is an index of its own, filled by the
ordinary run, merged to one segment. Printed: bytes a document of the blob and of the whole store, nDCG@10 of `dense`
with 100 candidates reranked, the share of exact MaxSim's top 10 in the result, and the time of one rerank (client side,
p50).
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np
from encoded_collection import EncodedCollection
from rich.console import Console
from rich.table import Table

from opensearch_multivector.encoding.codecs import CODECS
from opensearch_multivector.evaluation.measures import Scorer
from opensearch_multivector.evaluation.runs import strict_ranking
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.indexing.readers import open_reader
from opensearch_multivector.indexing.records import Layout
from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.plugin.sub_fields import Dense, Floats
from opensearch_multivector.queries.searcher import Searcher

_FLOATS = "floats"
_DOCUMENTS_AS_FLOATS = 1_000
_REDUCED = ("pool:factor=2 int8", "pool:factor=2 int4", "pool:factor=3 int8", "pool:factor=2 residual2")


def settle(client, indices: list[str]) -> None:
    """Merge to one segment each, and leave out what is kept for a while only."""
    # Until its retention lease moves on, twice a minute, a shard keeps all of new documents for recovery.
    for index in indices:
        client.indices.flush(index=index)
    time.sleep(65)
    for index in indices:
        client.indices.forcemerge(index=index, params={"max_num_segments": "1"})
        client.indices.refresh(index=index)


def fill(client, index: str, variant: str, encoded: EncodedCollection) -> int:
    reductions, _, codec = variant.rpartition(" ")
    floats = codec == _FLOATS
    documents: object = encoded.folder
    if floats:
        reader = open_reader(encoded.folder, Layout())
        records = (reader.parse(entry) for entry in itertools.islice(reader.entries(), _DOCUMENTS_AS_FLOATS))
        documents = [{"_id": record.doc_id, "text": record.text} for record in records]
    client.indices.delete(index=index, params={"ignore_unavailable": "true"})
    return index_documents(
        client,
        index,
        documents,
        encoder=encoded.remembering(),
        codec="f32" if floats else codec,
        reduce=reductions,
        sub_fields=(Dense(), Floats()) if floats else (Dense(),),
        restart=True,
        message=print,
    ).vector_bytes


def effectiveness(searcher: Searcher, encoded: EncodedCollection, top: list[set[str]]) -> dict[str, float]:
    scorer = Scorer(encoded.collection.qrels, ["nDCG@10"])
    shares, times = [], []
    for query_id, query, wanted in zip(encoded.collection.topics, encoded.queries, top, strict=True):
        result = searcher.search(query, size=100, window_size=100, source=False)
        scorer.add({query_id: strict_ranking((hit.doc_id, hit.score) for hit in result.hits)})
        shares.append(len(wanted & {hit.doc_id for hit in result.hits[:10]}) / len(wanted))
        times.append(result.timings["rerank"])
    return {
        "ndcg_cut_10": scorer.result().mean["nDCG@10"],
        "of_exact_top_10": float(np.mean(shares)),
        "rerank_ms_p50": float(np.percentile(times, 50)),
    }


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if value <= 1 else f"{value:,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="folder for encoded vectors")
    parser.add_argument("--encoder")
    parser.add_argument("--variant", action="append")
    parser.add_argument("--out", type=Path, help="write the figures as JSON, for plot.py")
    arguments = parser.parse_args()
    variants = arguments.variant or [_FLOATS, *CODECS, *_REDUCED]
    client = connect(timeout=600)
    encoded = EncodedCollection(arguments.folder, arguments.cache, arguments.encoder)
    exact = encoded.exact_top()
    console = Console(width=140)
    indices = {variant: f"osmv-bench-{number}" for number, variant in enumerate(variants)}
    try:
        blobs = {variant: fill(client, index, variant, encoded) for variant, index in indices.items()}
        settle(client, list(indices.values()))
        rows: dict[str, dict[str, float]] = {}
        for variant, index in indices.items():
            stats = client.indices.stats(index=index)["indices"][index]["primaries"]
            documents = stats["docs"]["count"]
            rows[variant] = {
                "blob_bytes": blobs[variant] / documents,
                "store_bytes": stats["store"]["size_in_bytes"] / documents,
            }
            if variant != _FLOATS:
                searcher = Searcher(client, index, encoder=encoded.remembering())
                rows[variant] |= effectiveness(searcher, encoded, exact)
        columns = max(rows.values(), key=len)
        table = Table("variant", *(name.replace("_", " ") for name in columns))
        for variant, row in rows.items():
            table.add_row(variant, *(shown(row.get(name)) for name in columns))
        console.print(table)
        if arguments.out:
            arguments.out.write_text(json.dumps(rows, indent=1))
    finally:
        for index in indices.values():
            client.indices.delete(index=index, params={"ignore_unavailable": "true"})


if __name__ == "__main__":
    main()
