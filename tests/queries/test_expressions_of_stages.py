"""Fusions and chains as users write them, and what a chain can hand on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opensearch_multivector import expressions
from opensearch_multivector.errors import InputError
from opensearch_multivector.queries.first_stages import FIRST_STAGES, parse_first_stages
from opensearch_multivector.queries.fusion import weighted_sum
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.rerankers import RERANKERS, parse_rerank

NAMES = st.lists(st.sampled_from(sorted(FIRST_STAGES)), min_size=2, max_size=5, unique=True)
WEIGHTS = st.floats(1e-6, 1e6)


@given(NAMES, st.data())
def test_weights_are_read_as_they_are_written(names: list[str], data: st.DataObject) -> None:
    weights = data.draw(st.lists(WEIGHTS, min_size=len(names), max_size=len(names)))
    expression = " + ".join(f"{weight}*{name}" for weight, name in zip(weights, names, strict=True))
    parsed = parse_first_stages(expression)
    assert [stage.name for stage in parsed.stages] == names
    assert parsed.weights == pytest.approx(tuple(weights))
    assert parse_first_stages("+".join(names)).weights is None


@pytest.mark.parametrize(
    "wrong", ["0.3*bm25+dense", "0*bm25+1*dense", "1.2.3*bm25+1*dense", "2*dense", "-1*bm25+1*dense", "a*bm25+1*dense"]
)
def test_weights_that_say_nothing_are_refused(wrong: str) -> None:
    with pytest.raises(InputError):
        parse_first_stages(wrong)


@pytest.mark.parametrize("thing", [*FIRST_STAGES.values(), *RERANKERS.values()], ids=lambda cls: cls.name)
def test_every_stage_and_rerank_is_built_by_its_name_alone(thing: type) -> None:
    table = FIRST_STAGES | RERANKERS
    assert expressions.build(thing.name, table | {thing.name: thing}, "part") == thing()


@given(st.lists(st.lists(st.tuples(st.integers(0, 9), st.floats(-5, 5)), unique_by=lambda pair: pair[0]), max_size=4))
def test_the_weighted_sum_stays_within_its_range(rankings: list[list[tuple[int, float]]]) -> None:
    rankings = [sorted(ranking, key=lambda pair: -pair[1]) for ranking in rankings]
    fused = weighted_sum(rankings, [1.0] * len(rankings))
    assert {key for key, _ in fused} == {key for ranking in rankings for key, _ in ranking}
    assert all(0 <= score <= 1 + 1e-6 for _, score in fused)
    assert [score for _, score in fused] == sorted((score for _, score in fused), reverse=True)


def test_a_chain_narrows() -> None:
    assert [step.keep for step in parse_rerank("bit:keep=100>client:keep=20>client")] == [100, 20, 0]
    for wrong in ("client:keep=10>client:keep=20", "client>", "client>nothing", "client:keep=-1"):
        with pytest.raises(InputError):
            parse_rerank(wrong)


def test_a_page_lies_within_what_the_chain_keeps() -> None:
    SearchRequest("q", rerank="bit:keep=20>client", size=10, offset=10)
    with pytest.raises(InputError, match=r"beyond the 20 candidates .* keeps: raise keep"):
        SearchRequest("q", rerank="bit:keep=20>client", size=10, offset=11)
