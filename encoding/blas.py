"""Matrix products on the calling thread alone.

OpenBLAS splits even small products over all cores and its threads spin while they wait. MaxSim blocks are too small to
gain from that, and beside a busy OpenSearch on the same two cores it cost 20 times: 1,000 documents of 200 x 128 took
1,900 ms with OpenBLAS's threads and 95 ms without.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_depth = 0
_restore: dict[int, int] = {}


@cache
def _controller() -> ThreadpoolController:
    # Looks through all loaded libraries: a millisecond, once. NumPy's is among them, it is imported by every user.
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_thread() -> Iterator[None]:
    """BLAS works on the calling thread inside; what was set before is set again when the last user leaves."""
    global _depth
    libraries = _controller().lib_controllers
    with _lock:
        if _depth == 0:
            for i, library in enumerate(libraries):
                _restore[i] = library.num_threads
                library.set_num_threads(1)
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                for i, library in enumerate(libraries):
                    library.set_num_threads(_restore[i])
