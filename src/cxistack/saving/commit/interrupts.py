"""Interrupts that Python swallows: raised when what they came into has ended.

Ctrl-C is an exception wherever Python runs just then. In a callback (of a weak reference, of the
garbage collector) nobody can catch it: Python writes it to stderr and goes on. Here it is noted.
"""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Any

__all__ = ["Interrupts"]


class Interrupts:
    """Notes, for a block, the interrupts that callbacks swallow, and raises one when it ends.

    Only the main thread is interrupted; in others this does nothing.
    """

    def __init__(self) -> None:
        self._swallowed: BaseException | None = None
        self._before: Any = None
        self._hook: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._before, self._hook = sys.unraisablehook, self._note
            sys.unraisablehook = self._hook
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._hook is not None and sys.unraisablehook == self._hook:
            sys.unraisablehook = self._before
        if kind is None or issubclass(kind, Exception):
            self.raise_swallowed()

    def raise_swallowed(self) -> None:
        """Raise the interrupt that came, if one did."""
        if self._swallowed is not None:
            self._swallowed = None
            raise KeyboardInterrupt

    def _note(self, unraisable: Any) -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._swallowed = KeyboardInterrupt()
        else:
            self._before(unraisable)
