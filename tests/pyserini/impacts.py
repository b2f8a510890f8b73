"""Impacts of SciFact's words, as a learned-sparse encoder would give them: whole numbers to 255 a term."""

from __future__ import annotations

import json
import re
from collections import Counter
from math import log
from pathlib import Path

Impacts = dict[str, dict[str, int]]
EVERYWHERE = "[everywhere]"  # a term of all documents and queries: Pyserini leaves it out, its idf is 0


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


class Weights:
    """tf-idf, quantised."""

    def __init__(self, corpus: Path) -> None:
        self.texts: dict[str, str] = {}
        for line in corpus.open(encoding="utf-8"):
            document = json.loads(line)
            self.texts[document["_id"]] = f"{document['title']} {document['text']}"
        self._df = Counter(word for text in self.texts.values() for word in set(words(text)))

    def documents(self) -> Impacts:
        """Weights above 0, of all documents."""
        weighted = {
            doc_id: {word: min(255, round(12 * (1 + log(count)) * self._idf(word))) for word, count in counts.items()}
            for doc_id, counts in ((doc_id, Counter(words(text))) for doc_id, text in self.texts.items())
        }
        return {
            doc_id: {word: weight for word, weight in of.items() if weight} | {EVERYWHERE: 9}
            for doc_id, of in weighted.items()
        }

    def query(self, text: str) -> str:
        """A text in which each word stands as often as it weighs, as in uniCOIL's topics; unknown ones once."""
        repeated = [word for word in words(text) for _ in range(max(1, round(self._idf(word))))]
        return " ".join([*repeated, EVERYWHERE])

    def _idf(self, word: str) -> float:
        return log(len(self.texts) / self._df[word]) if word in self._df else 0.0


def write_collection(path: Path, texts: dict[str, str], vectors: Impacts) -> Path:
    """Pyserini's JsonVectorCollection."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as lines:
        for doc_id, vector in vectors.items():
            print(json.dumps({"id": doc_id, "contents": texts[doc_id], "vector": vector}), file=lines)
    return path
