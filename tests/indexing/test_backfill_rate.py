"""The rate that searches allow is found, kept to and found again, on a cluster that is reckoned instead of run."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from opensearch_multivector.indexing.backfill.disk import wanted_free
from opensearch_multivector.indexing.backfill.rate import FLOOR, RateControl

PER_SECOND = 5
DECIDE = 2.0


class Plant:
    """Searches take longer the nearer the writes come to what the cluster is able to do; some are slow anyway."""

    def __init__(self, capacity: float, seed: int, limit: float = float("inf")) -> None:
        self.capacity = capacity
        self.limit = limit  # of the encoder, which writes no faster
        self.random = random.Random(seed)

    def used(self, rate: float) -> float:
        return min(rate, self.limit, self.capacity)

    def search(self, rate: float) -> float:
        load = min(self.used(rate) / self.capacity, 0.99)
        slow = 20.0 if self.random.random() < 0.002 else 1.0  # a pause of the garbage collector
        return 5.0 / (1 - load) * self.random.lognormvariate(0, 0.15) * slow


def run(
    plant: Plant, control: RateControl, seconds: float, begin: float = 0.0, each: Callable[[float], None] | None = None
) -> list[tuple[float, float]]:
    """What was written per second, and how long each search took."""
    seen, decided = [], begin
    for step in range(int(seconds * PER_SECOND)):
        now = begin + step / PER_SECOND
        took = plant.search(control.rate)
        control.note(now, took)
        seen.append((plant.used(control.rate), took))
        if now - decided >= DECIDE:
            control.decide(now, plant.used(control.rate))
            decided = now
            if each:
                each(control.rate)
    return seen


def good_rate(plant: Plant, target: float) -> float:
    """At which 99 of 100 searches are just fast enough: 5 / (1 - load) * e ** (2.33 * 0.15) = target."""
    return plant.capacity * (1 - 5.0 * 1.418 / target)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("capacity", [30, 300, 3000])
def test_it_finds_the_rate_that_searches_allow(capacity: float, seed: int) -> None:
    plant, control = Plant(capacity, seed), RateControl(20.0)
    warm_up = run(plant, control, 120)
    seen = run(plant, control, 600, begin=120)
    mean = sum(used for used, _ in seen) / len(seen)
    assert mean > 0.6 * good_rate(plant, 20.0)
    assert sum(took > 20.0 for _, took in seen) / len(seen) < 0.03
    # While it finds out, too, the searches are slow for a moment only.
    assert sum(took > 20.0 for _, took in warm_up) < 25
    assert control.lowered > 0


def test_it_gives_way_at_once_and_comes_back() -> None:
    plant, control = Plant(300, 1), RateControl(20.0)
    run(plant, control, 200)
    plant.capacity = 60.0  # somebody else needs the cluster now
    run(plant, control, 60, begin=200)
    squeezed = run(plant, control, 200, begin=260)
    assert sum(took > 20.0 for _, took in squeezed) / len(squeezed) < 0.03
    assert sum(used for used, _ in squeezed) / len(squeezed) > 0.5 * good_rate(plant, 20.0)
    plant.capacity = 300.0
    run(plant, control, 400, begin=460)
    again = run(plant, control, 200, begin=860)
    assert sum(used for used, _ in again) / len(again) > 0.6 * good_rate(plant, 20.0)


def test_a_rate_that_is_not_used_does_not_grow() -> None:
    plant, control = Plant(3000, 2, limit=25.0), RateControl(20.0)
    run(plant, control, 300)
    assert 25 <= control.rate <= 25 / 0.8 * 2
    # Nothing to write, as a follower has most of the time: nothing is concluded from that.
    rate = control.rate
    control.decide(1000, 0.0)
    assert control.rate == rate


def test_where_no_rate_is_low_enough_it_says_so() -> None:
    control = RateControl(3.0)
    rates: list[float] = []
    run(Plant(300, 3), control, 60, each=rates.append)
    assert (control.rate, control.out_of_reach) == (FLOOR, True)
    assert rates == sorted(rates, reverse=True)


def test_a_ceiling_is_kept_and_a_lone_slow_search_is_none_of_its_business() -> None:
    control = RateControl(20.0, ceiling=50.0)
    for step in range(500):
        control.note(step / 5, 900.0 if step % 200 == 199 else 5.0)
        if step % 10 == 9:
            control.decide(step / 5, control.rate)
    assert (control.rate, control.lowered) == (50.0, 0)
    assert control.p99() == 5.0


def test_old_searches_are_forgotten() -> None:
    control = RateControl(20.0)
    for step in range(20):
        control.note(step / 5, 500.0)
    for step in range(200):
        control.note(10 + step / 5, 5.0)
    assert control.p99() == 5.0


@pytest.mark.parametrize(
    ("watermark", "free"), [("90%", 100), ("0.75", 250), ("10gb", 10 * 2**30), ("500mb", 500 * 2**20), ("7b", 7)]
)
def test_watermarks_as_opensearch_writes_them(watermark: str, free: int) -> None:
    assert wanted_free(watermark, 1000) == pytest.approx(free)
