"""What a configuration of `osmv eval` says of the index that it needs."""

import pytest

from opensearch_multivector.errors import InputError
from opensearch_multivector.evaluation.collection.corpus_index import needed_sub_fields, needs_terms
from opensearch_multivector.evaluation.evaluate import Configuration
from opensearch_multivector.plugin.sub_fields import Bits, Codes, Dense, Fde, Floats, Slim, TokenTerms


def parse(*names: str) -> list[Configuration]:
    return [Configuration.parse(name) for name in names]


@pytest.mark.parametrize(
    ("names", "sub_fields"),
    [
        (["bm25"], set()),
        (["bm25", "dense/client"], {Dense()}),
        (["0.5*bm25+0.5*codes:nprobe=4/bit:keep=30>client"], {Codes(), Bits()}),
        (["dense/painless", "dense"], {Dense(), Floats()}),
        (["slim:bound=fused/slim"], {Slim(), TokenTerms()}),
    ],
)
def test_sub_fields_that_are_needed(names: list[str], sub_fields: set[object]) -> None:
    assert set(needed_sub_fields(parse(*names), ())) == sub_fields


def test_given_sub_fields_keep_their_parameters() -> None:
    given = (Fde(k_sim=3), Floats())
    assert needed_sub_fields(parse("fde+dense"), given) == (Fde(k_sim=3), Floats(), Dense())


def test_terms_are_encoded_only_where_they_are_read() -> None:
    assert needs_terms(parse("bm25", "dense/slim"))
    assert not needs_terms(parse("bm25+codes/client"))


@pytest.mark.parametrize("name", ["dense", "bm25+dense", "0.3*bm25+0.7*dense", "codes:nprobe=8/bit:keep=100>client"])
def test_a_window_is_asked_for_where_something_ranks_again(name: str) -> None:
    (configuration,) = parse(name)
    assert configuration.name == name
    assert configuration.options(10, 300)["window_size"] == (10 if name == "dense" else 300)


@pytest.mark.parametrize("name", ["", "nothing", "dense/nothing", "dense/client>", "codes:nprobe=0", "0.3*dense"])
def test_a_bad_configuration_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        parse(name)
