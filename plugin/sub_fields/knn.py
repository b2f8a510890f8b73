"""The mapping of a `knn_vector` in the Lucene engine, which runs on every cluster that has the k-NN plugin.

``storage``, what a component takes in the search and what it loses:

- ``float``: 4 bytes, nothing.
- ``byte``: 1 byte, made here with one scale for all documents (`encoding.byte_vectors`).
- ``sq``: 7 bits by Lucene's scalar quantiser, with scales from each segment's own vectors; the floats stay on disk.
- ``on_disk``: as ``sq``, and the best are scored again with the floats from disk.

Half precision (``fp16``) is the faiss engine's alone, a native library that not every cluster has.
"""

from __future__ import annotations

from typing import Any

from opensearch_multivector.errors import InputError

STORAGES = ("float", "byte", "sq", "on_disk")
# The name of the vector in each object of a nested sub-field.
NESTED_VECTOR = "v"

_MAX_DIMENSION = 16_000


def knn_vector(dimension: int, storage: str = "float") -> dict[str, Any]:
    """HNSW over inner products.

    Vectors have norm 1 or want their length counted: for both the inner product is right, and it costs least. Raises
    InputError on a dimension that k-NN can't hold.
    """
    if not 0 < dimension <= _MAX_DIMENSION:
        raise InputError(f"k-NN takes 1 to {_MAX_DIMENSION:,} dimensions, not {dimension:,}")
    method: dict[str, Any] = {"name": "hnsw", "engine": "lucene", "space_type": "innerproduct"}
    mapping: dict[str, Any] = {"type": "knn_vector", "dimension": dimension, "method": method}
    if storage == "byte":
        mapping["data_type"] = "byte"
    elif storage == "sq":
        # The whole range: by default what is rare is cut, and encodings live by their few large components.
        encoder = {"name": "sq", "parameters": {"bits": 7, "confidence_interval": 1.0}}
        method["parameters"] = {"encoder": encoder}
    elif storage == "on_disk":
        mapping |= {"mode": "on_disk", "compression_level": "4x"}
    return mapping


def nested_knn_vectors(dimension: int, storage: str = "float") -> dict[str, Any]:
    """Several vectors per document: objects that each hold one."""
    return {"type": "nested", "properties": {NESTED_VECTOR: knn_vector(dimension, storage)}}


def check_storage(storage: str, name: str) -> None:
    """Raise InputError, naming the sub-field, on a storage that there is not."""
    if storage == "fp16":
        raise InputError(
            f"storage fp16 of sub-field {name!r} is the faiss engine's alone, a native library that not every cluster "
            f"has: choose of {', '.join(STORAGES)}, which the Lucene engine has"
        )
    if storage not in STORAGES:
        raise InputError(f"unknown storage {storage!r} of sub-field {name!r}: choose of {', '.join(STORAGES)}")


def check_limit(limit: float, name: str) -> None:
    """Raise InputError, naming the sub-field, where the largest component can't be that."""
    if not limit > 0:
        raise InputError(f"limit of sub-field {name!r} has to be above 0, not {limit}")
