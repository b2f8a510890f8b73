"""Every shell command and Python snippet of README.md and docs/ runs, against the real node.

Blocks run in their order, one folder and one namespace for each page. What would change the machine (installing,
making, containers, the local node) is not run: that it exists is checked instead, by `check_unrun`.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import osmv_here
import pytest
from leftovers import remove_leftovers
from node_under_test import NATIVE, needs_native
from opensearchpy import OpenSearch

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
UNRUN = re.compile(r"^(git|cd|make|docker|pip|osmv node|osmv demo|\.ci/run)\b")
# The indices that the pages make; whoever runs the tests on a cluster of their own must not lose one of these.
INDICES = ("articles", "osmv-sidecar-articles-mv", "passages", "compact", "tokens", "unicoil-*")


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def split(script: str) -> tuple[str, list[str]]:
    """A shell block without the commands that are not run, and those."""
    lines = script.replace("\\\n", " ").splitlines()
    return "\n".join(line for line in lines if not UNRUN.match(line)), [line for line in lines if UNRUN.match(line)]


def words_of(line: str) -> list[str] | None:
    """A command of `osmv` to which a shell would add nothing; None where one has to run the line."""
    bare = re.sub(r"(^|\s)#.*", "", re.sub(r"'[^']*'|\"[^\"$`\\]*\"", "", line))
    needs_shell = not line.startswith("osmv ") or re.search(r"[|&;<>$`()~*?\\\[{]", bare)
    return None if needs_shell else shlex.split(line, comments=True)


def steps(script: str) -> list[str | list[str]]:
    """The parts of a script: commands of `osmv`, by their words, and what a shell has to run."""
    parts: list[str | list[str]] = []
    whole, document = re.search(r"^(export|trap|cd)\b|&$", script, re.MULTILINE), ""
    for line in script.splitlines():
        words = None if whole or document else words_of(line)
        if words is not None:
            parts.append(words)
        elif parts and isinstance(parts[-1], str):
            parts[-1] += f"\n{line}"
        else:
            parts.append(line)
        if document:
            document = "" if line == document else document
        elif begun := re.search(r"<<'?(\w+)", line):
            document = begun[1]
    return parts


def run(script: str) -> Iterator[osmv_here.Ran | subprocess.CompletedProcess[str]]:
    """What comes of each part of a shell block; commands of `osmv` run here, where models stay loaded."""
    for part in steps(script):
        if isinstance(part, str):
            yield subprocess.run(["bash", "-euo", "pipefail", "-c", part], capture_output=True, text=True)
        else:
            yield osmv_here.osmv(*part[1:])


def test_what_needs_a_shell_gets_one() -> None:
    text = "cat > a <<'END'\nosmv of a text\nEND\n"
    assert steps(f"{text}osmv search 'a (b) | c?' \"d?\" --json  # what; not | how\nosmv a > b\nls\nosmv c") == [
        text.rstrip(),
        ["osmv", "search", "a (b) | c?", "d?", "--json"],
        "osmv a > b\nls",
        ["osmv", "c"],
    ]
    for line in (
        "osmv a | jq .",
        "osmv a $B",
        'osmv "$A"',
        "osmv *.json",
        "export A=1\nosmv a",
        "osmv serve &\nosmv a",
    ):
        assert steps(line) == [line]


def check_unrun(command: str) -> None:
    words = shlex.split(command, comments=True)
    match words:
        case ["make", *_]:
            subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
        case ["docker", "compose", "-f", file, *_]:
            assert (ROOT / file).is_file(), command
        case ["pip", "install", requirement]:
            extras = re.search(r"\[(.*)\]", requirement)
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            assert requirement.startswith(project["name"]) or requirement.startswith("."), command
            assert set(extras[1].split(",") if extras else ()) <= set(project["optional-dependencies"]), command
        case ["osmv", *subcommand]:
            names = [word for word in subcommand if re.fullmatch("[a-z]+", word)][:2]
            subprocess.run([sys.executable, "-m", "opensearch_multivector.cli.main", *names, "--help"], check=True)
        case [".ci/run" | "docker/prepare" as script]:
            assert os.access(ROOT / script, os.X_OK)
        case ["git" | "cd", *_]:
            pass
        case _:
            pytest.fail(f"neither run nor checked: {command}")


@pytest.fixture
def cleared(client: OpenSearch) -> Iterator[None]:
    present = [name for name in INDICES if client.indices.exists(index=name, allow_no_indices=False)]
    assert not present, f"the documentation's indices {present} exist on this cluster: delete them or use another one"
    remove_leftovers(client)
    yield
    client.indices.delete(index=INDICES, ignore_unavailable=True)


@pytest.mark.integration
@pytest.mark.usefixtures("cleared")
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=lambda page: page.name)
def test_every_command_and_snippet_runs(
    page: Path, node_url: str, client: OpenSearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.name == "native.md" and not NATIVE:
        pytest.skip(needs_native.kwargs["reason"])
    if page.name == "backup.md" and not client.nodes.info(params={"filter_path": "nodes.*.settings.path.repo"}):
        pytest.skip("this cluster has no path.repo, so that no snapshot can be kept in a folder")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSMV_URL", node_url)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    namespace: dict[str, object] = {"__name__": page.stem}
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, str(page), "exec"), namespace)
            continue
        script, unrun = split(text)
        for command in unrun:
            check_unrun(command)
        # A reader is slower than the second in which what was written comes to be found.
        client.indices.refresh(index="articles*,osmv-*", ignore_unavailable=True, expand_wildcards="all")
        for done in run(script):
            assert done.returncode == 0, f"{page.name}:\n{script}\n{done.stdout}\n{done.stderr}"


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "docker" / "README.md"]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_readme_shows_the_way_from_install_to_a_first_result() -> None:
    shown = "\n".join(text for _, text in blocks(ROOT / "README.md"))
    for command in ("osmv node start", "osmv index ", "osmv search ", "osmv eval ", "make demo", "make demo-light"):
        assert command in shown


def test_links_to_sections_lead_to_one() -> None:
    def anchors(page: Path) -> set[str]:
        headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}

    broken = [
        f"{page.name}: {target}#{anchor}"
        for page in PAGES
        for target, anchor in re.findall(r"\]\((?!https?://)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
        if (there := page.parent / target if target else page).suffix == ".md" and anchor not in anchors(there)
    ]
    assert not broken
