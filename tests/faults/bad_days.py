"""What a network, a gateway or a busy node does to a request or its answer, and how often."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from flaky_proxy import Exchange, Fault

PAGE = b"<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>"


def latency(exchange: Exchange) -> None:
    time.sleep(0.15)
    exchange.forward()


def too_late(exchange: Exchange) -> None:
    """Later than the tests' clients wait."""
    time.sleep(1.5)
    exchange.forward()


def reset(exchange: Exchange) -> None:
    exchange.reset()


def answer_lost(exchange: Exchange) -> None:
    """The node has done what was asked, and nobody hears of it."""
    exchange.upstream(exchange.body)
    exchange.drop()


def cut(exchange: Exchange) -> None:
    status, body = exchange.upstream(exchange.body)
    exchange.reply(status, body, sent=len(body) // 2)


def shortened(exchange: Exchange) -> None:
    """Cut by one that knows how to count."""
    status, body = exchange.upstream(exchange.body)
    exchange.reply(status, body[: len(body) * 2 // 3])


def garbled(exchange: Exchange) -> None:
    status, body = exchange.upstream(exchange.body)
    middle = len(body) // 2
    exchange.reply(status, body[:middle] + b"\xff\x00\x1f\x8b" + body[middle + 7 :])


def emptied(exchange: Exchange) -> None:
    status, _ = exchange.upstream(exchange.body)
    exchange.reply(status, b"")


def another_page(exchange: Exchange) -> None:
    exchange.reply(200, PAGE, kind="text/html")


def foreign(exchange: Exchange) -> None:
    """JSON, and with status 200, of somebody who was not asked."""
    exchange.reply(200, b'{"login": "https://gateway.example/", "ok": true}')


def bad_gateway(exchange: Exchange) -> None:
    exchange.reply(502, PAGE, kind="text/html")


def busy(exchange: Exchange) -> None:
    exchange.refuse(429, "rejected_execution_exception")


def unavailable(exchange: Exchange) -> None:
    exchange.refuse(503, "no_shard_available_action_exception")


KINDS: dict[str, Fault] = {
    each.__name__: each
    for each in (
        latency,
        too_late,
        reset,
        answer_lost,
        cut,
        shortened,
        garbled,
        emptied,
        another_page,
        bad_gateway,
        busy,
        unavailable,
    )
}


# Of these a storm is made only where it is asked for: not every answer tells whose it is.
EVERY_KIND = KINDS | {"foreign": foreign}


@dataclass
class Storm:
    """A fault that strikes a share of all requests: of one kind, or of any."""

    seed: int
    share: float
    kinds: tuple[str, ...] = tuple(KINDS)
    struck: Counter[str] = field(default_factory=Counter)
    calm: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, exchange: Exchange) -> None:
        moment = random.Random(f"{self.seed} {exchange.number}")
        if self.calm or moment.random() >= self.share:
            exchange.forward()
            return
        kind = moment.choice(self.kinds)
        with self._lock:
            self.struck[kind] += 1
        EVERY_KIND[kind](exchange)
