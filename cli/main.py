"""The `osmv` command: one sub-command per file of this room."""

from __future__ import annotations

import sys

import typer

from opensearch_multivector.cli import (
    adopt,
    attach,
    backfill,
    canary,
    codebook,
    compare,
    dashboards,
    demo,
    detach,
    doctor,
    evaluate,
    export,
    export_vectors,
    exporter,
    follow,
    fuse,
    index,
    node,
    plugin,
    reproduce,
    search,
    serve,
    status,
)
from opensearch_multivector.errors import InputError, OsmvError

app = typer.Typer(
    name="osmv",
    help="Late-interaction (multi-vector) search inside OpenSearch.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

# Each command's file offers `register(app)`; imports of heavy rooms wait inside the commands, so that --help is quick.
for command in (
    node,
    plugin,
    doctor,
    index,
    codebook,
    search,
    evaluate,
    compare,
    fuse,
    reproduce,
    export,
    export_vectors,
    attach,
    backfill,
    follow,
    status,
    detach,
    adopt,
    canary,
    exporter,
    dashboards,
    serve,
    demo,
):
    command.register(app)


def run() -> None:
    """Run `osmv`; an error the user can mend is one sentence on stderr and an exit code, never a traceback."""
    try:
        app()
    except OsmvError as error:
        print(f"osmv: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        # A path that no file can have, a folder without permission: whoever opens a file for its own sake says more.
        where = f"{error.filename!r}: " if error.filename is not None else ""
        print(f"osmv: {InputError(f'{where}{error.strerror or error}')}", file=sys.stderr)
        sys.exit(InputError.exit_code)
    except RecursionError:
        print("osmv: what was given is nested too deeply to be read", file=sys.stderr)
        sys.exit(InputError.exit_code)


if __name__ == "__main__":
    run()
