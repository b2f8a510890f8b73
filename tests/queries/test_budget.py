"""Time budgets, the circuit breaker and retries, with a clock that the test moves."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opensearchpy.exceptions import ConnectionError as Unreachable
from opensearchpy.exceptions import ConnectionTimeout, OpenSearchException, RequestError, SSLError, TransportError

from opensearch_multivector.errors import BudgetError, ClusterError, InputError
from opensearch_multivector.plugin.fields import READY_VECTORS, EncoderRef, FieldSpec
from opensearch_multivector.queries.breaker import Breaker
from opensearch_multivector.queries.budget import Budget
from opensearch_multivector.queries.delivery import Delivery
from opensearch_multivector.queries.encoded_query import EncodedQuery
from opensearch_multivector.queries.request import SearchRequest
from opensearch_multivector.queries.retries import ATTEMPTS, pause_before_retry
from opensearch_multivector.queries.rounds import Round, Search

SPEC = FieldSpec("mv", 4, "f32", EncoderRef(READY_VECTORS, "none"))
QUERY = EncodedQuery(text="bee", vectors=np.eye(2, 4, dtype=np.float32), pooled=np.ones(4, np.float32))
FOUND: dict[str, Any] = {"took": 1, "hits": {"total": {"value": 0}, "hits": []}}


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


class TestBudget:
    def test_the_whole_and_the_shares(self) -> None:
        clock = Clock()
        budget = Budget(1.0, {"rerank": 0.4}, clock)
        assert budget.left("first_stage") == pytest.approx(1.0)
        assert budget.left("rerank") == pytest.approx(0.4)
        clock.now += 0.3
        budget.spend("first_stage", 0.3)
        budget.spend("rerank", 0.3)
        assert budget.left("rerank") == pytest.approx(0.1)
        assert budget.left("fetch") == pytest.approx(0.7)
        budget.spend("rerank", 0.2)
        with pytest.raises(BudgetError, match=r"0\.4 s for stage rerank"):
            budget.check("rerank")
        budget.check("fetch")
        clock.now += 0.7
        with pytest.raises(BudgetError, match=r"time_budget of 1 s ended in its stage fetch"):
            budget.check("fetch")

    def test_without_end(self) -> None:
        assert Budget().left("rerank") == inf
        assert not Budget().limits

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"time_budget": 0}, "time_budget is a number of seconds above 0"),
            ({"time_budget": "1"}, "time_budget is a number"),
            ({"time_budget": inf}, "time_budget is a number"),
            ({"hedge_after": -1.0}, "hedge_after is a number"),
            ({"budgets": {"reranking": 1}}, "not of 'reranking'"),
            ({"budgets": {"rerank": float("nan")}}, "the budget of rerank"),
            ({"budgets": 1}, "budgets are seconds by stage"),
            ({"degrade": 1}, "degrade must be True or False"),
        ],
    )
    def test_what_is_no_time_is_refused(self, options: dict[str, Any], said: str) -> None:
        with pytest.raises(InputError, match=said):
            SearchRequest(QUERY, **options)


class TestBreaker:
    def test_opens_and_closes(self) -> None:
        clock = Clock()
        breaker = Breaker(failures=3, window=10, open_for=5, clock=clock)
        for _ in range(2):
            breaker.failed()
        assert breaker.allows()
        clock.now += 11  # the first two are long ago
        breaker.failed()
        assert breaker.state == "closed"
        breaker.failed()
        breaker.failed()
        assert breaker.state == "open"
        assert not breaker.allows()
        clock.now += 5
        assert breaker.state == "half-open"
        assert [breaker.allows() for _ in range(3)] == [True, False, False]
        breaker.failed()
        assert breaker.state == "open"
        clock.now += 5
        assert breaker.allows()
        breaker.gave_up()  # a probe that tells nothing makes room for the next
        assert breaker.allows()
        breaker.succeeded()
        assert breaker.state == "closed"
        assert all(breaker.allows() for _ in range(3))

    def test_what_began_before_does_not_close_it(self) -> None:
        breaker = Breaker(failures=1, clock=Clock())
        breaker.failed()
        breaker.succeeded()
        assert breaker.state == "open"

    def test_an_attempt_reports_itself(self) -> None:
        breaker = Breaker(failures=1, clock=Clock())
        with pytest.raises(KeyError), breaker.attempt():
            raise KeyError
        assert breaker.state == "closed"
        with pytest.raises(ClusterError), breaker.attempt():
            raise ClusterError("no")
        assert breaker.state == "open"

    @given(st.lists(st.sampled_from(["failed", "succeeded", "gave_up", "wait"]), max_size=40))
    def test_it_never_stays_shut(self, events: list[str]) -> None:
        clock = Clock()
        breaker = Breaker(failures=2, window=4, open_for=3, clock=clock)
        for event in events:
            if event == "wait":
                clock.now += 1
            elif breaker.allows():
                getattr(breaker, event)()
        clock.now += 3
        assert breaker.allows()


class TestRetries:
    @pytest.mark.parametrize("status", [429, 502, 503, 504])
    def test_what_may_pass_is_tried_again_within_the_time(self, status: int) -> None:
        error = TransportError(status, "busy", {})
        assert all(pause_before_retry(error, attempts, inf) is not None for attempts in range(1, ATTEMPTS))
        assert pause_before_retry(error, ATTEMPTS, inf) is None
        assert pause_before_retry(error, 1, 0.0) is None

    def test_retry_after_is_waited_for_or_given_up_at_once(self) -> None:
        error = TransportError(429, "busy", {})
        error.retry_after = 2.0
        assert pause_before_retry(error, 1, inf) == 2.0
        assert pause_before_retry(error, 1, 1.9) is None

    @pytest.mark.parametrize(
        "error",
        [
            RequestError(400, "parsing_exception", {}),
            TransportError(500, "any", {}),
            ConnectionTimeout("TIMEOUT", "late", Exception()),
            SSLError("N/A", "no", Exception()),
            OpenSearchException("any"),
        ],
    )
    def test_what_stays_as_it_is_is_not(self, error: Exception) -> None:
        assert pause_before_retry(error, 1, inf) is None


class TestDelivery:
    """What goes out, by hand."""

    @staticmethod
    def searches(clock: Clock, count: int, **options: Any) -> list[tuple[Search, Round]]:
        request = SearchRequest(QUERY, **options)
        found = []
        for _ in range(count):
            search = Search(SPEC, request, QUERY, budget=Budget(request.time_budget, request.budgets, clock))
            found.append((search, Round("first_stage", [{"size": 1}])))
        return found

    def test_the_time_goes_along(self) -> None:
        clock = Clock()
        delivery = Delivery("a", self.searches(clock, 1, time_budget=2.0))
        call = delivery.next_call()
        assert call is not None
        assert call.arguments["params"]["request_timeout"] == pytest.approx(2.0)
        assert call.arguments["body"] == {"size": 1, "timeout": "1700ms"}
        without = Delivery("a", self.searches(clock, 1)).next_call()
        assert without is not None
        assert without.arguments == {"body": {"size": 1}, "index": "a", "params": {}}

    def test_only_what_was_refused_goes_out_again(self) -> None:
        clock = Clock()
        delivery = Delivery("a", self.searches(clock, 3, time_budget=60.0))
        call = delivery.next_call()
        assert call is not None
        assert call.kind == "msearch"
        busy = {"status": 429, "error": {"type": "rejected_execution_exception"}}
        bad = {"status": 400, "error": {"type": "parsing_exception", "reason": "no"}}
        delivery.answered({"responses": [FOUND, busy, bad]})
        call = delivery.next_call()
        assert call is not None
        assert call.kind == "search"
        delivery.answered(FOUND)
        assert delivery.next_call() is None
        first, second, third = delivery.answers()
        assert first == second == [FOUND]
        assert isinstance(third, ClusterError)

    def test_time_ends_the_trying(self) -> None:
        clock = Clock()
        delivery = Delivery("a", self.searches(clock, 1, time_budget=1.0))
        tries = 0
        while delivery.next_call():
            tries += 1
            clock.now += 0.4
            delivery.failed(Unreachable("N/A", "refused", Exception()))
        (answer,) = delivery.answers()
        assert isinstance(answer, ClusterError)
        assert 1 <= tries <= 3

    @pytest.mark.parametrize("answer", [None, [], "ok", 1, {}, {"responses": []}, {"responses": [1, 2]}])
    def test_an_answer_to_something_else_is_an_error(self, answer: Any) -> None:
        delivery = Delivery("a", self.searches(Clock(), 2))
        delivery.next_call()
        delivery.answered(answer)
        assert delivery.next_call() is None
        assert all(isinstance(each, ClusterError) for each in delivery.answers())
