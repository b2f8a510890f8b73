"""Topics and judgements by the names that Pyserini knows (``dl19-passage``, ``beir-v1.0.0-scifact-test``).

Pyserini is asked in a process of its own, as it starts a JVM when it is imported; it downloads what it has not yet.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from opensearch_multivector.errors import InputError, MissingDependencyError
from opensearch_multivector.plugin.node import java

_JAVA = 21
_SECONDS = 600

# Prints one line of JSON last: what was found, null where there is no such name, or what went wrong.
_ASK = """
import json, sys
from pyserini.search import _base
name, what = sys.argv[1:]
try:
    if name not in getattr(_base, f"{what}_mapping"):
        found = None
    elif what == "topics":
        found = {str(number): fields for number, fields in _base.get_topics(name).items()}
    else:
        found = _base.get_qrels_file(name)
    answer = {"found": found}
except Exception as error:
    answer = {"error": str(error).partition("\\n")[0]}
print("\\n" + json.dumps(answer))
"""


def installed() -> bool:
    """Whether Pyserini is here; it is not imported."""
    try:
        importlib.metadata.version("pyserini")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def topics(name: str) -> dict[str, dict[str, Any]]:
    """Fields by topic; a ``vector`` is taken apart. Raises InputError, MissingDependencyError."""
    found: dict[str, dict[str, Any]] = _ask(name, "topics")
    for fields in found.values():
        if isinstance(vector := fields.get("vector"), str):
            fields["vector"] = json.loads(vector)
    return found


def qrels_file(name: str) -> Path:
    """Where Pyserini keeps the judgements. Raises InputError, MissingDependencyError."""
    path = Path(_ask(name, "qrels"))
    if not path.stat().st_size:
        path.unlink()  # what a download left that failed
        path = Path(_ask(name, "qrels"))
    return path


def java_home() -> Path | None:
    """Of a Java as Pyserini needs it: 21 or newer, with the vector module. None where there is none."""
    for executable in java.candidates():
        found = java.inspect(executable)
        if found and found.version >= _JAVA and found.vector:
            return executable.resolve().parents[1]
    return None


def environment(home: Path) -> dict[str, str]:
    """Variables of this process, and those that Pyserini does not start without."""
    # It asks for a key of OpenAI's when it is imported, and its trec_eval for plain `java`.
    path = os.pathsep.join([str(home / "bin"), os.environ.get("PATH", "")])
    return {"OPENAI_API_KEY": "none"} | os.environ | {"JAVA_HOME": str(home), "PATH": path}


def _ask(name: str, what: str) -> Any:
    home = java_home()
    if home is None:
        raise MissingDependencyError(
            f"{name}: Pyserini's {what} need a Java {_JAVA} or newer with jdk.incubator.vector: set JAVA_HOME to one"
        )
    command = [sys.executable, "-c", _ASK, name, what]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment(home), timeout=_SECONDS)
        answer = json.loads(done.stdout.splitlines()[-1])
    except (subprocess.TimeoutExpired, IndexError, ValueError):
        raise InputError(
            f"{name}: Pyserini does not say what {what} it has: does `import pyserini.search` work here?"
        ) from None
    if "error" in answer:
        raise InputError(f"{name}: Pyserini can't fetch the {what} ({answer['error']}): is there a network?")
    if answer["found"] is None:
        raise InputError(f"{name}: neither a file nor {what} that ir_datasets or Pyserini know by this name.")
    return answer["found"]
