"""The table of faults, told at the end of a run and written where that is asked for."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import pytest
from fault_table import for_terminal, lines_of, written_into
from node_under_test import VERSION
from scale import LONG, SEED

from opensearch_multivector import __version__


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    reports = [each for kind in terminalreporter.stats.values() for each in kind if hasattr(each, "user_properties")]
    lines = lines_of(reports)
    if not lines:
        return
    form = "long" if LONG else "short"
    terminalreporter.section(f"faults, {form} form, seed {SEED}")
    for line in for_terminal(lines):
        terminalreporter.write_line(line)
    # One that was interrupted has not tried all that its rows speak of.
    if (path := os.environ.get("OSMV_FAULTS_TABLE")) and exitstatus != pytest.ExitCode.INTERRUPTED:
        page = Path(path)
        node = terminalreporter.config.getoption("--node")
        engine = f"OpenSearch {VERSION}" if node in ("local", "container") else "the cluster of --node"
        heading = (
            f"Last written by `make faults`, {form} form, seed {SEED}: opensearch-multivector {__version__}, {engine}, "
            f"Python {platform.python_version()}, {os.cpu_count()} cores."
        )
        page.write_text(written_into(page.read_text(), lines, f"{time.strftime('%Y-%m-%d')}, {form}", heading))
