"""What stands in the cluster when its metrics are read: nothing that earlier tests have left."""

from __future__ import annotations

import pytest
from leftovers import remove_leftovers


@pytest.fixture(scope="module", autouse=True)
def no_leftovers(request: pytest.FixtureRequest) -> None:
    """See `remove_leftovers`."""
    if not any(
        item.get_closest_marker("integration") for item in request.session.items if item.module is request.module
    ):
        return
    remove_leftovers(request.getfixturevalue("client"))
