"""Effectiveness and size of every codec, first stage and rerank on a BEIR folder; documents are encoded once.

    python benchmarks/test_collection.py ../shared/data/scifact [--encoder NAME]

For each codec an index is made and filled by the ordinary indexing run. Printed: bytes per document of the blobs and of
the whole store, after a merge to one segment; nDCG@10, R@100 and RR@10 of the rerank over each codec, and of every
configuration over int8, with the latency of each stage.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

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


def settle(client, indices: Sequence[str]) -> None:
    """Merge to one segment each, and leave out what is kept for a while only."""
    # Until its retention lease moves on, twice a minute, a shard keeps all of new documents for recovery.
    for index in indices:
        client.indices.flush(index=index)
    time.sleep(65)
    for index in indices:
        client.indices.forcemerge(index=index, params={"max_num_segments": "1"})
        client.indices.refresh(index=index)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--encoder")
    parser.add_argument("--terms", action="store_true", help="SLIM terms as well, and its first stages")
    parser.add_argument("--window-size", type=int, default=300)
    parser.add_argument("--codec-window-size", type=int, default=100, help="to compare codecs with one another")
    arguments = parser.parse_args()
    client = connect(timeout=300)
    collection = read_collection(arguments.folder)
    encoder = Remembering(load_encoder(arguments.encoder))
    term_encoder = load_term_encoder() if arguments.terms else None
    console = Console(width=160)
    indices = {codec: f"osmv-bench-{codec}" for codec in CODECS}
    try:
        summaries = {}
        for codec, index in indices.items():
            client.indices.delete(index=index, params={"ignore_unavailable": "true"})
            with Progress(console=console) as bars:
                task = bars.add_task(f"indexing, {codec}")
                summaries[codec] = index_documents(
                    client,
                    index,
                    arguments.folder,
                    encoder=encoder,
                    term_encoder=term_encoder if codec == "int8" else None,
                    codec=codec,
                    restart=True,
                    progress=lambda p, bars=bars, task=task: bars.update(task, total=p.size, completed=p.consumed),
                )
        settle(client, list(indices.values()))
        for codec, summary in summaries.items():
            stats = client.indices.stats(index=indices[codec])["indices"][indices[codec]]["primaries"]
            print(
                f"{codec}: {summary.indexed:,} documents, {summary.docs_per_second} documents/s, "
                f"{summary.truncated:,} truncated, blobs {summary.vector_bytes / summary.indexed:,.0f} bytes each, "
                f"store {stats['store']['size_in_bytes'] / summary.indexed:,.0f}"
            )
        for codec, index in indices.items():
            searcher = Searcher(client, index, encoder=encoder)
            names = [Configuration.parse("dense/client")]
            outcome = evaluate(searcher, collection, names, window_size=arguments.codec_window_size, latency_topics=30)
            console.print(f"{codec}, {arguments.codec_window_size} candidates", measures_table(outcome))
        names = ["bm25", "dense", "bm25+dense", "dense/client", "bm25/client", "bm25+dense/client"]
        if arguments.terms:
            names += ["slim", "slim:bound=fused", "slim/client"]
        searcher = Searcher(client, indices["int8"], encoder=encoder, term_encoder=term_encoder)
        configurations = [Configuration.parse(name) for name in names]
        outcome = evaluate(searcher, collection, configurations, window_size=arguments.window_size)
        console.print(f"int8, {arguments.window_size} candidates", measures_table(outcome), stages_table(outcome))
    finally:
        for index in indices.values():
            client.indices.delete(index=index, params={"ignore_unavailable": "true"})


if __name__ == "__main__":
    main()
