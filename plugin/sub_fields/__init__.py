"""Sub-fields: what else is stored of a document beside its token vectors, one file each, one table here.

To add one: its parameters and mapping here, what a document's value becomes in `indexing/sub_fields/`, the first stage
or reranker that reads it in `queries/`.
"""

from __future__ import annotations

from collections.abc import Sequence

from opensearch_multivector.errors import InputError
from opensearch_multivector.expressions import build
from opensearch_multivector.plugin.sub_fields.base import SubField
from opensearch_multivector.plugin.sub_fields.bits import Bits
from opensearch_multivector.plugin.sub_fields.codes import Codes
from opensearch_multivector.plugin.sub_fields.dense import Dense
from opensearch_multivector.plugin.sub_fields.fde import Fde
from opensearch_multivector.plugin.sub_fields.floats import Floats
from opensearch_multivector.plugin.sub_fields.gauss import Gauss
from opensearch_multivector.plugin.sub_fields.pq import Pq
from opensearch_multivector.plugin.sub_fields.seismic import Seismic
from opensearch_multivector.plugin.sub_fields.slim import Slim
from opensearch_multivector.plugin.sub_fields.token_terms import TokenTerms
from opensearch_multivector.plugin.sub_fields.tokens import Tokens
from opensearch_multivector.plugin.sub_fields.views import Views

__all__ = [
    "SUB_FIELDS",
    "Bits",
    "Codes",
    "Dense",
    "Fde",
    "Floats",
    "Gauss",
    "Pq",
    "Seismic",
    "Slim",
    "SubField",
    "TokenTerms",
    "Tokens",
    "Views",
    "parse_sub_fields",
]

SUB_FIELDS: dict[str, type[SubField]] = {
    cls.name: cls for cls in (Bits, Codes, Dense, Fde, Floats, Gauss, Pq, Seismic, Slim, TokenTerms, Tokens, Views)
}


def parse_sub_fields(expressions: Sequence[str]) -> tuple[SubField, ...]:
    """``["dense", "fde:k_sim=5"]`` to sub-fields. Raises InputError on an unknown or repeated one."""
    made = tuple(build(expression, SUB_FIELDS, "sub-field") for expression in expressions)
    names = [sub_field.name for sub_field in made]
    if len(set(names)) < len(names):
        raise InputError(f"a sub-field is named twice among {', '.join(names)}")
    return made
