"""How long a search may take, as a whole and in each of its stages. No I/O; the clock is given."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from math import inf

from opensearch_multivector.errors import BudgetError, InputError

STAGES = ("first_stage", "rerank", "fetch")


class Budget:
    """What is left of a search's ``total`` seconds, which run from now on, and of each stage's ``shares`` of them.

    A stage's share runs only while it is at work, which `spend` books. None: without end.
    """

    def __init__(
        self,
        total: float | None = None,
        shares: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self._total = total
        self._end = inf if total is None else clock() + total
        self._given = dict(shares or {})
        self._left = dict(self._given)

    @property
    def limits(self) -> bool:
        """Whether anything is limited at all."""
        return self._total is not None or bool(self._given)

    def left(self, *stages: str) -> float:
        """Seconds that these stages have together, at most what the search has."""
        return min(self._end - self.clock(), sum(self._left.get(stage, inf) for stage in stages) if stages else inf)

    def spend(self, stage: str, seconds: float) -> None:
        """Book the time that a stage was at work."""
        if stage in self._left:
            self._left[stage] -= seconds

    def check(self, *stages: str) -> None:
        """Raise BudgetError where these stages have nothing left."""
        if self.left(*stages) <= 0:
            raise self.error(*stages)

    def error(self, *stages: str) -> BudgetError:
        """What is said where these stages come to their end."""
        what = " and ".join(stages)
        if self._end <= self.clock() or not self._given.keys() & set(stages):
            return BudgetError(
                f"the search's time_budget of {self._total:g} s ended in its stage {what}: give more, or take what "
                "there is (degrade=True, --degrade)."
            )
        given = sum(self._given.get(stage, 0.0) for stage in stages)
        return BudgetError(
            f"the budget of {given:g} s for stage {what} of the search ended: give more, or take what there is "
            "(degrade=True, --degrade)."
        )


def check_budgets(time_budget: object, budgets: object, hedge_after: object) -> None:
    """Raise InputError, naming the option, on what is no time."""
    for option, value in (("time_budget", time_budget), ("hedge_after", hedge_after)):
        if value is not None and not _is_time(value):
            raise InputError(f"{option} is a number of seconds above 0, not {value!r}")
    if budgets is None:
        return
    if not isinstance(budgets, Mapping):
        raise InputError(f'budgets are seconds by stage, such as {{"rerank": 0.5}}, not {budgets!r}')
    for stage, value in budgets.items():
        if stage not in STAGES:
            raise InputError(f"budgets are of {', '.join(STAGES)}, not of {stage!r}")
        if not _is_time(value):
            raise InputError(f"the budget of {stage} is a number of seconds above 0, not {value!r}")


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < inf
