"""`osmv demo`: why late interaction, on a real OpenSearch, in a few minutes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opensearch_multivector.cli.cluster_options import Cluster, with_cluster
from opensearch_multivector.cli.long_work import say

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

    from opensearch_multivector.evaluation.demo import Encoders

_EXAMPLE = """
Example:  osmv demo

          osmv demo --data scifact/

A second run finds its indices again and only searches.

Exit codes: 0 done, 2 bad files, 3 the cluster or the node, 5 a package is missing.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("demo", epilog=_EXAMPLE)(with_cluster(demo))


def demo(
    cluster: Cluster,
    data: Annotated[Path | None, typer.Option(help="Evaluate this BEIR folder instead.")] = None,
    light: Annotated[bool, typer.Option("--light", help="The int8 ONNX model, and no SLIM: needs no torch.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Show what late interaction is good for; starts the local node where no cluster is given."""
    from opensearch_multivector.evaluation.demo import Encoders
    from opensearch_multivector.plugin.node import start_node

    if cluster.url is None:
        start_node()
    client = cluster.connect()
    encoders = Encoders.load(light)
    if data is not None:
        shown = _folder(client, data, encoders, quiet=json_)
    else:
        shown = _limit(client, encoders, quiet=json_) | _docstrings(client, encoders, quiet=json_)
    if json_:
        print(json.dumps(shown, ensure_ascii=False))


def _limit(client: OpenSearch, encoders: Encoders, quiet: bool) -> dict[str, Any]:
    from rich.console import Console

    from opensearch_multivector.cli.bars import Bars
    from opensearch_multivector.evaluation.demo import ROWS, Watcher, evaluate_limit, why
    from opensearch_multivector.evaluation.report import measures_table

    with Bars("LIMIT") as bars:
        evaluation = evaluate_limit(client, _workplace(), encoders, Watcher(bars.indexing, bars.searching, say))
    if not quiet:
        console = Console(highlight=False)
        console.print(measures_table(evaluation, ROWS))
        console.print(f"\n{why(evaluation)}\n")
    return {"limit": evaluation.as_json()}


def _docstrings(client: OpenSearch, encoders: Encoders, quiet: bool) -> dict[str, Any]:
    from rich.console import Console

    from opensearch_multivector.cli.bars import Bars
    from opensearch_multivector.cli.search import print_hits
    from opensearch_multivector.evaluation.demo import Watcher, ask_docstrings

    with Bars("docstrings") as bars:
        searcher, answers = ask_docstrings(client, _workplace(), encoders, Watcher(bars.indexing, message=say))
    if not quiet:
        for question, result in answers.items():
            Console(highlight=False, markup=False, emoji=False).print(f"\n{question}", style="bold")
            print_hits(result, searcher.spec.text_of)
    return {"index": searcher.index, "answers": {question: asdict(result) for question, result in answers.items()}}


def _folder(client: OpenSearch, folder: Path, encoders: Encoders, quiet: bool) -> dict[str, Any]:
    from rich.console import Console

    from opensearch_multivector.cli.bars import Bars
    from opensearch_multivector.evaluation.demo import Watcher, evaluate_folder
    from opensearch_multivector.evaluation.report import measures_table

    with Bars(folder.name) as bars:
        evaluation = evaluate_folder(client, folder, encoders, Watcher(bars.indexing, bars.searching, say))
    if not quiet:
        Console().print(measures_table(evaluation))
    return {"evaluation": evaluation.as_json()}


def _workplace() -> Path:
    from opensearch_multivector.plugin.node.places import places

    return places().cache / "demo"
