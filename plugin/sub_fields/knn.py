"""The mapping of a `knn_vector` in the Lucene engine, which runs on every cluster that has the k-NN plugin."""

from __future__ import annotations

from typing import Any

from opensearch_multivector.errors import InputError

_MAX_DIMENSION = 16_000


def knn_vector(dimension: int, **more: Any) -> dict[str, Any]:
    """HNSW over inner products; ``more`` goes into the mapping, say ``data_type="byte"``.

    Vectors have norm 1 or want their length counted: for both the inner product is right, and it costs least. Raises
    InputError on a dimension that k-NN can't hold.
    """
    if not 0 < dimension <= _MAX_DIMENSION:
        raise InputError(f"k-NN takes 1 to {_MAX_DIMENSION:,} dimensions, not {dimension:,}")
    method = {"name": "hnsw", "engine": "lucene", "space_type": "innerproduct"}
    return {"type": "knn_vector", "dimension": dimension, "method": method, **more}
