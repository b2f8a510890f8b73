"""`osmv dashboards`: dashboards and alert rules, to be brought into the programs that show them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

dashboards = typer.Typer(
    help="Dashboards for Grafana and OpenSearch Dashboards, alert rules for Prometheus.", no_args_is_help=True
)

_EXAMPLE = """
Example:  osmv dashboards export ./osmv-dashboards

Exit codes: 0 written, 2 a file is there already and was changed (--force overwrites it), or can't be written.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    dashboards.command("export", epilog=_EXAMPLE)(export)
    app.add_typer(dashboards, name="dashboards")


@dashboards.callback()
def _group() -> None:
    """Keeps `export` a sub-command, though it is the only one."""


def export(
    folder: Annotated[Path, typer.Argument(help="Folder for the files; made where it is absent.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that were changed.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the paths as JSON on stdout.")] = False,
) -> None:
    """Write all files: grafana/*.json, prometheus/*.yml and opensearch/osmv.ndjson."""
    from opensearch_multivector.ops.dashboards.files import export_dashboards

    written = [str(path) for path in export_dashboards(folder, force=force)]
    print(json.dumps(written, indent=2) if as_json else "\n".join(written))
