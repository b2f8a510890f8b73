"""The options of commands that write while others search: how slow their searches may become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from opensearch_multivector.indexing.backfill.probes import Probe

TargetP99 = Annotated[
    float | None,
    typer.Option(
        min=1, help="Milliseconds that 99 of 100 of the users' searches may take: write as fast as that allows."
    ),
]
ProbeFile = Annotated[
    str | None,
    typer.Option(help="With --target-p99: bodies of the users' searches, a line each. Default: words of documents."),
]


def probes_of(path: str | None, target_p99: float | None) -> tuple[Probe, ...]:
    """What --probe names. Raises InputError."""
    from opensearch_multivector.errors import InputError
    from opensearch_multivector.indexing.backfill.probes import read_probes

    if path is None:
        return ()
    if target_p99 is None:
        raise InputError("--probe tells what to measure, --target-p99 what it may take: give both")
    return read_probes(path)
