"""`osmv serve`: a search API over HTTP, with its console."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster
from opensearch_multivector.errors import MissingDependencyError

_EXAMPLE = """
Example:  osmv serve --index 'articles*'

          osmv serve --host 0.0.0.0 --tokens tokens.json --tls-cert cert.pem --tls-key key.pem

Exit codes: 0 ended by SIGTERM or Ctrl-C, 2 bad options, a taken address, or one that others reach without a token, 3 no
cluster is given, 5 the extra `serve` is not installed.
"""
_PANEL = "Limits"


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("serve", epilog=_EXAMPLE)(with_cluster(serve))


def serve(
    cluster: Cluster,
    index: Annotated[
        list[str] | None, typer.Option(help="Pattern of indices and aliases to serve (repeatable); default: all.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback need tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0: one that is free, printed.")] = 9680,
    api_token_file: Annotated[
        Path | None, typer.Option(help="File with the token that callers send (or: OSMV_API_TOKEN).")
    ] = None,
    tokens: Annotated[
        Path | None, typer.Option(help="JSON file of several tokens' hashes, each with its tenant and indices.")
    ] = None,
    allow_filters: Annotated[
        bool, typer.Option("--allow-filters", help="Let callers send query clauses: those who may read all indices.")
    ] = False,
    cors_origin: Annotated[
        list[str] | None, typer.Option(help="Origin whose pages may call, such as https://shop.example (repeatable).")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM file of the certificate, to speak TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file of its key.")] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder of `osmv reproduce`, whose figures the console plots.")
    ] = None,
    canaries_every: Annotated[
        str | None, typer.Option(help="Check the canaries as often: 5m, 1h; default: they are left to others.")
    ] = None,
    events: Annotated[
        float, typer.Option(min=0, max=1, help="Share of searches that is written to the index osmv-events.")
    ] = 0.0,
    traces: Annotated[
        bool, typer.Option("--traces", help="OpenTelemetry traces, to where its own variables say (extra otel).")
    ] = False,
    with_text: Annotated[
        bool, typer.Option("--with-text", help="Events and traces with what was searched for.")
    ] = False,
    warm: Annotated[bool, typer.Option(help="Ready once the encoders of all that is served are loaded.")] = True,
    access_log: Annotated[bool, typer.Option(help="A line of JSON on stderr for each request.")] = True,
    max_concurrent: Annotated[int, typer.Option(min=1, help="Searches under way at once.", rich_help_panel=_PANEL)] = 8,
    max_waiting: Annotated[
        int, typer.Option(min=0, help="Searches that wait for their turn; the next get 429.", rich_help_panel=_PANEL)
    ] = 64,
    max_wait: Annotated[
        float, typer.Option(min=0.01, help="Seconds that one may wait for its turn.", rich_help_panel=_PANEL)
    ] = 10.0,
    rate: Annotated[
        float, typer.Option(min=0, help="Calls a second of one caller; 0: any number.", rich_help_panel=_PANEL)
    ] = 50.0,
    burst: Annotated[
        int, typer.Option(min=1, help="Calls that a caller may make at once.", rich_help_panel=_PANEL)
    ] = 200,
    max_body: Annotated[
        int, typer.Option(min=1_000, help="Bytes of the largest request.", rich_help_panel=_PANEL)
    ] = 6_000_000,
    max_window: Annotated[
        int, typer.Option(min=1, max=10_000, help="Largest window_size of a search.", rich_help_panel=_PANEL)
    ] = 1_000,
    time_budget: Annotated[
        float, typer.Option(min=0.01, max=60, help="Seconds that a search may take.", rich_help_panel=_PANEL)
    ] = 10.0,
) -> None:
    """Serve searches over HTTP: a REST API, its OpenAPI document, metrics, and a console for the browser at /."""
    try:
        import pydantic  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise MissingDependencyError(
            "the service needs starlette, uvicorn and pydantic: pip install 'opensearch-multivector[serve]'"
        ) from None
    from opensearch_multivector.ops.canary import seconds_of
    from opensearch_multivector.ops.service.app import Settings, make_app
    from opensearch_multivector.ops.service.auth import make_door
    from opensearch_multivector.ops.service.running import (
        check_address,
        listen,
        log_to_stderr,
        read_token,
        run,
        server_config,
    )
    from opensearch_multivector.ops.service.searches import Bounds

    door = make_door(read_token(api_token_file), tokens, tuple(index or ("*",)), allow_filters)
    check_address(host, door.needs_token)
    settings = Settings(
        door=door,
        indices=tuple(index or ("*",)),
        bounds=Bounds(max_window, time_budget),
        capacity=max_concurrent,
        queue=max_waiting,
        patience=max_wait,
        rate=rate,
        burst=burst,
        body_bytes=max_body,
        cors=tuple(cors_origin or ()),
        figures=figures,
        canaries_every=seconds_of(canaries_every) if canaries_every else 0.0,
        warm=warm,
        events=events,
        traces=traces,
        told=with_text,
    )
    pool_size = max(16, 2 * max_concurrent)
    app = make_app(cluster.connect(), cluster.connect_async(pool_size=pool_size), settings)
    config = server_config(app, tls_cert, tls_key)
    listening = listen(host, port)
    log_to_stderr(access_log)
    run(config, listening, lambda url: print(f"osmv serve at {url} (Ctrl-C ends)", flush=True))
