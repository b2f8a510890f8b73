"""Writes `pylate_checkpoints/`: tiny random models saved by PyLate itself, and the vectors that PyLate gives for TEXTS.

Not part of the test run: PyLate 1.6.0 wants older sentence-transformers and transformers than this project is locked
to. In an environment of its own (pip install pylate==1.6.0): python tests/encoding/write_pylate_checkpoints.py
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tiny_checkpoints import save_bert, save_modernbert

FOLDER = Path(__file__).parent / "pylate_checkpoints"
TEXTS = [
    "Sea otters.",
    "",
    "  a! otter? b \n",
    "sea otter " * 30,
    "...",
    "[MASK] a [Q] b [SEP]",
    "x-y, z; sea: (otter)",
    "an otter in the sea an otter",
]


def write() -> None:
    from pylate import models
    from torch import nn

    shutil.rmtree(FOLDER, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temporary:
        bert, modernbert = Path(temporary, "bert"), Path(temporary, "modernbert")
        save_bert(bert)
        save_modernbert(modernbert)
        _save("defaults", models.ColBERT(str(bert), device="cpu", embedding_size=8))
        chained = models.ColBERT(
            str(bert),
            device="cpu",
            embedding_size=16,
            query_prefix="[Query]",
            document_prefix="[Doc]",
            query_length=9,
            document_length=14,
            attend_to_expansion_tokens=True,
            skiplist_words=["a", "."],
        )
        chained[1] = models.Dense(16, 12, activation_function=nn.GELU(), use_residual=True)
        chained.append(models.Dense(12, 12, bias=False, activation_function=nn.Tanh(), use_residual=True))
        chained.append(models.Dense(12, 6))
        _save("chain", chained)
        unmarked = models.ColBERT(
            str(modernbert),
            device="cpu",
            embedding_size=8,
            query_prefix="",
            document_prefix="",
            query_length=10,
            document_length=40,
            do_query_expansion=False,
        )
        unmarked.prompts = {"query": "q: ", "document": "d: "}
        _save("no-expansion", unmarked, prompted=True)
        _save("modernbert", models.ColBERT(str(modernbert), device="cpu", embedding_size=8, query_length=16))


def _save(name: str, model: Any, prompted: bool = False) -> None:
    folder = FOLDER / name
    model.save(str(folder), create_model_card=False)
    (folder / "README.md").unlink(missing_ok=True)
    vectors = {}
    for kind in ("query", "document"):
        prompt = kind if prompted else None
        encoded = model.encode(TEXTS, is_query=kind == "query", prompt_name=prompt, batch_size=3)
        vectors |= {f"{kind}-{number}": array for number, array in enumerate(encoded)}
    np.savez_compressed(folder / "expected.npz", **vectors)


if __name__ == "__main__":
    write()
