"""SLIM against a naive reference of the paper (Li et al. 2023, section 3), here and through a node: the same order?

    python benchmarks/slim_reference.py FOLDER [--cache FOLDER] [--queries N] [--index osmv-bench-slim]

FOLDER: a test collection in BEIR's layout. Encoding 5,000 abstracts takes 20 minutes on one core, once: ``--cache``
keeps the token terms. Prints, over all queries:

- for upper bound, lower bound, fusion and exact score, whether all documents rank as in the reference (scores that
  agree in six digits are ties, as float32 can't tell them apart);
- the same for what the node gives, 1,000 documents deep. It keeps a document's weights with 9 significant bits, cut
  off, and a token's in half precision: the reference rounds its weights so, too;
- share of the exact score's top 10 among the candidates of each way to ask, time of each, sizes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import track

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "encoding"))
from naive_slim import NaiveSlim, half, nine_bits, same_order, tokens_of

from opensearch_multivector.encoding.encoders import load_term_encoder
from opensearch_multivector.encoding.encoders.base import Kind, TermEncoder, TokenTerms
from opensearch_multivector.encoding.sparsify import document_weights, fused_terms, lower_bound_terms, upper_bound_terms
from opensearch_multivector.encoding.term_blob import encode_terms, slim_scores
from opensearch_multivector.evaluation.collection.beir import read_collection
from opensearch_multivector.indexing import index_documents
from opensearch_multivector.indexing.readers import open_reader
from opensearch_multivector.indexing.records import Layout
from opensearch_multivector.plugin import sub_fields
from opensearch_multivector.plugin.connection import connect
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.searcher import Searcher

_DEEP = 1000
_TIMED = 60
_STAGES = (
    "slim",
    "slim:bound=fused",
    "slim:way=neural_sparse",
    "slim:terms=200",
    "slim:terms=50",
    "seismic:top_n=200",
    "seismic",
    "seismic:top_n=64,heap_factor=2",
    "seismic:top_n=10",
)


@dataclass(frozen=True)
class Terms:
    """Texts' token terms, one after the other."""

    ids: np.ndarray
    weights: np.ndarray
    counts: np.ndarray

    def __iter__(self) -> Iterator[TokenTerms]:
        end = 0
        for count in self.counts.tolist():
            start, end = end, end + count
            yield TokenTerms(self.ids[start:end], self.weights[start:end])


class Remembering:
    """A term encoder that knows the answers."""

    def __init__(self, encoder: TermEncoder, texts: Sequence[str], terms: Terms) -> None:
        self.name, self.fingerprint, self.vocabulary = encoder.name, encoder.fingerprint, encoder.vocabulary
        self._terms = dict(zip(texts, terms, strict=True))

    def encode_terms(self, texts: Sequence[str], kind: Kind) -> list[TokenTerms]:
        return [self._terms[text] for text in texts]


def encoded(path: Path | None, encoder: TermEncoder, texts: Sequence[str], kind: Kind) -> Terms:
    if path is not None and path.exists():
        with np.load(path) as stored:
            return Terms(stored["ids"], stored["weights"], stored["counts"])
    parts: list[TokenTerms] = []
    for first in track(range(0, len(texts), 64), f"encoding {kind}s"):
        parts += encoder.encode_terms(texts[first : first + 64], kind)
    terms = Terms(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.weights for part in parts]),
        np.array([len(part.ids) for part in parts]),
    )
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, ids=terms.ids, weights=terms.weights, counts=terms.counts)
    return terms


class Stored:
    """What an index holds of the documents, to be scored here: weights by vocabulary term."""

    def __init__(self, documents: Terms, vocabulary: Sequence[str]) -> None:
        from opensearch_multivector.encoding.sparsify import feature_name

        held: dict[int, tuple[list[int], list[float]]] = {}
        for number, document in enumerate(documents):
            for term, weight in document_weights(document).items():
                having, weights = held.setdefault(term, ([], []))
                having.append(number)
                weights.append(weight)
        self.count = len(documents.counts)
        self.terms = {
            feature_name(vocabulary[term]): (np.array(having), np.array(weights))
            for term, (having, weights) in held.items()
        }
        self.average = sum(len(having) for having, _ in held.values()) / self.count

    def scores(self, query: dict[str, float]) -> np.ndarray:
        scores = np.zeros(self.count)
        for term, weight in query.items():
            if term in self.terms:
                having, weights = self.terms[term]
                scores[having] += weight * weights
        return scores


def verdict(what: str, same: Sequence[bool]) -> None:
    print(f"  {what:<44} {'identical order' if all(same) else 'ORDER DIFFERS'} in {sum(same)} of {len(same)} queries")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--queries", type=int, default=0)
    parser.add_argument("--index", default="osmv-bench-slim")
    arguments = parser.parse_args()
    encoder = load_term_encoder()
    reader = open_reader(arguments.folder, Layout())
    records = [reader.parse(entry) for entry in reader.entries()]
    texts = [record.text for record in records]
    topics = list(read_collection(arguments.folder).topics.values())
    cache = arguments.cache
    stem = f"{arguments.folder.resolve().name}-{encoder.fingerprint}"
    documents = encoded(cache and cache / f"{stem}-documents.npz", encoder, texts, "document")
    queries = list(encoded(cache and cache / f"{stem}-queries.npz", encoder, topics, "query"))
    queries = queries[: arguments.queries or None]
    naive_queries = [tokens_of(query.ids, query.weights) for query in queries]

    print(f"{len(texts):,} documents, {len(queries)} queries, {encoder.name}")
    exact = offline(documents, queries, naive_queries, encoder.vocabulary)
    sys.stdout.flush()
    through_a_node(arguments.index, encoder, records, documents, queries, naive_queries, exact)


def offline(
    documents: Terms, queries: list[TokenTerms], naive_queries: list[list[dict[int, float]]], vocabulary: Sequence[str]
) -> list[np.ndarray]:
    """Compare what is computed here; returns the exact scores of all documents for each query."""
    naive = NaiveSlim(documents.ids, documents.weights, documents.counts)
    halves = NaiveSlim(documents.ids, documents.weights, documents.counts, half)
    stored = Stored(documents, vocabulary)
    blobs = {weights: [encode_terms(document, weights) for document in documents] for weights in ("f16", "u8")}
    print(
        f"{stored.average:.0f} distinct terms a document; token terms "
        + ", ".join(f"{np.mean([len(blob) for blob in these]):,.0f} bytes in {name}" for name, these in blobs.items())
    )
    bounds: dict[str, Callable[[TokenTerms, Sequence[str]], dict[str, float]]] = {
        "upper": upper_bound_terms,
        "lower": lower_bound_terms,
        "fused": fused_terms,
    }
    same: dict[str, list[bool]] = {}
    agreement: dict[str, list[float]] = {"f16": [], "u8": []}
    exact: list[np.ndarray] = []
    seconds = 0.0
    for query, tokens in track(list(zip(queries, naive_queries, strict=True)), "reference"):
        upper, lower = naive.upper(tokens), naive.lower(tokens)
        references = {"upper": upper, "lower": lower, "fused": 0.99 * upper + 0.01 * lower}
        for name, reference in references.items():
            same.setdefault(name, []).append(same_order(stored.scores(bounds[name](query, vocabulary)), reference))
        start = time.process_time()
        scores, errors = slim_scores(query, blobs["f16"])
        seconds += time.process_time() - start
        assert not errors
        exact.append(halves.exact(tokens))
        same.setdefault("exact, over blobs of half precision", []).append(same_order(scores, exact[-1]))
        if len(exact) <= _TIMED:
            unrounded = naive.exact(tokens)
            agreement["f16"].append(shared(scores, unrounded, 10))
            agreement["u8"].append(shared(slim_scores(query, blobs["u8"])[0], unrounded, 10))
    print("computed here, all documents:")
    for name, verdicts in same.items():
        verdict(name, verdicts)
    print(
        f"  exact score: {seconds / len(queries) / len(blobs['f16']) * 1e6:.0f} us a document; share of the top 10 "
        + ", ".join(f"{name} {np.mean(shares):.4f}" for name, shares in agreement.items())
    )
    return exact


def shared(scores: np.ndarray, exact: np.ndarray, depth: int) -> float:
    """Share of the exact top 10 among the first ``depth``."""
    top = np.argsort(-exact, kind="stable")[:10]
    return float(np.isin(top, np.argsort(-scores, kind="stable")[:depth]).mean())


def through_a_node(index, encoder, records, documents, queries, naive_queries, exact) -> None:
    client = connect(timeout=300)
    client.indices.delete(index=f"{index}*", params={"ignore_unavailable": "true"})
    texts = [record.text for record in records]
    remembering = Remembering(encoder, texts, documents)
    forms = {
        "slim": sub_fields.Slim(),
        "token_terms": sub_fields.TokenTerms(),
        "seismic": sub_fields.Seismic(approximate_threshold=1000),
    }
    try:
        for name, sub_field in forms.items():
            summary = index_documents(
                client,
                f"{index}-{name}",
                [{"id": r.doc_id, "text": r.text, "vectors": [[1.0, 0.0]]} for r in records],
                encoder=None,
                term_encoder=remembering,
                sub_fields=(sub_fields.Slim(), sub_field) if name == "token_terms" else (sub_field,),
            )
            assert summary.indexed == len(records), summary.rejections
            client.indices.forcemerge(index=f"{index}-{name}", params={"max_num_segments": "1"}, request_timeout=600)
            client.indices.refresh(index=f"{index}-{name}")
        store = {
            name: client.indices.stats(index=f"{index}-{name}")["_all"]["primaries"]["store"]["size_in_bytes"]
            for name in forms
        }
        store["token_terms"] -= store["slim"]
        print(
            "through the node; store with text: "
            + ", ".join(f"{name} {size / len(records):,.0f} bytes a document" for name, size in store.items())
        )
        compare(client, index, records, documents, queries, naive_queries, encoder.vocabulary, exact)
    finally:
        client.indices.delete(index=f"{index}*", params={"ignore_unavailable": "true"})


def compare(client, index, records, documents, queries, naive_queries, vocabulary, exact) -> None:
    place = {record.doc_id: number for number, record in enumerate(records)}
    cut = NaiveSlim(documents.ids, documents.weights, documents.counts, nine_bits)
    halves = NaiveSlim(documents.ids, documents.weights, documents.counts, half)
    searchers = {name: Searcher(client, f"{index}-{name}") for name in ("token_terms", "seismic")}
    asked = [
        EncodedQuery(terms=QueryTerms(upper_bound_terms(query, vocabulary), fused_terms(query, vocabulary), query))
        for query in queries
    ]
    same: dict[str, list[bool]] = {"upper, rank_feature": [], "fused, rank_feature": [], "exact, rerank of them": []}
    shares: dict[str, list[tuple[float, float]]] = {stage: [] for stage in _STAGES}
    took: dict[str, list[float]] = {stage: [] for stage in _STAGES}
    equal: list[bool] = []
    for number, (query, tokens) in enumerate(track(list(zip(asked, naive_queries, strict=True)), "node")):
        found: dict[str, dict[int, float]] = {}
        for stage in _STAGES:
            searcher = searchers["seismic" if stage.startswith("seismic") else "token_terms"]
            result = searcher.search(query, first_stage=stage, rerank=None, size=_DEEP, window_size=_DEEP, source=False)
            found[stage] = {place[hit.doc_id]: hit.score for hit in result.hits}
            ranking = list(found[stage])
            top = np.argsort(-exact[number], kind="stable")[:10]
            shares[stage].append((float(np.isin(top, ranking[:100]).mean()), float(np.isin(top, ranking[:300]).mean())))
            if number < _TIMED:
                result = searcher.search(query, first_stage=stage, rerank=None, size=100, source=False)
                took[stage].append(result.timings["first_stage_took"])
        for name, stage, reference in (
            ("upper, rank_feature", "slim", cut.upper(tokens)),
            ("fused, rank_feature", "slim:bound=fused", cut.fused(tokens)),
        ):
            same[name].append(whole(found[stage], reference))
        equal.append(found["slim"] == found["slim:way=neural_sparse"])
        result = searchers["token_terms"].search(
            query, first_stage="slim", rerank="slim", size=_DEEP, window_size=_DEEP, source=False
        )
        reranked = {place[hit.doc_id]: hit.score for hit in result.hits}
        assert reranked.keys() == found["slim"].keys()
        candidates = np.array(sorted(reranked))
        scores = np.array([reranked[document] for document in candidates])
        same["exact, rerank of them"].append(same_order(scores, halves.exact(tokens)[candidates]))
    print(f"through the node, {_DEEP:,} deep:")
    for name, verdicts in same.items():
        verdict(name, verdicts)
    print(f"  neural_sparse gives what rank_feature gives, scores too, in {sum(equal)} of {len(queries)} queries")
    print("  share of the exact top 10 among the first 100 / 300, took of 100 (median):")
    for stage in _STAGES:
        first, more = np.mean(shares[stage], axis=0)
        print(f"    {stage:<34} {first:.4f} / {more:.4f}  {np.median(took[stage]):5.1f} ms")


def whole(found: dict[int, float], reference: np.ndarray) -> bool:
    """Whether the documents found rank as in the reference, and none that was left out is above the last."""
    ranking = np.array(list(found))
    if not same_order(np.array(list(found.values())), reference[ranking]):
        return False
    out = np.delete(reference, ranking)
    return not len(out) or bool(out.max() <= reference[ranking].min() * (1 + 1e-6))


if __name__ == "__main__":
    main()
