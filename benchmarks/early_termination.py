"""How many documents of a window could be left out in the midst of exact MaxSim, since they can't reach the ten best?

    python benchmarks/early_termination.py FOLDER --cache FOLDER

FOLDER: a test collection in BEIR's layout; token vectors have norm 1. A document can be left out when what its query
tokens have so far, and what the unread ones may add at most, stay below the tenth best score, which is taken as known
from the start: no order of documents does better. What an unread token may add is 1, or its greatest similarity in the
window, were that known. Windows are the nearest by pooled vector. Prints the mean share left out, the greatest share,
and percentiles of the best similarities.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from encoded_collection import EncodedCollection

_WINDOWS = (100, 1000)
_READ = (0.5, 0.75, 0.9)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    arguments = parser.parse_args()
    collection = EncodedCollection(arguments.folder, arguments.cache)
    documents = collection.documents
    vectors = np.asarray(documents.vectors)
    counts = documents.counts.astype(int)
    starts = np.cumsum(counts) - counts
    left_out: dict[tuple[int, float], list[tuple[float, float]]] = defaultdict(list)
    near: list[float] = []
    for query in collection.topics:
        best = np.maximum.reduceat(vectors @ query.vectors.T, starts)
        order = np.argsort(-(documents.pooled @ query.pooled), kind="stable")
        near += best[order[: _WINDOWS[0]]].ravel().tolist()
        for window in _WINDOWS:
            similarities = best[order[:window]]
            tenth = np.sort(similarities.sum(axis=1))[-10]
            for share in _READ:
                read = int(np.ceil(share * len(query.vectors)))
                so_far = similarities[:, :read].sum(axis=1)
                bounds = (len(query.vectors) - read, similarities[:, read:].max(axis=0).sum())
                one, known = (float((so_far + bound < tenth - 1e-5).mean()) for bound in bounds)
                left_out[window, share].append((one, known))
    print(f"{len(counts)} documents of {counts.mean():.0f} tokens, {len(collection.topics)} queries", end=" ")
    print(f"of {collection.topics.counts.mean():.0f}")
    print("best similarities, percentiles 5, 50, 95:", np.percentile(near, [5, 50, 95]).round(2))
    print("window   read   left out   at most   were the greatest similarities known")
    for (window, share), shares in left_out.items():
        one, known = np.mean(shares, axis=0)
        print(f"{window:6} {share:6} {one:10.4f} {np.max(shares, axis=0)[0]:9.3f} {known:10.4f}")


if __name__ == "__main__":
    main()
