"""`osmv search`: one query, its hits on the screen with the matched words highlighted."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from opensearch_multivector.encoding.encoders.base import FloatArray
    from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
    from opensearch_multivector.queries.results import SearchResult

_EXAMPLE = """
Example:  osmv search "how do bees find their way home" --index articles

          osmv search "bees" --index articles --first-stage bm25+dense --filter '{"term": {"year": 2024}}' --json

          osmv search --query-vectors query.npy --index passages

          osmv search --query-terms query.json --index passages --first-stage slim --rerank none

          osmv search "bees" --index articles --time-budget 0.5 --degrade

Exit codes: 0 found, 1 nothing found, 2 bad options, 3 the cluster refuses, 4 another encoder or no such field.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("search", epilog=_EXAMPLE)(with_cluster(search))


def search(
    cluster: Cluster,
    index: Annotated[str, typer.Option(help="Index or alias to search.")],
    query: Annotated[str | None, typer.Argument(help="What to search for.")] = None,
    field: Annotated[str, typer.Option(help="Multi-vector field.")] = "mv",
    encoder: Annotated[
        str | None, typer.Option(help="Encoder (name or path), where the name in the index can't be loaded here.")
    ] = None,
    query_vectors: Annotated[
        Path | None, typer.Option(help="The query's token vectors, made elsewhere: .npy, (tokens, dimensions).")
    ] = None,
    query_terms: Annotated[
        Path | None, typer.Option(help="The query's term weights, made elsewhere: a JSON file, {term: weight}.")
    ] = None,
    query_dsl: Annotated[
        str | None, typer.Option(help="A query clause of your own, as JSON, for --first-stage query.")
    ] = None,
    first_stage: Annotated[
        str, typer.Option(help="bm25, dense, slim, codes:nprobe=8, ...; several joined by + are fused.")
    ] = "dense",
    rerank: Annotated[
        str, typer.Option(help="native, client, painless, a chain such as bit:keep=100>client, or none; auto chooses.")
    ] = "auto",
    fusion: Annotated[
        str, typer.Option(help="Where first stages are fused: engine (OpenSearch's hybrid query), client, or auto.")
    ] = "auto",
    size: Annotated[int, typer.Option(help="Hits to show.")] = 10,
    offset: Annotated[int, typer.Option(help="Hits to pass over first (paging).")] = 0,
    window_size: Annotated[int, typer.Option(help="Candidates that the first stage hands to the rerank.")] = 100,
    filter_: Annotated[str | None, typer.Option("--filter", help="An OpenSearch query clause, as JSON.")] = None,
    source: Annotated[str | None, typer.Option(help="Fields to return, by commas; default all.")] = None,
    routing: Annotated[str | None, typer.Option(help="Routing value.")] = None,
    sidecar: Annotated[
        str | None, typer.Option(help="The sidecar attached to the index, where its name can't be read by this user.")
    ] = None,
    min_score: Annotated[float | None, typer.Option(help="Leave out hits below this final score.")] = None,
    explain: Annotated[bool, typer.Option(help="Show which document token each query token matched.")] = False,
    time_budget: Annotated[float | None, typer.Option(help="Seconds that the search may take.")] = None,
    degrade: Annotated[
        bool, typer.Option(help="Where the rerank or the sources fail or are late, show what there is, and say so.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Search an index: a first stage in OpenSearch, then late interaction over its candidates."""
    from opensearch_multivector.encoding.encoders import load_encoder
    from opensearch_multivector.queries.searcher import Searcher

    if query is None and query_vectors is None and query_terms is None and query_dsl is None:
        raise typer.BadParameter("give a query, --query-vectors, --query-terms or --query-dsl", param_hint="QUERY")
    ready: EncodedQuery | None = None
    if query_vectors or query_terms or query_dsl:
        ready = replace(_ready_query(query, query_vectors, query_terms), dsl=_clause("--query-dsl", query_dsl))
    has_vectors = query_vectors is not None or (query is not None and query_terms is None)
    given = load_encoder(encoder) if encoder else None
    searcher = Searcher(cluster.connect(), index, field=field, encoder=given, sidecar=sidecar)
    result = searcher.search(
        ready or query or "",
        first_stage=first_stage,
        rerank=None if rerank == "none" else rerank,
        fusion=fusion,
        size=size,
        offset=offset,
        window_size=window_size,
        filter=_clause("--filter", filter_),
        source=source.split(",") if source else True,
        routing=routing,
        min_score=min_score,
        time_budget=time_budget,
        degrade=degrade,
        # What is marked in a hit's text goes by vectors; a query of terms or a clause, or an index of terms, has none.
        explain=explain or (has_vectors and not json_ and searcher.spec.vectors is not None),
    )
    if json_:
        print(json.dumps(asdict(result)))
    else:
        print_hits(result, searcher.spec.text_of, first=offset + 1, explain=explain)
    if not result.hits:
        raise typer.Exit(1)


def _ready_query(text: str | None, vectors: Path | None, terms: Path | None) -> EncodedQuery:
    from opensearch_multivector.encoding.encoders.pooling import mean_pooled
    from opensearch_multivector.queries.encoded_query import EncodedQuery

    query = EncodedQuery(text=text)
    if vectors is not None:
        read = _vectors(vectors)
        query = replace(query, vectors=read, pooled=mean_pooled(read))
    return query if terms is None else replace(query, terms=_terms(terms))


def _vectors(path: Path) -> FloatArray:
    import numpy as np

    from opensearch_multivector.errors import InputError

    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read as a .npy file of token vectors: {error}") from error
    if not isinstance(vectors, np.ndarray) or vectors.ndim != 2 or vectors.dtype.kind != "f":
        raise InputError(f"{path} must hold one array of floats of shape (tokens, dimensions)")
    vectors = vectors.astype(np.float32)
    if not len(vectors) or not np.isfinite(vectors).all():
        raise InputError(f"{path} holds no vectors, or NaN or infinity among them")
    return vectors


def _terms(path: Path) -> QueryTerms:
    from opensearch_multivector.errors import InputError
    from opensearch_multivector.queries.encoded_query import QueryTerms

    try:
        weights = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} can't be read as JSON: {error}") from error
    try:
        return QueryTerms.ready(weights)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _clause(option: str, text: str | None) -> dict[str, Any] | None:
    from opensearch_multivector.errors import InputError

    if text is None:
        return None
    try:
        clause = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{option} is not JSON: {error}") from error
    except RecursionError:
        raise InputError(f"{option} is nested too deeply for any cluster") from None
    if not isinstance(clause, dict):
        raise InputError(f'{option} must be a JSON object, such as {{"term": {{"lang": "en"}}}}')
    return clause


def print_hits(
    result: SearchResult, text_of: Callable[[dict[str, Any]], str], first: int = 1, explain: bool = False
) -> None:
    """Print hits with the matched words highlighted, then counts and times."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from opensearch_multivector.cli.highlight import highlighted
    from opensearch_multivector.errors import visible

    # No markup: rich.markup.escape leaves \[LINK] and :bee: in a foreign text to be acted on.
    console = Console(highlight=False, markup=False, emoji=False)
    for rank, hit in enumerate(result.hits, start=first):
        console.print(Text.assemble((f"{rank:>3}.", "bold"), f" {visible(hit.doc_id)}  ", (f"{hit.score:.3f}", "dim")))
        snippet = highlighted(text_of(hit.source), hit.matches or ())
        if snippet.plain.strip():
            console.print(Padding(snippet, (0, 0, 0, 5)))
        for match in hit.matches or () if explain else ():
            if match.query_span is not None:
                asked, found = visible(match.query_token), visible(match.document_token)
                similarity = (f"{match.similarity:+.3f}", "dim")
                console.print(Text.assemble("       ", (f"{asked:>16}", "cyan"), f" → {found:<16} ", similarity))
    if not result.hits:
        console.print("Nothing was found.")
    times = ", ".join(f"{stage} {value:.0f} ms" for stage, value in result.timings.items())
    console.print(f"{result.candidates} candidates, {times}", style="dim")
    for reason in result.degraded:
        console.print(f"degraded: {visible(reason)}", style="yellow")
    if result.stale:
        console.print(f"{result.stale} hits were written since their vectors were made", style="yellow")
    if result.skipped:
        some = "; ".join(f"{doc_id}: {reason}" for doc_id, reason in list(result.skipped.items())[:3])
        console.print(f"{len(result.skipped)} candidates left out: {visible(some)}", style="yellow")
