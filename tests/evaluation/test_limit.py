from __future__ import annotations

import json
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.collection.beir import read_collection
from opensearch_multivector.evaluation.collection.limit import generate_limit


def likes_of(folder: Path) -> dict[str, list[str]]:
    documents = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    likes = {}
    for document in documents:
        match = re.fullmatch(r"The ([a-z ]+) likes (.*) and (.*)\.", document["text"])
        assert match is not None
        assert match[1] == document["_id"]
        likes[document["_id"]] = [*match[2].split(", "), match[3]]
    assert len(likes) == len(documents)
    return likes


@pytest.mark.parametrize(
    ("n_documents", "n_queries", "attributes"), [(46, 1000, 50), (46, 1035, 45), (5, 10, 4), (8, 9, 12), (2, 1, 3)]
)
def test_every_query_is_answered_by_a_pair_of_its_own(
    tmp_path: Path, n_documents: int, n_queries: int, attributes: int
) -> None:
    folder = generate_limit(tmp_path, n_documents, n_queries, attributes)
    likes, collection = likes_of(folder), read_collection(folder)
    assert (len(likes), len(collection.topics)) == (n_documents, n_queries)
    assert (collection.unjudged, collection.unasked) == (0, 0)

    pairs, asked = [], set()
    for query_id, text in collection.topics.items():
        match = re.fullmatch(r"Who likes ([a-z -]+)\?", text)
        assert match is not None
        asked.add(match[1])
        answers = {doc_id for doc_id, grade in collection.qrels[query_id].items() if grade == 1}
        assert len(answers) == len(collection.qrels[query_id]) == 2
        assert answers == {doc_id for doc_id, listed in likes.items() if match[1] in listed}
        pairs.append(frozenset(answers))
    assert len(set(pairs)) == len(asked) == n_queries

    for listed in likes.values():
        assert len(listed) == len(set(listed)) == attributes
    # Every query is one attribute and every asked-for attribute is in two documents: the rest of each list is padding.
    counts = Counter(attribute for listed in likes.values() for attribute in listed)
    assert sum(counts[attribute] for attribute in asked) == 2 * n_queries
    assert {counts[attribute] for attribute in asked} == {2}


def test_the_seed_decides_everything(tmp_path: Path) -> None:
    def content(name: str, seed: int) -> list[bytes]:
        folder = generate_limit(tmp_path / name, seed=seed)
        return [(folder / file).read_bytes() for file in ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")]

    assert content("a", 3) == content("b", 3)
    assert all(one != other for one, other in zip(content("a", 3), content("c", 4), strict=True))


@pytest.mark.parametrize(
    "numbers",
    [
        {"n_documents": 1},
        {"n_documents": 10_000},
        {"n_queries": 1036},
        {"n_queries": 0},
        {"attributes_per_document": 40},
        {"attributes_per_document": 5000},
    ],
)
def test_numbers_that_can_not_be_met(tmp_path: Path, numbers: dict[str, int]) -> None:
    with pytest.raises(InputError, match=next(iter(numbers))):
        generate_limit(tmp_path / "never", **numbers)
    assert not (tmp_path / "never").exists()


def words(name: str) -> list[str]:
    return files("opensearch_multivector.evaluation.collection").joinpath(name).read_text().splitlines()


def test_word_lists() -> None:
    attributes, subjects = words("limit_attributes.txt"), words("limit_subjects.txt")
    assert len(attributes) >= 1300
    assert len(subjects) >= 60
    for listed in (attributes, subjects):
        assert listed == sorted(set(listed))
        assert all(re.fullmatch(r"[a-z]+(-[a-z]+)?( [a-z]+)?", word) for word in listed)
    assert not set(attributes) & set(subjects)
    singulars = {word.removesuffix("s") for word in attributes}
    assert len(singulars) == len(attributes)
    assert len({word.removesuffix("es") for word in attributes}) == len(attributes)
    assert len({re.sub("ies$", "y", word) for word in attributes}) == len(attributes)
