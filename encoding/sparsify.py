"""SLIM: token terms to one sparse document, query bounds over it, and the exact score (Li et al. 2023, section 3).

A token is a sparse vector over the vocabulary. The exact score of query tokens q_i and document tokens d_j is the
sparse MaxSim sum_i max_j sum_v q_i[v] d_j[v]. An inverted index can't hold tokens apart, so a document is stored as
D[v] = max_j d_j[v], and a query scored against D bounds the exact score from above or, with one term a token, from
below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from opensearch_multivector.encoding.encoders.base import FloatArray, IntArray, TokenTerms
from opensearch_multivector.errors import InputError

Terms: TypeAlias = dict[str, float]

# Lucene's FeatureField refuses weights below Float.MIN_NORMAL.
_LEAST_WEIGHT = float(np.finfo(np.float32).tiny)
_GREATEST_WEIGHT = float(np.finfo(np.float32).max)

_DOT_LEADER, _TWO_DOT_LEADER = "\u2024", "\u2025"
_ESCAPES = {".": _DOT_LEADER, _DOT_LEADER: f"{_TWO_DOT_LEADER}1", _TWO_DOT_LEADER: f"{_TWO_DOT_LEADER}2"}
_EMPTY = f"{_TWO_DOT_LEADER}0"
_TRANSLATION = str.maketrans(_ESCAPES)


def feature_name(term: str) -> str:
    """A vocabulary term as a `rank_features` name, which may hold no '.' and may not be empty; inverse: `term_of`.

    '.' becomes U+2024 (one dot leader); that character itself and U+2025 are written with U+2025 before a digit, so
    that no two terms share a name.
    """
    return term.translate(_TRANSLATION) if term else _EMPTY


def term_of(feature: str) -> str:
    """The vocabulary term of a `feature_name`."""
    if feature == _EMPTY:
        return ""
    # The dot leader stands only for '.' here; the escaped forms come back after it is gone.
    return (
        feature.replace(_DOT_LEADER, ".")
        .replace(f"{_TWO_DOT_LEADER}1", _DOT_LEADER)
        .replace(f"{_TWO_DOT_LEADER}2", _TWO_DOT_LEADER)
    )


def ready_terms(weights: Any) -> Terms:
    """Learned-sparse weights by term, made elsewhere (uniCOIL, DeepImpact, SPLADE), as `document_terms` gives its own.

    Weights of 0 are left out. Raises InputError on anything but a mapping of terms to numbers from 0 to what a float32
    holds.
    """
    check_weights(weights)
    falling = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
    return {feature_name(term): float(weight) for term, weight in falling if weight >= _LEAST_WEIGHT}


def check_weights(weights: Any) -> None:
    """Raise InputError on anything but a mapping of terms to numbers from 0 to what a float32 holds."""
    if not isinstance(weights, Mapping) or not all(isinstance(term, str) for term in weights):
        raise InputError('weights of terms must come as a mapping, such as {"bee": 1.5}')
    for term, weight in weights.items():
        number = isinstance(weight, Real) and not isinstance(weight, bool)
        if not number or not 0 <= weight <= _GREATEST_WEIGHT:
            raise InputError(f"the weight of term {term!r} must be a number from 0 to 3.4e38, not {weight!r}")


def whole_terms(terms: Terms, scale: float) -> Terms:
    """The weights times ``scale``, rounded to whole numbers; those of 0 are left out."""
    rounded = {name: round(weight * scale) for name, weight in terms.items()}
    return {name: weight for name, weight in rounded.items() if weight}


def document_terms(terms: TokenTerms, vocabulary: Sequence[str], max_terms: int | None = None) -> Terms:
    """What is stored of a document: per vocabulary term the largest weight over its tokens, D[v] = max_j d_j[v].

    ``max_terms`` keeps the heaviest (of equal ones the lower id). Keys are `feature_name`s, heaviest first.
    """
    return _named(document_weights(terms, max_terms), vocabulary)


def document_weights(terms: TokenTerms, max_terms: int | None = None) -> dict[int, float]:
    """As `document_terms`, by vocabulary id."""
    ids, groups, weights = _positive(terms)
    heaviest = np.zeros(len(ids), dtype=np.float32)
    np.maximum.at(heaviest, groups, weights)
    return _falling(ids, heaviest, max_terms)


def upper_bound_terms(query: TokenTerms, vocabulary: Sequence[str]) -> Terms:
    """Query weights sum_i q_i[v], whose dot product with D is at least the exact score (section 3.2)."""
    return _named(upper_bound_weights(query), vocabulary)


def upper_bound_weights(query: TokenTerms) -> dict[int, float]:
    """As `upper_bound_terms`, by vocabulary id."""
    ids, groups, weights = _positive(query)
    sums = np.zeros(len(ids), dtype=np.float64)
    np.add.at(sums, groups, weights)
    return _falling(ids, sums)


def lower_bound_terms(query: TokenTerms, vocabulary: Sequence[str]) -> Terms:
    """Each query token's heaviest term alone, summed: against D at most the exact score (section 3.2)."""
    if query.weights.size == 0:
        return {}
    rows, first = np.arange(len(query.weights)), query.weights.argmax(axis=1)
    heaviest = TokenTerms(ids=query.ids[rows, first][:, None], weights=query.weights[rows, first][:, None])
    return upper_bound_terms(heaviest, vocabulary)


def fused_terms(query: TokenTerms, vocabulary: Sequence[str], weight: float = 0.99) -> Terms:
    """``weight`` x upper + (1 - ``weight``) x lower bound, one linear query for both (section 3.2).

    .99 is Pyserini's ``fusion_weight``. Its lower bound adds only the text's last term; here each token's heaviest, as
    in the paper.
    """
    upper, lower = upper_bound_terms(query, vocabulary), lower_bound_terms(query, vocabulary)
    fused = {name: weight * value + (1 - weight) * lower.get(name, 0.0) for name, value in upper.items()}
    return {name: value for name, value in fused.items() if value >= _LEAST_WEIGHT}


def pyserini_terms(query: TokenTerms, vocabulary: Sequence[str], fusion_weight: float = 0.99) -> Terms:
    """The whole numbers that Pyserini's ``SlimQueryEncoder`` makes of a query, its lower bound included.

    With u[v] = sum_i q_i[v], they are round((``fusion_weight`` u[v] + (1 - ``fusion_weight``) l[v]) / 5 * 256). Its l
    is not the paper's (`lower_bound_terms`): it holds one term for the whole query, the last that its loop over tokens
    and their terms has seen, with the weight at that token.
    """
    kept = query.weights > 0
    if not kept.any():
        return {}
    last, weight = int(query.ids[kept][-1]), float(query.weights[kept][-1])
    fused = {
        vocabulary[i]: fusion_weight * value + (1 - fusion_weight) * (weight if i == last else 0)
        for i, value in upper_bound_weights(query).items()
    }
    rounded = {feature_name(term): round(value / 5 * 256) for term, value in fused.items()}
    return {name: value for name, value in rounded.items() if value}


def strongest(terms: TokenTerms, k: int | None) -> TokenTerms:
    """The tokens with their ``k`` heaviest terms each (None: all); what an encoder gives is in falling order."""
    return TokenTerms(terms.ids[:, :k], terms.weights[:, :k])


def slim_score(query: TokenTerms, document: TokenTerms) -> float:
    """The exact sparse MaxSim sum_i max_j sum_v q_i[v] d_j[v]; 0 where either side has no tokens."""
    kept = document.weights > 0
    scores = SparseQuery(query).scores(
        document.ids[kept], document.weights[kept], kept.sum(axis=1), np.array([len(kept)], np.intp)
    )
    return float(scores[0])


class SparseQuery:
    """A query's token terms, made ready to score many documents by sparse MaxSim.

    Only a document's terms that the query has, too, are touched: a few in a hundred. Sums are taken in float64, where
    products of a float32 and a half-precision weight are exact, and in practice their sum as well, in whatever order.
    """

    def __init__(self, query: TokenTerms) -> None:
        kept = query.weights > 0
        tokens, _ = np.nonzero(kept)
        terms, rows = np.unique(query.ids[kept], return_inverse=True)
        # (terms, tokens): the weight of each of the query's terms at each of its tokens.
        self._weights = np.zeros((len(terms), len(query.ids)))
        self._weights[rows.reshape(-1), tokens] = query.weights[kept]
        # The row of each vocabulary id; -1 for those the query lacks, the last one for all beyond.
        self._row = np.full(int(terms.max(initial=-1)) + 2, -1, np.intp)
        self._row[terms] = np.arange(len(terms))

    def scores(
        self,
        ids: NDArray[np.integer[Any]],
        weights: NDArray[np.floating[Any]],
        lengths: NDArray[np.integer[Any]],
        counts: NDArray[np.integer[Any]],
    ) -> NDArray[np.float64]:
        """Scores of documents whose terms lie one after the other.

        ``ids``, ``weights`` (all terms,): distinct within a token, weights above 0; ``lengths`` (all tokens,): terms of
        each token; ``counts`` (documents,): tokens of each. Returns (documents,), 0 where there are no tokens.
        """
        scores = np.zeros(len(counts))
        rows = self._row.take(ids, mode="clip")
        shared = rows >= 0
        tokens = np.repeat(np.arange(len(lengths)), lengths)[shared]
        documents = np.repeat(np.arange(len(counts)), counts)
        if not len(tokens):
            return scores
        products = self._weights[rows[shared]] * weights[shared].astype(np.float64)[:, None]
        starts = _runs(tokens)
        # No similarity is below 0, so tokens that share no term never win and may be left out.
        similarities = np.add.reduceat(products, starts, axis=0)
        owners = documents[tokens[starts]]
        firsts = _runs(owners)
        scores[owners[firsts]] = np.maximum.reduceat(similarities, firsts, axis=0).sum(axis=1)
        return scores


def _runs(values: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
    """Where each run of equal values begins."""
    return np.flatnonzero(np.diff(values, prepend=-1))


def _named(weights: dict[int, float], vocabulary: Sequence[str]) -> Terms:
    return {feature_name(vocabulary[i]): weight for i, weight in weights.items()}


def _positive(terms: TokenTerms) -> tuple[IntArray, NDArray[np.intp], FloatArray]:
    """Distinct ids (n,), and for each weight above zero the position of its id among them and the weight itself."""
    kept = terms.weights >= _LEAST_WEIGHT
    ids, groups = np.unique(terms.ids[kept], return_inverse=True)
    return ids, groups.reshape(-1), terms.weights[kept]


def _falling(ids: IntArray, weights: NDArray[np.floating[Any]], limit: int | None = None) -> dict[int, float]:
    order = np.argsort(-weights, kind="stable")[:limit]
    return dict(zip(ids[order].tolist(), weights[order].tolist(), strict=True))
