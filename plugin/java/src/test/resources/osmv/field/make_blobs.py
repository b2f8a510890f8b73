"""Write blobs.json beside this file: vectors, and the blobs that Python makes of them, for Java to make the same.

Where a codec can't hold the vectors its blob is null.
"""

import base64
import json
from pathlib import Path

import numpy as np

from opensearch_multivector.encoding.codecs import encode_blob
from opensearch_multivector.encoding.encoders.base import FloatArray
from opensearch_multivector.errors import InputError

CODECS = ("f32", "f16", "int8", "int4", "bit")
HUGE = float(np.finfo(np.float32).max)


def cases() -> dict[str, FloatArray]:
    """The vectors by what is special about them."""
    random = np.random.default_rng(6)
    arrays = {
        "none": np.zeros((0, 5)),
        "one dimension": np.array([[0.5], [-2.0], [0.0]]),
        "odd": random.normal(size=(4, 7)),
        "odd and long": random.normal(size=(2, 33)),
        "units": random.normal(size=(3, 64)) / 8,
        "constant": np.array([[0.25] * 6, [-3.0] * 6, [0.0] * 6]),
        "huge": np.array([[3e38, -3e38, 1e38, 0.0, 1.0], [1.5e38] * 5, [-3e38, 2e38, 1e38, -1e38, 1e-30]]),
        "too far apart": np.array([[HUGE, -HUGE]]),
        "tiny": np.array([[1e-45, 2e-40, -1e-42], [1e-8, 1e-7, -1e-8]]),
        "whole numbers": random.integers(-100, 100, size=(3, 9)).astype(float),
    }
    return {name: array.astype(np.float32) for name, array in arrays.items()}


def blob(vectors: FloatArray, codec: str) -> str | None:
    """The blob's base64; None where the codec can't hold the vectors."""
    try:
        return base64.b64encode(encode_blob(vectors, codec)).decode()
    except InputError:
        return None


def case(name: str, vectors: FloatArray) -> dict[str, object]:
    """One case as it is written."""
    return {
        "name": name,
        "dimension": vectors.shape[1],
        "vectors": [[float(component) for component in vector] for vector in vectors],
        "blobs": {codec: blob(vectors, codec) for codec in CODECS},
    }


if __name__ == "__main__":
    written = [case(name, vectors) for name, vectors in cases().items()]
    lines = ",\n".join(json.dumps(one) for one in written)
    Path(__file__).with_name("blobs.json").write_text(f"[\n{lines}\n]\n")
