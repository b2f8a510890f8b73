"""The matrices that the package carries: they parse, name what exists, and have the figures of their sources."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from opensearch_multivector.evaluation.reproduce.matrix import Matrix, open_matrix, shipped

yaml = pytest.importorskip("yaml")
pytest.importorskip("ir_measures")

# Documents that Pyserini's authors encoded: folders below --data, searched with ready queries of Pyserini.
ENCODED = re.compile(
    r"beir-v1\.0\.0/splade-pp-ed/[\w-]+|msmarco-passage-(unicoil|unicoil-noexp|splade-pp-ed|splade-v3)"
)
PYSERINI = re.compile(r"pyserini/2cr/([\w.-]+)\)[,:].* ([\w.-]+)$")
TOPICS = ("dev", "dl19", "dl20")  # in the order of Pyserini's file
MEASURES = {"RR@10": "MRR@10", "AP(rel=2)": "MAP", "R(rel=2)@1000": "R@1K"}


@pytest.fixture(params=shipped())
def matrix(request: pytest.FixtureRequest) -> Matrix:
    return open_matrix(request.param)


def test_every_row_has_a_source_and_is_told_apart(matrix: Matrix) -> None:
    assert len({row.name for row in matrix.rows}) == len(matrix.rows)
    assert {row.collection for row in matrix.rows} == set(matrix.collections)
    for row in matrix.rows:
        # What this project measured itself is no published figure; it is kept among the rows that run here.
        own = matrix.name == "here" and row.source.startswith("Regression: ")
        assert own or re.search(r"\d{4}|Pyserini|PyLate|MTEB|Card of", row.source), row.name


def test_rankings_are_as_long_as_the_measures_look(matrix: Matrix) -> None:
    for row in matrix.rows:
        looked_at = [int(cut) for measure in row.expected for cut in re.findall(r"@(\d+)", measure)]
        if row.collection != "limit-small":  # which has 46 documents
            assert max(looked_at) <= row.search.size, row.name
        assert row.search.window_size >= row.search.size or row.search.rerank is None, row.name


def test_data_sets_are_there_with_what_is_used(matrix: Matrix) -> None:
    ir_datasets = pytest.importorskip("ir_datasets")
    for name, choice in matrix.collections.items():
        if not choice.documents:
            continue  # a folder alone
        if ENCODED.fullmatch(choice.documents):
            assert choice.topics.startswith("tokens:"), name  # their queries are texts of repeated terms
            assert choice.topics.removeprefix("tokens:") in pyserini_topics(), name
        else:
            assert ir_datasets.registry[choice.documents].has_docs(), name
            assert ir_datasets.registry[choice.topics].has_queries(), name
            assert choice.topics == choice.qrels, name
            assert f"{choice.topics}/".startswith(f"{choice.documents}/"), name
        assert ir_datasets.registry[choice.qrels].has_qrels(), name


def test_figures_are_those_of_the_installed_pyserini() -> None:
    checked = 0
    for matrix in [open_matrix(name) for name in shipped()]:
        for row in matrix.rows:
            if not (found := PYSERINI.search(row.source)):
                continue
            condition = conditions(found[1])[found[2]]
            if "datasets" in condition:
                of_row = {entry["dataset"]: entry for entry in condition["datasets"]}[row.collection.split("/")[-1]]
            else:
                of_row = condition["topics"][TOPICS.index(row.collection.split("/")[-1])]
            (scores,) = of_row["scores"]
            printed = {
                MEASURES.get(name, "R@1K" if "topics" in condition and name == "R@1000" else name): value
                for name, value in row.expected.items()
            }
            assert {name: scores[name] for name in printed} == printed, f"{matrix.name}: {row.name}"
            checked += 1
    assert checked > 60


@cache
def pyserini_folder() -> Path:
    """Where the package lies; it is not imported, which would start a Java machine."""
    spec = find_spec("pyserini")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("pyserini is not installed")
    return Path(spec.submodule_search_locations[0])


@cache
def conditions(file: str) -> dict[str, dict[str, Any]]:
    """Pyserini's two-click reproductions of a file, by name."""
    loaded = yaml.safe_load((pyserini_folder() / "2cr" / file).read_text(encoding="utf-8"))
    return {condition["name"]: condition for condition in loaded["conditions"]}


@cache
def pyserini_topics() -> set[str]:
    """All names that Pyserini's table of topics has, and perhaps more."""
    source = (pyserini_folder() / "search" / "_base.py").read_text(encoding="utf-8")
    return set(chain.from_iterable(re.findall(r"'([\w.-]+)':", line) for line in source.splitlines()))
