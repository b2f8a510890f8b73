"""Memory of an indexing run as the collection grows: the same options on 5,000 and on 50,000 documents.

    python benchmarks/indexing_memory.py [--documents 5000 --documents 50000] [--sub-field dense --sub-field codes]

Documents of random ready vectors, written to a JSONL file; each run is a process of its own, whose peak resident memory
is printed. Flat means: within 20 % of one another.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from opensearch_multivector.plugin.connection import connect

_INDEX = "osmv-bench-memory"
_TOKENS, _DIM = 30, 64


def write(path: Path, count: int) -> None:
    rng = np.random.default_rng(0)
    topics = rng.normal(size=(256, _DIM))
    with path.open("w") as file:
        for number in track(range(count), f"writing {count:,}"):
            vectors = topics[rng.integers(0, 256, _TOKENS)] + rng.normal(size=(_TOKENS, _DIM)) / 2
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            record = {"id": number, "text": f"document {number}", "vectors": vectors.round(4).tolist()}
            file.write(json.dumps(record) + "\n")


def index(path: str, options: list[str]) -> None:
    """The run itself, in a process of its own."""
    from opensearch_multivector.cli.main import run

    sys.argv = ["osmv", "index", path, "--index", _INDEX, "--encoder", "none", *options, "--json"]
    try:
        run()
    finally:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, action="append")
    parser.add_argument("--sub-field", action="append")
    parser.add_argument("--codec", default="int8")
    parser.add_argument("--reduce", default="")
    arguments = parser.parse_args()
    options = ["--codec", arguments.codec, *(["--reduce", arguments.reduce] if arguments.reduce else [])]
    options += [part for name in arguments.sub_field or ["dense", "codes"] for part in ("--sub-field", name)]
    client = connect(timeout=300)
    table = Table("documents", "peak memory", "documents/s")
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.documents or [5_000, 50_000]:
            path = Path(folder) / f"{count}.jsonl"
            write(path, count)
            client.indices.delete(index=_INDEX, params={"ignore_unavailable": "true"})
            command = [sys.executable, __file__, "--run", str(path), *options]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
            if done.returncode:
                sys.exit(done.stderr)
            summary = json.loads(done.stdout.splitlines()[-1])
            kilobytes = int(done.stderr.splitlines()[-1])
            table.add_row(f"{count:,}", f"{kilobytes / 1e3:,.0f} MB", f"{summary['docs_per_second']:,}")
        client.indices.delete(index=_INDEX)
    Console().print(table)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        index(sys.argv[2], sys.argv[3:])
    else:
        main()
