"""Runs a job on the calling thread, which answers signals, and on others beside it."""

from __future__ import annotations

import operator
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

__all__ = ["Work", "count_threads", "run"]

#: After so many tasks the calling thread looks for signals. Not after each: it might have to wait
#: for the GIL, while other Python threads compute, longer than a task lasts.
TASKS_PER_LOOK = 16
_PAUSE = 2e-4  # seconds


class Work(Protocol):
    """What can be run: a :class:`cxistack.kernels.job.Job`, for one."""

    @property
    def tasks(self) -> int:
        """How many tasks there are."""

    def work(self, limit: int = -1) -> bool:
        """Do tasks; return whether there may be more."""

    def cancel(self) -> None:
        """Let no further task begin."""


def count_threads(num_threads: int | None) -> int:
    """Return how many threads to use: all cores this process may run on, unless told.

    Raises
    ------
    TypeError, ValueError
        When that is no whole number, or less than one.
    """
    if num_threads is None:
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
        return os.cpu_count() or 1
    num_threads = operator.index(num_threads)
    if num_threads < 1:
        raise ValueError(f"num_threads must be 1 or more, or None for all cores; got {num_threads}")
    return num_threads


def run(
    job: Work, num_threads: int | None = None, look: Callable[[], object] | None = None
) -> None:
    """Do all tasks of a job.

    Parameters
    ----------
    job : Job
        The work.
    num_threads : int, optional
        How many threads work; None is every core that this process may use.
    look : callable, optional
        Called now and then by the calling thread, to show how far the job is.

    Raises
    ------
    KeyboardInterrupt
        And whatever else a signal handler raises, once the threads have come to rest: after
        this function nobody writes to the job's memory.
    """
    count = min(count_threads(num_threads), job.tasks)
    helpers: list[threading.Thread] = []
    busy: set[int] = set()
    try:
        for number in range(1, count):
            thread = threading.Thread(
                target=_help, args=(job, number, busy), name=f"cxistack-{number}", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # no room for another: those that there are do all of it
                break
            helpers.append(thread)
        # The calling thread works too: a thread takes longer to start than a MiB to cast, and on
        # a busy machine may start when all is done.
        while job.work(TASKS_PER_LOOK):
            if look is not None:
                look()
        for thread in helpers:
            thread.join()
    except BaseException:
        job.cancel()
        _rest(helpers, busy)
        raise


def _help(job: Work, number: int, busy: set[int]) -> None:
    """Do what there is to do, unless there is no memory for another thread's work."""
    busy.add(number)
    try:
        with suppress(MemoryError):
            job.work()
    finally:
        busy.discard(number)


def _rest(threads: list[threading.Thread], busy: set[int]) -> None:
    """Wait for the threads of a cancelled job, however impatient the user is.

    One that only just started is not alive yet; it will find the job cancelled and do nothing. One
    may be at work that nobody has a name of: its start was interrupted.
    """
    for thread in threads:
        while thread.is_alive():
            try:
                thread.join()
            except BaseException:  # noqa: BLE001 - the first one is being raised already
                continue
    while busy:
        with suppress(BaseException):
            time.sleep(_PAUSE)
