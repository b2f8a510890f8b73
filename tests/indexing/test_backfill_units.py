"""What is known of a shard's work, whatever its workers do: nothing is skipped, nothing is called done that is not."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from opensearch_multivector.indexing.backfill.units import Failures, Lease, Letter, ShardWork

SECONDS = 10.0


def lease(work: ShardWork, token: str, now: float = 0, size: int = 10, limit: int = 10**9) -> tuple[ShardWork, Lease]:
    work, held = work.leased(token, "me", now, SECONDS, size, limit)
    assert held is not None
    return work, held


def test_ranges_are_handed_out_in_order_and_only_up_to_the_limit() -> None:
    work = ShardWork("h").seen("h", 24)
    work, first = lease(work, "a")
    work, second = lease(work, "b")
    work, third = lease(work, "c")
    assert [(each.after, each.to) for each in (first, second, third)] == [(-1, 9), (9, 19), (19, 24)]
    assert work.leased("d", "me", 0, SECONDS, 10, 10**9) == (work, None)
    assert work.covered == -1
    work = work.seen("h", 40)
    assert work.leased("d", "me", 0, SECONDS, 10, 24)[1] is None
    assert lease(work, "d")[1].after == 24


def test_covered_is_below_the_lowest_range_at_work() -> None:
    work = ShardWork("h").seen("h", 19)
    work, first = lease(work, "a")
    work, second = lease(work, "b")
    work, _ = work.advanced(second, 19, 20, {"seen": 10})
    assert (work.covered, work.open_until(19)) == (-1, True)
    work, first = work.advanced(first, 4, 20, {"seen": 5})
    assert work.covered == 4
    assert first is not None
    work, _ = work.advanced(first, 9, 20, {"seen": 5})
    assert (work.covered, work.open_until(19), work.leases) == (19, False, ())
    assert work.counts == {"seen": 20}


def test_a_lease_that_ran_out_goes_on_where_its_worker_stood_and_that_worker_has_lost_it() -> None:
    work = ShardWork("h").seen("h", 9)
    work, dead = lease(work, "a", now=0)
    work, dead_later = work.advanced(dead, 3, until=SECONDS, counts={})
    assert dead_later is not None
    assert work.leased("b", "other", SECONDS - 1, SECONDS, 10, 9)[1] is None
    work, taken = lease(work, "b", now=SECONDS)
    assert (taken.after, taken.to) == (3, 9)
    for attempt in (work.advanced(dead_later, 9, 99, {"seen": 6}), work.renewed(dead_later, 99)):
        assert attempt == (work, None)


def test_the_same_change_twice_counts_once() -> None:
    work = ShardWork("h").seen("h", 9)
    work, held = lease(work, "a")
    assert work.leased("a", "me", 0, SECONDS, 10, 9) == (work, held)
    once, _ = work.advanced(held, 4, 20, {"seen": 5}, [Letter("d", "bad")])
    twice, still = once.advanced(held, 4, 20, {"seen": 5}, [Letter("d", "bad")])
    assert twice == once
    assert still is not None


def test_what_was_refused_is_gone_through_again_on_request() -> None:
    work = ShardWork("h").seen("h", 9)
    work, held = lease(work, "a")
    work, later = work.advanced(held, 4, 20, {}, [Letter("d", "bad"), Letter("e", "worse")])
    assert later is not None
    work, _ = work.advanced(later, 9, 20, {})
    assert (work.failed, work.covered) == (2, 9)
    work = work.retried()
    assert (work.failed, work.covered, work.open_until(9)) == (0, -1, True)
    work, again = lease(work, "b", size=3)
    assert (again.after, again.to) == (-1, 2)
    work, rest = lease(work, "c")
    assert (rest.after, rest.to) == (2, 4)
    work, _ = work.advanced(again, 2, 20, {}, [Letter("e", "worse")])
    work, _ = work.advanced(rest, 4, 20, {})
    assert (work.failed, work.covered, work.again) == (1, 9, ())


def test_failures_stay_few_and_none_is_forgotten() -> None:
    work = ShardWork("h").seen("h", 9_999)
    for start in range(0, 10_000, 10):
        work, held = lease(work, f"t{start}")
        work, _ = work.advanced(held, held.to, 20, {}, [Letter(f"d{start}", "bad")])
    assert work.failed == 1_000
    assert len(json.dumps(work.to_state())) < 100_000
    again = work.retried().again
    assert all(any(after < start <= to for after, to in again) for start in range(0, 10_000, 10))


def test_a_new_history_begins_anew_and_a_horizon_never_sinks() -> None:
    work = ShardWork("h").seen("h", 9)
    work, held = lease(work, "a")
    work, _ = work.advanced(held, 9, 20, {})
    assert work.seen("h", 5) == work
    anew = work.seen("other", 5)
    assert (anew.covered, anew.horizon, anew.open_until(5)) == (-1, 5, True)


def test_stored_and_read_back() -> None:
    work = ShardWork("h", 9, 9, (Lease("t", "me", 3, 9, 1.5),), ((0, 2),), (Failures(0, 2, 1, (Letter("d", "r"),)),))
    work = replace(work, counts={"seen": 4})
    assert ShardWork.from_state(json.loads(json.dumps(work.to_state()))) == work


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_whatever_workers_do_nothing_is_skipped(data: st.DataObject) -> None:
    """Workers lease, advance, die and are late, at random; ``done`` is what they really went through."""
    work, now, tokens = ShardWork("h"), 0.0, 0
    horizon = -1
    held: dict[str, Lease] = {}
    done: set[int] = set()
    for _ in range(data.draw(st.integers(5, 60))):
        action = data.draw(st.sampled_from(["look", "lease", "lease", "advance", "advance", "die", "pass", "retry"]))
        if action == "look":
            horizon += data.draw(st.integers(0, 30))
            work = work.seen("h", horizon)
        elif action == "lease":
            tokens += 1
            size = data.draw(st.integers(1, 12))
            work, taken = work.leased(str(tokens), "me", now, SECONDS, size, data.draw(st.integers(0, horizon + 5)))
            if taken:
                held[taken.token] = taken
        elif action == "advance" and held:
            mine = held[data.draw(st.sampled_from(sorted(held)))]
            to = data.draw(st.integers(mine.after + 1, mine.to))
            refused = [Letter(str(to), "bad")] if data.draw(st.booleans()) else []
            work, later = work.advanced(mine, to, now + SECONDS, {}, refused)
            if later is None:
                del held[mine.token]
                continue
            done |= set(range(mine.after + 1, to + 1))
            held[mine.token] = later
            if to == mine.to:
                del held[mine.token]
        elif action == "die" and held:
            del held[data.draw(st.sampled_from(sorted(held)))]
        elif action == "retry":
            for failures in work.failures:
                done -= set(range(failures.after + 1, failures.to + 1))
            work = work.retried()
        else:
            now += data.draw(st.floats(0, 2 * SECONDS))
        assert set(range(work.covered + 1)) <= done
    work, now = work.seen("h", horizon), now + 100 * SECONDS
    while work.open_until(horizon):
        tokens += 1
        work, last = lease(work, str(tokens), now=now)
        done |= set(range(last.after + 1, last.to + 1))
        work, _ = work.advanced(last, last.to, now, {})
    assert set(range(horizon + 1)) <= done
