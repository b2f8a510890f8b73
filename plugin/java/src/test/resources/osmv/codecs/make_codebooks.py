"""Write codebooks.json beside this file: codebooks as NumPy stores them, blobs made with them, and what Python reads.

Java has to read the same codebooks, by the same ids, and the same vectors.
"""

import base64
import io
import json
from pathlib import Path

import numpy as np

from opensearch_multivector.encoding.codebook_training import train_codebook
from opensearch_multivector.encoding.codecs import decode_blob, encode_blob

CODECS = ("residual1", "residual2", "residual4")


def case(dim: int, size: int) -> dict[str, object]:
    """A codebook and a document of seven vectors."""
    random = np.random.default_rng(dim)
    tokens = random.normal(size=(40 * size, dim)).astype(np.float32)
    tokens /= np.linalg.norm(tokens, axis=1, keepdims=True)
    codebook = train_codebook(tokens, size)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **codebook.arrays())
    lengths = np.array([[0.0], [3.0], [1.0], [1.0], [1.0], [1.0], [0.1]])
    vectors = (random.normal(size=(7, dim)) * lengths).astype(np.float32)
    blobs = {codec: encode_blob(vectors, codec, codebook) for codec in CODECS}
    return {
        "id": codebook.id,
        "size": codebook.size,
        "dimension": dim,
        "npz": base64.b64encode(buffer.getvalue()).decode(),
        "blobs": {codec: base64.b64encode(blob).decode() for codec, blob in blobs.items()},
        "vectors": {codec: decode_blob(blob, codebook).tolist() for codec, blob in blobs.items()},
    }


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(case(dim, size)) for dim, size in ((16, 5), (13, 3), (1, 2)))
    Path(__file__).with_name("codebooks.json").write_text(f"[\n{lines}\n]\n")
