"""`F.seismic`: the terms of `F.slim` in a `sparse_vector`, for approximate search by SEISMIC (neural-search 3.3+).

SEISMIC (Bruch et al. 2024) keeps for each term its heaviest documents, in clusters with a summary, and passes over the
clusters that can't reach the best. The engine builds this for segments of ``approximate_threshold`` documents or more;
smaller ones are searched exactly, like `F.slim`. OpenSearch lets no index have both such a field and k-NN ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.errors import InputError
from opensearch_multivector.plugin.sub_fields.base import SubField, check_not_negative

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class Seismic(SubField):
    """``per_token``, ``per_document`` as in `Slim`; the others are the engine's, under its names.

    ``n_postings`` (0: the engine's choice), ``cluster_ratio`` and ``summary_prune_ratio`` trade size for agreement.
    ``ceiling``: weights are kept in bytes, those above this count as it; learned impacts of up to 255 want 255.
    """

    name: ClassVar[str] = "seismic"
    needs_terms: ClassVar[bool] = True

    per_token: int = 0
    per_document: int = 0
    n_postings: int = 0
    cluster_ratio: float = 0.1
    summary_prune_ratio: float = 0.4
    approximate_threshold: int = 1_000_000
    ceiling: float = 4.0

    def __post_init__(self) -> None:
        check_not_negative(self, "per_token", "per_document", "n_postings", "approximate_threshold")
        for key in ("cluster_ratio", "summary_prune_ratio"):
            if not 0 < getattr(self, key) <= 1:
                raise InputError(f"{key} of sub-field 'seismic' is above 0 and at most 1, not {getattr(self, key)}")
        if not self.ceiling > 0:
            raise InputError(f"ceiling of sub-field 'seismic' must be above 0, it is {self.ceiling}")

    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """See `SubField`."""
        parameters: dict[str, Any] = {
            "cluster_ratio": self.cluster_ratio,
            "summary_prune_ratio": self.summary_prune_ratio,
            "approximate_threshold": self.approximate_threshold,
            "quantization_ceiling_ingest": self.ceiling,
        }
        if self.n_postings:
            parameters["n_postings"] = self.n_postings
        return {"type": "sparse_vector", "method": {"name": "seismic", "parameters": parameters}}

    def settings(self) -> dict[str, Any]:
        """See `SubField`."""
        return {"sparse": True}
