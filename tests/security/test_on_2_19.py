"""A part of the suite on the oldest release that is worked with, by a user of its security plugin who may do all.

`make test-2.19` runs all of it on that release, without the security plugin.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from secured_node import VERSION, SecuredNode

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
# Searches, sub-fields and codecs: 125 tests. None of them reaches the node but by `connect`, which has the password.
FILES = ("search", "term_search", "sub_fields", "stored_codecs")


def test_a_part_of_the_suite(secured: SecuredNode) -> None:
    environment = os.environ | {
        "OSMV_TEST_VERSION": VERSION,
        "OSMV_URL": secured.url,
        "OSMV_USER": "suite",
        "OSMV_PASSWORD": secured.make_user("suite", "all_access"),
        "OSMV_CA_CERTS": secured.ca,
    }
    files = [f"tests/integration/test_{name}.py" for name in FILES]
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *files]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) > 115, done.stdout[-500:]
    print(done.stdout.splitlines()[-1])
