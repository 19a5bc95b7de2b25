"""How far a load has come: a bar at a terminal, a line every few seconds anywhere else."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from types import TracebackType
from typing import Any, Protocol, Self

__all__ = ["Lines", "Progress", "bar_class", "progress_bar"]


class Progress(Protocol):
    """What is told of progress."""

    def update(self, n: int) -> object:
        """Add what is done."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None: ...


@functools.cache
def bar_class() -> Any:
    """Return the class of progress bars, made when one is first shown: tqdm is slow to import.

    A bar leaves no thread behind, and its lock is this process's alone. tqdm's own lock is shared
    with forked processes: a child that ends while it holds it would stop every other for ever.
    """
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]  # generic in its stubs alone
        monitor_interval = 0

    def renew_lock() -> None:
        Bar.set_lock(threading.RLock())

    renew_lock()
    os.register_at_fork(after_in_child=renew_lock)
    return Bar


class Lines:
    """A line on the error stream every few seconds, for what is no terminal: a log of a batch job.

    What is done sooner than the first line is due says nothing.
    """

    INTERVAL = 5.0  # seconds

    def __init__(self, total: int, what: str, unit: str = "frame") -> None:
        self._total, self._what, self._unit = total, what, unit
        self._done = 0
        self._begin = self._told = time.monotonic()
        self._lock = threading.Lock()

    def update(self, n: int) -> None:
        """Add what is done, and say so if it is time."""
        with self._lock:
            self._done += n
            now = time.monotonic()
            if now - self._told >= self.INTERVAL:
                self._told = now
                self._say(now)

    def _say(self, now: float) -> None:
        gone = now - self._begin
        percent = 100 * self._done // self._total if self._total else 100
        text = f"{self._what}: {self._done:,} of {self._total:,} {self._unit}s, {percent}%"
        text += f", {gone:.0f} s"
        if 0 < self._done < self._total:
            text += f", about {gone / self._done * (self._total - self._done):.0f} s to go"
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._told > self._begin and not any(error):
            self._say(time.monotonic())


def progress_bar(total: int, what: str, unit: str = "frame") -> Progress:
    """Return what shows the progress of so many frames (or bytes), for a ``with`` block."""
    is_shown = sys.stderr.isatty()
    if not is_shown and "IPython" in sys.modules:
        is_shown = any(cls.__module__ == "tqdm.notebook" for cls in bar_class().__mro__)
    if not is_shown:
        return Lines(total, what, unit)
    how = {"unit": "B", "unit_scale": True} if unit == "byte" else {"unit": unit}
    bar: Progress = bar_class()(total=total, desc=what, **how)
    return bar
