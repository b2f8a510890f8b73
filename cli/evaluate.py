"""`osmv eval`: measures and latencies of search configurations on a test collection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster
from opensearch_multivector.cli.long_work import say

_EXAMPLE = """
Example:  osmv eval scifact/ --config bm25 --config dense --config dense/client

          osmv eval scifact/ --index papers --config bm25+dense/client --measure nDCG@10 --measure R@1000 --size 1000

          osmv eval scifact/ --config codes:nprobe=8/client --config "dense/bit:keep=100>client" --reduce pool:factor=2

          osmv eval --index papers --topics topics.dl19.tsv --qrels qrels.dl19.txt --config bm25 --config dense/client

          osmv eval passages/ --text-field contents --topics topics.tsv --qrels qrels.txt --no-vectors --bm25-k1 0.9

A configuration is a first stage, or FIRST_STAGE/RERANK; both take parameters after a colon. First stages joined by +
are fused by RRF, and by weighted sum as in "0.3*bm25+0.7*dense". Reranks joined by > each hand on their best.

Exit codes: 0 done, 2 bad options or files, 3 the cluster, 4 another encoder or no such field, 5 a package is missing.
"""
_DEFAULT = ["bm25", "dense", "dense/client"]
_DEFAULT_WITHOUT_VECTORS = ["bm25"]


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("eval", epilog=_EXAMPLE)(with_cluster(evaluate))


def _made(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="An index made here")


def evaluate(
    cluster: Cluster,
    documents: Annotated[
        Path | None,
        typer.Argument(
            metavar="DOCS",
            help="BEIR folder, with queries.jsonl and qrels/ in it; or, with --topics and --qrels, whatever osmv index "
            "reads.",
        ),
    ] = None,
    topics: Annotated[
        str | None,
        typer.Option(help="Topics: a file (TSV, JSON lines, TREC, XML), or a name of ir_datasets or Pyserini."),
    ] = None,
    qrels: Annotated[str | None, typer.Option(help="Judgements: a file (TREC's or BEIR's), or such a name.")] = None,
    index: Annotated[
        str | None, typer.Option(help="Index of the documents; default one named from them, made at first.")
    ] = None,
    field: Annotated[str, typer.Option(help="Multi-vector field of --index.")] = "mv",
    sidecar: Annotated[
        str | None, typer.Option(help="The sidecar attached to --index, where its name can't be read by this user.")
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option(
            help="Configuration, such as bm25 or dense/client, several times; default bm25, dense, dense/client."
        ),
    ] = None,
    encoder: Annotated[
        str | None, _made("Encoder (name or path) of token vectors; none: documents bring them.")
    ] = None,
    terms: Annotated[str | None, _made("SLIM term encoder (name or path).")] = None,
    codec: Annotated[str | None, _made("Codec; default int8.")] = None,
    sub_field: Annotated[list[str] | None, _made("Sub-field, beside those that the configurations need.")] = None,
    reduce: Annotated[str | None, _made("Reductions, e.g. pool:factor=2.")] = None,
    no_vectors: Annotated[
        bool, _made("No token vectors: for BM25, ready terms and pooled vectors alone.", "--no-vectors")
    ] = False,
    bm25_k1: Annotated[float | None, _made("k1 of BM25; default OpenSearch's, 1.2.")] = None,
    bm25_b: Annotated[float | None, _made("b of BM25; default OpenSearch's, 0.75.")] = None,
    analyzer: Annotated[str | None, _made("OpenSearch's analyzer of texts; default english.")] = None,
    id_field: Annotated[str | None, _made("Field of the id; default _id, else id.")] = None,
    text_field: Annotated[str | None, _made("Field of the text; default text.")] = None,
    title_field: Annotated[str | None, _made("Field of the title; default title.")] = None,
    terms_field: Annotated[str | None, _made("Field of ready learned-sparse weights.")] = None,
    pooled_field: Annotated[str | None, _made("Field of a ready pooled vector, for dense:dim=DIMENSION.")] = None,
    split: Annotated[str, typer.Option(help="Judgements: qrels/SPLIT.tsv.")] = "test",
    size: Annotated[int, typer.Option(min=1, help="Documents ranked for each topic.")] = 100,
    window_size: Annotated[int, typer.Option(min=1, help="Candidates that the first stage hands on.")] = 300,
    fusion: Annotated[
        str, typer.Option(help="Where first stages are fused: engine (OpenSearch's hybrid query), client, or auto.")
    ] = "auto",
    remove_query: Annotated[
        bool,
        typer.Option("--remove-query", help="Take documents that are topics (of the same id) out of their rankings."),
    ] = False,
    as_pyserini: Annotated[
        bool,
        typer.Option(
            help="SLIM as Pyserini ranks it (slim, slim/slim): its weights and lower bound, equal scores by docid, and "
            "as many candidates as --size times (--min-idf + 1)."
        ),
    ] = False,
    min_idf: Annotated[int, typer.Option(min=0, help="With --as-pyserini: terms need a greater idf.")] = 0,
    measure: Annotated[
        list[str] | None, typer.Option(help="Measure of ir-measures; default nDCG@10, R@100, RR@10.")
    ] = None,
    runs_dir: Annotated[Path, typer.Option(help="Folder for each ranking as a run, with a header file.")] = Path(
        "runs"
    ),
    run_format: Annotated[str, typer.Option(help="Format of the runs: trec or msmarco.")] = "trec",
    latency_topics: Annotated[int, typer.Option(min=0, help="Topics to time, searched one at a time.")] = 100,
    json_: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Evaluate search configurations on a test collection: BEIR's folder, or topics and judgements of an index."""
    from rich.console import Console

    from opensearch_multivector.cli.bars import Bars
    from opensearch_multivector.errors import InputError
    from opensearch_multivector.evaluation.collection.corpus_index import index_corpus, needed_sub_fields
    from opensearch_multivector.evaluation.collection.topics import open_collection
    from opensearch_multivector.evaluation.evaluate import Configuration
    from opensearch_multivector.evaluation.evaluate import evaluate as run
    from opensearch_multivector.evaluation.measures import DEFAULT_MEASURES, parse_measure
    from opensearch_multivector.evaluation.provenance import describe_index
    from opensearch_multivector.evaluation.report import measures_table, notes, stages_table
    from opensearch_multivector.evaluation.runs import check_run_format
    from opensearch_multivector.expressions import text
    from opensearch_multivector.indexing import Bm25Parameters, Layout, choose
    from opensearch_multivector.plugin.sub_fields import parse_sub_fields
    from opensearch_multivector.queries.searcher import Searcher

    measures = measure or list(DEFAULT_MEASURES)
    for name in measures:
        parse_measure(name)
    check_run_format(run_format)
    config = config or (_DEFAULT_WITHOUT_VECTORS if no_vectors else _DEFAULT)
    configurations = [Configuration.parse(name) for name in config]
    collection = open_collection(documents, split, topics=topics, qrels=qrels)
    client = cluster.connect()
    with Bars(collection.name) as bars:
        if index is None:
            if documents is None:
                raise InputError("there are no documents: give --index, or the documents to index.")
            chosen = choose(
                None,
                documents,
                encoder=encoder,
                terms=terms,
                codec=codec,
                sub_fields=[*map(text, needed_sub_fields(configurations, parse_sub_fields(sub_field or ())))],
                reduce=reduce,
                title_field=title_field,
                text_field=text_field,
                layout=Layout(id_field=id_field, terms_field=terms_field, pooled_field=pooled_field),
                no_vectors=no_vectors,
                message=say,
            )
            index = index_corpus(
                client,
                documents.resolve().name,
                documents,
                encoder=chosen.encoder,
                term_encoder=chosen.term_encoder,
                codec=chosen.codec,
                sub_fields=chosen.sub_fields,
                reduce=chosen.reduce,
                layout=chosen.layout,
                no_vectors=chosen.no_vectors,
                bm25=Bm25Parameters.given(bm25_k1, bm25_b),
                analyzer=analyzer,
                progress=bars.indexing,
                message=say,
            )
        searcher = Searcher(client, index, field=field, sidecar=sidecar)
        evaluation = run(
            searcher,
            collection,
            configurations,
            size=size,
            window_size=window_size,
            fusion=fusion,
            remove_query=remove_query,
            as_pyserini=as_pyserini,
            min_idf=min_idf,
            measures=measures,
            runs_dir=runs_dir,
            run_format=run_format,
            origin=describe_index(client, index, searcher.spec, searcher.sidecar),
            latency_topics=latency_topics,
            progress=bars.searching,
        )
    if json_:
        print(json.dumps(evaluation.as_json()))
    else:
        console = Console(highlight=False)
        console.print(measures_table(evaluation))
        if latency_topics:
            console.print(stages_table(evaluation))
        for note in notes(evaluation):
            console.print(note, soft_wrap=True, markup=False)
