"""`osmv export-vectors`: an index's token vectors or term weights back into files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster
from opensearch_multivector.errors import visible

_EXAMPLE = """
Examples:  osmv export-vectors papers --out papers-impacts --format JsonVectorCollection --scale 100

           osmv export-vectors papers --out papers-vectors --format npz

           osmv export-vectors papers --out papers-slim --format slim

jsonl and npz hold token vectors as they are stored, after reductions and codec; osmv index reads both. Pyserini's
JsonVectorCollection holds term weights, of an index made with --sub-field slim:keep=true. slim is what Pyserini's
SlimSearcher reads, of an index made with --sub-field token_terms.

Exit codes: 0 written, 1 written without documents whose vectors are damaged, 2 bad options or a file that can't be
written, 3 the cluster, 4 no such field or no such vectors.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("export-vectors", epilog=_EXAMPLE)(with_cluster(export_vectors))


def export_vectors(
    index: Annotated[str, typer.Argument(help="Index to export.")],
    cluster: Cluster,
    out: Annotated[Path, typer.Option(help="Folder for the file, which is named from the index, or for slim's files.")],
    format_: Annotated[
        str, typer.Option("--format", help="JsonVectorCollection, slim (term weights), jsonl or npz (token vectors).")
    ],
    field: Annotated[str, typer.Option(help="Multi-vector field.")] = "mv",
    scale: Annotated[
        float | None,
        typer.Option(
            help="Term weights times this, as whole numbers: Pyserini cuts off what is behind the point. "
            "Default of slim: the index's slim:scale, or 51.2."
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write an index's token vectors or term weights into a file, for Pyserini or to index again."""
    from opensearch_multivector.cli.bars import Bars
    from opensearch_multivector.indexing.export import export_vectors as run

    client = cluster.connect()
    with Bars(index) as bars:
        done = run(client, index, out, format_, field=field, scale=scale, progress=bars.exporting)
    if json_:
        print(json.dumps(done.to_dict()))
    else:
        print(f"Wrote {done.documents:,} documents to {done.file}.")
        if done.without:
            print(f"{done.without:,} documents have nothing to export and were left out.")
    if done.fractions:
        print("osmv: some weights are fractions, which Pyserini cuts off: give --scale, such as 100", file=sys.stderr)
    if done.unreadable:
        shown = visible(", ".join(done.damaged))
        print(f"osmv: {done.unreadable:,} documents have damaged vectors and were left out: {shown}", file=sys.stderr)
        raise typer.Exit(1)
