"""Files that are slow to come are touched ahead by threads: libhdf5 waits for one at a time."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from ._descriptor import Descriptor
from .remote.urls import is_url

__all__ = ["touched_ahead"]

_THREADS = 8
_AHEAD = 64  # files
_LONG = 2e-4  # seconds for a file that is waited for, from which on the next are touched
_HEAD = 1 << 14  # bytes in which most of what is looked for lies


def touched_ahead(paths: Sequence[str]) -> Iterator[int]:
    """Yield the number of each path; the work done on it tells whether its file was waited for."""
    pool = None
    until = 0
    try:
        for number in range(len(paths)):
            begin, waits = time.perf_counter(), _waits()
            yield number
            is_slow = time.perf_counter() - begin > _LONG and _waits() > waits
            if not is_slow or number < until or number + 1 == len(paths) or is_url(paths[number]):
                continue
            if pool is None:
                from concurrent.futures import ThreadPoolExecutor

                pool = ThreadPoolExecutor(_THREADS, "cxistack-heads")
            until = min(number + _AHEAD, len(paths))
            for path in paths[number + 1 : until]:
                pool.submit(_touch, path)
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _waits() -> int:
    """Return how often this thread has slept, for a disk; other busy programs do not count."""
    return resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)).ru_nvcsw


def _touch(path: str) -> None:
    """Have the system fetch the head of a file; what is wrong is told of where it is opened."""
    with suppress(OSError):
        descriptor = Descriptor(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for ever
        try:
            os.pread(descriptor.fileno(), _HEAD, 0)
        finally:
            descriptor.close()
