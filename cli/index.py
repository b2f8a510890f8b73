"""`osmv index`: documents into an index, with their token vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster
from opensearch_multivector.cli.long_work import say, stop_on_interrupt
from opensearch_multivector.errors import visible

if TYPE_CHECKING:
    from opensearch_multivector.indexing import IndexSummary

_EXAMPLE = """
Examples:  osmv index scifact/ --index papers

           zcat shop.jsonl.gz | osmv index - --index shop --id-field sku --text-field description --title-field name

           osmv index passages.jsonl --vectors tokens.npz --index passages

           osmv index unicoil/ --index passages --terms-field vector --text-field contents

           osmv index passages/ --index bm25 --text-field contents --no-vectors --bm25-k1 0.9 --bm25-b 0.4

           osmv index scifact/ --index small --reduce pool:factor=2 --sub-field dense --sub-field codes

A run that was interrupted goes on where it stood when the same command is given again. Bad documents are left out and
written to the dead letters with line number and reason.

Exit codes: 0 all indexed, 1 some rejected, 2 bad options or input, 3 the cluster gives up, 4 the index is of another
encoder, dimension or codec, 130 interrupted.
"""
_INTERRUPTED = 130
_REJECTIONS_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("index", epilog=_EXAMPLE)(with_cluster(index))


def index(
    documents: Annotated[
        str,
        typer.Argument(
            metavar="DOCS",
            help="BEIR folder, folder of JSON files, .jsonl or .json (plain or gzip), .parquet, .npz, .npy, or - for "
            "JSON lines on standard input.",
        ),
    ],
    cluster: Cluster,
    index: Annotated[str, typer.Option(help="Index to fill; made where it is absent.")],
    encoder: Annotated[
        str | None, typer.Option(help="Token-vector encoder (name or path); none: documents bring their vectors.")
    ] = None,
    terms: Annotated[str | None, typer.Option(help="SLIM term encoder (name or path), or none.")] = None,
    codec: Annotated[
        str | None, typer.Option(help="How vectors are stored: int8 (default) or another of docs/codecs.md.")
    ] = None,
    field: Annotated[str, typer.Option(help="Multi-vector field.")] = "mv",
    vectors: Annotated[
        Path | None, typer.Option(help="Ready token vectors: .npz by document id, .npy by position.")
    ] = None,
    id_field: Annotated[str | None, typer.Option(help="Field of the id; default _id, else id.")] = None,
    text_field: Annotated[str | None, typer.Option(help="Field of the text; default text.")] = None,
    title_field: Annotated[str | None, typer.Option(help="Field of the title; default title.")] = None,
    vectors_field: Annotated[str, typer.Option(help="Field of ready token vectors.")] = "vectors",
    terms_field: Annotated[
        str | None, typer.Option(help="Field of ready learned-sparse weights, {term: weight} (uniCOIL, SPLADE, ...).")
    ] = None,
    pooled_field: Annotated[
        str | None,
        typer.Option(help="Field of a ready pooled vector, of any model or API, for --sub-field dense:dim=DIMENSION."),
    ] = None,
    no_vectors: Annotated[
        bool, typer.Option("--no-vectors", help="No token vectors: for BM25, ready terms and pooled vectors alone.")
    ] = False,
    bm25_k1: Annotated[float | None, typer.Option(help="k1 of BM25 in a new index; default OpenSearch's, 1.2.")] = None,
    bm25_b: Annotated[float | None, typer.Option(help="b of BM25 in a new index; default OpenSearch's, 0.75.")] = None,
    analyzer: Annotated[
        str | None, typer.Option(help="OpenSearch's analyzer of a new index's texts; default english.")
    ] = None,
    shards: Annotated[int, typer.Option(min=1, help="Primary shards of a new index.")] = 1,
    replicas: Annotated[int, typer.Option(min=0, help="Replicas of a new index.")] = 0,
    sub_field: Annotated[
        list[str] | None,
        typer.Option(
            help="What to store beside the token vectors, NAME or NAME:KEY=VALUE,...; give it once for each. Default: "
            "dense, and slim where there is a term encoder."
        ),
    ] = None,
    reduce: Annotated[
        str | None, typer.Option(help="Fewer vectors or dimensions, e.g. pool:factor=2; several joined by |.")
    ] = None,
    training_queries: Annotated[
        Path | None, typer.Option(help="Queries that --reduce leanvec learns from: one a line, or JSON lines.")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Texts encoded together.")] = 64,
    max_record_mb: Annotated[float, typer.Option(min=0.001, help="Largest record taken, in MB.")] = 5.0,
    dead_letters: Annotated[
        Path | None, typer.Option(help="File for rejected documents; default INDEX.DOCS.dead.jsonl.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Start over instead of resuming.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Encode documents and index them; resumable, also after kill -9."""
    from opensearch_multivector.cli.bars import Bars
    from opensearch_multivector.indexing import (
        Bm25Parameters,
        Layout,
        Limits,
        choose,
        existing_spec,
        index_documents,
        read_queries,
    )

    client = cluster.connect()
    layout = Layout(
        id_field=id_field,
        vectors_field=vectors_field,
        terms_field=terms_field,
        pooled_field=pooled_field,
        field=field,
        max_bytes=round(max_record_mb * 1_000_000),
    )
    chosen = choose(
        existing_spec(client, index, field),
        documents,
        encoder=encoder,
        terms=terms,
        codec=codec,
        sub_fields=sub_field,
        reduce=reduce,
        title_field=title_field,
        text_field=text_field,
        layout=layout,
        vectors=vectors,
        no_vectors=no_vectors,
        message=say,
    )
    with stop_on_interrupt() as stop, Bars(index) as bars:
        summary = index_documents(
            client,
            index,
            documents,
            encoder=chosen.encoder,
            term_encoder=chosen.term_encoder,
            codec=chosen.codec,
            field=field,
            layout=chosen.layout,
            vectors=vectors,
            no_vectors=chosen.no_vectors,
            bm25=Bm25Parameters.given(bm25_k1, bm25_b),
            analyzer=analyzer,
            shards=shards,
            replicas=replicas,
            sub_fields=chosen.sub_fields,
            reduce=chosen.reduce,
            training_queries=read_queries(training_queries) if training_queries else (),
            dead_letters=dead_letters,
            restart=restart,
            limits=Limits(batch=batch),
            progress=bars.indexing,
            message=say,
            stop=stop,
        )
    if json_:
        print(json.dumps(summary.to_dict()))
    else:
        _print_summary(summary)
    if summary.interrupted:
        say(f"interrupted after {summary.read:,} documents; the same command goes on from there")
        raise typer.Exit(_INTERRUPTED)
    raise typer.Exit(1 if summary.rejected else 0)


def _print_summary(summary: IndexSummary) -> None:
    resumed = f" (resumed after line {summary.resumed_from:,})" if summary.resumed_from else ""
    print(f"{summary.read:,} read = {summary.indexed:,} indexed + {summary.rejected:,} rejected{resumed}")
    if summary.truncated:
        print(f"{summary.truncated:,} texts were longer than the encoder takes and were cut")
    per_document = summary.vector_bytes / max(summary.indexed, 1)
    print(
        f"{summary.seconds:.1f} s, {summary.docs_per_second:,.1f} documents/s, {summary.bytes_sent / 1e6:,.1f} MB sent"
    )
    if summary.vector_bytes:
        print(f"{per_document:,.0f} bytes of token vectors a document")
    for rejection in summary.rejections[:_REJECTIONS_SHOWN]:
        print(f"rejected: {visible(str(rejection))}")
    if summary.dead_letters:
        print(f"all rejected documents: {summary.dead_letters}")
