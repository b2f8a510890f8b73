"""How codecs lay out what they keep of each vector: one column after the other, each with a row for every vector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def columns(
    payloads: Sequence[memoryview], counts: Sequence[int], *layout: tuple[str, tuple[int, ...]], skip: int = 0
) -> list[NDArray[Any]]:
    """The columns of several documents' payloads, the rows of one document after those of another.

    ``layout``: dtype and shape of a row in each column; ``skip``: bytes of each payload before the first column.
    Returns arrays of shape (sum(counts), *shape); those of a single payload are views into it.
    """
    read: list[NDArray[Any]] = []
    starts = [skip] * len(payloads)
    for dtype, shape in layout:
        parts = []
        for i, (payload, count) in enumerate(zip(payloads, counts, strict=True)):
            parts.append(np.frombuffer(payload, dtype, count * math.prod(shape), offset=starts[i]))
            starts[i] += parts[-1].nbytes
        column = parts[0] if len(parts) == 1 else np.concatenate(parts)
        read.append(column.reshape(sum(counts), *shape))
    return read
