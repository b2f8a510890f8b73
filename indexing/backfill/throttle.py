"""How many documents per second may pass, over all threads of a process."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Throttle:
    """Lets ``rate`` documents per second pass; None: as many as come. The rate may be changed at any time.

    ``passed``: how many documents have been let through.
    """

    rate: float | None
    stop: threading.Event
    passed: int = 0
    _free_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def portion(self, most: int) -> int:
        """How many to ask for at once: what passes in about a second, so that another rate is felt soon."""
        return most if self.rate is None else max(1, min(most, int(self.rate)))

    def wait(self, documents: int) -> None:
        """Return when so many more may be written."""
        with self._lock:
            self.passed += documents
            if self.rate is None:
                return
            now = time.monotonic()
            start = max(now, self._free_at)
            self._free_at = start + documents / self.rate
        self.stop.wait(start - now)
