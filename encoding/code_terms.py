"""Centroid ids as terms of an inverted index: base 32, so that a term is a few bytes."""

from __future__ import annotations

from collections.abc import Iterable

_DIGITS = "0123456789abcdefghijklmnopqrstuv"


def code_term(number: int) -> str:
    """``number`` >= 0 in base 32 (digits as int("...", 32) reads them): 32,768 numbers have at most 3 letters."""
    digits = _DIGITS[number % 32]
    while number := number // 32:
        digits = _DIGITS[number % 32] + digits
    return digits


def code_terms(numbers: Iterable[int]) -> list[str]:
    """The terms of these numbers, each once, in rising order of the numbers."""
    return [code_term(number) for number in sorted({int(number) for number in numbers})]
