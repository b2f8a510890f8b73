"""Tokens that say little are left out: stop words and punctuation.

ColBERT leaves out documents' punctuation (Khattab & Zaharia 2020, section 3.2); ColBERTer learns with the encoder which
words a document can do without (Hofstätter et al. 2022, section 3). A list of function words needs no training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from opensearch_multivector.encoding.reductions.base import DocumentTokens, Reduction, State
from opensearch_multivector.encoding.reductions.merging import kept, text_and_offsets
from opensearch_multivector.encoding.reductions.word_spans import word_spans

# Articles, pronouns, auxiliaries, prepositions and conjunctions; not "not", "no", "without" and the like, which turn
# what is said around.
_ENGLISH = """
a an the this that these those
i me my we us our you your he him his she her it its they them their who whom whose which what
am is are was were be been being do does did have has had having can could may might must shall should will would
about across after against along among around as at before behind between by during for from in into of off on onto over
since than through to toward towards under until up upon via while with within
and or but if then so because when where how there here also such each any some both very just
"""
ENGLISH = frozenset(_ENGLISH.split())


@dataclass(frozen=True, slots=True)
class Stopwords(Reduction):
    """Leaves out the tokens of stop words; all stay where nothing else would be left.

    ``words``: stop words with blanks between them, in place of the English ones; ``punctuation``: leave out tokens
    without a letter or digit, too; ``special``: and special tokens such as [CLS].
    """

    name: ClassVar[str] = "stopwords"
    needs_text: ClassVar[bool] = True

    words: str = ""
    punctuation: bool = True
    special: bool = False

    def document(self, tokens: DocumentTokens, state: State) -> DocumentTokens:
        """The tokens that stay, in their order."""
        text, offsets = text_and_offsets(self.name, tokens)
        stop = frozenset(self.words.casefold().split()) or ENGLISH
        keep = np.array(
            [self._stays(text[start:end].casefold(), stop) for start, end in word_spans(text, offsets).tolist()], bool
        )
        return kept(tokens, keep) if keep.any() else tokens

    def _stays(self, word: str, stop: frozenset[str]) -> bool:
        if not word:
            return not self.special
        return word not in stop and not (self.punctuation and not any(map(str.isalnum, word)))
