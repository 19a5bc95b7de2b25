"""Waiting for a file that somebody else saves to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ...errors import FileChangedError, FileInUseError

__all__ = ["check_timeout", "waited"]


_Result = TypeVar("_Result")
_PAUSE = 0.05  # seconds between two looks


def check_timeout(timeout: float | None) -> float | None:
    """Return a timeout, or raise :class:`ValueError` where it is no number of seconds."""
    if timeout is None or timeout >= 0:
        return timeout
    raise ValueError(f"timeout must be seconds, or None to wait without end, not {timeout!r}")


def waited(
    action: Callable[[], _Result],
    look_again: Callable[[], object],
    timeout: float | None,
    let_go: Callable[[], object] = lambda: None,
) -> _Result:
    """Return what `action` does; while the file is in use, try again for so many seconds.

    Where the file has changed meanwhile, look again: no trouble once, and none while there is time.
    Before each wait, `let_go` closes what is open of it: HDF5 has one file for all handles of a
    process, and keeps it open for writing until the last of them is closed.

    Raises
    ------
    FileInUseError, FileChangedError
        The time is over; or none but this thread could end what keeps us out.
    """
    end = None if timeout is None else time.monotonic() + timeout
    has_looked = False

    def is_over() -> bool:
        return end is not None and time.monotonic() >= end

    while True:
        is_alone = threading.active_count() == 1  # asked first: another thread may end meanwhile
        try:
            return action()
        except FileInUseError as error:
            if is_over():
                raise
            if error.is_own and is_alone:
                raise FileInUseError(
                    f"{error}. It is not waited for: this thread is the only one of the process"
                ) from error
            is_used = True
        except FileChangedError:
            if has_looked and is_over():
                raise
            is_used = False
        # Outside of the block: of a later error, this one is not the cause.
        if is_used:
            let_go()
            time.sleep(_PAUSE)
        else:
            look_again()
            has_looked = True
