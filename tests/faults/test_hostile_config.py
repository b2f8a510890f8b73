"""Hostile options, names, paths, files and environments for `osmv`: a documented exit code and a sentence."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_table import FaultRow
from hostile import PIECES, SEED, Trials, stored, text
from hostile_words import CLAUSES, ENVIRONMENT, EXPRESSIONS, INDICES, LINES, MATRICES, NAME, NUMBERS, PATHS, URLS
from opensearchpy import OpenSearch
from scale import HOSTILE_INPUTS
from small_index import make_index

pytestmark = [pytest.mark.integration, pytest.mark.fault("hostile"), pytest.mark.filterwarnings("ignore")]

COUNT = max(120, HOSTILE_INPUTS // 4)


def pick(rng: random.Random, usual: list[str]) -> str:
    """One of the list, or something from anywhere, as an argument or a variable can hold it."""
    made = rng.choice(usual) if rng.random() < 0.8 else rng.choice([text(rng, 4)[:2000], rng.choice(PIECES)])
    return os.fsdecode(made.replace("\0", "0").encode("utf-8", "surrogatepass"))


def content(rng: random.Random, usual: list[str]) -> bytes:
    """Lines of a file."""
    return b"\n".join(
        rng.choice([rng.choice(usual), text(rng, 4)[:500]]).encode("utf-8", "surrogatepass")
        for _ in range(rng.randrange(5))
    ) + rng.choice([b"", b"\n", b"\xff\xfe", b"\r\n"])


LIGHT = ["--encoder", "all-MiniLM-L6-v2-int8"]
Maker = Callable[[random.Random, Path], list[str]]


def search(rng: random.Random, _: Path) -> list[str]:
    options = {
        "--first-stage": EXPRESSIONS,
        "--rerank": EXPRESSIONS,
        "--fusion": EXPRESSIONS,
        "--size": NUMBERS,
        "--offset": NUMBERS,
        "--window-size": NUMBERS,
        "--filter": CLAUSES,
        "--query-dsl": CLAUSES,
        "--field": INDICES,
        "--sidecar": INDICES,
        "--query-vectors": PATHS,
        "--query-terms": PATHS,
        "--min-score": NUMBERS,
        "--routing": INDICES,
        "--source": INDICES,
        "--encoder": PATHS,
    }
    made = [
        "search",
        text(rng, 4)[:200].replace("\0", ""),
        "--index",
        pick(rng, INDICES),
        "--first-stage",
        "bm25",
        "--rerank",
        "none",
    ]
    for option in rng.sample(list(options), rng.randrange(4)):
        made += [option, pick(rng, options[option])]
    return made + rng.choice([[], ["--json"]])


def index(rng: random.Random, folder: Path) -> list[str]:
    (folder / "docs.jsonl").write_bytes(content(rng, LINES))
    options = {
        "--codec": EXPRESSIONS,
        "--field": INDICES,
        "--sub-field": EXPRESSIONS,
        "--reduce": EXPRESSIONS,
        "--shards": NUMBERS,
        "--batch": NUMBERS,
        "--bm25-k1": NUMBERS,
        "--analyzer": INDICES,
        "--id-field": INDICES,
        "--vectors": PATHS,
        "--terms": PATHS,
    }
    made = [
        "index",
        rng.choice(["docs.jsonl", "docs.jsonl", pick(rng, PATHS)]),
        "--index",
        rng.choice([*INDICES[:36], f"{NAME}-none"]),
    ]
    for option in rng.sample(list(options), rng.randrange(1, 4)):
        made += [option, pick(rng, options[option])]
    # The default encoder takes half a minute to load.
    return [*made, *rng.choice([["--no-vectors"], LIGHT])]


def attached(rng: random.Random, _: Path) -> list[str]:
    command = rng.choice(["attach", "detach", "status", "backfill", "follow"])
    made = [command, pick(rng, INDICES), "--field", pick(rng, ["mv", *INDICES])]
    made += {"attach": ["--dry-run", "--mode", pick(rng, ["in-place", "new", ""]), "--text", pick(rng, INDICES)]}.get(
        command, []
    )
    made += {"backfill": ["--rate", pick(rng, NUMBERS), "--patience", "1"], "follow": ["--once"]}.get(command, [])
    return made + ["--yes"] * (command == "detach")


def files(rng: random.Random, folder: Path) -> list[str]:
    for name in ("a.run", "b.run", "qrels", "topics"):
        (folder / name).write_bytes(content(rng, LINES))
    return rng.choice(
        [
            [
                "compare",
                "a.run",
                "b.run",
                "--qrels",
                rng.choice(["qrels", pick(rng, PATHS)]),
                "--measure",
                pick(rng, EXPRESSIONS),
            ],
            ["compare", "a.run", pick(rng, PATHS), "--qrels", "qrels", "--samples", pick(rng, NUMBERS)],
            ["fuse", "a.run", "b.run", "--out", "fused", "--weight", pick(rng, NUMBERS), "--weight", "1"],
            [
                "eval",
                "--index",
                NAME,
                "--topics",
                "topics",
                "--qrels",
                "qrels",
                "--config",
                pick(rng, EXPRESSIONS),
                "--runs-dir",
                "runs",
            ],
            ["eval", pick(rng, PATHS), "--config", pick(rng, EXPRESSIONS), *LIGHT],
            [
                "export-vectors",
                pick(rng, INDICES),
                "--out",
                "out",
                "--format",
                pick(rng, ["jsonl", "npz", "slim", "JsonVectorCollection"]),
            ],
            ["codebook", rng.choice(["list", "show", "fit", "x"]), pick(rng, INDICES)],
        ]
    )


def matrix(rng: random.Random, folder: Path) -> list[str]:
    (folder / "matrix.yaml").write_bytes(content(rng, MATRICES))
    return ["reproduce", "matrix.yaml", "--data", "data", "--out", "out", "--dry-run"]


def node(rng: random.Random, _: Path) -> list[str]:
    """Names that are no names: nothing may be stopped or cleaned."""
    return [
        "node",
        rng.choice(["stop", "clean", "status", "logs"]),
        "--name",
        rng.choice(["../x", "..", "/", "*", "", "a/b", "-x", "\n", "x" * 99]),
        *rng.choice([[], ["--yes"]]),
    ]


MAKERS: list[Maker] = [search, search, index, attached, files, matrix, node]


@pytest.fixture(scope="module")
def there(client: OpenSearch) -> Iterator[None]:
    client.indices.delete(index=f"{NAME}*", params={"ignore_unavailable": "true"})
    make_index(client, NAME, count=10, shards=1)
    yield
    client.indices.delete(index=f"{NAME}*", params={"expand_wildcards": "all"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder deep enough for a path that climbs."""
    deep = tmp_path / "a" / "b"
    (deep / "folder").mkdir(parents=True)
    (deep / "file").write_bytes(b"\x93NUMPY garbage")
    monkeypatch.chdir(deep)
    monkeypatch.setenv("HOME", str(deep / "folder"))  # where libraries keep their caches
    monkeypatch.setenv("COLUMNS", "200")
    return deep


def kept(client: OpenSearch) -> dict[str, Any]:
    """What is stored, less new indices: `osmv index` makes some of a name that is one."""
    now = stored(client)
    for part in ("written", "indices"):
        now[part] = {name: each for name, each in now[part].items() if not name.startswith("osmv-state")}
    return now


def test_options(
    client: OpenSearch, node_url: str, there: None, folder: Path, fault_row: FaultRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, trials = random.Random(SEED), Trials()
    monkeypatch.setenv("OSMV_URL", node_url)
    before = kept(client)
    for _ in range(COUNT):
        make = rng.choice(MAKERS)
        arguments = make(rng, folder)
        trials.command(f"options of {arguments[0]}", *arguments)
        for made in set(client.indices.get(index="*", params={"expand_wildcards": "all"})) - before["indices"].keys():
            if made in INDICES or made.startswith(NAME):  # never another's
                client.indices.delete(index=made)
    after = kept(client)
    print(trials.counts)
    for said in trials.said.values():
        print("--", ascii(said)[:200])
    assert before["indices"].keys() <= after["indices"].keys()
    for part in ("indices", "written", "settings", "node"):
        assert {name: after[part][name] for name in before[part]} == before[part]
    outside = [
        path
        for path in folder.parent.parent.rglob("*")
        if folder not in (path, *path.parents) and path not in folder.parents
    ]
    assert outside == []
    assert not (folder / "owned").exists()
    trials.finish()
    fault_row.counts["options"] += COUNT


def test_environment(folder: Path, fault_row: FaultRow, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, trials = random.Random(SEED), Trials()
    count = max(20, COUNT // 8)
    for _ in range(count):
        given = {rng.choice(ENVIRONMENT): pick(rng, URLS + PATHS) for _ in range(rng.randrange(1, 4))} | {
            "OSMV_URL": pick(rng, URLS)
        }
        with monkeypatch.context() as patched:
            for name, each in given.items():
                patched.setenv(name, each)
            command = rng.choice(
                [["doctor"], ["status", "x"], ["search", "q", "--index", "x"], ["index", "file", "--index", "x"]]
            )
            trials.command("environment", *command, seconds=60)
    trials.finish()
    fault_row.counts["options"] += count
