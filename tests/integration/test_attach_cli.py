"""`osmv attach` and `osmv detach` as an operator types them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from opensearchpy import OpenSearch
from osmv_here import osmv
from shop import make_shop, sources

from opensearch_multivector.plugin.attachments import attachments_of, remove_attachment, sidecar_name

pytestmark = pytest.mark.integration

TEXTS = ("--text", "name", "--text", "about.text", "--terms", "none", "--encoder", "all-MiniLM-L6-v2-int8")


@pytest.fixture
def shop(client: OpenSearch, index_name: str) -> Iterator[str]:
    """A shop's index; what is attached to it is gone afterwards."""
    make_shop(client, index_name)
    yield index_name
    for each in attachments_of(client, index_name):
        remove_attachment(client, index_name, each.field)
    client.indices.delete(index=sidecar_name(index_name, "*"), params={"expand_wildcards": "all"})


def test_planned_attached_and_detached(client: OpenSearch, node_url: str, shop: str) -> None:
    texts = sources(client, shop)
    planned = osmv("attach", shop, *TEXTS, "--url", node_url)
    assert planned.returncode == 0, planned.stderr
    assert "advised: sidecar" in planned.stdout
    assert "nothing was done" in planned.stderr
    as_json = json.loads(
        osmv("attach", shop, *TEXTS, "--mode", "sidecar", "--dry-run", "--json", "--url", node_url).stdout
    )
    assert [each["mode"] for each in as_json["modes"]] == ["in-place", "sidecar", "new"]
    assert attachments_of(client, shop) == ()

    done = osmv("attach", shop, *TEXTS, "--mode", "in-place", "--json", "--url", node_url)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["backfill"]["written"] == 35
    again = json.loads(osmv("attach", shop, *TEXTS, "--mode", "in-place", "--json", "--url", node_url).stdout)
    assert again["attachment"] == json.loads(done.stdout)["attachment"]
    assert again["backfill"]["written"] == 0

    unasked = osmv("detach", shop, "--url", node_url)
    assert (unasked.returncode, "mv.* from every document" in unasked.stderr) == (2, True)
    assert attachments_of(client, shop)
    detached = osmv("detach", shop, "--yes", "--json", "--url", node_url)
    assert detached.returncode == 0, detached.stderr
    assert json.loads(detached.stdout)["documents"] == 35
    assert "the mapping keeps mv.codes, mv.hash, mv.vectors" in detached.stderr
    assert sources(client, shop) == texts


def test_what_stands_in_the_way_is_one_sentence(client: OpenSearch, node_url: str, shop: str) -> None:
    wrong = osmv("attach", shop, *TEXTS, "--mode", "beside", "--url", node_url)
    assert (wrong.returncode, "in-place or sidecar or new, not 'beside'" in wrong.stderr) == (2, True)
    unable = osmv("attach", shop, *TEXTS, "--mode", "in-place", "--sub-field", "dense", "--url", node_url)
    assert unable.returncode == 4
    assert unable.stderr.splitlines()[-1].startswith(
        f"osmv: field 'mv' can't be attached to '{shop}': sub-field 'dense'"
    )
    left = osmv("attach", shop, *TEXTS, "--mode", "sidecar", "--no-backfill", "--url", node_url)
    assert (left.returncode, left.stdout) == (0, "")
    assert client.count(index=sidecar_name(shop))["count"] == 0
    assert osmv("detach", f"{shop}-other", "--yes", "--url", node_url).returncode == 4
