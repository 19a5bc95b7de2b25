"""Jobs do each task once, wait without the GIL, and come to rest when the user interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from cxistack import kernels
from cxistack.kernels import loop, threads
from cxistack.kernels.job import Job


class Slow:
    """Work whose tasks last, and are counted."""

    def __init__(self, tasks: int, seconds: float = 0.0) -> None:
        self.tasks = tasks
        self.seconds = seconds
        self.begun = 0
        self.done = 0
        self.cancelled = False
        self.lock = threading.Lock()

    def work(self, limit: int = -1) -> bool:
        while limit != 0 and not self.cancelled:
            with self.lock:
                if self.begun == self.tasks:
                    return False
                self.begun += 1
            try:
                time.sleep(self.seconds)
            finally:
                with self.lock:
                    self.done += 1
            limit -= 1
        return not self.cancelled

    def cancel(self) -> None:
        self.cancelled = True


@pytest.mark.parametrize("count", [1, 2, 3, 4, None])
def test_every_task_is_done_once(count: int | None) -> None:
    for tasks in (0, 1, 2, 1000):
        job = Job(tasks)
        threads.run(job, count)
        assert job.done == tasks
        assert job.first_bad is None
        assert not job.work()


def test_a_cancelled_job_begins_nothing() -> None:
    job = Job(10)
    assert job.work(3)
    assert job.done == 3
    job.cancel()
    assert not job.work()
    assert job.done == 3


@pytest.mark.parametrize("count", [1, 3])
def test_an_interrupt_cancels_waits_and_is_raised(count: int) -> None:
    slow = Slow(tasks=100, seconds=0.05)
    alarm = threading.Timer(0.12, os.kill, (os.getpid(), signal.SIGINT))
    alarm.start()
    with pytest.raises(KeyboardInterrupt):
        threads.run(slow, count)
    alarm.join()
    assert slow.cancelled
    assert slow.begun == slow.done < 100  # nobody is at work any more
    assert not [t for t in threading.enumerate() if t.name.startswith("cxistack")]


def test_who_has_no_name_yet_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(tasks=100, seconds=0.05)
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        while not slow.begun:
            time.sleep(0.001)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            threads.run(slow, 3)
    assert slow.begun == slow.done < 100  # nobody is at work any more


@pytest.mark.parametrize("count", [1, 2])
def test_a_real_pass_can_be_interrupted(count: int) -> None:
    # The same source bytes over and over: an hour's work, no memory.
    script = f"""
import os, signal, threading
import numpy as np
from cxistack import kernels
source = np.broadcast_to(np.zeros((64, 1), "u1"), (20_000_000, 64, 20000))
target = np.lib.stride_tricks.as_strided(np.zeros((1, 1, 20000)), source.shape, (0, 0, 8))
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    kernels.cast(source, out=target, num_threads={count})
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "interrupted\n", done.stderr


@pytest.mark.parametrize("count", [1, 2])
def test_others_run_while_a_kernel_works(count: int) -> None:
    ticks = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        stack = np.broadcast_to(np.zeros(1000, "u2"), (2_000_000, 1000))
        target = np.lib.stride_tricks.as_strided(np.zeros(1000, "f4"), stack.shape, (0, 4))
        before = ticks
        # As one task, which never returns to the interpreter in between.
        sizes = loop._tune(thread_bytes=1 << 60)
        kernels.cast(stack, out=target, num_threads=count)
        loop._tune(**sizes)
        assert ticks - before > 3  # of hundreds; of a pass that keeps the GIL, 0 or 1
    finally:
        stop.set()
        ticker.join()


def test_the_number_of_threads_is_checked() -> None:
    assert threads.count_threads(None) >= 1
    assert threads.count_threads(3) == 3
    for wrong in (0, -2):
        with pytest.raises(ValueError, match="1 or more"):
            threads.count_threads(wrong)


def test_small_work_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a thread for so little")

    monkeypatch.setattr(threading, "Thread", refuse)
    frame = np.ones((512, 512), "u2")
    kernels.cast(frame, "f4", num_threads=4)
    kernels.bin(frame, 2, num_threads=4)
