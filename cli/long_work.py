"""What commands that take long have in common: sentences beside the output, and Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator

from opensearch_multivector.errors import visible


def say(text: str) -> None:
    """A sentence for people, beside what is printed."""
    print(f"osmv: {visible(text)}", file=sys.stderr)


@contextlib.contextmanager
def stop_on_interrupt() -> Iterator[threading.Event]:
    """Ctrl-C ends the run in order; a second one at once."""
    stop = threading.Event()

    def on_interrupt(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        say("stopping: waiting for what is in flight (Ctrl-C again to stop at once)")

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
