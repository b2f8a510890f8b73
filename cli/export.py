"""`osmv export`: a checkpoint as ONNX, to encode without torch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

_EXAMPLE = """
Example:  osmv export colbert-ir/colbertv2.0 colbertv2-int8 --int8

          osmv index articles.jsonl --index articles --encoder ./colbertv2-int8

Exit codes: 0 written and tried, 2 bad options or a model that can't be exported, 5 a package is missing.
"""


def register(app: typer.Typer) -> None:
    """Add the command to `osmv`."""
    app.command("export", epilog=_EXAMPLE)(export)


def export(
    encoder: Annotated[str, typer.Argument(help="Encoder: a built-in name, a checkpoint's folder or hub name.")],
    folder: Annotated[Path, typer.Argument(help="New or empty folder for the graph, tokenizer and settings.")],
    int8: Annotated[
        bool, typer.Option("--int8", help="Quantise: a quarter of the size and faster on CPU, slightly other vectors.")
    ] = False,
    max_length: Annotated[int | None, typer.Option(help="Tokens per document; default what the model says.")] = None,
    query_length: Annotated[
        str | None, typer.Option(help="Tokens per query, or dynamic; default what the model says.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")] = False,
) -> None:
    """Write an encoder as an ONNX graph that runs without torch, with its markers, lengths and skiplist."""
    from opensearch_multivector.encoding.encoders import load_encoder
    from opensearch_multivector.encoding.encoders.export import export_encoder

    loaded = load_encoder(encoder, max_length=max_length, query_length=_query_length(query_length), device="cpu")
    written = export_encoder(loaded, folder, int8=int8)
    if json_:
        print(json.dumps(asdict(written), default=str))
        return
    print(f"Wrote {written.graph} ({written.bytes / 2**20:.1f} MiB) with its tokenizer and settings.")
    print(f"Token vectors against the checkpoint's: cosine {written.cosine:.4f} at least.")
    if not int8:
        print(f"They are the same: an index made with {encoder} can be searched with {folder}.")


def _query_length(value: str | None) -> int | Literal["dynamic"] | None:
    from opensearch_multivector.errors import InputError

    if value is None:
        return None
    if value == "dynamic":
        return "dynamic"
    if not value.isdecimal():
        raise InputError(f"--query-length is {value!r}: give a number of tokens, or dynamic.")
    return int(value)
