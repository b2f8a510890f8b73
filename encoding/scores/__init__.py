"""Scores of a document from the similarities of its vectors with the query's: one file per score, one table here.

To add one: write its file and add it to `SCORES`.
"""

from __future__ import annotations

from opensearch_multivector.encoding.scores.base import Score
from opensearch_multivector.encoding.scores.ot import optimal_transport
from opensearch_multivector.encoding.scores.single_max import largest
from opensearch_multivector.encoding.scores.sum_max import sum_of_maxima
from opensearch_multivector.errors import InputError

__all__ = ["SCORES", "Score", "score_named"]

SCORES: dict[str, Score] = {"sum_max": sum_of_maxima, "max": largest, "ot": optimal_transport}


def score_named(name: str) -> Score:
    """The score of that name. Raises InputError naming those there are."""
    try:
        return SCORES[name]
    except KeyError:
        raise InputError(f"unknown score {name!r}: choose one of {', '.join(SCORES)}") from None
