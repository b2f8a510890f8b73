"""`osmv fuse`: several runs into one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_EXAMPLE = """
Example:  osmv fuse runs/bm25.trec runs/dense.trec --out runs/fused.trec

          osmv fuse a.run b.run.gz --method weighted --weight 0.3 --weight 0.7 --out fused.run.gz

Methods: rrf (reciprocal ranks), weighted (weighted sum of scaled scores), combmnz.

Exit codes: 0 done, 2 bad options or files.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("fuse", epilog=_EXAMPLE)(fuse)


def fuse(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run files, TREC's or MS MARCO's.")],
    out: Annotated[Path, typer.Option(help="The fused run; gzipped where the name ends in .gz.")],
    method: Annotated[str, typer.Option(help="rrf, weighted or combmnz.")] = "rrf",
    weight: Annotated[
        list[float] | None, typer.Option(help="Of a run, for weighted: once for each run, in their order.")
    ] = None,
    rank_constant: Annotated[int, typer.Option(min=0, help="What rrf adds to a rank.")] = 60,
    size: Annotated[int, typer.Option(min=1, help="Documents written for each topic.")] = 1000,
    tag: Annotated[str | None, typer.Option(help="Tag of the fused run; default the method.")] = None,
    run_format: Annotated[str, typer.Option(help="Format of the fused run: trec or msmarco.")] = "trec",
) -> None:
    """Fuse runs topic by topic."""
    from opensearch_multivector.evaluation.fuse import fuse_runs
    from opensearch_multivector.evaluation.provenance import write_header
    from opensearch_multivector.evaluation.run_files import read_run_files
    from opensearch_multivector.evaluation.runs import RunWriter

    writer = RunWriter(out, tag or method, run_format)
    files = read_run_files(runs)
    fused = fuse_runs([file.rankings for file in files], method, weights=weight, rank_constant=rank_constant, size=size)
    with writer:
        for query_id, ranking in fused.items():
            writer.write(query_id, ranking)
    inputs = [{"name": file.name, "file": str(file.path), "sha256": file.digest} for file in files]
    how = {"method": method, "weights": weight, "rank_constant": rank_constant, "size": size}
    write_header(out, {"name": tag or method, "fusion": {**how, "runs": inputs}})
    print(f"{out}: {len(files)} runs fused by {method}, {len(fused):,} topics")
