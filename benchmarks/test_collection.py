"""Effectiveness and size of every codec, first stage and rerank on a BEIR folder; documents are encoded once.

    python benchmarks/test_collection.py ../shared/data/scifact [--encoder NAME]

For each codec an index is made and filled by the ordinary indexing run. Printed: nDCG@10, R@100 and RR@10 of each
configuration, latency per stage, and for each codec the bytes per document of its blobs and of the whole store,
after a merge to one segment (the int8 index also holds SLIM terms).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, track

from opensearch_multivector.encoding.codecs import CODECS
from opensearch_multivector.encoding.encoders import load_encoder, load_term_encoder
from opensearch_multivector.encoding.encoders.base import Encoded, Encoder, IntArray, Kind
from opensearch_multivector.evaluation.beir import read_collection
from opensearch_multivector.evaluation.evaluate import Configuration, evaluate
from opensearch_multivector.evaluation.report import measures_table, stages_table
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.queries.searcher import Searcher


class Remembering:
    """An encoder that encodes each document once; queries are encoded anew, so that their latency is real."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Encoded] = {}
        self.name, self.fingerprint = encoder.name, encoder.fingerprint
        self.dim, self.max_length = encoder.dim, encoder.max_length

    def encode(self, texts: Sequence[str], kind: Kind) -> list[Encoded]:
        if kind == "query":
            return self._encoder.encode(texts, kind)
        new = [text for text in texts if text not in self._known]
        self._known.update(zip(new, self._encoder.encode(new, kind), strict=True))
        return [self._known[text] for text in texts]

    def offsets(self, text: str, kind: Kind) -> IntArray:
        return self._encoder.offsets(text, kind)


def store_bytes(client, index: str) -> int:
    # Until its retention lease moves on, twice a minute, a shard keeps all of new documents for recovery.
    client.indices.flush(index=index)
    time.sleep(65)
    client.indices.forcemerge(index=index, params={"max_num_segments": "1"})
    client.indices.refresh(index=index)
    return client.indices.stats(index=index)["indices"][index]["primaries"]["store"]["size_in_bytes"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder")
    parser.add_argument("--window-size", type=int, default=300)
    arguments = parser.parse_args()
    client = connect(timeout=300)
    collection = read_collection(arguments.folder)
    encoder = Remembering(load_encoder(arguments.encoder))
    term_encoder = load_term_encoder()
    console = Console(width=160)
    indices = {codec: f"osmv-bench-{codec}" for codec in CODECS}
    try:
        for codec, index in indices.items():
            client.indices.delete(index=index, params={"ignore_unavailable": "true"})
            with Progress(console=console) as bars:
                task = bars.add_task(f"indexing, {codec}")
                summary = index_documents(
                    client,
                    index,
                    arguments.folder,
                    encoder=encoder,
                    term_encoder=term_encoder if codec == "int8" else None,
                    codec=codec,
                    restart=True,
                    progress=lambda p, bars=bars, task=task: bars.update(task, total=p.size, completed=p.consumed),
                )
            per_document = summary.vector_bytes / summary.indexed
            store = store_bytes(client, index) / summary.indexed
            print(
                f"{codec}: {summary.indexed:,} documents, {summary.docs_per_second} documents/s, "
                f"{summary.truncated:,} truncated, blobs {per_document:,.0f} bytes a document, store {store:,.0f}"
            )
        for codec, index in track(list(indices.items()), "evaluating", console=console):
            names = ["dense/client"]
            if codec == "int8":
                names = [
                    "bm25",
                    "dense",
                    "slim",
                    "slim-fused",
                    "bm25+dense",
                    "bm25/client",
                    *names,
                    "bm25+dense/client",
                ]
            searcher = Searcher(client, index, encoder=encoder, term_encoder=term_encoder if codec == "int8" else None)
            outcome = evaluate(
                searcher,
                collection,
                [Configuration.parse(name) for name in names],
                window_size=arguments.window_size,
            )
            console.print(codec, measures_table(outcome), stages_table(outcome))
    finally:
        for index in indices.values():
            client.indices.delete(index=index, params={"ignore_unavailable": "true"})


if __name__ == "__main__":
    main()
