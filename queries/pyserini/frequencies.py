"""How rare a term of `F.slim` is: Pyserini leaves terms out of a query by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import log
from typing import Any

from opensearchpy import OpenSearch
from opensearchpy.exceptions import TransportError

from opensearch_multivector.plugin.connection import cluster_errors
from opensearch_multivector.plugin.fields import FieldSpec
from opensearch_multivector.plugin.sub_fields import Slim

# Terms asked for at once: each is a search of its own, which reads the term's postings and nothing else.
_BATCH = 500


class Rareness:
    """idf = ln(documents / documents with the term), asked once for each term."""

    def __init__(self, client: OpenSearch, index: str, spec: FieldSpec) -> None:
        self._client, self._index, self._field = client, index, spec.sub(Slim.name)
        with cluster_errors():
            self._documents = int(client.count(index=index)["count"])
        self._counts: dict[str, int] = {}

    def ask(self, terms: Iterable[str]) -> None:
        """Ask for what is not known yet; terms by feature name. One call for many queries saves requests."""
        unknown = [term for term in dict.fromkeys(terms) if term not in self._counts]
        for first in range(0, len(unknown), _BATCH):
            part = unknown[first : first + _BATCH]
            lines: list[dict[str, Any]] = []
            for term in part:
                clause = {"rank_feature": {"field": f"{self._field}.{term}", "linear": {}}}
                lines += [{}, {"query": clause, "size": 0, "track_total_hits": True}]
            with cluster_errors():
                answers = self._client.msearch(index=self._index, body=lines)["responses"]
                for term, answer in zip(part, answers, strict=True):
                    if "error" in answer:
                        raise TransportError(answer["status"], answer["error"].get("type"), answer)
                    self._counts[term] = answer["hits"]["total"]["value"]

    def above(self, min_idf: float, weights: Mapping[str, float]) -> dict[str, float]:
        """The weights of terms that are rarer than that; one of all documents has idf 0, one of none is left out."""
        self.ask(weights)
        return {
            term: weight
            for term, weight in weights.items()
            if (count := self._counts[term]) and log(self._documents / count) > min_idf
        }
