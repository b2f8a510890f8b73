from dataclasses import dataclass
from typing import ClassVar

import pytest

from opensearch_multivector.errors import InputError
from opensearch_multivector.expressions import build, parameters, text


@dataclass(frozen=True, slots=True)
class Probe:
    name: ClassVar[str] = "probe"
    nprobe: int = 16
    share: float = 0.5
    exact: bool = False
    how: str = "ward"

    def __post_init__(self) -> None:
        if self.nprobe < 1:
            raise InputError("nprobe must be 1 or more")


TABLE = {"probe": Probe}


@pytest.mark.parametrize(
    ("expression", "thing"),
    [
        ("probe", Probe()),
        ("probe:", Probe()),
        (" probe : nprobe = 8 , how=x", Probe(nprobe=8, how="x")),
        ("probe:exact=yes,share=1e-3", Probe(exact=True, share=0.001)),
    ],
)
def test_an_expression_builds_the_thing(expression: str, thing: Probe) -> None:
    assert build(expression, TABLE, "first stage") == thing


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("nothing", "unknown first stage 'nothing': choose of probe"),
        ("", "unknown first stage ''"),
        ("probe:depth=3", "no parameter 'depth=3': it takes nprobe=16"),
        ("probe:nprobe", "no parameter 'nprobe'"),
        ("probe:nprobe=x", "parameter nprobe of first stage 'probe' is a whole number, not 'x'"),
        ("probe:nprobe=1.5", "whole number"),
        ("probe:share=much", "a number"),
        ("probe:exact=perhaps", "true or false"),
        ("probe:nprobe=1,nprobe=2", "twice"),
        ("probe:nprobe=0", "1 or more"),
    ],
)
def test_a_bad_expression_is_refused_by_name(expression: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        build(expression, TABLE, "first stage")


def test_text_is_the_inverse_of_build() -> None:
    for thing in (Probe(), Probe(nprobe=2, exact=True), Probe(share=0.25, how="pca")):
        assert build(text(thing), TABLE, "first stage") == thing
    assert parameters(Probe) == {"nprobe": 16, "share": 0.5, "exact": False, "how": "ward"}
