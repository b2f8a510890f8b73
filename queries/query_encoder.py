"""Query texts to `EncodedQuery`, with the encoders that the index was made with and no others."""

from __future__ import annotations

import threading
from collections.abc import Sequence, Set
from dataclasses import replace

import numpy as np

from opensearch_multivector.encoding.encoders import load_encoder, load_term_encoder
from opensearch_multivector.encoding.encoders.base import Encoded, Encoder, IntArray, Kind, TermEncoder
from opensearch_multivector.encoding.reductions import DocumentTokens, Reducer, parse_reductions
from opensearch_multivector.encoding.sparsify import fused_terms, upper_bound_terms
from opensearch_multivector.errors import InputError, MismatchError
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.plugin.sub_fields import Dense
from opensearch_multivector.queries.encoded_query import EncodedQuery, QueryTerms
from opensearch_multivector.queries.explain import TokenSpans


class QueryEncoder:
    """Encodes what a request needs and nothing else; loads each encoder at its first use. Threads may share it.

    ``spec`` must have its artifacts loaded. Given encoders must be the index's own, by fingerprint: MismatchError
    otherwise, never an answer of garbage. ``encoding``: held while an encoder is at work, where several share one.
    """

    def __init__(
        self,
        spec: FieldSpec,
        encoder: Encoder | None = None,
        term_encoder: TermEncoder | None = None,
        encoding: threading.RLock | None = None,
    ) -> None:
        self._spec = spec
        # Tokenizers are not made for several threads at once, and two encodings would only share the same cores.
        self._encoding = encoding or threading.RLock()
        self._encoder = encoder
        self._term_encoder = term_encoder
        self._reducer = Reducer(parse_reductions(spec.reduce), spec.state.get("projection"))
        if encoder is not None:
            _check("encoder", encoder, spec.need_vectors("an encoder"))
        if term_encoder is not None and spec.terms is not None:
            _check("term encoder", term_encoder, spec.terms)

    @property
    def loaded(self) -> tuple[Encoder | None, TermEncoder | None]:
        """The encoders that were given or have been loaded."""
        return self._encoder, self._term_encoder

    def encoder(self) -> Encoder:
        """The token-vector encoder, loaded by the name in the index where none was given."""
        if self._encoder is None:
            ref = self._spec.need_vectors("a query's encoder")
            if ref.name == READY_VECTORS:
                raise InputError(
                    "the index holds vectors that were brought ready-made, so there is no encoder for a query text: "
                    "search with an EncodedQuery, or give the encoder"
                )
            encoder = load_encoder(ref.name)
            _check("encoder", encoder, ref)
            self._encoder = encoder
        return self._encoder

    def term_encoder(self) -> TermEncoder:
        """The SLIM encoder, loaded by the name in the index where none was given."""
        if self._spec.terms is None:
            raise MismatchError("first stage 'slim' needs SLIM terms: index with --terms to have them")
        if self._spec.terms.name == READY_VECTORS:
            raise InputError(
                "the index holds terms that were brought ready-made, so there is no encoder for a query text: search "
                "with an EncodedQuery of ready terms, or with --query-terms"
            )
        if self._term_encoder is None:
            term_encoder = load_term_encoder(self._spec.terms.name)
            _check("term encoder", term_encoder, self._spec.terms)
            self._term_encoder = term_encoder
        return self._term_encoder

    def spans(self) -> TokenSpans | None:
        """What finds token spans for `explain`, or None where the vectors came without an encoder."""
        if self._spec.need_vectors("explain").name == READY_VECTORS:
            return None
        return self._token_spans if self._reducer.keeps_tokens else self._reduced_spans

    def _token_spans(self, text: str, kind: Kind) -> IntArray:
        with self._encoding:
            return self.encoder().offsets(text, kind)

    def _reduced_spans(self, text: str, kind: Kind) -> IntArray:
        """Where the stored vectors of a document have come to lie can only be found by encoding it once more."""
        if kind == "query":
            return self._token_spans(text, kind)
        with self._encoding:
            (encoded,) = self.encoder().encode([text], kind)
        reduced = self._reducer.document(DocumentTokens(encoded.vectors, encoded.offsets, text))
        return reduced.offsets if reduced.offsets is not None else np.empty((0, 2), np.int32)

    def encode(self, queries: Sequence[str | EncodedQuery], needs: frozenset[str]) -> list[EncodedQuery]:
        """Complete the queries with what ``needs`` names and they leave out, from their texts.

        Raises InputError where there is no text, or none of its encoders.
        """
        ready = [EncodedQuery(text=query) if isinstance(query, str) else query for query in queries]
        dense = self._spec.find(Dense)
        pooled_too = dense is None or not dense.ready
        made = {"vectors", "pooled"} if pooled_too else {"vectors"}
        places = _incomplete(queries, ready, needs & made, self._spec.vectors)
        if places:
            with self._encoding:
                encoded = self.encoder().encode(list(places.values()), "query")
            for i, vectors in zip(places, encoded, strict=True):
                ready[i] = _with_vectors(ready[i], vectors, pooled_too)
        places = _incomplete(queries, ready, needs & {"terms"}, self._spec.terms)
        if places:
            for i, terms in zip(places, self._terms(list(places.values())), strict=True):
                ready[i] = replace(ready[i], terms=terms)
        for query in ready:
            self._check_complete(query, needs)
        return [self._reduced(query) if "vectors" in needs else query for query in ready]

    def _reduced(self, query: EncodedQuery) -> EncodedQuery:
        if query.vectors is None:
            return query
        return replace(query, vectors=self._reducer.query(query.vectors))

    def _terms(self, texts: list[str]) -> list[QueryTerms]:
        with self._encoding:
            encoder = self.term_encoder()
            encoded = encoder.encode_terms(texts, "query")
        return [
            QueryTerms(upper_bound_terms(tokens, encoder.vocabulary), fused_terms(tokens, encoder.vocabulary), tokens)
            for tokens in encoded
        ]

    def _check_complete(self, query: EncodedQuery, needs: frozenset[str]) -> None:
        dense = self._spec.find(Dense)
        if "pooled" in needs and query.pooled is None and dense is not None and dense.ready:
            raise InputError(
                f"{self._spec.sub(Dense.name)} holds vectors that were brought ready-made, so none can be made of a "
                "query text: search with an EncodedQuery whose pooled vector is of the same model"
            )
        for need in sorted(needs):
            if getattr(query, need) is None:
                raise InputError(f"the search needs the query's {need}, which the given EncodedQuery leaves out")
        spec = self._spec
        pooled_dim = dense.dimension(spec) if dense else spec.encoder_dim
        for name, array, dim in (("vectors", query.vectors, spec.encoder_dim), ("pooled", query.pooled, pooled_dim)):
            if array is not None and name in needs and array.shape[-1] != dim:
                raise MismatchError(f"the query's {name} have {array.shape[-1]} dimensions, the index has {dim}")
        if "vectors" in needs and query.vectors is not None and not len(query.vectors):
            raise InputError("the query's vectors are none at all: give at least one")


def _incomplete(
    queries: Sequence[str | EncodedQuery], ready: Sequence[EncodedQuery], needs: Set[str], ref: EncoderRef | None
) -> dict[int, str]:
    """Texts, by position, of the queries that lack something which an encoder can make of them.

    A plain text is among them also where the index has no encoder, so that the user is told.
    """
    encodable = ref is not None and ref.name != READY_VECTORS
    return {
        i: query.text
        for i, (given, query) in enumerate(zip(queries, ready, strict=True))
        if query.text is not None
        and any(getattr(query, need) is None for need in needs)
        and (encodable or isinstance(given, str))
    }


def _with_vectors(query: EncodedQuery, encoded: Encoded, pooled_too: bool) -> EncodedQuery:
    """The query with the vectors that it leaves out; ``pooled_too``: the index's pooled ones are of the encoder."""
    pooled = query.pooled if query.pooled is not None or not pooled_too else encoded.pooled
    if query.vectors is not None:
        return replace(query, pooled=pooled)
    return replace(query, vectors=encoded.vectors, offsets=encoded.offsets, pooled=pooled)


def _check(what: str, encoder: Encoder | TermEncoder, ref: EncoderRef) -> None:
    if encoder.fingerprint != ref.fingerprint:
        raise MismatchError(
            f"the index was made with {what} {ref.name!r} (fingerprint {ref.fingerprint}), not with {encoder.name!r} "
            f"({encoder.fingerprint}): search with the former, or index again with the latter"
        )
