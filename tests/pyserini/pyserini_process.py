"""Calls of Pyserini in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from opensearch_multivector.evaluation.collection.pyserini_names import environment


class Pyserini:
    """Calls the functions of `pyserini_side.py`; ``folder`` is its place for indexes and runs."""

    def __init__(self, java_home: Path, folder: Path) -> None:
        self.folder = folder
        self._log = folder / "pyserini.log"
        # Its evaluators ask for plain `python`, too.
        variables = environment(java_home)
        variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("pyserini_side.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log.open("wb"),
            text=True,
            cwd=folder,
            env=variables | {"HF_HUB_OFFLINE": "1"},
        )

    def __call__(self, name: str, **arguments: Any) -> Any:
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps([name, arguments], default=str), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"Pyserini ended: {self._log.read_text()[-2000:]}"}
        if "error" in answer:
            raise AssertionError(f"{name}: {answer['error']}\n{self._log.read_text()[-2000:]}")
        return answer["result"]

    def index(self, name: str, collection: str, documents: Path, *options: str) -> Path:
        """An index in ``folder``, made where it is absent."""
        folder = self.folder / name
        if not folder.exists():
            self("index", collection=collection, documents=documents, folder=folder, options=options)
        return folder

    def close(self) -> None:
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait(30)
