"""Files that are slow to come are touched ahead by threads: libhdf5 waits for one at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from ._descriptor import Descriptor

__all__ = ["touched_ahead"]

_THREADS = 8
_AHEAD = 64  # files
_LONG = 2e-4  # seconds of waiting for a file, from which on the next are touched
_HEAD = 1 << 14  # bytes in which most of what is looked for lies


def touched_ahead(paths: Sequence[str]) -> Iterator[int]:
    """Yield the number of each path; the work done on it tells whether its file was waited for."""
    pool = None
    until = 0
    try:
        for number in range(len(paths)):
            wall, work = time.perf_counter(), time.thread_time()
            yield number
            waited = time.perf_counter() - wall - (time.thread_time() - work)
            if number < until or waited < _LONG or number + 1 == len(paths):
                continue
            if pool is None:
                from concurrent.futures import ThreadPoolExecutor

                pool = ThreadPoolExecutor(_THREADS)
            until = min(number + _AHEAD, len(paths))
            for path in paths[number + 1 : until]:
                pool.submit(_touch, path)
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _touch(path: str) -> None:
    """Have the system fetch the head of a file; what is wrong is told of where it is opened."""
    with suppress(OSError):
        descriptor = Descriptor(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for ever
        try:
            os.pread(descriptor.fileno(), _HEAD, 0)
        finally:
            descriptor.close()
