"""What stands in the cluster when its metrics are read: nothing that earlier tests have left."""

from __future__ import annotations

import pytest
from opensearchpy import OpenSearch

from opensearch_multivector.plugin.attachments import every_attachment, remove_attachment
from opensearch_multivector.plugin.state import STATE_INDEX


@pytest.fixture(scope="module", autouse=True)
def no_leftovers(request: pytest.FixtureRequest) -> None:
    """Attachments of indices that other tests have deleted without detaching: operators' alarms, rightly."""
    if not any(
        item.get_closest_marker("integration") for item in request.session.items if item.module is request.module
    ):
        return
    client: OpenSearch = request.getfixturevalue("client")
    client.indices.refresh(index=STATE_INDEX, ignore_unavailable=True)
    for each in list(every_attachment(client)):
        if not client.indices.exists(index=each.index):
            remove_attachment(client, each.index, each.field)
