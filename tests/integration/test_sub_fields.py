"""Every sub-field has a mapping that the real node takes, a value for documents, and comes back from `_meta`."""

import pytest
from node_under_test import needs_seismic
from opensearchpy import OpenSearch

from opensearch_multivector.indexing.sub_fields import VALUES
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.plugin.mapping import index_body, read_spec
from opensearch_multivector.plugin.sub_fields import SUB_FIELDS, SubField

pytestmark = pytest.mark.integration


def test_each_has_a_value() -> None:
    assert VALUES.keys() == SUB_FIELDS.keys()


@pytest.mark.parametrize(
    "sub_field",
    [pytest.param(cls, marks=needs_seismic if name == "seismic" else ()) for name, cls in SUB_FIELDS.items()],
    ids=SUB_FIELDS,
)
def test_the_node_takes_its_mapping_and_gives_it_back(
    client: OpenSearch, index_name: str, sub_field: type[SubField]
) -> None:
    ready = EncoderRef(READY_VECTORS, "none")
    spec = FieldSpec("mv", 32, "f32", ready, terms=ready, sub_fields=(sub_field(),))
    client.indices.create(index=index_name, body=index_body(spec))
    assert read_spec(client, index_name) == spec
    mapping = client.indices.get_mapping(index=index_name)[index_name]["mappings"]
    assert mapping["properties"]["mv"]["properties"].keys() == {"vectors", "text", sub_field.name}
    assert (f"mv.{sub_field.name}" in mapping["_source"]["excludes"]) is not sub_field.in_source
