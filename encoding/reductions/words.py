"""Whole words: the pieces that the tokenizer made of a word become one vector again (Hofstätter et al. 2022,
"Introducing neural bag of whole-words with ColBERTer: contextualized late interactions using enhanced reduction",
section 3).

The paper's BOW2 also merges all occurrences of a word in the document: ``unique``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State
from opensearch_multivector.encoding.reductions.merging import merged, text_and_offsets
from opensearch_multivector.encoding.reductions.word_spans import word_spans


@dataclass(frozen=True, slots=True)
class Words(Reduction):
    """The mean of each word's tokens; ``unique``: of all its occurrences in the document, whatever their case.

    A token of punctuation counts as a word, a special token stays as it is.
    """

    name: ClassVar[str] = "words"
    needs_text: ClassVar[bool] = True

    unique: bool = False

    def document(self, tokens: DocumentTokens, state: State) -> DocumentTokens:
        """One token per word, in the order of the text."""
        text, offsets = text_and_offsets(self.name, tokens)
        groups: dict[object, int] = {}
        numbers = []
        for row, (start, end) in enumerate(word_spans(text, offsets).tolist()):
            word = text[start:end].casefold() if self.unique else start
            numbers.append(groups.setdefault(word if end > start else (row,), len(groups)))
        return merged(tokens, np.array(numbers, np.intp)) if numbers else tokens
