"""`osmv codebook`: the codebooks in the cluster."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster

codebook = typer.Typer(
    help="Codebooks of token vectors: which there are, and whether they still fit the documents.", no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]

_LIST_EXAMPLE = """
Example:  osmv codebook list --json

Exit codes: 0 also where there is none, 3 no cluster answers or it refuses the user.
"""
_SHOW_EXAMPLE = """
Example:  osmv codebook show a200ec8aac055101

Exit codes: 0 it is whole, 3 no cluster answers or it refuses the user, 4 there is no such codebook, or it was altered.
"""
_DRIFT_EXAMPLE = """
Example:  osmv codebook drift papers --newest

Exit codes: 0 the codebook fits, 1 a new one would pay, 2 bad options or an empty index, 3 no cluster answers or it
refuses the user, 4 the index has no codebook or it can't be read.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    codebook.command("list", epilog=_LIST_EXAMPLE)(with_cluster(list_))
    codebook.command("show", epilog=_SHOW_EXAMPLE)(with_cluster(show))
    codebook.command("drift", epilog=_DRIFT_EXAMPLE)(with_cluster(drift))
    app.add_typer(codebook, name="codebook")


def list_(cluster: Cluster, as_json: Json = False) -> None:
    """List the codebooks in the cluster, oldest first, and the indices that use each."""
    from opensearch_multivector.plugin.artifacts import list_artifacts
    from opensearch_multivector.plugin.inspection import users_of_artifacts

    client = cluster.connect()
    users = users_of_artifacts(client)
    rows = [_row(id_, head, users.get(id_, [])) for id_, head in list_artifacts(client, "codebook").items()]
    if as_json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(_line(row))
    if not rows:
        print("there is no codebook in the cluster: osmv index DOCS --index NAME --sub-field codes trains one")


def show(
    codebook_id: Annotated[str, typer.Argument(metavar="ID", help="As `osmv codebook list` gives it.")],
    cluster: Cluster,
    as_json: Json = False,
) -> None:
    """Show one codebook, read whole and checked."""
    from opensearch_multivector.encoding.codebook import Codebook
    from opensearch_multivector.errors import MismatchError
    from opensearch_multivector.plugin.artifacts import get_artifact, list_artifacts
    from opensearch_multivector.plugin.inspection import users_of_artifacts

    client = cluster.connect()
    artifact = get_artifact(client, codebook_id)
    if artifact.kind != "codebook":
        raise MismatchError(
            f"{codebook_id!r} is no codebook but a {artifact.kind}: osmv codebook list names those there are"
        )
    found = Codebook.from_arrays(artifact.arrays)
    head = list_artifacts(client, "codebook")[codebook_id]
    row = _row(codebook_id, head, users_of_artifacts(client).get(codebook_id, [])) | {
        "centroids": found.size,
        "dim": found.dim,
        "mean_similarity": round(found.mean_similarity, 4),
        "tokens_per_document": round(found.tokens_per_document, 1),
        "unused_centroids": int((found.shares == 0).sum()),
        "largest_share": round(float(found.shares.max()), 5),
    }
    if as_json:
        print(json.dumps(row))
        return
    for name, value in row.items():
        print(f"{name.replace('_', ' ')}: {', '.join(value) or 'none' if isinstance(value, list) else value}")


def drift(
    index: Annotated[str, typer.Argument(help="Index or alias.")],
    cluster: Cluster,
    field: Annotated[str, typer.Option(help="Multi-vector field.")] = "mv",
    sample: Annotated[int, typer.Option(min=1, max=10_000, help="Documents to look at.")] = 300,
    newest: Annotated[
        bool, typer.Option("--newest", help="The documents written last instead of random ones.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say whether an index's codebook still fits its documents, or a new one would pay."""
    from opensearch_multivector.indexing.fit import codebook_fit

    fit = codebook_fit(cluster.connect(), index, field, sample=sample, newest=newest)
    if as_json:
        print(json.dumps(fit.to_dict()))
    else:
        which = "the last" if newest else "random"
        print(
            f"codebook {fit.codebook}: {fit.centroids:,} centroids, {fit.documents:,} documents, {fit.tokens:,} tokens"
        )
        print(
            f"{fit.sampled:,} {which} documents' tokens have a mean similarity of {fit.mean_similarity:.4f} to their "
            f"centroids, those held out at training {fit.trained_similarity:.4f}: relative loss {fit.relative_loss:.3f}"
        )
        print(_advice(fit.drifted, fit.outgrown, fit.suggested_centroids))
    if fit.drifted or fit.outgrown:
        raise typer.Exit(1)


def _advice(drifted: bool, outgrown: bool, suggested: int) -> str:
    if drifted:
        return "the documents are of another kind than the codebook was trained on: index them again into a new index"
    if outgrown:
        return (
            f"the collection has outgrown it: index again into a new index with --sub-field codes:centroids={suggested}"
        )
    return "it fits: no new one is needed"


def _row(codebook_id: str, head: dict[str, Any], users: list[str]) -> dict[str, Any]:
    return {"id": codebook_id, "made_at": head["made_at"], "bytes": head["bytes"], **head["info"], "indices": users}


def _line(row: dict[str, Any]) -> str:
    size = f"{row['centroids']:,} x {row['dim']}" if "centroids" in row else "?"
    users = ", ".join(row["indices"]) or "no index"
    return f"{row['id']}  {size}, {row['bytes'] / 1e6:.1f} MB, made {row['made_at']}, used by {users}"
