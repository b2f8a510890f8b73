"""What a sub-field has to say of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from opensearch_multivector.errors import InputError

if TYPE_CHECKING:
    from opensearch_multivector.plugin.fields import FieldSpec


@dataclass(frozen=True, slots=True)
class SubField(ABC):
    """One more form in which a document is stored: a frozen dataclass whose fields are its parameters.

    ``name``: the sub-field is `F.<name>`. ``needs_terms``: it is made of SLIM's
    terms; ``needs_tokens``: of the terms of each token, which terms read from a file are not. ``artifact``: kind of
    the data-dependent arrays that it can't do without (`plugin.artifacts`), or None.
    """

    name: ClassVar[str]
    needs_terms: ClassVar[bool] = False
    needs_tokens: ClassVar[bool] = False
    artifact: ClassVar[str | None] = None

    @property
    def needs_vectors(self) -> bool:
        """Whether it is made of the token vectors, or of what their encoder gives beside them."""
        return not self.needs_terms

    @property
    def in_source(self) -> bool:
        """Whether it stays in `_source`."""
        return False

    @abstractmethod
    def mapping(self, spec: FieldSpec) -> dict[str, Any]:
        """The field's mapping. Raises InputError where the engine can't hold it."""

    def settings(self) -> dict[str, Any]:
        """Settings under `index` that it can't do without."""
        return {}


def check_not_negative(sub_field: SubField, *keys: str) -> None:
    """Raise InputError where one of these parameters is below 0."""
    for key in keys:
        if getattr(sub_field, key) < 0:
            raise InputError(
                f"{key} of sub-field {sub_field.name!r} can't be negative, it is {getattr(sub_field, key)}"
            )
