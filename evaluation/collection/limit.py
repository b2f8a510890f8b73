"""LIMIT, a test collection on which one vector per document must fail (Weller et al. 2025, "On the Theoretical
Limitations of Embedding-Based Retrieval", section 5).

Every pair of documents is the answer to some query. With n documents there are n(n-1)/2 such top-2 sets, and the
paper shows that the dimension needed to order all of them rightly grows with n: a single small vector can't. The
content is trivial on purpose: documents list what somebody likes, queries ask "Who likes apples?".
"""

from __future__ import annotations

import json
import random
from importlib.resources import files
from itertools import combinations
from pathlib import Path

from opensearch_multivector.errors import InputError


def generate_limit(
    directory: Path,
    n_documents: int = 46,
    n_queries: int = 1000,
    attributes_per_document: int = 50,
    seed: int = 7,
) -> Path:
    """Write a LIMIT collection as a BEIR folder and return the folder.

    ``n_queries`` pairs of documents are drawn, each pair once; each gets an attribute of its own, which only these two
    documents list and one query asks for. Documents are filled up to ``attributes_per_document`` with attributes that
    no query asks for, and each document's list is shuffled. The same arguments give the same files. The defaults are
    those of the paper's small version: 46 documents, the fewest with at least 1,000 pairs.

    Raises InputError where the numbers can't be met.
    """
    subjects, attributes = _words("limit_subjects.txt"), _words("limit_attributes.txt")
    if not 2 <= n_documents <= len(subjects):
        raise InputError(f"n_documents is {n_documents}; it must be 2 to {len(subjects)}, the subjects there are.")
    pairs = list(combinations(range(n_documents), 2))
    if not 1 <= n_queries <= min(len(pairs), len(attributes)):
        raise InputError(
            f"n_queries is {n_queries}; {n_documents} documents have {len(pairs)} pairs and there are "
            f"{len(attributes)} attributes, so it must be 1 to the smaller of these."
        )
    rng = random.Random(seed)
    subjects = rng.sample(subjects, n_documents)
    rng.shuffle(attributes)
    asked, unasked = attributes[:n_queries], attributes[n_queries:]
    answers = rng.sample(pairs, n_queries)

    likes: list[list[str]] = [[] for _ in subjects]
    for attribute, pair in zip(asked, answers, strict=True):
        for document in pair:
            likes[document].append(attribute)
    fullest, emptiest = max(map(len, likes)), min(map(len, likes))
    if not fullest <= attributes_per_document <= emptiest + len(unasked):
        raise InputError(
            f"attributes_per_document is {attributes_per_document}; with these pairs it must be {fullest} to "
            f"{emptiest + len(unasked)}."
        )
    for listed in likes:
        listed += rng.sample(unasked, attributes_per_document - len(listed))
        rng.shuffle(listed)

    (directory / "qrels").mkdir(parents=True, exist_ok=True)
    with (directory / "corpus.jsonl").open("w", encoding="utf-8") as corpus:
        for subject, listed in zip(subjects, likes, strict=True):
            text = f"The {subject} likes {', '.join(listed[:-1])} and {listed[-1]}."
            corpus.write(json.dumps({"_id": subject, "title": "", "text": text}) + "\n")
    with (
        (directory / "queries.jsonl").open("w", encoding="utf-8") as topics,
        (directory / "qrels" / "test.tsv").open("w", encoding="utf-8") as qrels,
    ):
        qrels.write("query-id\tcorpus-id\tscore\n")
        for number, (attribute, pair) in enumerate(zip(asked, answers, strict=True)):
            topics.write(json.dumps({"_id": f"q{number}", "text": f"Who likes {attribute}?"}) + "\n")
            qrels.writelines(f"q{number}\t{subjects[document]}\t1\n" for document in pair)
    return directory


def _words(name: str) -> list[str]:
    text = files("opensearch_multivector.evaluation.collection").joinpath(name).read_text(encoding="utf-8")
    return text.split("\n")[:-1]
