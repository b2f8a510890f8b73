"""`osmv exporter`: what Prometheus reads of a cluster."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster

if TYPE_CHECKING:
    from opensearch_multivector.ops.metrics.cluster import Part

_EXAMPLE = """
Example:  osmv exporter --index 'articles*' --port 9630

Exit codes: 0 ended by Ctrl-C or SIGTERM, or printed with --once; 1 with --once something could not be read; 2 bad
options or an address that is taken; 5 the extra `ops` is not installed.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("exporter", epilog=_EXAMPLE)(with_cluster(exporter))


def exporter(
    cluster: Cluster,
    index: Annotated[
        list[str] | None, typer.Option(help="Pattern of indices to watch (repeatable); else all that have a field.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; who reaches it reads the metrics.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0: one that is free, printed.")] = 9630,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks at the cluster, at least.")] = 30.0,
    sample_every: Annotated[
        float, typer.Option(min=0, help="Seconds between two looks at random documents; 0: none are read.")
    ] = 900.0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a scrape waits for the cluster.")] = 8.0,
    check_canaries: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Also check the canaries this often (5m, 1h), with those who do already."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print the metrics and end.")] = False,
) -> None:
    """Show Prometheus how the fields, the native plugin and the canaries of a cluster do, at /metrics."""
    import logging
    import signal
    from threading import Event

    from opensearch_multivector.ops.canary.watch import Watch, seconds_of
    from opensearch_multivector.ops.metrics.exporter import Exporter, new_registry
    from opensearch_multivector.ops.metrics.readings import parts

    shown = logging.StreamHandler()
    shown.setFormatter(logging.Formatter("osmv exporter: %(message)s"))
    logging.getLogger("opensearch_multivector").addHandler(shown)
    logging.getLogger("opensearch").addHandler(logging.NullHandler())  # whose warnings are of each refused request
    client = cluster.connect(timeout=max(10.0, timeout))
    watched = parts(client, index or (), fields_every=every, samples_every=sample_every)
    registry = new_registry(watched, timeout)
    if once:
        _print(registry, watched)
        return
    canaries = Watch(cluster.connect(), seconds_of(check_canaries)) if check_canaries else None
    # In a container nothing but a handler ends the first process; a shell has what is in the background ignore SIGINT.
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, signal.default_int_handler)
    serving = Exporter(registry, host, port).start()
    if canaries is not None:
        canaries.start(Event())
    print(f"metrics at {serving.url}/metrics (Ctrl-C ends)", flush=True)
    try:
        serving.join()
    except KeyboardInterrupt:
        pass
    finally:
        serving.stop()


def _print(registry: object, watched: list[Part]) -> None:
    from opensearch_multivector.ops.metrics.names import prometheus

    sys.stdout.write(prometheus().generate_latest(registry).decode())
    if not all(part.up for part in watched):
        raise typer.Exit(1)
