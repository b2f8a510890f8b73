"""Which word of the text a token belongs to."""

from __future__ import annotations

import re

import numpy as np

from opensearch_multivector.encoding.encoders.base import IntArray

# Thai, Japanese and Chinese write words without blanks between them: there each token counts as a word.
_WORD = re.compile(r"[^\W\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
_INK = re.compile(r"\S")


def word_spans(text: str, offsets: IntArray) -> IntArray:
    """The span of the whole word of each token: (n, 2) -> (n, 2).

    A token outside any word (punctuation) has its own span without leading blanks, a special token (0, 0).
    """
    if not len(offsets):
        return offsets
    words = np.array([word.span() for word in _WORD.finditer(text, 0, int(offsets.max()))], np.int32).reshape(-1, 2)
    spans = offsets.copy()
    for row, (start, end) in enumerate(offsets.tolist()):
        ink = _INK.search(text, start, end)
        spans[row, 0] = ink.start() if ink else start
    index = np.searchsorted(words[:, 0], spans[:, 0], side="right") - 1
    within = (index >= 0) & (offsets[:, 1] > offsets[:, 0])
    within[within] = spans[within, 0] < words[index[within], 1]
    spans[within] = words[index[within]]
    return spans
