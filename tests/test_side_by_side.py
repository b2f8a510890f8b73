"""How the integration tests went on each kind of node, as told at the end of a run."""

from __future__ import annotations

from types import SimpleNamespace

from side_by_side import HERE, is_whole, outcomes_of, table

ROOT = HERE.parents[1]


def ran(*tests: str) -> list[SimpleNamespace]:
    return [SimpleNamespace(nodeid=test) for test in tests]


def test_outcomes_of_this_folder_alone() -> None:
    stats = {"passed": ran("tests/integration/test_a.py::one", "tests/cli/test_b.py::two"), "warnings": []}
    outcomes = outcomes_of(stats, ROOT)
    assert outcomes == {"passed": ["tests/integration/test_a.py::one"], "failed": [], "error": [], "skipped": []}
    assert not is_whole(outcomes)
    every = [f"tests/integration/{path.name}::one" for path in HERE.glob("test_*.py")]
    assert is_whole(outcomes_of({"passed": ran(*every[1:]), "skipped": ran(every[0])}, ROOT))


def test_side_by_side() -> None:
    local = outcomes_of({"passed": ran("tests/integration/test_a.py::one", "tests/integration/test_a.py::two")}, ROOT)
    other = outcomes_of({"passed": ran(local["passed"][0]), "skipped": ran("tests/integration/test_a.py::two")}, ROOT)
    assert table({"local": local, "container": other}) == [
        "local      2 tests: 2 passed, 0 failed, 0 error, 0 skipped",
        "container  2 tests: 1 passed, 0 failed, 0 error, 1 skipped",
        "the same tests",
    ]
    fewer = other | {"skipped": []}
    assert table({"local": local, "container": fewer})[-1] == (
        "not the same tests, 1 in one alone: tests/integration/test_a.py::two"
    )
    assert len(table({"container": fewer})) == 1
