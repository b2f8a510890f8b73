"""Real documents that every machine with Python has: the docstrings of the standard library.

Sources are parsed, never imported. One document per public module, class, function and method with a docstring.
"""

from __future__ import annotations

import ast
import json
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from inspect import cleandoc
from pathlib import Path

from opensearch_multivector.errors import InputError

MIN_CHARACTERS = 60
MAX_CHARACTERS = 450
# What is no library to call, or is large and rarely what a question is about.
SKIPPED = frozenset(
    {"antigravity", "bdb", "config", "distutils", "doctest", "encodings", "ensurepip", "idlelib", "imaplib"}
    | {"lib-dynload", "lib2to3", "nntplib", "optparse", "pdb", "pickletools", "poplib", "pydoc", "pydoc_data"}
    | {"site-packages", "telnetlib", "test", "tests", "this", "tkinter", "trace", "turtle", "turtledemo", "xmlrpc"}
)


@dataclass(frozen=True, slots=True)
class Docstring:
    """``doc_id`` is the qualified name (``json.dumps``), ``title`` the same with its parameters (``json.dumps(obj)``),
    ``text`` the docstring cut at a blank near `MAX_CHARACTERS`, ``kind`` module, class, function or method.
    """

    doc_id: str
    title: str
    text: str
    module: str
    kind: str


def write_stdlib_corpus(path: Path, most: int = 2400, library: Path | None = None) -> int:
    """Write the docstrings as JSONL, and return their number.

    ``most``: the corpus stops there, modules first, then functions and classes, then methods, so that what a user would
    look for stays in. ``library``: the folder to walk, by default the running interpreter's standard library. The same
    library gives the same file. Raises InputError where the folder holds no docstrings.
    """
    library = library or Path(sysconfig.get_path("stdlib"))
    found = sorted(_docstrings(library), key=lambda document: (_RANK[document.kind], document.doc_id))
    seen: set[str] = set()
    kept: list[Docstring] = []
    for document in found:
        if document.text not in seen and document.doc_id not in seen and len(kept) < most:
            seen |= {document.text, document.doc_id}
            kept.append(document)
    if not kept:
        raise InputError(f"{library}: no Python docstrings found here.")
    with path.open("w", encoding="utf-8") as corpus:
        for document in sorted(kept, key=lambda document: document.doc_id):
            corpus.write(json.dumps(asdict(document)) + "\n")
    return len(kept)


_RANK = {"module": 0, "function": 1, "class": 2, "method": 3}


def _docstrings(library: Path) -> Iterator[Docstring]:
    for source in sorted(library.rglob("*.py")):
        parts = source.relative_to(library).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if not parts or any(part.startswith("_") or part in SKIPPED for part in parts):
            continue
        try:
            with warnings.catch_warnings(action="ignore"):  # of escapes in others' strings
                tree = ast.parse(source.read_bytes())
        except (SyntaxError, ValueError):
            continue  # deliberately broken files ship with some distributions
        module = ".".join(parts)
        if (text := _text(tree)) is not None:
            yield Docstring(module, module, text, module, "module")
        yield from _members(tree, module, module, inside_class=False)


def _members(parent: ast.Module | ast.ClassDef, prefix: str, module: str, inside_class: bool) -> Iterator[Docstring]:
    for node in parent.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        name = f"{prefix}.{node.name}"
        text = _text(node)
        if isinstance(node, ast.ClassDef):
            if text is not None:
                yield Docstring(name, name, text, module, "class")
            yield from _members(node, name, module, inside_class=True)
        elif text is not None:
            title = f"{name}({', '.join(_parameters(node.args))})"
            yield Docstring(name, title, text, module, "method" if inside_class else "function")


def _parameters(arguments: ast.arguments) -> list[str]:
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args) if argument.arg != "self"]
    names += [f"*{arguments.vararg.arg}"] if arguments.vararg else []
    names += [argument.arg for argument in arguments.kwonlyargs]
    return names + ([f"**{arguments.kwarg.arg}"] if arguments.kwarg else [])


def _text(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
    docstring = ast.get_docstring(node, clean=False)
    if docstring is None:
        return None
    text = cleandoc(docstring)
    if len(text) < MIN_CHARACTERS:
        return None
    if len(text) > MAX_CHARACTERS:
        text = text[: MAX_CHARACTERS + 1].rsplit(maxsplit=1)[0]
    return text
