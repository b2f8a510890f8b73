"""Attachments of indices that tests have deleted without detaching them: operators' alarms, rightly."""

from __future__ import annotations

from opensearchpy import OpenSearch

from opensearch_multivector.plugin.attachments import every_attachment, remove_attachment
from opensearch_multivector.plugin.state import STATE_INDEX


def remove_leftovers(client: OpenSearch) -> None:
    """Forget them."""
    client.indices.refresh(index=STATE_INDEX, ignore_unavailable=True)
    for each in list(every_attachment(client)):
        if not client.indices.exists(index=each.index):
            remove_attachment(client, each.index, each.field)
    client.indices.refresh(index=STATE_INDEX, ignore_unavailable=True)
