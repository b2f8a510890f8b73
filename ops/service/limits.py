"""What keeps a service that many ask at once answering: bodies of a size, calls at a rate, searches in turn."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from opensearch_multivector.ops.service.errors import RefusalError

_BODY_SECONDS = 20.0
# Callers whose rates are remembered: of more, those are forgotten that did not call for longest.
_CALLERS = 4096


class Rates:
    """A token bucket for each caller: ``burst`` calls at once, and ``rate`` a second after that; 0: any number."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str, calls: int = 1) -> None:
        """Raise RefusalError where the caller has to wait."""
        if not self._rate:
            return
        now = self._clock()
        left, at = self._left.pop(who, (float(self._burst), now))
        left = min(float(self._burst), left + (now - at) * self._rate)
        # Somebody who asks for more than a burst has to have all of it.
        wanted = min(calls, self._burst)
        taken = left >= wanted
        self._left[who] = (left - wanted if taken else left, now)
        if len(self._left) > _CALLERS:
            self._left.popitem(last=False)
        if not taken:
            raise too_many("rate", "too many requests in a short time", (wanted - left) / self._rate)


class Gate:
    """``capacity`` searches are under way at once, ``queue`` more wait for their turn, and the next are refused.

    What waits is counted from the moment a request comes in, so that no more bodies are held in memory either.
    ``patience``: seconds after which one that waits is refused. Of one event loop.
    """

    def __init__(self, capacity: int, queue: int, patience: float) -> None:
        self.capacity = capacity
        self.queue = queue
        self.refused = 0
        self.under_way = 0
        self.inside = 0
        self._patience = patience
        self._turns = asyncio.Semaphore(capacity)
        self._typical = 0.05  # seconds of a turn, averaged

    @property
    def waiting(self) -> int:
        """How many were let in and have no turn yet."""
        return max(0, self.inside - self.under_way)

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Let one in. Raises RefusalError where as many are inside as may be."""
        if self.inside >= self.capacity + self.queue:
            raise self._full()
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """One of the searches that may be under way. Raises RefusalError where it takes too long to come."""
        try:
            async with asyncio.timeout(self._patience):
                await self._turns.acquire()
        except TimeoutError:
            raise self._full() from None
        self.under_way += 1
        began = time.monotonic()
        try:
            yield
        finally:
            self.under_way -= 1
            self._turns.release()
            self._typical += 0.1 * (time.monotonic() - began - self._typical)

    def _full(self) -> RefusalError:
        self.refused += 1
        return too_many("queue", "too many searches wait for their turn", self._typical * self.inside / self.capacity)


def too_many(code: str, message: str, after: float) -> RefusalError:
    """429, and after how many seconds to try again: a minute at most."""
    seconds = str(min(60, max(1, math.ceil(after))))
    return RefusalError(429, code, f"{message}: try again in {seconds} s", headers={"Retry-After": seconds})


async def read_body(receive: Callable[[], Any], headers: dict[str, str], largest: int) -> bytes:
    """The body of a request of JSON. Raises RefusalError where it is too large, too slow, or something else."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RefusalError(415, "not_json", "send Content-Type: application/json")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise RefusalError(415, "not_json", "send the body without Content-Encoding")
    too_large = RefusalError(413, "too_large", f"the body is larger than {largest:,} bytes")
    announced = headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > largest:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise RefusalError(400, "gone", "the connection was closed before the body was whole")
                part = message.get("body", b"")
                size += len(part)
                if size > largest:
                    raise too_large
                parts.append(part)
                more = message.get("more_body", False)
    except TimeoutError:
        raise RefusalError(408, "slow", f"the body did not come within {_BODY_SECONDS:g} s") from None
    return b"".join(parts)
