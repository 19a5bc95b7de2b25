"""The progress bar that a user sees while frames are moved."""

from __future__ import annotations

import os
import threading

from tqdm.auto import tqdm

__all__ = ["Bar", "progress_bar"]


class Bar(tqdm):  # type: ignore[type-arg]  # generic in its stubs alone
    """A progress bar that leaves no thread behind, and whose lock is this process's alone.

    tqdm's own lock is shared with forked processes: a child that ends while it holds it would stop
    every other for ever.
    """

    monitor_interval = 0


def _renew_lock() -> None:
    Bar.set_lock(threading.RLock())


_renew_lock()
os.register_at_fork(after_in_child=_renew_lock)


def progress_bar(frames: int, what: str) -> Bar:
    """Return a bar of so many frames, for a ``with`` block."""
    return Bar(total=frames, desc=what, unit="frame")
