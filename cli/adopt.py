"""`osmv adopt`: go on with an attached field of an index that was restored from a snapshot."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster
from opensearch_multivector.cli.long_work import say

_EXAMPLE = """
Example:  osmv adopt articles

To OpenSearch a restored index is another one of the same name, and a search by an attached field refuses it ("was made
anew"). Then: `osmv follow articles --once` fills what the snapshot lacks, `osmv status articles --verify` looks at each
text. Where documents were written anew instead, from their source: `osmv detach` and `osmv attach`.

Exit codes: 0 adopted, or nothing to adopt, 2 bad options, 3 the cluster gives up, 4 nothing of that name is attached,
or what is stored does not fit the index.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("adopt", epilog=_EXAMPLE)(with_cluster(adopt))


def adopt(
    index: Annotated[str, typer.Argument(help="Index that was restored from a snapshot.")],
    cluster: Cluster,
    field: Annotated[str, typer.Option(help="The attached field.")] = "mv",
    json_: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Take a restored index for the one that a field was attached to, once a sample of the sidecar fits it."""
    from opensearch_multivector.indexing.attach.adopt import adopt as adopt_index

    attachment, changed = adopt_index(cluster.connect(), index, field)
    if json_:
        told = {"index": attachment.index, "field": field, "mode": attachment.mode, "target": attachment.target}
        print(json.dumps(told | {"adopted": changed}))
    elif not changed:
        print(f"{attachment.index} is the index that field {field!r} was attached to: nothing to adopt")
    else:
        print(f"{attachment.index}: field {field!r} goes on with this index")
        say(f"next: osmv follow {attachment.index} --once, and osmv status {attachment.index} --verify")
