"""`osmv` in the tests' own process, where models stay loaded: much faster than a process for each command."""

from __future__ import annotations

import io
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import BinaryIO, NamedTuple

from opensearch_multivector.cli.main import run


class Ran(NamedTuple):
    """What a command gave back."""

    returncode: int
    stdout: str
    stderr: str


def osmv(*arguments: str, cwd: Path | str = ".", stdin: BinaryIO | None = None) -> Ran:
    """Run `osmv` here, its output as strict as a terminal; what a user would see as a traceback is raised."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("strict", "backslashreplace"))
    given = io.TextIOWrapper(io.BufferedReader(io.BytesIO(stdin.read() if stdin else b"")))
    before, sys.argv, sys.stdin = (sys.argv, sys.stdin), ["osmv", *arguments], given
    code = 0
    try:
        with chdir(cwd), redirect_stdout(out), redirect_stderr(err):
            run()
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.argv, sys.stdin = before
    for stream in (out, err):
        stream.seek(0)
    return Ran(code, out.read(), err.read())
