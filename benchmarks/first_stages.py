"""How much of exact MaxSim's top 10 each first stage finds, and what it costs.

    python benchmarks/first_stages.py ../shared/data/scifact --cache .cache \
        --sub-field dense --sub-field codes --sub-field fde --stage bm25 --stage dense --stage codes --stage fde

One index with the given sub-fields, filled by the ordinary run. Printed for each stage, over all topics: the share of
the exact top 10 among its first 100 and 300 candidates, the engine's own time (`took`, p50 and p95, one request at a
time after a warm-up), clauses of a request, and postings read: documents that the request's terms occur in, summed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from encoded_collection import EncodedCollection
from rich.console import Console
from rich.progress import track
from rich.table import Table

from opensearch_multivector.encoding.encoders import load_term_encoder
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.plugin.sub_fields import parse_sub_fields
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.first_stages import parse_first_stages
from opensearch_multivector.queries.query_encoder import QueryEncoder
from opensearch_multivector.queries.searcher import Searcher

_POSTINGS_TOPICS = 20


def terms_of(clause: Any) -> Iterator[dict[str, Any]]:
    """The inverted-index clauses of a request, each as a query of its own."""
    if isinstance(clause, dict):
        for name, inner in clause.items():
            if name in ("term", "terms"):
                yield {name: inner}
            elif name == "rank_feature":
                yield {"exists": {"field": inner["field"]}}
            else:
                yield from terms_of(inner)
    elif isinstance(clause, list):
        for inner in clause:
            yield from terms_of(inner)


def postings(client, index: str, clauses: list[dict[str, Any]]) -> int:
    if not clauses:
        return 0
    lines: list[dict[str, Any]] = []
    for clause in clauses:
        lines += [{}, {"query": clause, "size": 0, "track_total_hits": True}]
    responses = client.msearch(body=lines, index=index)["responses"]
    return sum(response["hits"]["total"]["value"] for response in responses)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="folder for encoded vectors")
    parser.add_argument("--encoder")
    parser.add_argument("--index", default="osmv-bench-first-stages", help="kept with --keep, and then used again")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--codec", default="int8")
    parser.add_argument("--reduce", default="")
    parser.add_argument("--sub-field", action="append", required=True)
    parser.add_argument("--stage", action="append", required=True)
    parser.add_argument("--out", type=Path, help="write the figures as JSON, for plot.py")
    arguments = parser.parse_args()
    client = connect(timeout=600)
    encoded = EncodedCollection(arguments.folder, arguments.cache, arguments.encoder)
    top = encoded.exact_top()
    sub_fields = parse_sub_fields(arguments.sub_field)
    term_encoder = load_term_encoder() if any(sub_field.needs_terms for sub_field in sub_fields) else None
    console = Console(width=140)
    try:
        if not client.indices.exists(index=arguments.index):
            summary = index_documents(
                client,
                arguments.index,
                arguments.folder,
                encoder=encoded.remembering(),
                term_encoder=term_encoder,
                codec=arguments.codec,
                sub_fields=sub_fields,
                reduce=arguments.reduce,
                message=console.print,
            )
            console.print(f"{summary.indexed:,} documents, {summary.docs_per_second} documents/s")
            client.indices.forcemerge(index=arguments.index, params={"max_num_segments": "1"})
            client.indices.refresh(index=arguments.index)
        searcher = Searcher(client, arguments.index, encoder=encoded.remembering(), term_encoder=term_encoder)
        query_encoder = QueryEncoder(searcher.spec, encoded.remembering(), term_encoder)
        rows = {
            expression: figures(client, searcher, query_encoder, encoded.queries, expression, top)
            for expression in arguments.stage
        }
        table = Table("first stage", *(name.replace("_", " ") for name in next(iter(rows.values()))))
        for expression, row in rows.items():
            table.add_row(expression, *(f"{value:,.4f}" if value <= 1 else f"{value:,.0f}" for value in row.values()))
        console.print(table)
        if arguments.out:
            arguments.out.write_text(json.dumps(rows, indent=1))
    finally:
        if not arguments.keep:
            client.indices.delete(index=arguments.index, params={"ignore_unavailable": "true"})


def figures(
    client,
    searcher: Searcher,
    query_encoder: QueryEncoder,
    encoded: list[EncodedQuery],
    expression: str,
    top: list[set[str]],
) -> dict[str, float]:
    """One stage's figures."""
    stages = parse_first_stages(expression).stages
    queries: list[EncodedQuery | str] = list(encoded)
    if any(stage.needs == "terms" for stage in stages):
        queries = [query.text or "" for query in encoded]
    shares: list[tuple[float, float]] = []
    took: list[float] = []
    options = {"first_stage": expression, "rerank": None, "size": 300, "window_size": 300, "source": False}
    searcher.search(queries[0], **options)
    for query, wanted in track(list(zip(queries, top, strict=True)), expression, transient=True):
        result = searcher.search(query, **options)
        found = [hit.doc_id for hit in result.hits]
        shares.append((len(wanted & set(found[:100])) / len(wanted), len(wanted & set(found)) / len(wanted)))
        took.append(result.timings["first_stage_took"])
    clauses: list[int] = []
    read: list[int] = []
    needs = frozenset(stage.needs for stage in stages)
    for query in query_encoder.encode(queries[:_POSTINGS_TOPICS], needs):
        parts = [part for stage in stages for part in terms_of(stage.dsl(searcher.spec, query, 300, None))]
        clauses.append(len(parts))
        read.append(postings(client, searcher.index, parts))
    at100, at300 = np.mean(shares, axis=0)
    p50, p95 = np.percentile(took, (50, 95))
    return {
        "top_10_in_100": float(at100),
        "top_10_in_300": float(at300),
        "took_ms_p50": float(p50),
        "took_ms_p95": float(p95),
        "clauses": float(np.mean(clauses)),
        "postings_read": float(np.mean(read)),
    }


if __name__ == "__main__":
    main()
